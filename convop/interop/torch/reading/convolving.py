"""Layers that are convolutions: convolution, padding, batch normalisation; and linear layers, which have one tap."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....arguments import Shape
from ....convolution import Convolution
from ....errors import NotLinearError, ShapeError
from ....foreign import as_operator
from ....geometry import Geometry
from ....layers import conv_layer, conv_transpose_layer
from ....operator import Operator
from ....selection import Diagonal
from .arranging import arranged, numbers
from .branch import Branch
from .traced import Call, reads

BOUNDARIES = {"constant": "zero", "reflect": "mirror", "replicate": "replicate", "circular": "periodic"}


@reads("conv1d", "conv2d", "conv3d")
def convolution(
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Branch:  # fmt: skip
    values, shifts = _coefficients(call, weight, bias)
    places = {"stride": stride, "padding": padding, "dilation": dilation}
    layer = conv_layer(values, x.branch.shape, groups=groups, **_without_lists(places, values.ndim - 2))
    return x.branch.then(layer, shifts)


@reads("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(
    call: Call, x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Branch:  # fmt: skip
    values, shifts = _coefficients(call, weight, bias)
    places = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    layer = conv_transpose_layer(values, x.branch.shape, groups=groups, **_without_lists(places, values.ndim - 2))
    return x.branch.then(layer, shifts)


def _coefficients(call: Call, weight: Any, bias: Any) -> tuple[NDArray[Any], bool]:
    """The weight, and whether there is a bias; the input must be what is convolved."""
    values = call.constant(weight, "a weight")
    if bias is not None:
        call.constant(bias, "a bias")
    return values, bias is not None


def _without_lists(places: dict[str, Any], ndim: int) -> dict[str, Any]:
    """Sequences of one entry count for all axes, as torch's functions take them."""
    return {
        name: value[0] if isinstance(value, (tuple, list)) and len(value) == 1 and ndim > 1 else value
        for name, value in places.items()
    }


@reads("linear")
def linear(call: Call, x: Any, weight: Any, bias: Any = None) -> Branch:
    """`weight @ x` along the last axis."""
    values, shifts = _coefficients(call, weight, bias)
    return along_last(x.branch, np.atleast_2d(values), call.out_shape, shifts)


def along_last(branch: Branch, matrix: NDArray[Any], out_shape: Shape, shifts: bool = False) -> Branch:
    """A matrix applied along the last axis; on more axes than one, a convolution with one tap between two turns."""
    shape = branch.shape
    if shape[-1:] != matrix.shape[1:]:
        raise ShapeError(f"a linear layer for {matrix.shape[1]} features got an array of shape {shape}")
    if len(shape) == 1:
        return branch.then(as_operator(matrix, out_shape=out_shape), shifts)
    first = arranged(branch, np.moveaxis(numbers(shape), -1, 0))
    turned = (matrix.shape[0], *shape[:-1])
    layer = conv_layer(matrix.reshape(*matrix.shape, *(1,) * (len(shape) - 1)), first.shape)
    last = arranged(first.then(layer, shifts), np.moveaxis(numbers(turned), 0, -1))
    return arranged(last, numbers(out_shape))


@reads("batch_norm", "instance_norm")
def normalisation(
    call: Call, x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5, use_input_stats: bool = False,
) -> Branch:  # fmt: skip
    """With stored statistics, a factor and an offset for each channel."""
    if training or use_input_stats or running_var is None:
        raise NotLinearError(
            f"{call.name} with the statistics of its input is not linear; use stored ones: module.eval(), with "
            f"track_running_stats=True"
        )
    variance = call.constant(running_var, "a variance").astype(np.float64)
    scale = np.ones(1) if weight is None else call.constant(weight, "a weight")
    factors = (scale / np.sqrt(variance + eps)).astype(call.dtype)
    return x.branch.then(by_channel(factors, x.branch.shape), shifts=True)


def by_channel(factors: NDArray[Any], shape: Shape) -> Operator:
    """One factor for each channel: a convolution with one tap and a group for each, which others fuse with."""
    if len(shape) == 1:
        return Diagonal(factors)
    return _one_tap(factors, shape)


def _one_tap(factors: NDArray[Any], shape: Shape, padding: Any = 0, boundary: Any = "zero") -> Convolution:
    channels = shape[0]
    geometry = Geometry.make(
        shape[1:], 1, padding=padding, boundary=boundary, channels=(channels, channels), groups=channels, lifted=True
    )
    return Convolution.of(geometry, factors.reshape(geometry.weight_shape), "correlation")


@reads("pad")
def padding(call: Call, x: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Branch:
    """A convolution with one tap that reads outside; torch counts axes from the last and crops for negative widths."""
    shape, _ = x.branch.shape, call.out_shape  # what torch refuses is refused in its words
    pairs = [(int(before), int(after)) for before, after in zip(pad[::2], pad[1::2], strict=True)][::-1]
    if len(pairs) > len(shape):
        raise NotLinearError("pad along the batch axis is no map of one array; pad the others only")
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs
    shifts = mode == "constant" and bool(value)
    branch = x.branch
    if mode == "circular" and min(map(min, widths)) < 0:  # what is cropped is not part of the period
        branch = branch.then(_surrounded(shape, [(min(b, 0), min(a, 0)) for b, a in widths], "zero", call.dtype))
        widths = [(max(b, 0), max(a, 0)) for b, a in widths]
    return branch.then(_surrounded(branch.shape, widths, BOUNDARIES[mode], call.dtype), shifts)


def _surrounded(shape: Shape, widths: list[tuple[int, int]], boundary: str, dtype: Any) -> Convolution:
    if len(shape) > 1 and widths[0] == (0, 0):
        return _one_tap(np.ones(shape[0], dtype), shape, widths[1:], boundary)
    geometry = Geometry.make(shape, 1, padding=widths, boundary=boundary)
    return Convolution.of(geometry, np.ones(geometry.weight_shape, dtype), "correlation")


def unbatched(call: Call, value: Any, shape: Shape) -> NDArray[Any]:
    """A constant that meets arrays of `(batch, *shape)` elementwise, without its batch axis."""
    values = call.constant(value, "a constant")
    if values.ndim <= len(shape):
        return values
    if (values != values[:1]).any():
        raise NotLinearError(
            f"{call.name} with a constant of shape {values.shape} treats the arrays of a batch differently; give it "
            f"shape {(1, *values.shape[1:])}"
        )
    return values[0]
