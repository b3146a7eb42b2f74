"""The prior "tv": isotropic total variation, the sum over samples of the length of the gradient."""

from dataclasses import replace

from ..errors import GeometryError
from ..operator import Operator
from . import tikhonov
from .problem import Problem, as_regularizer
from .sparse_prior import minimise_norm
from .task import Found, Task


def minimise(task: Task, alpha: float) -> Found:
    """``min 1/2 ||A x - b||^2 + alpha sum_i |(L x)_i|``, `L` the gradient with the boundary of `A` unless given.

    Vectors run along the first axis of `L x`; each channel has its own variation.
    """
    A = task.problem.A
    task = replace(task, problem=Problem(A, differences(task.problem)))
    if alpha == 0 and not task.nonneg:
        return tikhonov.minimise(replace(task, problem=Problem(A)), 0.0)
    return minimise_norm(task, alpha, grouped=True, said="isotropic total variation")


def differences(problem: Problem) -> Operator:
    """`L` of the total variation."""
    A, L = problem.A, problem.L
    if L is None:
        L = as_regularizer("gradient", A)
        assert L is not None
    elif L.out_shape[1:] != A.in_shape:
        raise GeometryError(
            f"a total variation takes the lengths of vectors along the first axis of L x, and the regularizer gives "
            f"{L.out_shape} where (axes, {', '.join(map(str, A.in_shape))}) was needed; leave it out, pass "
            f"convop.gradient(shape, boundary), or take prior 'l1'"
        )
    return L
