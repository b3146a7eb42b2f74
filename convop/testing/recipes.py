"""Random calls through both doors, through one and the same recipe for hypothesis and for a seeded generator."""

from ..arguments import Shape
from ..geometry import layer_padding, reach
from .dice import Dice
from .limits import SAMPLES, TAPS, Limits, sizes
from .specs import ConvolutionSpec, LayerSpec, TransposeSpec

ALL = Limits()


def convolution(dice: Dice, limits: Limits = ALL) -> ConvolutionSpec:
    """Any call of `convop.Convolution`."""
    ndim = limits.dims(dice, (1, 1, 2, 2, 2, 3, 3, 4))
    mode = dice.choice([*["same"] * 3, *["full"] * ("zero" in limits.boundaries), "valid"])
    boundary = "zero" if mode == "full" else limits.boundary(dice, ndim)
    taps = dice.axes(ndim, 1, TAPS[ndim])
    stride, dilation = limits.strides(dice, ndim), limits.dilations(dice, ndim, 3 if ndim < 4 else 2)
    spans = tuple(map(reach, taps, dilation))
    in_shape = sizes(dice, ndim, boundary, spans if mode == "valid" else None)
    center = tuple(dice.integer(0, k - 1) for k in taps) if dice.integer(0, 1) else None
    kernel = dice.kernel(taps, limits.dtypes)
    return ConvolutionSpec(kernel, in_shape, mode, boundary, center if mode == "same" else None, stride, dilation)


def convolution_on(dice: Dice, in_shape: Shape, limits: Limits = ALL) -> ConvolutionSpec:
    """A convolution that fits a given input, for products."""
    ndim = len(in_shape)
    taps = tuple(dice.integer(1, min(3, TAPS[min(ndim, 4)])) for _ in range(ndim))
    stride, dilation = limits.strides(dice, ndim, 2), limits.dilations(dice, ndim, 2)
    fits = all((k - 1) * d < n for k, d, n in zip(taps, dilation, in_shape, strict=True))
    full = ("full",) if "zero" in limits.boundaries else ()
    mode = dice.choice(("same", *full, "valid") if fits else ("same", *full))
    boundary = "zero" if mode == "full" else dice.choice(limits.names(in_shape))
    return ConvolutionSpec(dice.kernel(taps, limits.dtypes), tuple(in_shape), mode, boundary, None, stride, dilation)


def layer(dice: Dice, limits: Limits = ALL) -> LayerSpec:
    """Any call of `convop.conv_layer`."""
    ndim = limits.dims(dice, (1, 2, 2, 3))
    boundary = limits.boundary(dice, ndim)
    taps = dice.axes(ndim, 1, TAPS[ndim + 1])
    stride, dilation = limits.strides(dice, ndim), limits.dilations(dice, ndim)
    padding, stride = _padding(dice, stride)
    pads = layer_padding(padding, taps, stride, dilation)
    spans = map(reach, taps, dilation)
    spatial = sizes(dice, ndim, boundary, [span - sum(p) for span, p in zip(spans, pads, strict=True)])
    groups = dice.choice((1, 1, 2, 3))
    per_group_in, per_group_out = dice.integer(1, 2), dice.integer(1, 2)
    weight = dice.kernel((groups * per_group_out, per_group_in, *taps), limits.dtypes)
    return LayerSpec(weight, (groups * per_group_in, *spatial), stride, padding, dilation, groups, boundary)


def _padding(dice: Dice, stride: Shape) -> tuple[int | str | tuple, Shape]:
    """A layer's padding in any of its forms, and the stride, which "same" wants to be 1."""
    form, ndim = dice.choice(("int", "axis", "pairs", "pairs", "same", "valid")), len(stride)
    if form == "same":
        return "same", (1,) * ndim
    if form == "valid":
        return "valid", stride
    if form == "int":
        return dice.integer(0, 3), stride
    if form == "axis":
        return dice.axes(ndim, 0, 4), stride
    return tuple((dice.integer(0, 4), dice.integer(0, 4)) for _ in range(ndim)), stride


def layer_on(dice: Dice, in_shape: Shape, limits: Limits = ALL) -> LayerSpec:
    """A layer that fits a given input, for products: any padding, sides, stride, dilation and groups."""
    channels, spatial = in_shape[0], in_shape[1:]
    groups = dice.choice([g for g in range(1, channels + 1) if channels % g == 0])
    allowed = limits.names(spatial)
    names = ("zero", *allowed) if "zero" in allowed else allowed
    boundary = tuple(dice.choice(names) for _ in spatial)
    taps, dilation, stride, padding = [], [], [], []
    for n in spatial:
        padding.append((dice.integer(0, 3), dice.integer(0, 3)))
        dilation.append(dice.integer(1, min(2, limits.max_dilation)))
        room = (n + sum(padding[-1]) - 1) // dilation[-1] + 1
        taps.append(dice.integer(1, min(3, room)))
        stride.append(dice.choice([s for s in (1, 1, 2, 3) if s <= limits.max_stride]))
    weight = dice.kernel((groups * dice.integer(1, 2), channels // groups, *taps), limits.dtypes)
    return LayerSpec(weight, tuple(in_shape), tuple(stride), tuple(padding), tuple(dilation), groups, boundary)


def transpose_layer(dice: Dice, limits: Limits = ALL) -> TransposeSpec:
    """Any call of `convop.conv_transpose_layer`."""
    ndim = limits.dims(dice, (1, 2, 2, 3))
    taps = dice.axes(ndim, 1, TAPS[ndim + 1])
    stride, dilation = limits.strides(dice, ndim), limits.dilations(dice, ndim)
    spatial = dice.axes(ndim, 1, SAMPLES[ndim + 1])
    padding, more = [], []
    for n, k, s, d in zip(spatial, taps, stride, dilation, strict=True):
        more.append(dice.integer(0, max(s, d) - 1))
        size = (n - 1) * s + d * (k - 1) + more[-1] + 1
        padding.append(dice.integer(0, min(4, (size - 1) // 2)))
    groups = dice.choice((1, 1, 2, 3))
    per_group_in, per_group_out = dice.integer(1, 2), dice.integer(1, 2)
    weight = dice.kernel((groups * per_group_in, per_group_out, *taps), limits.dtypes)
    in_shape = (groups * per_group_in, *spatial)
    return TransposeSpec(weight, in_shape, stride, tuple(padding), tuple(more), dilation, groups)
