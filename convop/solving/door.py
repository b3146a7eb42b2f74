"""`solve`: the door to everything that inverts."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from .._optional import require
from ..arguments import Shape, as_flag, as_number
from ..dtypes import as_signal
from ..errors import DTypeError, GeometryError, ShapeError
from .elsewhere import or_elsewhere
from .normal import Watch
from .priors import PRIORS, known_prior
from .problem import Problem, as_regularizer, linear_part
from .rules import RULES, Rule
from .solution import Solution
from .task import Found, Progress, Task, as_callback, as_data, as_steps, as_tolerance, require_finite_start

ADVICE = {
    "stalled": "it stalled: the tolerance lies below what rounding allows here; take float64, a larger tol or a larger "
    "alpha",
    "max_iterations": "it ran out of steps; give more with maxiter, or take a larger tol or alpha",
    "interrupted": "it was interrupted, and this is how far it had come",
}
WORST_FIRST = ("interrupted", "max_iterations", "stalled", "converged")


def interrupted(reason: str) -> bool:
    """Whether a solution was cut short by Ctrl-C, as its `reason` says."""
    return ADVICE["interrupted"] in reason


@or_elsewhere
def solve(
    A: Any,
    b: Any,
    *,
    alpha: Any = None,
    regularizer: Any = None,
    prior: str = "tikhonov",
    nonneg: bool = False,
    noise: float | None = None,
    method: str = "auto",
    tol: float = 1e-6,
    maxiter: int | None = None,
    x0: Any = None,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Solution:
    """Minimise ``1/2 ||A x - b||^2 + alpha R(x)``.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes; an `Affine` has its offset taken off `b`.
    b : array_like or torch.Tensor
        The data, `(*batch, *A.out_shape)`; finite. For a tensor, the result holds tensors on its device; `A` and
        `regularizer` may then be modules of `to_torch`, and `alpha` a tensor.
    alpha : float or str, optional
        The weight of the penalty, in the units of ``||A x||^2 / R(x)``; 0 gives plain least squares, of least norm
        where many fit. Or the rule that chooses it, one for each item of a batch: "gcv" (generalised
        cross-validation), "lcurve" (greatest curvature in log-log), "upre" (unbiased predictive risk) or
        "discrepancy" (``||A x - b|| = noise sqrt(m)``, the only one for priors "tv" and "l1"). None takes "gcv"
        where differences are penalised, "upre" if their noise is given, and the discrepancy principle otherwise;
        `reason` says which.
    regularizer : Operator or str, optional
        `L` of the penalty, the identity by default; "gradient" and "laplacian" have the boundary of `A`.
    prior : str
        "tikhonov": ``R(x) = 1/2 ||L x||^2``. "truncated": singular vectors with ``||A v||^2 >= alpha ||L v||^2`` are
        kept whole and the others left out, where structure or a small size gives them. "tv": isotropic total
        variation, `L` the gradient unless given. "l1": the sum of moduli of `L x`. "poisson": instead of squares the
        likelihood of counts, by Richardson and Lucy's iteration; with `alpha` and total variation by another.
    nonneg : bool
        Whether `x` may not be negative, for "tikhonov", "tv" and "l1"; with "poisson" it never is.
    noise : float, optional
        Standard deviation of the noise in `b`, for "upre" and "discrepancy"; of complex noise the root mean square.
        By default estimated from the finest differences of `b`.
    method : str
        How the normal equations are solved: "auto" takes the first that can of "diagonal", "frame",
        "pinned", "separable", "same", "levinson", "taps" and "krylov", which always can.
    tol : float
        When to stop: the relative residual of the normal equations; with "tv", "l1" and `nonneg` the duality gap
        relative to the objective; with "poisson" the relative change in a step. From 1e-6 on some problems in double
        precision are solved in single, and only the residual is computed in double; `reason` says so.
    maxiter : int, optional
        Steps at most, 5000 by default.
    x0 : array_like, optional
        Where to start, `(*batch, *A.in_shape)` or without the batch.
    callback : callable, optional
        Called after each step with its `iteration`, `residual_norm` and `x`. Where a rule chooses alpha, items of a
        batch come one after the other, each with its own steps and its own `x`. Ctrl-C ends all of them; items whose
        turn did not come are left at `x0`, or zero.
    progress : bool
        Whether to draw a progress bar.

    Returns
    -------
    Solution

    Raises
    ------
    ShapeError, GeometryError, DTypeError
        For arguments that make no problem.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.Convolution([1.0, 2.0, 1.0], 6, mode="valid")
    >>> solution = convop.solve(A, A(np.ones(6)), alpha=1e-3)
    >>> solution
    <Solution 6, converged, method frame, 0 steps, alpha 0.001>
    >>> bool(np.allclose(A(solution.x), A(np.ones(6)), atol=1e-3))
    True
    """
    operator, b = linear_part(A, b)
    minimise = PRIORS[known_prior(prior)]
    problem = Problem(operator, as_regularizer(regularizer, operator))
    data, batch = as_data(b, problem)
    rule = as_rule(alpha)
    if data.size == 0:
        x, nothing = np.zeros((*batch, *operator.in_shape), data.dtype), np.zeros(batch)
        chosen = nothing if isinstance(rule, Rule) else rule
        return Solution(x, chosen, "converged", "none", "b holds nothing", 0, (), nothing)
    if data.dtype.kind == "c" and problem.dtype.kind != "c":  # complex all through, so that no half spectrum is taken
        problem = Problem(operator * np.complex64(1), problem.L)
    start = None if x0 is None else _as_start(x0, problem, data)
    with progress_bar(as_flag(progress, "progress")) as bar:
        task = Task(
            problem, data, batch, method, as_tolerance(tol), as_steps(maxiter), start, as_flag(nonneg, "nonneg"),
            as_noise(noise),
            _watch(as_callback(callback), bar, (*batch, *operator.in_shape), operator.in_shape),
        )  # fmt: skip
        if not isinstance(rule, Rule):
            return _solution(task, [minimise(task, rule)], rule, "")
        choice = rule.choose(task, prior)
        found: list[Found] = []
        for item, chosen in zip(choice.items, choice.alphas, strict=True):
            ended = bool(found) and found[-1].status == "interrupted"
            found.append(_untouched(item, chosen, found[-1]) if ended else minimise(item, chosen))
        return _solution(task, found, np.reshape(choice.alphas, batch)[()], choice.reason)


def _untouched(item: Task, alpha: float, last: Found) -> Found:
    """What there is of an item whose turn did not come: its start, or zeros."""
    x = np.zeros((1, *item.problem.A.in_shape), item.b.dtype) if item.start is None else item.start
    return replace(last, x=x, alpha=alpha, iterations=0, residuals=(math.inf,), error_bound=np.full(1, np.nan))


def as_rule(alpha: Any) -> float | Rule:
    names = [rule.name for rule in RULES]
    needed = f"give a number, 0 or more, or one of {', '.join(map(repr, names))}"
    if alpha is None or isinstance(alpha, str):
        for rule in RULES:
            if rule.name == alpha:
                return rule
        raise GeometryError(f"alpha={alpha!r} is no rule; {needed}")
    try:
        return as_number(alpha, "alpha", 0)
    except GeometryError:
        raise GeometryError(f"alpha={alpha!r} is no weight and no rule; {needed}") from None


def as_noise(noise: Any) -> float | None:
    return None if noise is None else as_number(noise, "noise, a standard deviation,", 0)


def _as_start(x0: Any, problem: Problem, data: Any) -> Any:
    start, shape = as_signal(x0, problem.dtype), problem.A.in_shape
    if start.dtype.kind == "c" and data.dtype.kind != "c" and problem.dtype.kind != "c":
        raise DTypeError(f"x0 is {start.dtype}, but the solution is real, as A and b are; give x0.real")
    require_finite_start(bool(np.isfinite(start).all()))
    start = start.astype(np.result_type(start.dtype, data.dtype), copy=False)
    if start.shape == shape:
        return np.broadcast_to(start, (len(data), *shape))
    if start.shape[-len(shape) :] != shape or start.size != len(data) * int(np.prod(shape)):
        raise ShapeError(f"x0 has shape {start.shape}, needed {shape}, or that with the batch axes of b in front")
    return start.reshape((len(data), *shape))


def _watch(callback: Callable[[Progress], Any] | None, bar: Any, whole: Shape, item: Shape) -> Watch | None:
    """What draws and calls back after each step; an iterate has the shape of all of `x`, or of the item at hand."""
    if callback is None and bar is None:
        return None

    def watch(step: int, iterate: Callable[[], Any], residual: float) -> None:
        if bar is not None:
            bar.set_postfix_str(f"residual {residual:.1e}")
            bar.update()
        if callback is not None:
            callback(Progress(step, residual, lambda: _shaped(iterate())))

    def _shaped(x: Any) -> Any:
        return x.reshape(whole if x.size == math.prod(whole) else item)

    return watch


def progress_bar(progress: bool) -> AbstractContextManager[Any]:
    return require("tqdm", "cli").tqdm(desc="solving", unit=" steps", ncols=78) if progress else nullcontext()


def _solution(task: Task, found: list[Found], alpha: Any, chosen: str) -> Solution:
    """One answer for the whole batch; its status is that of the worst item."""
    shape = (*task.batch, *task.problem.A.in_shape)
    worst = min(found, key=lambda each: (WORST_FIRST.index(each.status), -each.residuals[-1]))
    said = [chosen, worst.reason, ADVICE.get(worst.status, "")]
    bound = np.concatenate([each.error_bound for each in found]).reshape(task.batch)[()]
    return Solution(
        np.concatenate([each.x for each in found]).reshape(shape), alpha,
        "max_iterations" if worst.status == "interrupted" else worst.status,
        worst.method, "; ".join(filter(None, said)), max(each.iterations for each in found), worst.residuals, bound,
    )  # fmt: skip
