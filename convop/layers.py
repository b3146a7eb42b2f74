"""The deep-learning doors: cross-correlation lifted to channels, with torch's arguments."""

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from .affine import Affine
from .arguments import Shape, as_int, as_shape, per_axis, per_side
from .boundary import canonical_pairs
from .convolution import Convolution
from .dtypes import Array, as_coefficients
from .errors import GeometryError, ShapeError
from .geometry import Geometry, layer_padding, reach
from .operator import Operator


@overload
def conv_layer(
    weight: ArrayLike, in_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    boundary: Any = "zero", bias: None = None, method: str = "auto",
) -> Convolution: ...  # fmt: skip
@overload
def conv_layer(
    weight: ArrayLike, in_shape: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    boundary: Any = "zero", bias: ArrayLike, method: str = "auto",
) -> Affine: ...  # fmt: skip
def conv_layer(
    weight: ArrayLike,
    in_shape: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    boundary: Any = "zero",
    bias: ArrayLike | None = None,
    method: str = "auto",
) -> Convolution | Affine:
    """A convolutional layer, as torch's `conv1d`, `conv2d` and `conv3d` compute it.

    Parameters
    ----------
    weight : array_like
        `(C_out, C_in/groups, *taps)`, cross-correlated with the signal.
    in_shape : tuple of int
        `(C_in, *spatial)`.
    stride, dilation : int or tuple of int
        Step between outputs; spacing of the taps.
    padding : int, tuple of int, tuple of pairs, "same" or "valid"
        How far the layer reads outside: for all axes, for each, or `(before, after)` for each.
    groups : int
        Blocks of channels that do not mix.
    boundary : str or tuple
        What the padding holds, as for `Convolution`.
    bias : array_like, optional
        `(C_out,)`, added to every sample of its channel.
    method : str
        How it is applied.

    Returns
    -------
    Convolution or Affine
        From `(C_in, *spatial)` to `(C_out, *out)`; `Affine` with a bias.

    Raises
    ------
    GeometryError
        If the arguments make no layer.
    ShapeError
        If the bias is not of shape `(C_out,)`.

    Examples
    --------
    >>> import numpy as np, convop
    >>> convop.conv_layer(np.ones((4, 3, 3, 3)), (3, 32, 24), stride=2, padding=1).out_shape
    (4, 16, 12)
    """
    values, shape, groups = _arguments(weight, in_shape, groups, "weight", "in_shape")
    if values.shape[1] * groups != shape[0]:
        raise GeometryError(
            f"weight of shape {values.shape} with groups {groups} takes {values.shape[1] * groups} channels, "
            f"in_shape {shape} has {shape[0]}; needed weight (C_out, C_in/groups, *taps) and in_shape (C_in, *spatial)"
        )
    geometry = _geometry(values, shape[1:], stride, padding, dilation, groups, boundary)
    layer = Convolution.of(geometry, values, "correlation", method)
    if bias is None:
        return layer
    _require_bias(bias, values.shape[:1])
    return Affine(layer, bias)


def _require_bias(bias: ArrayLike, needed: Shape) -> None:
    try:
        given = np.shape(bias)
    except ValueError:
        raise ShapeError(f"bias has rows of unequal length, needed {needed}: one for each output channel") from None
    if given != needed:
        raise ShapeError(f"bias has shape {given}, needed {needed}: one for each output channel")


def conv_transpose_layer(
    weight: ArrayLike,
    in_shape: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Operator:
    """A transposed convolution, as torch's `conv_transpose1d`, `2d` and `3d` compute it.

    It is the transpose of the `conv_layer` with the same weight that maps back, without conjugation.

    Parameters
    ----------
    weight : array_like
        `(C_in, C_out/groups, *taps)`.
    in_shape : tuple of int
        `(C_in, *spatial)`.
    stride, padding, dilation : int or tuple of int
        Those of the convolution it transposes.
    output_padding : int or tuple of int
        Samples added at the end of each axis; smaller than the stride or the dilation.
    groups : int
        Blocks of channels that do not mix.

    Returns
    -------
    Operator
        From `(C_in, *spatial)` to `(C_out, *out)` with
        `out = (n - 1) * stride - 2 * padding + (k - 1) * dilation + output_padding + 1`.

    Raises
    ------
    GeometryError
        If the arguments make no layer.

    Examples
    --------
    >>> import numpy as np, convop
    >>> convop.conv_transpose_layer(np.ones((1, 1, 2)), (1, 3), stride=2)([[1, 2, 3]])
    array([[1., 1., 2., 2., 3., 3.]])
    """
    values, shape, groups = _arguments(weight, in_shape, groups, "weight", "in_shape")
    if values.shape[0] != shape[0] or shape[0] % groups:
        raise GeometryError(
            f"weight of shape {values.shape} takes {values.shape[0]} channels in groups of {groups}, in_shape "
            f"{shape} has {shape[0]}; needed weight (C_in, C_out/groups, *taps) and in_shape (C_in, *spatial)"
        )
    ndim = len(shape) - 1
    stride, dilation = per_axis(stride, ndim, "stride", 1), per_axis(dilation, ndim, "dilation", 1)
    widths = per_side(padding, ndim, "padding")
    extra = per_axis(output_padding, ndim, "output_padding", 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise GeometryError(
            f"output_padding {extra} must be smaller than the stride {stride} or the dilation {dilation} on every axis"
        )
    sizes = tuple(
        (n - 1) * s + reach(k, d) + e - before - after
        for n, s, k, d, e, (before, after) in zip(
            shape[1:], stride, values.shape[2:], dilation, extra, widths, strict=True
        )
    )
    if min(sizes) < 1:
        raise GeometryError(f"the output would have sizes {sizes}, needed at least 1; use less padding than {padding}")
    # output_padding lengthens the array that the transposed convolution reads; less padding keeps its outputs.
    padded = tuple((before, after - e) for (before, after), e in zip(widths, extra, strict=True))
    geometry = _geometry(values, sizes, stride, padded, dilation, groups, "zero", cropping=True)
    return Convolution.of(geometry, values, "correlation").T


def _arguments(
    weight: ArrayLike, in_shape: Any, groups: object, name: str, shape_name: str
) -> tuple[Array, Shape, int]:
    values, shape = as_coefficients(weight, f"the {name}"), as_shape(in_shape, shape_name)
    if len(shape) < 2 or values.ndim != len(shape) + 1 or 0 in values.shape:
        raise GeometryError(
            f"{name} has shape {values.shape} and {shape_name} is {shape}; needed {shape_name} (C_in, *spatial) and a "
            f"{name} with two channel axes and one for each spatial axis"
        )
    return values, shape, as_int(groups, "groups", 1)


def _geometry(
    weight: Array, spatial: Shape, stride: Any, padding: Any, dilation: Any, groups: int, boundary: Any,
    cropping: bool = False,
) -> Geometry:  # fmt: skip
    ndim, taps = len(spatial), weight.shape[2:]
    stride, dilation = per_axis(stride, ndim, "stride", 1), per_axis(dilation, ndim, "dilation", 1)
    return Geometry.make(
        spatial, taps, stride=stride, dilation=dilation, boundary=canonical_pairs(boundary, ndim),
        padding=padding if cropping else layer_padding(padding, taps, stride, dilation),
        channels=(weight.shape[0], weight.shape[1] * groups), groups=groups, lifted=True,
    )  # fmt: skip
