"""Squares with the bound `x >= 0`: nonnegative least squares, with Tikhonov's penalty where alpha is not 0."""

import math
from dataclasses import replace

import numpy as np

from ..algebra import Identity
from ..dtypes import Array, DType
from ..errors import GeometryError
from ..foreign import as_operator
from ..stacking import vstack
from .admm import Splitting, alternate, gain, in_double
from .admm_gap import Objective
from .admm_penalty import Nonnegative
from .admm_system import Quadratic
from .task import Found, Task

START = 0.1  # where rho starts, relative to the gain of `A^H A`


def require_real(dtype: DType) -> None:
    """Refuse a bound on complex numbers."""
    if dtype.kind == "c":
        raise GeometryError(
            "nonneg=True bounds x from below, and x is complex, as the operator or the data is; complex numbers have "
            "no order: leave nonneg out, or solve for real x with real parts and imaginary parts stacked"
        )


def minimise(task: Task, alpha: float) -> Found:
    """``min 1/2 ||A x - b||^2 + alpha/2 ||L x||^2`` over `x >= 0`."""
    dtype = np.result_type(task.problem.dtype, task.b)
    require_real(dtype)
    task = in_double(task)
    A, L = task.problem.A, task.problem.L
    rows, b = A, task.b
    if alpha:
        Q = Identity(A.in_shape, np.float64) if L is None else L
        rows = vstack(
            [as_operator(A, A.in_shape, A.shape[0]), math.sqrt(alpha) * as_operator(Q, A.in_shape, Q.shape[0])]
        )
        zeros = np.zeros((len(b), Q.shape[0]))
        b = np.concatenate([b.reshape((len(b), -1)), zeros], axis=1).reshape((len(b), *rows.out_shape))
    penalty = Nonnegative(None)
    quadratic = Quadratic(A, None, True, 0.0, alpha, L, task.method)
    rho = START * gain(A, task.f)
    splitting = Splitting(Objective(rows, b, (penalty,)), quadratic, (1.0,), rho, lambda x, zs: np.maximum(x, 0))
    found = alternate(task, alpha, splitting, dtype, "squares with x >= 0")
    return replace(found, error_bound=_error_bound(task, found.x, alpha)) if alpha and L is None else found


def _error_bound(task: Task, x: Array, alpha: float) -> Array:
    r"""A bound on ``||x - x*|| / ||x||`` where `L` is the identity.

    The objective lies above ``P(x) + Re <g, y - x> + alpha/2 ||y - x||^2`` with `g` its gradient at `x`. The least
    value of that over `y >= 0`, taken by ``y - x = max(-x, -g / alpha)``, bounds P(x) - P(x*), which in turn is at
    least ``alpha/2 ||x - x*||^2``.
    """
    g = task.problem.normal(x, alpha) - task.f
    way = np.maximum(-x, -g / alpha)
    fall = -(g * way + alpha / 2 * way**2).reshape((len(x), -1)).sum(-1)
    distance, size = np.sqrt(2 * np.maximum(fall, 0) / alpha), task.problem.norms(x)
    return np.divide(distance, size, where=size > 0, out=np.where(distance > 0, np.nan, 0.0))
