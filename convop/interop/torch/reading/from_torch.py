"""The door: what linear map a torch module is."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...._optional import require
from ....affine import Affine
from ....arguments import as_shape
from ....dtypes import as_signal
from ....errors import DTypeError, NotLinearError, ShapeError
from ....operator import Operator
from . import action as action  # a check that meets a module then knows what it is

ROUNDINGS = 8

if TYPE_CHECKING:
    import torch


def from_torch(
    module: "torch.nn.Module", in_shape: Any, *, at: Any = None, dtype: Any = np.float32
) -> Operator | Affine:
    """The linear or affine map that a torch module is, or the Jacobian of a network at a point.

    Layers become the operators of this library: convolutions, pooling, padding and batch normalisation become
    `Convolution`, and chains of them one, where that is exact. The code of a module is followed through sums,
    concatenations and reshapings, whatever it does with sizes.

    Parameters
    ----------
    module : torch.nn.Module
        In eval mode where dropout or batch normalisation are part of it. It is not changed.
    in_shape : int or tuple of int
        Shape of an input without the batch axis: `(C, *spatial)` for convolutional layers.
    at : array_like or torch.Tensor, optional
        A point of shape `in_shape`. Given one, layers that are not linear (ReLU, max pooling, GELU, ...) are replaced
        by their derivative there, as `torch.func.jacrev` differentiates them.
    dtype : dtype, optional
        Type of a module without parameters, float32 by default. A module with parameters has theirs.

    Returns
    -------
    Operator or Affine
        `Affine` where something in the module adds an offset (a bias, batch normalisation, a constant padding);
        with `at` always an Operator, the Jacobian.

    Raises
    ------
    NotLinearError
        If a layer is not linear, branches on values, or mixes the arrays of a batch; the text names the layer.
    GeometryError
        If the module does not take arrays of `in_shape`.
    DTypeError
        If the module computes in several types.
    ShapeError
        If `at` is not of shape `in_shape`.
    MissingDependency
        If torch is not installed.

    Examples
    --------
    >>> import convop, torch
    >>> layers = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.nn.AvgPool2d(2), torch.nn.PixelUnshuffle(2)
    ... )
    >>> A = convop.from_torch(layers, (3, 16, 12))
    >>> A.out_shape
    (32, 4, 3)
    >>> bool(convop.check.equal(A, layers))
    True
    """
    torch = require("torch", "torch")
    from .branch import Settings
    from .traced import as_array
    from .tracing import kind_of, run

    shape = as_shape(in_shape)
    if not isinstance(module, torch.nn.Module):
        raise NotLinearError(f"from_torch takes a torch.nn.Module, got {module!r}; wrap a function in a module")
    own, kind, device = kind_of(module, dtype)
    if at is None:
        linear, shifts, offset = run(module, torch.zeros(shape, dtype=kind, device=device), Settings(own, False))
        return Affine(linear, compact(offset)) if shifts else linear
    point = as_signal(as_array(at) if isinstance(at, torch.Tensor) else at, own)
    if point.shape != shape:
        raise ShapeError(f"at has shape {point.shape}, needed in_shape {shape}, without a batch axis")
    if point.dtype.kind == "c" and own.kind != "c":
        raise DTypeError(f"at is complex and {type(module).__name__} computes in {own}; give a real point")
    return run(module, torch.from_numpy(point.copy()).to(device, kind), Settings(own, True))[0]


def compact(offset: NDArray[Any]) -> NDArray[Any]:
    """An offset that is the same all over space, but for how torch rounded, as one number for each channel."""
    flat = offset.reshape(len(offset), -1)
    apart = np.abs(flat - flat[:, :1]).max()
    alike = apart <= ROUNDINGS * np.finfo(offset.dtype).eps * np.abs(flat).max()
    return flat[:, 0] if alike and offset.ndim > 1 else offset
