"""The four number types convop computes with, and how arrays come to have one of them."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from .errors import ConvopError, DTypeError, GeometryError

# In annotations: any numpy array, and any number type of one. What holds only integers or truth values says so.
Array = NDArray[Any]
DType = np.dtype[Any]

FLOATING = tuple(np.dtype(name) for name in ("float32", "float64", "complex64", "complex128"))
_NATIVE = frozenset(FLOATING)


def working(dtype: DType, small: DType, what: str) -> DType:
    """The type among the four for an array of `dtype`; ints and bools take `small`."""
    if dtype.newbyteorder("=") in _NATIVE:
        return dtype.newbyteorder("=")
    if dtype.kind in "iub":
        return small
    if dtype == np.float16:
        return np.dtype(np.float32)
    raise DTypeError(
        f"{what} has dtype {dtype}; convop computes with float32, float64, complex64 and complex128, "
        f"convert it with .astype(...) first"
    )


def as_dtype(dtype: object) -> DType:
    """One of the four types, from whatever numpy takes as a dtype."""
    try:
        given = np.dtype(dtype)  # pyright: ignore[reportArgumentType, reportCallIssue]
    except TypeError:
        raise DTypeError(f"dtype must be one of {', '.join(map(str, FLOATING))}, got {dtype!r}") from None
    if given.newbyteorder("=") not in _NATIVE:
        raise DTypeError(f"dtype must be one of {', '.join(map(str, FLOATING))}, got {given}")
    return given.newbyteorder("=")


def as_signal(x: ArrayLike, operator_dtype: DType) -> Array:
    """`x` as a native array of one of the four types; ints and bools take the operator's precision."""
    array = x if type(x) is np.ndarray else _as_array(x, "the signal")
    if array.dtype in _NATIVE and array.dtype.isnative:
        return array
    precision = np.finfo(operator_dtype).dtype
    return array.astype(working(array.dtype, precision, "the signal"))


def as_coefficients(values: ArrayLike, what: str) -> Array:
    """A read-only finite copy of `values` in one of the four types; ints and bools become float64."""
    array = _as_array(values, what)
    array = np.array(array, dtype=working(array.dtype, np.dtype(np.float64), what), order="C", copy=True)
    if not np.isfinite(array).all():
        raise GeometryError(f"{what} holds NaN or inf, needed finite numbers; clean it with np.nan_to_num or a mask")
    array.setflags(write=False)
    return array


def _as_array(values: ArrayLike, what: str) -> Array:
    if isinstance(values, np.ma.MaskedArray):
        raise DTypeError(f"{what} is a masked array, and an operator has no masked samples; use .filled(0) or Select")
    if scipy.sparse.issparse(values):
        raise DTypeError(f"{what} is a sparse array; use A @ S for a product of matrices, or .toarray()")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DTypeError(f"{what} cannot be made an array: {error}; give rows of equal length") from None
    except ConvopError:  # of our own objects, which say more
        raise
    except (TypeError, RuntimeError) as error:  # of tensors on a card, or with gradients
        kind, reason = f"{type(values).__module__}.{type(values).__qualname__}", str(error).rstrip(".")
        raise DTypeError(
            f"{what} is a {kind} that numpy cannot read: {reason}; convop.to_torch(A) gives a module for tensors"
        ) from None
