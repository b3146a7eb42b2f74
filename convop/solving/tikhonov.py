"""Tikhonov's prior, ``alpha/2 ||L x||^2``: the normal equations, solved once for each alpha."""

from dataclasses import replace

import numpy as np

from ..arguments import is_one_of
from ..dtypes import Array
from . import krylov
from .normal import Answer, refined
from .problem import Problem
from .task import Found, Task

ROUNDING = 1e3  # units of rounding, relative to the right-hand side, down to which every method may come


def minimise(task: Task, alpha: float) -> Found:
    """``min 1/2 ||A x - b||^2 + alpha/2 ||L x||^2``, for one alpha."""
    task, unit = task.near_one()
    state, name, reason = task.state(alpha)
    factor = state.at(alpha)
    equations = factor.equations_for(task, alpha)
    answer = refined(equations, task.tol, task.maxiter, task.start, task.watch)
    remarks = [reason, factor.remark]
    if is_one_of(task.method, ["auto"]) and name != krylov.METHOD.name and _stuck(answer):
        remarks.append(f"it stalled after {answer.iterations} steps, and conjugate gradients took over")
        answer = _taken_over(task, alpha, answer)
    bound = error_bound(task.problem, answer, alpha)
    reason = "; ".join(filter(None, remarks))
    x = answer.x if unit is None else unit * answer.x
    return Found(x, alpha, answer.status, name, reason, answer.iterations, answer.residuals, bound)


def _stuck(answer: Answer) -> bool:
    """Whether a method stalled, and not for want of precision."""
    return answer.status == "stalled" and not answer.residuals[-1] <= ROUNDING * np.finfo(answer.x.dtype).eps


def _taken_over(task: Task, alpha: float, answer: Answer) -> Answer:
    """Conjugate gradients on the normal equations from where another method stalled, if they come closer."""
    count, watch = answer.iterations, task.watch
    later = None if watch is None else lambda step, iterate, worst: watch(count + step, iterate, worst)
    equations = krylov.METHOD.prepare(task.problem).at(alpha).equations_for(task, alpha)
    more = refined(equations, task.tol, task.maxiter - count, answer.x, later)
    if more.residuals[-1] > answer.residuals[-1]:
        return answer
    return replace(more, residuals=(*answer.residuals[:-1], *more.residuals))


def error_bound(problem: Problem, answer: Answer, alpha: float) -> Array:
    """``||r|| / (alpha ||x||)`` for each item: the smallest eigenvalue of `A^H A + alpha I` is at least alpha.

    For `r` as it is computed, so up to its rounding.
    """
    count = len(answer.x)
    if problem.L is not None or not alpha > 0:
        return np.full(count, np.nan)
    size = problem.norms(answer.x)
    return np.divide(answer.left, alpha * size, where=size != 0, out=np.zeros(count))
