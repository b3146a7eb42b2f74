r"""Alternating directions (ADMM): quadratic steps solved directly, everything else sample by sample.

With ``z = K x`` for every penalty ``g(K x)`` and scaled dual variables `y`,

``(A^H A + rho K^H K) x = A^H b + rho K^H (z - y)``,  ``v = y + z + relax (K x - z)``,  ``y`` the projection of `v` onto
the dual domain over rho, ``z = v - y``

(S. Boyd et al., "Distributed optimization and statistical learning via the alternating direction method of
multipliers", 2011; over-relaxed as by J. Eckstein and D. Bertsekas, 1992). `rho` is balanced so that `z` and `y` settle
at the same pace relative to their sizes (B. Wohlberg, "ADMM penalty parameter selection by residual balancing", 2017).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ..dtypes import Array, DType
from ..operator import Operator
from .admm_gap import Objective, mended
from .admm_splits import Splits
from .admm_system import Quadratic, QuadraticFactor, closer
from .normal import array_norms, relative
from .problem import Problem
from .task import Found, Task

FIRST_CHECK = 8  # the step after which the gap is measured for the first time
LEAP, SLOWEST = 2.5, 0.3  # the steps until the next time grow by so much at most; powers of them that a gap falls with
FIRST_BALANCE = 16  # steps before rho may change, which it does at powers of 2 only
OUTRUN, PATIENCE = 0.9, 200  # stalled once twice the steps leave more than this share of the gap; first asked after


@dataclass(frozen=True)
class Splitting:
    """A problem for alternating directions: its objective, its quadratic steps, and the weights of its splits."""

    objective: Objective
    quadratic: Quadratic
    shares: tuple[float, ...]  # of rho, for each penalty
    rho: float
    candidate: Callable[[Array, list[Array]], Array]  # an x that is worth measuring, from x and the z


def in_double(task: Task) -> Task:
    """The task in double precision: a gap of a millionth of the objective lies below the rounding of float32."""
    wide = np.float64(1)
    L = None if task.problem.L is None else wide * task.problem.L
    start = None if task.start is None else task.start.astype(np.result_type(task.start, wide))
    b = task.b.astype(np.result_type(task.b, wide), copy=False)
    return replace(task, problem=Problem(wide * task.problem.A, L), b=b, start=start)


def signal_size(A: Operator, f: Array, about_mean: bool) -> float:
    """About how far samples of x lie from zero, or from their mean: `f = A^H b` over the gain of `A^H A`."""
    flat = f.reshape((len(f), -1))
    centred = flat - flat.mean(-1, keepdims=True) if about_mean else flat
    if not centred.any():
        centred = flat
    size = float(np.sqrt(np.mean(abs(centred) ** 2)))
    return size / gain(A, f) if size else 1.0


def gain(A: Operator, f: Array) -> float:
    """``||A f||^2 / ||f||^2``, which lies below the squared norm of `A` and is seldom far from it for `f = A^H b`."""
    power = float(np.linalg.norm(f)) ** 2
    return float(np.linalg.norm(A(f))) ** 2 / power if power else 1.0


@dataclass
class _Run:
    """The state of one run."""

    x: Array
    splits: Splits
    factor: QuadraticFactor
    right: Array  # right-hand side of the last quadratic step
    best: Array | None = None
    least: Array = field(default_factory=lambda: np.zeros(0))  # objective of the best x of each item
    bound: Array = field(default_factory=lambda: np.zeros(0))  # the largest lower bound on the minimum
    history: list[float] = field(default_factory=list)
    status: str = "max_iterations"


def alternate(task: Task, alpha: float, splitting: Splitting, dtype: DType, said: str) -> Found:
    """Alternate until the relative duality gap is at most `task.tol`; gives back `x` as `dtype`."""
    run, checks = _started(task, splitting), [FIRST_CHECK]
    try:
        while len(run.history) < task.maxiter and run.status == "max_iterations":
            step = len(run.history) + 1
            measured = step in (checks[-1], task.maxiter)
            _quadratic_step(task, run)
            if measured:
                _measure(task, splitting, run, step)
            run.history.append(_relative_gap(splitting.objective, run))
            if measured:
                checks.append(_next_check(run.history, checks, task.tol))
            if task.watch is not None:
                task.watch(step, partial(_iterate(run).astype, dtype), run.history[-1])
            _judge(task, run, measured)
            run.splits.advance(run.x)
            if step & (step - 1) == 0 and step > FIRST_BALANCE and run.splits.balance():
                run.factor = splitting.quadratic.at(run.splits.rho)
    except KeyboardInterrupt:
        run.status = "interrupted"
    method = splitting.quadratic.chosen
    reason = (
        f"{said}, by alternating directions whose quadratic steps are solved by '{method.name}': {method.reason}; in "
        f"the duality gap what they leave over counts as if x were as far from the minimiser as from zero"
    )
    nan, history = np.full(len(task.b), np.nan), tuple(run.history) or (float("inf"),)
    x = _iterate(run).astype(dtype)
    return Found(x, alpha, run.status, "admm", reason, len(run.history), history, nan)


def _iterate(run: _Run) -> Array:
    return run.x if run.best is None else run.best


def _started(task: Task, splitting: Splitting) -> _Run:
    dtype = np.result_type(task.problem.dtype, task.b)
    x = np.zeros((len(task.b), *task.problem.A.in_shape), dtype) if task.start is None else task.start.astype(dtype)
    splits = Splits.at(x, splitting.objective.penalties, splitting.shares, splitting.rho)
    return _Run(x, splits, splitting.quadratic.at(splitting.rho), task.f)


def _quadratic_step(task: Task, run: _Run) -> None:
    """The next `x`."""
    f = task.f + run.splits.rho * run.splits.pull()
    answer = run.factor.solve(f, closer(f, run.right), run.x)
    run.x, run.right = answer.x, f
    if answer.status == "interrupted":
        run.status = "interrupted"


def _needed(task: Task, run: _Run) -> float:
    """The residual relative to `A^H b` at which what is left of it costs a tenth of the gap that is asked for."""
    loosest = 1e-6
    assert run.best is not None
    sizes = array_norms(task.f) * array_norms(run.best)
    goal = np.maximum(task.tol * run.least, 0.1 * (run.least - run.bound))
    share = np.divide(0.1 * goal, sizes, where=sizes > 0, out=np.full_like(goal, loosest))
    return float(np.clip(share.min(initial=loosest), 1e-14, loosest))


def _measure(task: Task, splitting: Splitting, run: _Run, step: int) -> None:
    """The objective of the candidate, and the lower bound that the dual variables prove."""
    objective, x = splitting.objective, splitting.candidate(run.x, run.splits.zs)
    u, qs = objective.A(run.x) - objective.b, run.splits.links(run.x)
    if run.best is None:  # no objective is negative
        run.best, run.least = np.array(x), objective.gap(x, u, qs)[0]
        run.bound = np.zeros_like(run.least)
    u, qs = mended(objective, run.factor, run.splits, u, qs, min(20, 2 + step // 10), _needed(task, run))
    value, gap = objective.gap(x, u, qs)
    better = (value < run.least).reshape((-1,) + (1,) * (x.ndim - 1))
    run.best = np.where(better, x, run.best)
    run.least, run.bound = np.minimum(value, run.least), np.maximum(value - gap, run.bound)


def _next_check(history: list[float], checks: list[int], tol: float) -> int:
    """When to measure again: where the gap, falling with a power of the steps as it did, comes down to `tol`."""
    step, gap = len(history), history[-1]
    power = 1.0
    if len(checks) > 1 and 0 < gap < history[checks[-2] - 1]:
        power = math.log(history[checks[-2] - 1] / gap) / math.log(step / checks[-2])
    wanted = step * (gap / tol) ** (1 / max(power, SLOWEST))
    return int(np.clip(wanted, step + max(5, step // 5), LEAP * step))


def _relative_gap(objective: Objective, run: _Run) -> float:
    """The gap relative to the objective, or to a trifle of its value at zero where that is larger; 1 is always one."""
    if run.best is None:
        return 1.0
    floor = np.sqrt(np.finfo(objective.b.dtype).eps) * array_norms(objective.b) ** 2 / 2
    return relative(np.maximum(run.least - run.bound, 0), np.maximum(run.least, floor))


def _judge(task: Task, run: _Run, measured: bool) -> None:
    """Whether it is at its end."""
    step, gap = len(run.history), run.history[-1]
    if run.status == "interrupted":
        return
    if gap <= task.tol:
        run.status = "converged"
    elif measured and step >= PATIENCE and gap > OUTRUN * run.history[step // 2]:
        run.status = "stalled"
