"""A call of `solve` with its arguments made canonical."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..arguments import Shape, as_int, as_number
from ..dtypes import Array, as_signal
from ..errors import GeometryError, ShapeError
from .normal import Data, State, Watch, changed, units
from .problem import Problem
from .table import choose

MOST_STEPS = 5000


@dataclass(frozen=True)
class Task(Data):
    """What a prior's minimiser is given: arrays have one batch axis in front."""

    batch: Shape  # the batch axes that the result gets back
    method: str
    tol: float
    maxiter: int
    start: Array | None  # (batch, *in_shape)
    nonneg: bool
    noise: float | None
    watch: Watch | None

    def state(self, alpha: float) -> tuple[State, str, str]:
        """The problem prepared by the method that the table chooses; its name and its reason."""
        method = choose(self.problem, alpha, self.method)
        return method.prepare(self.problem), method.name, method.reason

    def near_one(self) -> tuple["Task", Array | None]:
        """The task for data of moduli near 1, and what to multiply its solutions by; None where they are as given."""
        reals = np.ascontiguousarray(self.b).view(np.finfo(self.b.dtype).dtype)
        unit = units(abs(reals).reshape((len(reals), -1)).max(1))
        if (unit == 1).all():
            return self, None
        back = unit.reshape((-1, *(1,) * len(self.problem.A.in_shape)))
        start = None if self.start is None else self.start / back
        b = (self.b.reshape((len(unit), -1)) / unit[:, None]).reshape(self.b.shape)
        return replace(self, b=b, start=start, watch=changed(self.watch, lambda x: back * x)), back

    def item(self, index: int) -> "Task":
        """One item of the batch."""
        start = None if self.start is None else self.start[index : index + 1]
        return Task(
            self.problem, self.b[index : index + 1], self.batch, self.method, self.tol, self.maxiter, start,
            self.nonneg, self.noise, self.watch,
        )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a minimiser gives back; `x` has one batch axis in front."""

    x: Array
    alpha: Any
    status: str
    method: str
    reason: str
    iterations: int
    residuals: tuple[float, ...]
    error_bound: Any


def as_data(b: Any, problem: Problem) -> tuple[Array, Shape]:
    """`b` with one batch axis, in the type of the solution, and the batch axes it had."""
    A = problem.A
    array = as_signal(b, A.dtype)
    rank = array.ndim - len(A.out_shape)
    if array.shape == (A.shape[0],) and A.out_shape != (A.shape[0],):
        array, rank = array.reshape(A.out_shape), 0
    if rank < 0 or array.shape[rank:] != A.out_shape:
        raise ShapeError(
            f"b has shape {array.shape}, needed (*batch, {', '.join(map(str, A.out_shape))}) as the operator gives it"
        )
    if not np.isfinite(array).all():
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise GeometryError(
            f"b holds {bad} samples that are NaN or inf, and a solution would spread them everywhere; replace them, "
            f"or leave them out with convop.Select(A.out_shape, mask) @ A"
        )
    array = array.astype(np.result_type(array.dtype, problem.dtype), copy=False)
    return array.reshape((-1, *A.out_shape)), array.shape[:rank]


def as_tolerance(tol: Any) -> float:
    """A positive number below 1."""
    number = as_number(tol, "tol")
    if not 0 < number < 1:
        raise GeometryError(f"tol must be a number between 0 and 1, got {tol!r}; 1e-6 is usual")
    return number


def as_callback(callback: Any) -> Any:
    """A function, or None."""
    if callback is not None and not callable(callback):
        raise GeometryError(f"callback must be a function of one argument, the progress, got {callback!r}")
    return callback


def require_finite_start(finite: bool) -> None:
    """Raise GeometryError unless all samples of `x0` are."""
    if not finite:
        raise GeometryError("x0 holds samples that are NaN or inf; replace them, or leave x0 out")


def as_steps(maxiter: Any) -> int:
    """How many steps at most."""
    return MOST_STEPS if maxiter is None else as_int(maxiter, "maxiter", 1)


@dataclass(frozen=True)
class Progress:
    """What a callback is given after each step."""

    iteration: int
    residual_norm: float
    _iterate: Callable[[], Array]

    @cached_property
    def x(self) -> Array:
        """The iterate, computed when it is asked for."""
        return self._iterate()
