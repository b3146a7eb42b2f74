"""What is being checked: anything that can be an operator, and one direction of it under observation."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..foreign import as_operator
from ..operator import Operator

Array = NDArray


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


def describe(operator: Operator) -> str:
    """What it is, its sizes and its dtype, as it says itself."""
    return repr(operator).strip("<>")


def functions(like: Operator, forward: Callable[[Array], Array]) -> Operator:
    """An operator between the shapes of another that is given by its forward map alone; it may answer complex."""
    return as_operator(
        forward=forward,
        in_shape=like.in_shape,
        out_shape=like.out_shape,
        dtype=np.result_type(like.dtype, np.complex64),
    )
