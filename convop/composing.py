"""One kernel after another: offsets add, channel matrices multiply, and what wraps around is folded."""

import math
from itertools import product as pairs

import numpy as np

from .arguments import Shape
from .convolution import Convolution
from .dtypes import Array
from .geometry import Geometry

# Nanoseconds above which the compiled engine composes: its code takes some tenths of a second to load. One channel in
# float64, two cores: 201x201 taps with as many 0.3 s there and 2.1 s in the loop, 20,001 with as many 0.04 and 0.3 s.
WORTH_COMPILED = 3e7
FEW_CHANNELS = 8  # with as many or more the loop, whose products of channels are BLAS, is faster at any length
_PER_TAP, _PER_SUM, _PER_PRODUCT = 10_000, 2.0, 0.1  # ns in the loop


def convolved(a: Array, b: Array, step_a: Shape, step_b: Shape) -> Array:
    """All of `a * b` for `a` `(groups, C_out, C, *taps)` and `b` `(groups, C, C_in, *taps)`, in direct sums.

    The taps of `a` stand `step_a` apart, those of `b` `step_b`. Integers stay integers and zeros stay zero, which
    transforms would not grant.
    """
    few, many = sorted((math.prod(a.shape[3:]), math.prod(b.shape[3:])))
    written = many * a.shape[0] * a.shape[1] * b.shape[2]
    looping = few * (_PER_TAP + written * (_PER_SUM + _PER_PRODUCT * a.shape[2]))
    if looping > WORTH_COMPILED and a.shape[2] < FEW_CHANNELS:
        return _compiled(a, b, step_a, step_b)
    return _looped(a, b, step_a, step_b)


def _looped(a: Array, b: Array, step_a: Shape, step_b: Shape) -> Array:
    """Over the taps of the smaller kernel, each time with all taps of the other."""
    # Taps in front, so that channels multiply as matrices.
    outer, inner = (np.moveaxis(each, (1, 2), (-2, -1)) for each in (a, b))
    multiply = np.multiply if a.shape[2] == 1 else np.matmul
    (ka, kb), groups = (outer.shape[1:-2], inner.shape[1:-2]), len(a)
    total = np.zeros((groups, *_full(ka, kb, step_a, step_b), a.shape[1], b.shape[2]), np.result_type(a, b))
    swap = math.prod(kb) < math.prod(ka)
    few, start, step, size = (kb, step_b, step_a, ka) if swap else (ka, step_a, step_b, kb)
    for tap in pairs(*map(range, few)):
        one = (slice(None), *(slice(t, t + 1) for t in tap))
        left, right = (outer, inner[one]) if swap else (outer[one], inner)
        place = (
            slice(t * first, t * first + (k - 1) * own + 1, own)
            for t, first, own, k in zip(tap, start, step, size, strict=True)
        )
        total[(slice(None), *place)] += multiply(left, right)
    return np.moveaxis(total, (-2, -1), (1, 2))


def _full(ka: Shape, kb: Shape, step_a: Shape, step_b: Shape) -> Shape:
    return tuple((m - 1) * s + (n - 1) * t + 1 for m, s, n, t in zip(ka, step_a, kb, step_b, strict=True))


def _compiled(a: Array, b: Array, step_a: Shape, step_b: Shape) -> Array:
    """`b`, with zeros between its taps, as a batch of signals for the direct engine."""
    groups, rows, inside, columns = *a.shape[:3], b.shape[2]
    taps = tuple(range(3, a.ndim))
    grid = tuple((k - 1) * step + 1 for k, step in zip(b.shape[3:], step_b, strict=True))
    signal = np.zeros((groups, inside, columns, *grid), np.result_type(a, b))
    signal[(..., *(slice(None, None, step) for step in step_b))] = b
    geometry = Geometry.make(
        grid, a.shape[3:], dilation=step_a, channels=(groups * rows, groups * inside), groups=groups, lifted=True,
        padding=tuple((k - 1) * step for k, step in zip(a.shape[3:], step_a, strict=True)),
    )  # fmt: skip
    weight = np.flip(a, taps).reshape(geometry.weight_shape)
    layer = Convolution.of(geometry, weight, "correlation", "direct")
    full = layer(np.moveaxis(signal, 2, 0).reshape(columns, groups * inside, *grid))
    return np.moveaxis(full.reshape(columns, groups, rows, *full.shape[2:]), 0, 2)


