"""What always serves: preconditioned conjugate gradients on the normal equations.

Without penalty they start from zero and stay in the range of `A^H`, so that of all least-squares solutions they find
that of least norm.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import Array
from .conjugate_gradients import Stop, conjugate_gradients
from .normal import Answer, Factor, Method, State, Watch, array_norms, divisors
from .preconditioner import Prepared
from .problem import Problem

PATIENCE = 400  # residuals go up and down for as many steps before they come down for good


class KrylovState(State):
    """The preconditioners that can serve."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.prepared = Prepared(problem)

    def at(self, alpha: float) -> "KrylovFactor":
        return KrylovFactor(self, alpha)


class KrylovFactor(Factor):
    """The preconditioner for one `alpha`."""

    def __init__(self, state: KrylovState, alpha: float) -> None:
        self.problem, self.alpha = state.problem, alpha
        self.apply, self.kind, self.remark = state.prepared.best(alpha)

    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        start = None if start is None else np.asarray(start, f.dtype)
        return iterated(lambda x: self.problem.normal(x, self.alpha), self.apply, f, tol, maxiter, start, watch)


def iterated(
    normal: Callable[[Any], Any],
    precondition: Callable[[Any], Any],
    f: Any,
    tol: float,
    maxiter: int,
    start: Any,
    watch: Watch | None,
) -> Answer:
    """Solve `normal(x) = f` for a batch `(batch, *in_shape)` of any of these arrays."""
    shape, size = tuple(f.shape), divisors(array_norms(f))

    def flat(x: Any) -> Any:
        return x.reshape((shape[0], -1))

    def report(step: int, x: Any, worst: float) -> None:
        if watch is not None:
            watch(step, lambda: x.reshape(shape), worst)

    def descend(r: Any) -> tuple[Any, Any]:
        z = precondition(r.reshape(shape))
        return flat(z), flat(normal(z))

    begin, residual = (0 * f, f) if start is None else (start, f - normal(start))
    stop = Stop(lambda r: array_norms(r) / size, tol, maxiter, None if watch is None else report, PATIENCE)
    found = conjugate_gradients(descend, flat(residual), flat(begin), stop)
    return Answer(found.x.reshape(shape), found.residuals, found.status)


def obstacle(problem: Problem, alpha: float) -> str | None:
    """Nothing keeps it from serving."""
    return None


METHOD = Method(
    "krylov",
    "no direct method serves; conjugate gradients on the normal equations",
    obstacle,
    KrylovState,
)
