"""Square Toeplitz matrices without penalty, of one axis: Levinson's recursion, once for `A^H` and once for `A`.

Its work grows with the square of the size, and it is stable only where the leading blocks are well-conditioned (N. J.
Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 13.3), so its answers are measured; where
they are none, conjugate gradients take over. With a penalty a single axis needs no recursion: a cross of one axis is
one strip, which is solved exactly.
"""

import warnings
from typing import Any

import numpy as np

from ..dtypes import Array
from ..errors import GeometryError
from ..structured.toeplitz_rules import as_toeplitz
from .krylov import KrylovFactor, KrylovState
from .normal import Answer, Factor, Method, State, Watch, relative
from .problem import Problem

LARGEST = 8192  # unknowns: a second
NEARLY_SINGULAR = 1e10  # a larger condition of the normal equations, and there is no telling the least norm


def obstacle(problem: Problem, alpha: float) -> str | None:
    """What keeps the method from serving."""
    A = problem.A
    if alpha > 0:
        return "with a penalty, A^H A + alpha L^H L is no Toeplitz matrix"
    if A.shape[0] != A.shape[1]:
        return f"the matrix of shape {A.shape} is not square"
    if len(A.in_shape) != 1 or A.out_shape != A.in_shape:
        return f"arrays of shape {A.in_shape} have more than one axis"
    if A.shape[0] > LARGEST:
        return f"{A.shape[0]} unknowns are more than {LARGEST}, and its work grows with their square"
    try:
        as_toeplitz(A)
    except GeometryError as reason:
        return f"it is no Toeplitz matrix: {reason}"
    return None


class LevinsonState(State):
    """First column and first row of the matrix."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        matrix = as_toeplitz(problem.A)
        wide = np.result_type(problem.dtype, np.float64)
        self.column, self.row = matrix.column.astype(wide), matrix.row.astype(wide)

    def at(self, alpha: float) -> "LevinsonFactor":
        return LevinsonFactor(self)


class LevinsonFactor(Factor):
    """Solves `A^H y = f`, then `A x = y`."""

    def __init__(self, state: LevinsonState) -> None:
        self.state = state
        self.fallback: KrylovFactor | None = None

    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        problem = self.state.problem
        x = self._solved(f) if self.fallback is None else None
        if x is not None:
            left = relative(problem.norms(f - problem.normal(x, 0.0)), problem.norms(f))
            if left <= max(tol, np.finfo(f.dtype).eps ** 0.5):  # what is left over is solved for again
                return Answer(x, (left,), "converged" if left <= tol else "stalled")
        if self.fallback is None:
            self.fallback = KrylovFactor(KrylovState(problem), 0.0)
            self.remark = "the recursion was not stable, and conjugate gradients took over"
        return self.fallback.solve(f, tol, maxiter, start, watch)

    def _solved(self, f: Array) -> Array | None:
        """The solution that the recursion finds, if any."""
        from scipy.linalg import LinAlgError, solve_toeplitz

        column, row = self.state.column, self.state.row
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of overflow, where a leading block is nearly singular
                y: Any = solve_toeplitz((row.conj(), column.conj()), f.T)
                x: Any = solve_toeplitz((column, row), y)
        except (LinAlgError, RuntimeWarning, ValueError):
            return None
        bound = (abs(column).sum() + abs(row[1:]).sum()) ** 2 * np.linalg.norm(x, axis=0)
        sound = np.isfinite(x).all() and (bound <= NEARLY_SINGULAR * np.linalg.norm(f, axis=1)).all()
        return np.ascontiguousarray(x.T, f.dtype) if sound else None


METHOD = Method(
    "levinson",
    "the matrix is Toeplitz and square, and there is no penalty",
    obstacle,
    LevinsonState,
)
