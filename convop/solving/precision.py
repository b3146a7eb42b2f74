"""Single precision where that is enough: half as much to read and write, and twice as many numbers at a time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .arrays import Arrays
from .normal import Answer, Watch, changed, divisors
from .on_torus import Spectral

SINGLE = np.dtype(np.float32)
ENOUGH = 8  # units of rounding that a tolerance has to leave; answers need one to three, as measured
WELL = 2e3  # the largest condition; a solution loses at most about as many units, which is less than it may by ENOUGH
RANGE = 1e8  # how far from 1 the largest eigenvalue may be, so that neither squares nor reciprocals leave the exponents


class AsNeeded(Spectral):
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

    def __init__(self, make: Callable[[Arrays], Spectral], arrays: Arrays, least: float, largest: float) -> None:
        self.arrays, self.single, self._make = arrays, replace(arrays, precision=SINGLE), make
        self._may = arrays.epsilon < self.single.epsilon and largest <= WELL * least and 1 / RANGE <= largest <= RANGE
        self._made: dict[Arrays, Spectral] = {}

    def solve(self, spectra: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        # A correction of what was solved in double stays there: its tolerance is loose, but that factor is at hand.
        if not self._may or tol < ENOUGH * self.single.epsilon or self.arrays in self._made:
            return self._in(self.arrays).solve(spectra, tol, maxiter, start, watch)
        # What remains is near 1, in any units.
        scale = divisors(self.arrays.squares(spectra) ** 0.5).reshape((-1, *(1,) * (spectra.ndim - 1)))
        unit = 1 / scale

        def narrow(u: Any) -> Any:
            return self.single.working(u * unit)

        def wide(u: Any) -> Any:
            return u * scale

        begin = None if start is None else narrow(start)
        self.remark = "in single precision, which the tolerance allows"
        found = self._in(self.single).solve(narrow(spectra), tol, maxiter, begin, changed(watch, wide))
        return replace(found, x=wide(found.x))

    def _in(self, arrays: Arrays) -> Spectral:
        if arrays not in self._made:
            self._made[arrays] = self._make(arrays)
        return self._made[arrays]
