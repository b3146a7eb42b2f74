"""The prior "l1": the sum of the moduli of `L x`, for signals of few samples, or few coefficients, that are not 0."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import nonnegative, tikhonov
from .admm import Splitting, alternate, gain, in_double, signal_size
from .admm_gap import Objective
from .admm_penalty import Gauge, Nonnegative, Norm
from .admm_system import Quadratic
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
    A, L = task.problem.A, task.problem.L
    threshold = GRADIENT_THRESHOLD if grouped else THRESHOLD
    rho = alpha / (threshold * signal_size(A, task.f, about_mean=grouped))
    norm = Norm(L, alpha, grouped, signed=task.nonneg and L is None)
    penalties: tuple[Gauge, ...] = (norm,)
    shares: tuple[float, ...] = (1.0,)
    if task.nonneg and L is not None:
        penalties, shares = (norm, Nonnegative(None)), (1.0, BOUND_SHARE * gain(A, task.f) / rho)
    quadratic = Quadratic(A, L, True, sum(shares[1:]), method=task.method)
    # What is split off from x itself is exactly zero, and never negative, where it should be.
    sparse = penalties[-1].K is None
    splitting = Splitting(Objective(A, task.b, penalties), quadratic, shares, rho, _last if sparse else _first)
    return alternate(task, alpha, splitting, dtype, said)


def _first(x: NDArray, zs: list[NDArray]) -> Any:
    return x


def _last(x: NDArray, zs: list[NDArray]) -> Any:
    return zs[-1]
