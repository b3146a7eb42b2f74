"""How operators combine: what they share, and the table of what makes them one."""

import math
import numbers
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .arguments import Shape
from .errors import ShapeError

Scalar = complex | np.number
T = TypeVar("T", bound=Callable[..., Any])


# How operators combine is known by the modules above, which fill this table: "product", "sum", "multiple" and
# "power" (algebra.py), "adjoint", "conjugate" and "scaled" (composite.py), "operator" (foreign.py), "html"
# (notebook.py).
COMBINE: dict[str, Callable[..., Any]] = {}


def combines(name: str) -> Callable[[T], T]:
    """Register a function or class as the one that combines operators in the way called `name`."""

    def register(how: T) -> T:
        COMBINE[name] = how
        return how

    return register


def joined(first: Shape, second: Shape, what: str) -> Shape:
    """The shape two operators share: equal, or one of them flat."""
    if first == second:
        return first
    if math.prod(first) == math.prod(second):
        if len(first) == 1:
            return second
        if len(second) == 1:
            return first
    raise ShapeError(f"{what}; they must be equal, or one of them flat of the same size")


def is_scalar(value: object) -> bool:
    """Whether `value` is a number that may scale an operator."""
    return isinstance(value, (numbers.Number, np.number)) or (isinstance(value, np.ndarray) and value.ndim == 0)


def is_batch(value: object) -> bool:
    """Whether it is a batch of matrices, as scipy's operators may be from 1.18 on; what comes of one is scipy's."""
    return isinstance(value, LinearOperator) and len(value.shape) > 2
