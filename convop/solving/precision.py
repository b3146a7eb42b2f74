"""Single precision where that is enough: half as much to read and write, and twice as many numbers at a time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..dtypes import Array
from .arrays import Arrays
from .normal import Answer, Factor, Watch, batch_norms

SINGLE = np.dtype(np.float32)
ENOUGH = 8  # units of rounding that a tolerance has to leave; answers need one to three, as measured
WELL = 2e3  # the largest condition; a solution loses at most about as many units, which is less than it may by ENOUGH
RANGE = 1e8  # how far from 1 the largest eigenvalue may be, so that neither squares nor reciprocals leave the exponents


class AsNeeded(Factor):
    """Solved in single precision where tolerance and condition let it, else in double.

    Whoever computes the residual in double and solves for it again, as `refined` does, comes down as far as in double.

    Parameters
    ----------
    make : callable
        The factor that solves in the precision of these arrays.
    arrays : Arrays
        In the precision of the problem.
    least, largest : float
        Bounds on the eigenvalues of the normal equations.
    """

    def __init__(self, make: Callable[[Arrays], Factor], arrays: Arrays, least: float, largest: float) -> None:
        self.arrays, self.single, self._make = arrays, replace(arrays, precision=SINGLE), make
        self._may = arrays.epsilon < self.single.epsilon and largest <= WELL * least and 1 / RANGE <= largest <= RANGE
        self._made: dict[Arrays, Factor] = {}

    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        # A correction of what was solved in double stays there: its tolerance is loose, but that factor is at hand.
        if not self._may or tol < ENOUGH * self.single.epsilon or self.arrays in self._made:
            return self._in(self.arrays).solve(f, tol, maxiter, start, watch)
        scale = batch_norms(f, self.arrays).reshape((-1, *(1,) * (f.ndim - 1)))  # what remains is near 1 in any units

        def narrow(u: Array) -> Array:
            return self.single.working(u / scale)

        def wide(u: Array) -> Array:
            return self.arrays.working(u) * scale

        later = None if watch is None else lambda step, iterate, worst: watch(step, lambda: wide(iterate()), worst)
        begin = None if start is None else narrow(start)
        self.remark = "in single precision, which the tolerance allows"
        found = self._in(self.single).solve(narrow(f), tol, maxiter, begin, later)
        return replace(found, x=wide(found.x))

    def _in(self, arrays: Arrays) -> Factor:
        if arrays not in self._made:
            self._made[arrays] = self._make(arrays)
        return self._made[arrays]
