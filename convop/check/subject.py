"""What is being checked: anything that can be an operator, and one direction of it under observation."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..affine import Affine
from ..dtypes import Array, DType
from ..foreign import as_operator
from ..operator import Operator
from ..stacking import hstack


@dataclass(frozen=True)
class Action:
    """A map of another library, known by what it answers to one array; it may add an offset."""

    answer: Callable[[Array], Array]
    out_shape: tuple[int, ...]
    dtype: DType
    name: str

    def with_one(self, in_shape: tuple[int, ...]) -> Callable[[Array], Array]:
        """`(x, t) -> t f(x / t)`."""

        def forward(v: Array) -> Array:
            return v[-1] * self.answer((v[:-1] / v[-1]).reshape(in_shape))

        forward.__name__ = self.name
        return forward


# Functions of a map and its `in_shape` that know it by its action, or answer None; the neighbours fill the list.
ACTIONS: list[Callable[[Any, tuple[int, ...]], Action | None]] = []


class Misbehaviour(Exception):
    """A call did what no linear map may do, so that its answers cannot be compared at all."""

    def __init__(self, cause: str, text: str):
        super().__init__(text)
        self.cause = cause


def subject(
    A: Any,
    in_shape: tuple[int, ...] | int | None = None,
    out_shape: tuple[int, ...] | int | None = None,
    dtype: Any = None,
) -> Operator:
    """The operator that `A` is: as `as_operator` has it, or a pair `(forward, adjoint)` of functions."""
    if isinstance(A, tuple) and len(A) == 2 and all(callable(side) for side in A):
        forward, adjoint = A
        return as_operator(forward=forward, adjoint=adjoint, in_shape=in_shape, out_shape=out_shape, dtype=dtype)
    return as_operator(A, in_shape, out_shape, dtype=dtype)


def action(A: Any, in_shape: tuple[int, ...] | None) -> Action | None:
    """`A` by its action, where one of the neighbours knows it."""
    if in_shape is None or isinstance(A, (Operator, Affine)):
        return None
    return next((found for knows in ACTIONS if (found := knows(A, in_shape)) is not None), None)


def with_one(A: Any, in_shape: tuple[int, ...] | None) -> Operator:
    """The map `(x, t) -> t f(x / t)` of flat vectors with one entry more: linear, `A x + t b`, where f is affine."""
    acting = action(A, in_shape)
    if acting is not None and in_shape is not None:
        flat = math.prod(in_shape) + 1
        return as_operator(
            forward=acting.with_one(in_shape), in_shape=flat, out_shape=acting.out_shape, dtype=acting.dtype
        )
    linear, offset = (A.linear, A.offset) if isinstance(A, Affine) else (subject(A), None)
    rows, columns = linear.shape
    column = np.zeros((rows, 1), linear.dtype) if offset is None else offset.reshape(rows, 1)
    return as_operator(hstack([as_operator(linear, columns, rows), column]), columns + 1, linear.out_shape)


class Direction:
    """One direction of an operator, watched: every call works on a copy and keeps what it returns.

    Raises Misbehaviour when the call changes its input, or answers a finite input with NaN or infinity.
    """

    def __init__(self, operator: Operator, name: str):
        self.operator, self.name = operator, name
        self.in_shape, self.out_shape = operator.in_shape, operator.out_shape

    def __call__(self, x: Array) -> Array:
        given = x.copy()
        result = np.array(self.operator(given))
        if not np.array_equal(given, x):
            raise Misbehaviour("mutates_input", f"the {self.name} changes the array it is given; copy it first")
        finite = np.isfinite(result)
        if not finite.all():
            first = np.unravel_index(int(np.argmin(finite)), result.shape)
            raise Misbehaviour(
                "unknown",
                f"the {self.name} answers finite data with NaN or infinity in {int((~finite).sum())} of "
                f"{result.size} entries, first at {tuple(map(int, first))}",
            )
        return result


def directions(operator: Operator) -> tuple[Direction, Direction]:
    return Direction(operator, "forward map"), Direction(operator.H, "adjoint")


def describe(operator: Operator | Affine) -> str:
    """What it is, its sizes and its dtype, as it says itself."""
    return repr(operator)[1:-1]


def functions(like: Operator, forward: Callable[[Array], Array]) -> Operator:
    """An operator between the shapes of another that is given by its forward map alone; it may answer complex."""
    return as_operator(
        forward=forward,
        in_shape=like.in_shape,
        out_shape=like.out_shape,
        dtype=np.result_type(like.dtype, np.complex64),
    )
