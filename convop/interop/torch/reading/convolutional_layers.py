"""Convolutional, padding and unfolding layers for the operators that they compute."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ....arguments import Shape
from ....composite import Adjoint
from ....convolution import Convolution
from ....dtypes import DType
from ....errors import GeometryError
from ....geometry import Geometry
from ....operator import Operator
from ....selection import Extend, Unfold
from .layering import Layers, filled, layers_of, made, refused

PADDING_MODES = {"zero": "zeros", "mirror": "reflect", "replicate": "replicate", "periodic": "circular"}
# Zeros come last, because negative widths crop, also of what the others have added.
PADDING_LAYERS = {
    "mirror": "ReflectionPad",
    "replicate": "ReplicationPad",
    "periodic": "CircularPad",
    "zero": "ZeroPad",
}


@layers_of.register
def _convolution(A: Convolution, dtype: DType) -> Layers:
    g = A.geometry
    if g.ndim > 3:
        raise refused(A, f"torch convolves along 1 to 3 axes, and this has {g.ndim}")
    said = _padding_of_layer(g)
    pads = [] if said else _pads(A, g)
    if _only_pads(A):
        return _among_channels(g, g.spatial, pads)
    padding, mode = said or (0, "zeros")
    layer = made(
        f"Conv{g.ndim}d", dtype, g.channels_in, g.channels_out, g.kernel, stride=g.stride, padding=padding,
        dilation=g.dilation, groups=g.groups, bias=False, padding_mode=mode,
    )  # fmt: skip
    return _among_channels(g, g.spatial, [*pads, filled(layer, A.weight)])


def _padding_of_layer(g: Geometry) -> tuple[Shape, str] | None:
    """The padding and the padding mode of a layer that reads what `g` reads, if there is one."""
    padding = tuple(max(before, 0) for before, _ in g.padding)
    for boundary, mode in PADDING_MODES.items():
        if _within_reach(g, boundary, padding) and _with_padding(g, padding, boundary) == g:
            return padding, mode
    return None


def _with_padding(g: Geometry, padding: Shape, boundary: str) -> Geometry | None:
    try:
        return Geometry.make(
            g.spatial, g.kernel, stride=g.stride, dilation=g.dilation, padding=padding, boundary=boundary,
            channels=(g.channels_out, g.channels_in), groups=g.groups, lifted=g.lifted,
        )  # fmt: skip
    except GeometryError:  # too little padding, or a boundary that has nothing to give there
        return None


def _within_reach(g: Geometry, boundary: str, widths: Sequence[int]) -> bool:
    """Whether torch pads that far: it reflects every sample but the first at most once, and wraps around once."""
    most = {"mirror": -1, "periodic": 0}
    return boundary not in most or all(w <= n + most[boundary] for w, n in zip(widths, g.spatial, strict=True))


def _pads(A: Operator, g: Geometry) -> Layers:
    """One padding layer for each boundary that is read."""
    if any(name not in PADDING_LAYERS for pair in g.boundary for name in pair):
        raise refused(A, f"torch has no padding layer for boundary {g.boundary}")
    layers = []
    for name, kind in PADDING_LAYERS.items():
        widths = [_widths(pair, names, name) for pair, names in zip(g.padding, g.boundary, strict=True)]
        if not _within_reach(g, name, [max(pair) for pair in widths]):
            raise refused(
                A, f"torch pads with boundary {name!r} no further than the array reaches, {g.padding} is needed"
            )
        if np.any(widths):
            layers.append(getattr(nn, f"{kind}{g.ndim}d")(_last_axis_first(widths)))
    return layers


def _widths(pair: tuple[int, int], names: tuple[str, str], name: str) -> tuple[int, int]:
    """How much of what is read on either side of an axis boundary `name` gives; what is cropped is left to zeros."""
    before, after = (
        width if (own if width > 0 else "zero") == name else 0 for width, own in zip(pair, names, strict=True)
    )
    return before, after


def _last_axis_first(widths: Sequence[tuple[int, int]]) -> Shape:
    return tuple(width for pair in reversed(widths) for width in pair)


def _only_pads(A: Convolution) -> bool:
    """Whether all it does is copy: one tap of 1 for each channel."""
    g = A.geometry
    return g.taps == 1 and g.groups == g.channels_in == g.channels_out and max(g.stride) == 1 and (A.weight == 1).all()


def _among_channels(g: Geometry, spatial: Shape, layers: Layers) -> Layers:
    """Where arrays have no channel axis, the layers get one of length 1 for the while."""
    if g.lifted or not layers:
        return layers
    return [nn.Unflatten(1, (1, spatial[0])), *layers, nn.Flatten(1, 2)]


@layers_of.register
def _extend(A: Extend, dtype: DType) -> Layers:
    if A.geometry.ndim > 3:
        raise refused(A, f"torch pads along 1 to 3 axes, and this has {A.geometry.ndim}")
    return _among_channels(A.geometry, A.geometry.spatial, _pads(A, A.geometry))


@layers_of.register
def _unfold(A: Unfold, dtype: DType) -> Layers:
    return [nn.Unfold(**_places(A))]


def _places(A: Unfold) -> dict[str, Any]:
    g = A.geometry
    padding = tuple(before for before, _ in g.padding)
    if g.ndim != 2 or _with_padding(g, padding, "zero") != g:
        raise refused(A, "torch unfolds two axes, with the same padding before and after")
    return {"kernel_size": g.kernel, "dilation": g.dilation, "padding": padding, "stride": g.stride}


@layers_of.register
def _adjoint(A: Adjoint, dtype: DType) -> Layers:
    inner = A.operator
    if isinstance(inner, Unfold):
        return [nn.Fold(inner.geometry.spatial, **_places(inner))]
    if not isinstance(inner, Convolution):
        raise refused(A, f"torch has no layer for the adjoint of {type(inner).__name__}")
    g = inner.geometry
    if g.ndim > 3 or any(name != "zero" for pair in g.boundary for name in pair):
        raise refused(A, f"transposed layers have 1 to 3 axes and a zero boundary, this has {g.boundary}")
    return _among_channels(g, g.out_spatial, _transposed(inner, dtype))


def _transposed(inner: Convolution, dtype: DType) -> Layers:
    """torch's transposed layers transpose without conjugation; where they cannot crop as needed, zero padding does."""
    g = inner.geometry
    padding = tuple(before for before, _ in g.padding)
    extra = tuple(before - after for before, after in g.padding)
    limits = map(max, g.stride, g.dilation)
    said = min(padding) >= 0 and all(0 <= more < limit for more, limit in zip(extra, limits, strict=True))
    layer = made(
        f"ConvTranspose{g.ndim}d", dtype, g.channels_out, g.channels_in, g.kernel, stride=g.stride,
        padding=padding if said else 0, output_padding=extra if said else 0, groups=g.groups, bias=False,
        dilation=g.dilation,
    )  # fmt: skip
    layers = [filled(layer, inner.weight.conj())]
    if not said:
        crop = [(-before, -after) for before, after in g.padding]
        layers.append(getattr(nn, f"ZeroPad{g.ndim}d")(_last_axis_first(crop)))
    return layers
