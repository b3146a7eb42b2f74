"""The prior "l1": the sum of the moduli of `L x`, for signals of few samples, or few coefficients, that are not 0."""

from typing import Any

import numpy as np

from ..dtypes import Array
from . import nonnegative, tikhonov
from .admm import Splitting, alternate, gain, in_double, signal_size
from .admm_gap import Objective
from .admm_penalty import Gauge, Nonnegative, Norm, Partial
from .admm_system import Quadratic
from .admm_torus import WRAPPED, wrapped
from .task import Found, Task

# Where rho starts: the threshold of a step relative to the size of the signal, for moduli and for lengths of gradients.
THRESHOLD, GRADIENT_THRESHOLD = 5.0, 0.2
BOUND_SHARE = 0.1  # where the share of the bound starts: its weight, relative to the gain of `A^H A`


def minimise(task: Task, alpha: float) -> Found:
    """``min 1/2 ||A x - b||^2 + alpha sum_i |(L x)_i|``."""
    if alpha == 0 and not task.nonneg:
        return tikhonov.minimise(task, 0.0)
    return minimise_norm(task, alpha, grouped=False, said="sum of moduli")


def minimise_norm(task: Task, alpha: float, grouped: bool, said: str) -> Found:
    """For moduli of samples of `L x`, or of vectors along its first axis."""
    if alpha == 0:
        return nonnegative.minimise(task, 0.0)
    dtype = np.result_type(task.problem.dtype, task.b)
    if task.nonneg:
        nonnegative.require_real(dtype)
    task = in_double(task)
    A, f = task.problem.A, task.f
    rho = alpha / ((GRADIENT_THRESHOLD if grouped else THRESHOLD) * signal_size(A, f, about_mean=grouped))
    torus = wrapped(task)
    if torus is None:
        norm: Gauge = Norm(task.problem.L, alpha, grouped, signed=task.nonneg and task.problem.L is None)
    else:
        task = torus.task
        norm = Partial(task.problem.L, Norm(None, alpha, grouped), torus.seen)
    A, L = task.problem.A, task.problem.L
    penalties: tuple[Gauge, ...] = (norm,)
    shares: tuple[float, ...] = (1.0,)
    if task.nonneg and L is not None:
        penalties, shares = (norm, Nonnegative(None)), (1.0, BOUND_SHARE * gain(A, task.f) / rho)
    quadratic = Quadratic(A, L, True, sum(shares[1:]), method=task.method if torus is None else WRAPPED)
    # What is split off from x itself is exactly zero, and never negative, where it should be.
    sparse = penalties[-1].K is None
    splitting = Splitting(Objective(A, task.b, penalties), quadratic, shares, rho, _last if sparse else _first)
    found = alternate(task, alpha, splitting, dtype, said)
    return found if torus is None else torus.found(found)


def _first(x: Array, zs: list[Array]) -> Any:
    return x


def _last(x: Array, zs: list[Array]) -> Any:
    return zs[-1]
