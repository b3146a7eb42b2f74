"""Layers of torch for each kind of operator: the table, and layers that weigh, multiply and reshape.

Layers take `(batch, *in_shape)`, and no layers are the identity. What torch has no layer for is refused.
"""

import math
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import skip_init

from ....algebra import Identity
from ....arguments import Shape
from ....composite import Product, Reshaped, Scaled
from ....dtypes import DType
from ....errors import GeometryError
from ....foreign import Matrix
from ....operator import Operator
from ....selection import Diagonal, Select
from ..number_types import torch_dtype

Layers = list[nn.Module]
TAKE_BIAS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
)  # fmt: skip


def refused(A: Operator, why: str) -> GeometryError:
    return GeometryError(f"{A!r} cannot be said in torch layers: {why}; convop.to_torch(A) makes a module of it")


@singledispatch
def layers_of(A: Operator, dtype: DType) -> Layers:
    """The layers that compute an operator on tensors of `dtype`, one after the other."""
    raise refused(A, f"torch has no layer for what {type(A).__name__} does")


def made(kind: str, dtype: DType, *args: Any, **kwargs: Any) -> Any:
    """A layer whose parameters are still to be filled, so that no random number is drawn for them."""
    options = {"dtype": torch_dtype(dtype), "device": torch.get_default_device()}
    return skip_init(getattr(nn, kind), *args, **kwargs, **options)


def filled(layer: Any, weight: NDArray[Any], bias: NDArray[Any] | None = None) -> Any:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(weight)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(np.array(bias)))
    return layer


@layers_of.register
def _identity(A: Identity, dtype: DType) -> Layers:
    return []


@layers_of.register
def _diagonal(A: Diagonal, dtype: DType) -> Layers:
    return weighing(A.array.astype(dtype))


def weighing(factors: NDArray[Any], bias: NDArray[Any] | None = None) -> Layers:
    """Multiply each sample and add to it: a layer of one tap, with a group for each channel, or for each sample."""
    shape = factors.shape
    given = [factors] if bias is None else [factors, bias]
    by_channel = 2 <= len(shape) <= 4 and all(same_over_space(values) for values in given)
    count = shape[0] if by_channel else math.prod(shape)
    columns = [values.reshape(count, -1)[:, 0] for values in given]
    ndim = len(shape) - 1 if by_channel else 1
    layer = made(f"Conv{ndim}d", factors.dtype, count, count, 1, groups=count, bias=bias is not None)
    filled(layer, columns[0].reshape(count, *(1,) * (ndim + 1)), *columns[1:])
    return [layer] if by_channel else [*reshaping(shape, (count, 1)), layer, *reshaping((count, 1), shape)]


def same_over_space(values: NDArray[Any]) -> bool:
    """Whether there is one number for each channel."""
    flat = values.reshape(len(values), -1)
    return bool((flat == flat[:, :1]).all())


@layers_of.register
def _matrix(A: Matrix, dtype: DType) -> Layers:
    layer = made("Linear", dtype, A.shape[1], A.shape[0], bias=False)
    flat = (A.shape[1],), (A.shape[0],)
    return [*reshaping(A.in_shape, flat[0]), filled(layer, A.toarray()), *reshaping(flat[1], A.out_shape)]


@layers_of.register
def _select(A: Select, dtype: DType) -> Layers:
    """Channels traded for resolution, or back; torch's layers move samples in no other way."""
    factor = max(A.in_shape[-1] // A.out_shape[-1], A.out_shape[-1] // A.in_shape[-1])
    for shuffle in (nn.PixelShuffle, nn.PixelUnshuffle):
        if _is_shuffle(A, layer := shuffle(factor)):
            return [layer]
    raise refused(A, "of all that picks or moves samples, torch has layers for pixel shuffles only")


def _is_shuffle(A: Select, layer: nn.Module) -> bool:
    """Whether the layer moves the number of each sample to where `A` has it."""
    try:
        moved = layer(torch.arange(A.shape[1], device="cpu").reshape(1, *A.in_shape))
    except RuntimeError:  # sizes or channels that it does not divide
        return False
    return tuple(moved.shape[1:]) == A.out_shape and np.array_equal(moved.numpy().ravel(), A.samples)


@layers_of.register
def _product(A: Product, dtype: DType) -> Layers:
    layers, shape = [], A.in_shape
    for factor in reversed(A.factors):
        layers += [*reshaping(shape, factor.in_shape), *layers_of(factor, dtype)]
        shape = factor.out_shape
    return layers


@layers_of.register
def _scaled(A: Scaled, dtype: DType) -> Layers:
    return [*layers_of(A.operator, dtype), *weighing(np.full(A.out_shape, A.scalar, dtype))]


@layers_of.register
def _reshaped(A: Reshaped, dtype: DType) -> Layers:
    inner = A.operator
    layers = layers_of(inner, dtype)
    if not layers:
        return reshaping(A.in_shape, A.out_shape)
    return [*reshaping(A.in_shape, inner.in_shape), *layers, *reshaping(inner.out_shape, A.out_shape)]


def reshaping(source: Shape, target: Shape) -> Layers:
    if source == target:
        return []
    flatten: Layers = [nn.Flatten()] if len(source) > 1 else []
    return flatten if len(target) == 1 else [*flatten, nn.Unflatten(1, target)]


def with_bias(layers: Layers, offset: NDArray[Any]) -> Layers:
    """The offset as the bias of the last layer where that has such a one, else a layer more that adds it."""
    bias = torch.from_numpy(offset.reshape(len(offset), -1)[:, 0].copy())
    last: Any = layers[-1] if layers else None
    if isinstance(last, TAKE_BIAS) and same_over_space(offset):
        last.bias = nn.Parameter(bias.to(last.weight.device))
        return layers
    return [*layers, *weighing(np.ones_like(offset), offset)]
