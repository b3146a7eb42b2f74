"""Tikhonov's prior, ``alpha/2 ||L x||^2``: the normal equations, solved once for each alpha."""

import numpy as np

from ..dtypes import Array
from .normal import Answer, refined
from .problem import Problem
from .task import Found, Task


def minimise(task: Task, alpha: float) -> Found:
    """``min 1/2 ||A x - b||^2 + alpha/2 ||L x||^2``, for one alpha."""
    state, name, reason = task.state(alpha)
    factor = state.at(alpha)
    answer = refined(task.problem, factor, task.f, alpha, task.tol, task.maxiter, task.start, task.watch)
    bound = error_bound(task.problem, answer, alpha)
    reason = "; ".join(filter(None, (reason, factor.remark)))
    return Found(answer.x, alpha, answer.status, name, reason, answer.iterations, answer.residuals, bound)


def error_bound(problem: Problem, answer: Answer, alpha: float) -> Array:
    """``||r|| / (alpha ||x||)`` for each item: the smallest eigenvalue of `A^H A + alpha I` is at least alpha."""
    count = len(answer.x)
    if problem.L is not None or not alpha > 0:
        return np.full(count, np.nan)
    size = problem.norms(answer.x)
    return np.divide(answer.left, alpha * size, where=size > 0, out=np.zeros(count))