def compose(geometry: Geometry, outer: Convolution, inner: Convolution) -> tuple[Geometry, Array]:
    """The weight of `outer` after `inner` in the geometry that `Geometry.after` made, and the geometry it is for.

    A kernel that goes round a periodic axis more than once comes back as long as the axis, in another geometry.
    """
    groups = geometry.groups
    dtype = np.result_type(outer.dtype, inner.dtype)
    double = np.result_type(dtype, np.float64)  # summed in double, rounded once
    a = blocks(outer.weight.astype(double), outer.geometry.groups, groups)
    b = blocks(inner.weight.astype(double), inner.geometry.groups, groups)
    taps = composed_taps(geometry, outer.geometry, inner.geometry, a, b)
    geometry, weight = folded(geometry, taps.reshape(geometry.weight_shape))
    return geometry, weight.astype(dtype)


def composed_taps(geometry: Geometry, outer: Geometry, inner: Geometry, a: Array, b: Array) -> Array:
    """The taps of `geometry`, that of `outer` after `inner`, from theirs `(groups, C_out, C, *taps)`."""
    steps = (tuple(s * d for s, d in zip(inner.stride, outer.dilation, strict=True)), inner.dilation)
    # On the common grid; a single tap has no spacing.
    step_a, step_b = (
        tuple(s // d if k > 1 else 1 for s, d, k in zip(step, geometry.dilation, each.shape[3:], strict=True))
        for step, each in zip(steps, (a, b), strict=True)
    )
    return convolved(a, b, step_a, step_b)


def blocks(weight: Array, groups: int, coarse: int) -> Array:
    """`(C_out, C_in/groups, *k)` as `coarse` dense blocks `(coarse, C_out/coarse, C_in/coarse, *k)`."""
    fine = groups // coarse
    parts = weight.reshape(coarse, fine, -1, *weight.shape[1:])
    dense = np.zeros((coarse, fine, parts.shape[2], fine, *parts.shape[3:]), weight.dtype)
    for group in range(fine):
        dense[:, group, :, group] = parts[:, group]
    return dense.reshape(coarse, fine * parts.shape[2], -1, *weight.shape[2:])


def folded(geometry: Geometry, weight: Array) -> tuple[Geometry, Array]:
    """The same operator with taps that read the same sample of a periodic axis added up, where there are such."""
    for axis in range(geometry.ndim):
        n, k, d = geometry.spatial[axis], geometry.kernel[axis], geometry.dilation[axis]
        spacing = math.gcd(n, d)
        if "periodic" in geometry.boundary[axis] and k > n // spacing:
            geometry, weight = _folded_axis(geometry, weight, axis, spacing)
    return geometry, weight


def _folded_axis(geometry: Geometry, weight: Array, axis: int, spacing: int) -> tuple[Geometry, Array]:
    """One tap for each sample that is read: they stand `spacing` apart, about the middle of the kernel."""
    n, lags = geometry.spatial[axis], geometry.lags(axis)
    taps = n // spacing
    # The first lag of a centred kernel, moved onto the grid of those that are read.
    first = -(taps // 2) * spacing + int(lags[0]) % spacing
    place = (lags - first) % n // spacing
    total = np.zeros((*weight.shape[: axis + 2], taps, *weight.shape[axis + 3 :]), weight.dtype)
    np.add.at(np.moveaxis(total, axis + 2, 0), place, np.moveaxis(weight, axis + 2, 0))
    after = (geometry.out_spatial[axis] - 1) * geometry.stride[axis] + first + (taps - 1) * spacing - (n - 1)
    kernel, dilation, padding = list(geometry.kernel), list(geometry.dilation), list(geometry.padding)
    kernel[axis], dilation[axis], padding[axis] = taps, spacing, (-first, after)
    shorter = Geometry.make(
        geometry.spatial, tuple(kernel), stride=geometry.stride, dilation=tuple(dilation), padding=tuple(padding),
        boundary=geometry.boundary, channels=(geometry.channels_out, geometry.channels_in), groups=geometry.groups,
        lifted=geometry.lifted,
    )  # fmt: skip
    return shorter, total
