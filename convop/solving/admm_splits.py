"""The variables that alternating directions split off: ``z = K x`` for each penalty, and its scaled dual `y`."""

from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np

from ..dtypes import Array
from .admm_penalty import Penalty
from .normal import array_norms, relative

RELAX = 1.9
UNBALANCED = 4.0  # how different the paces may be before rho changes


@dataclass
class Splits:
    """All of them, at one step.

    Attributes
    ----------
    penalties : tuple of Penalty
        What each is for.
    shares : tuple of float
        The weight of each, relative to `rho`.
    rho : float
        The weight of the splits; `ys` are dual variables divided by it and by the share.
    zs, ys : list of arrays
        The variables.
    paces : pair of float
        By how much `z` missed `K x`, and by how much it changed, relative to the sizes of `K x` and `y`.
    change : float
        The larger of the two, relative to the size of `K x`, for the worst item.
    """

    penalties: tuple[Penalty, ...]
    shares: tuple[float, ...]
    rho: float
    zs: list[Array]
    ys: list[Array]
    paces: tuple[float, float] = (0.0, 0.0)
    change: float = 0.0

    @classmethod
    def at(cls, x: Array, penalties: tuple[Penalty, ...], shares: tuple[float, ...], rho: float) -> Self:
        zs = [np.array(p.image(x)) for p in penalties]
        return cls(penalties, shares, rho, zs, [np.zeros_like(z) for z in zs])

    def pull(self) -> Array:
        """``sum of share K^H (z - y)``: what they add to the right-hand side of a quadratic step, over `rho`."""
        parts = zip(self.penalties, self.shares, self.zs, self.ys, strict=True)
        return reduce(np.add, (share * p.back(z - y) for p, share, z, y in parts))

    def links(self, x: Array) -> list[Array]:
        """The dual variables ``rho share (K x - z + y)``, for which the quadratic step is stationary at `x`."""
        parts = zip(self.penalties, self.shares, self.zs, self.ys, strict=True)
        return [self.rho * share * (p.image(x) - z + y) for p, share, z, y in parts]

    def advance(self, x: Array) -> None:
        """One over-relaxed step of `z` and `y` towards `K x`."""
        squares = np.zeros((4, len(x)))
        for index, (p, share) in enumerate(zip(self.penalties, self.shares, strict=True)):
            image, before = p.image(x), self.zs[index]
            v = self.ys[index] + before + RELAX * (image - before)
            y = p.nearest(v, 1 / (self.rho * share))
            z = v - y
            self.zs[index], self.ys[index] = z, y
            squares += share * np.stack([array_norms(each) for each in (image - z, image, z - before, y)]) ** 2
        missed, image, changed, y = np.sqrt(squares.sum(1))
        self.paces = (missed / image, changed / y) if image and y else (0.0, 0.0)
        self.change = relative(np.sqrt(np.maximum(squares[0], squares[2])), np.sqrt(squares[1]))

    def balance(self) -> bool:
        """Another `rho` if one of the two paces lags far behind; whether that was so."""
        missed, changed = self.paces
        if not missed or not changed or 1 / UNBALANCED < missed / changed < UNBALANCED:
            return False
        factor = float(np.clip(np.sqrt(missed / changed), 0.1, 10))
        self.rho *= factor
        self.ys = [y / factor for y in self.ys]
        return True
