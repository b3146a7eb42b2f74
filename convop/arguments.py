"""What users type for sizes, in one form: ints and tuples of ints, one for each axis or side."""

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import numpy as np

from .errors import GeometryError

Shape = tuple[int, ...]


def as_int(value: object, what: str, least: int) -> int:
    """`value` as an int that is at least `least`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise GeometryError(f"{what} must be an integer, got {value!r}") from None
    if number < least:
        raise GeometryError(f"{what} must be at least {least}, got {number}")
    return number


def as_max_bytes(max_bytes: object) -> int | None:
    """`max_bytes` as None, which stands for what is free, or a positive int."""
    return None if max_bytes is None else as_int(max_bytes, "max_bytes", 1)


def is_one_of(value: object, names: Iterable[str]) -> bool:
    """Whether `value` is one of these words; arrays, which compare sample by sample, are none."""
    return isinstance(value, str) and value in names


def as_flag(value: object, what: str) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise GeometryError(f"{what} must be True or False, got {value!r}")
    return bool(value)


def as_number(value: object, what: str, least: float = -math.inf) -> float:
    """A finite real number that is at least `least`."""
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)) or (isinstance(value, np.ndarray) and value.ndim):
            raise TypeError
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError):
        raise GeometryError(f"{what} must be a real number, got {value!r}") from None
    if not least <= number < math.inf:
        raise GeometryError(f"{what} must be a finite number{_at_least(least)}, got {value!r}")
    return number


def _at_least(least: float) -> str:
    return "" if least == -math.inf else f", at least {least:g}"


def is_tuple_or_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether `value` is a tuple or a list, of whatever."""
    return isinstance(value, (tuple, list))


def as_sequence(value: object) -> Sequence[object] | None:
    """`value` as a tuple if it is a sequence or a 1-D array, else None."""
    if is_tuple_or_list(value) or (isinstance(value, np.ndarray) and value.ndim > 0):
        return tuple(value)
    return None


def as_shape(value: object, what: str = "in_shape") -> Shape:
    """A shape from an int or a sequence of positive ints."""
    entries = as_sequence(value)
    if entries is None:
        entries = (value,)
    if not entries:
        raise GeometryError(f"{what} is empty, needed at least one axis")
    return _as_ints(entries, what, value, 1)


def _as_ints(entries: Sequence[object], what: str, value: object, least: int) -> Shape:
    """The entries of `value` as ints that are at least `least`."""
    if all(type(entry) is int and entry >= least for entry in entries):  # most are, and words take time to write
        return tuple(entries)  # pyright: ignore[reportReturnType]
    return tuple(as_int(entry, f"every entry of {what} {value!r}", least) for entry in entries)


def per_axis(value: object, ndim: int, what: str, least: int) -> Shape:
    """One int for each axis, from an int for all or one for each."""
    entries = as_sequence(value)
    if entries is None:
        return (as_int(value, what, least),) * ndim
    if len(entries) != ndim:
        raise GeometryError(
            f"{what} {value!r} has {len(entries)} entries, needed one int or one for each of {ndim} axes"
        )
    return _as_ints(entries, what, value, least)


def per_side(value: object, ndim: int, what: str, least: int = 0) -> tuple[tuple[int, int], ...]:
    """A `(before, after)` pair for each axis, from an int, one for each axis, or one pair for each axis."""
    entries = as_sequence(value)
    if entries is None or all(as_sequence(entry) is None for entry in entries):
        return tuple((width, width) for width in per_axis(value, ndim, what, least))
    if len(entries) != ndim:
        raise GeometryError(
            f"{what} {value!r} has {len(entries)} entries, needed an int, one int for each of {ndim} axes, "
            f"or one (before, after) pair for each"
        )
    pairs = (per_axis(entry, 2, f"{what} of axis {axis}", least) for axis, entry in enumerate(entries))
    return tuple((before, after) for before, after in pairs)
