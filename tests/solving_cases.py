"""Random arrays for the tests of solvers."""

import numpy as np


class Draws:
    """Arrays drawn one after the other from one generator."""

    def __init__(self, rng):
        self.rng = rng

    def array(self, shape, dtype="float64"):
        values = self.rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            values = values + 1j * self.rng.standard_normal(shape)
        return values.astype(dtype)

    def blur(self, shape, dtype="float64"):
        """A random kernel of norm 1, so that alpha means the same for all."""
        h = self.array(shape, dtype)
        return (h / np.linalg.norm(h)).astype(dtype)
