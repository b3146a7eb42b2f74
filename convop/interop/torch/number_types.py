"""The four number types in torch's words."""

from typing import Any

import numpy as np
import torch

from ...dtypes import DType, as_dtype
from ...errors import DTypeError, GeometryError

FLOATING = (torch.float32, torch.float64, torch.complex64, torch.complex128)
REAL = {
    torch.float32: torch.float32, torch.complex64: torch.float32,
    torch.float64: torch.float64, torch.complex128: torch.float64,
}  # fmt: skip
_OF_NUMPY = {str(dtype).removeprefix("torch."): dtype for dtype in FLOATING}


def torch_dtype(dtype: DType) -> torch.dtype:
    """torch's name of one of the four types."""
    return _OF_NUMPY[dtype.name]


def numpy_dtype(dtype: torch.dtype) -> DType:
    """numpy's name of one of the four types."""
    return np.dtype(str(dtype).removeprefix("torch."))


def as_target(dtype: Any, own: DType) -> DType:
    """The type that an operator of type `own` is cast to, from torch's or numpy's name of it."""
    if dtype is None:
        return own
    if isinstance(dtype, torch.dtype):
        if dtype not in FLOATING:
            raise DTypeError(f"dtype must be one of {', '.join(map(str, FLOATING))}, got {dtype}")
        dtype = numpy_dtype(dtype)
    target = as_dtype(dtype)
    if own.kind == "c" and target.kind != "c":
        raise DTypeError(
            f"a complex operator cannot become {target}, which would drop imaginary parts; use "
            f"{np.result_type(target, np.complex64)}"
        )
    return target


def as_device(device: Any) -> torch.device:
    """A device that is there, torch's default for None."""
    if device is None:
        return torch.get_default_device()
    try:
        return torch.empty(0, device=torch.device(device)).device
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise GeometryError(f"device {device!r} cannot be used: {reason}; use 'cpu' or one that torch lists") from None
