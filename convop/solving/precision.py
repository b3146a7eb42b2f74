"""Single precision where that is enough: half as much to read and write, and twice as many numbers at a time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..dtypes import Array
from .arrays import Arrays
from .normal import Answer, Factor, Watch

SINGLE = np.dtype(np.float32)
UNIT = float(np.finfo(SINGLE).eps)
ENOUGH = 8  # units of rounding that a tolerance has to leave; answers need one to three, as measured
WELL = 2e3  # the largest condition; a solution loses at most about as many units, which is less than it may by ENOUGH


class AsNeeded(Factor):
    """Solved in single precision where tolerance and condition let it, else in double.

    Whoever computes the residual in double and solves for it again, as `refined` does, comes down as far as in double.

    Parameters
    ----------
    make : callable
        The factor that solves in the precision of these arrays.
    arrays : Arrays
        In the precision of the problem.
    condition : float
        Of the normal equations, or a bound on it.
    """

    def __init__(self, make: Callable[[Arrays], Factor], arrays: Arrays, condition: float) -> None:
        self.arrays, self.single = arrays, replace(arrays, precision=SINGLE)
        self._make, self._may = make, condition <= WELL and arrays.epsilon < UNIT
        self._made: dict[Arrays, Factor] = {}

    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        # The correction of what was solved in double is, too: its tolerance is loose, but nothing new has to be made.
        if not self._may or tol < ENOUGH * UNIT or self.arrays in self._made:
            return self._in(self.arrays).solve(f, tol, maxiter, start, watch)
        narrow, wide = self.single.working, self.arrays.working
        later = None if watch is None else lambda step, iterate, worst: watch(step, lambda: wide(iterate()), worst)
        begin = None if start is None else narrow(start)
        self.remark = "in single precision, which the tolerance allows"
        found = self._in(self.single).solve(narrow(f), tol, maxiter, begin, later)
        return replace(found, x=wide(found.x))

    def _in(self, arrays: Arrays) -> Factor:
        if arrays not in self._made:
            self._made[arrays] = self._make(arrays)
        return self._made[arrays]
