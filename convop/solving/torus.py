"""A torus: the grid that wraps around, on which convolutions are diagonal."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import Shape
from ..dtypes import Array
from ..geometry import Geometry
from .arrays import Arrays


def power(symbol: Any) -> Any:
    """The square of the modulus at each frequency."""
    return (symbol.conj() * symbol).real


@dataclass(frozen=True)
class Torus:
    """Transforms over the last axes of arrays; real ones have the half spectrum."""

    sizes: Shape
    real: bool
    arrays: Arrays

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(range(-len(self.sizes), 0))

    def spectrum(self, u: Any) -> Any:
        return self.arrays.transform(u, self.axes, self.real)

    def signal(self, spectrum: Any) -> Any:
        return self.arrays.back(spectrum, self.axes, self.sizes, self.real)

    def norms(self, spectra: Any) -> Any:
        """The 2-norm of each of a batch of signals, by Parseval."""
        total = self.arrays.squares(spectra)
        if self.real:  # each of one half stands for its mirror image as well
            own = [0, self.sizes[-1] // 2] if self.sizes[-1] % 2 == 0 else [0]
            total = 2 * total - self.arrays.squares(spectra[..., own])
        return (total / math.prod(self.sizes)) ** 0.5

    def embed(self, u: Any) -> Any:
        """`u` at the origin of the torus, zeros elsewhere."""
        batch = tuple(u.shape[: u.ndim - len(self.sizes)])
        if tuple(u.shape[len(batch) :]) == self.sizes:
            return u
        whole = self.arrays.zeros(batch + self.sizes, u)
        whole[(..., *map(slice, u.shape[len(batch) :]))] = u
        return whole

    def crop(self, u: Any, shape: Shape) -> Any:
        """The samples of `shape` at the origin."""
        return u[(..., *map(slice, shape))]

    def symbol(self, geometry: Geometry, weight: Array) -> Any:
        """The factor of a single-channel convolution at each frequency, in double precision."""
        wide = weight[0, 0].astype(np.result_type(weight.dtype, np.float64 if self.real else np.complex128))
        # A tap that reads at lag `l` stands at `-l` of the impulse response; a long kernel wraps around.
        flat: Any = 0
        for axis, n in enumerate(self.sizes):
            flat = np.add.outer(flat * n, -geometry.lags(axis) % n)
        return self.spectrum(self.arrays.placed(self.sizes, flat.ravel(), wide.ravel()))
