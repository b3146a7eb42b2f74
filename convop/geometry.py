"""Where a convolution reads: sizes, strides, dilation, padding, channels. Integers only.

Inside convop there is one convention, cross-correlation: with extension `x~`, tap `t` and output `i` per axis,

    y[o, i] = sum over c, t of weight[o, c, t] * x~[c, i * stride + t * dilation - before]

where `before` (and `after`) say how far the operator reads outside the array on either side; negative
values leave samples at that side unread. `before` and `after` are what is really read, nothing more,
so equal operators have equal geometries.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .arguments import Shape, as_int, as_shape, is_one_of, per_axis, per_side
from .boundary import NEEDS_TWO_SAMPLES, RULES, Pair, canonical_pairs
from .errors import GeometryError


@dataclass(frozen=True)
class Extension:
    """Samples outside an axis: at `position[p]` of the extended axis stands `sum(weight[p] * x[index[p]])`."""

    position: NDArray[np.intp]
    index: NDArray[np.intp]
    weight: NDArray[np.intp]


def reach(taps: int, dilation: int) -> int:
    """How many samples `taps` taps span."""
    return (taps - 1) * dilation + 1


def mode_padding(
    mode: object, kernel: Shape, dilation: Shape, center: Shape | None, boundary: tuple[Pair, ...]
) -> tuple[tuple[int, int], ...]:
    """How far a convolution of `mode` reads outside, on each side of each axis."""
    spans = [reach(k, d) for k, d in zip(kernel, dilation, strict=True)]
    if not is_one_of(mode, ("same", "full", "valid")):
        raise GeometryError(f"mode must be 'same', 'full' or 'valid', got {mode!r}")
    if mode != "same" and center is not None:
        raise GeometryError(f"center {center} has a meaning for mode 'same' only, got mode {mode!r}; leave it out")
    if mode == "valid":
        return tuple((0, 0) for _ in spans)
    if mode == "full":
        if any(pair != ("zero", "zero") for pair in boundary):
            raise GeometryError(
                f"mode 'full' has a zero boundary, got {boundary}; take mode 'same' for other boundaries"
            )
        return tuple((span - 1, span - 1) for span in spans)
    center = center if center is not None else tuple((k - 1) // 2 for k in kernel)
    for axis, (c, k) in enumerate(zip(center, kernel, strict=True)):
        if c >= k:
            raise GeometryError(f"center {center} lies outside the kernel: axis {axis} has taps 0 to {k - 1}")
    # A convolution's tap t stands at lag center - t, so it reads (k - 1 - center) * d samples before.
    return tuple(((k - 1 - c) * d, c * d) for k, c, d in zip(kernel, center, dilation, strict=True))


def layer_padding(padding: object, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[tuple[int, int], ...]:
    """The `padding` of a layer in any of torch's forms, or a `(before, after)` pair for each axis."""
    if not isinstance(padding, str):
        return per_side(padding, len(kernel), "padding")
    if padding == "valid":
        return tuple((0, 0) for _ in kernel)
    if padding != "same":
        raise GeometryError(f"padding must be ints, 'same' or 'valid', got {padding!r}")
    if any(s != 1 for s in stride):
        raise GeometryError(f"padding 'same' needs stride 1, got stride {stride}; give the padding in numbers")
    extra = [reach(k, d) - 1 for k, d in zip(kernel, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in extra)


@dataclass(frozen=True)
class Geometry:
    """Everything about a convolution except the values of its kernel."""

    spatial: Shape
    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: tuple[tuple[int, int], ...]
    boundary: tuple[Pair, ...]
    channels_out: int
    channels_in: int
    groups: int
    lifted: bool  # whether arrays have a channel axis in front

    @classmethod
    def make(
        cls,
        spatial: object,
        kernel: object,
        *,
        stride: object = 1,
        dilation: object = 1,
        padding: object = 0,
        boundary: object = "zero",
        channels: tuple[int, int] = (1, 1),
        groups: object = 1,
        lifted: bool = False,
    ) -> Self:
        """The canonical geometry; `channels` is `(out, in)` and `padding` may be negative (cropping)."""
        spatial = as_shape(spatial)
        ndim = len(spatial)
        kernel = per_axis(kernel, ndim, "kernel shape", 1)
        stride = per_axis(stride, ndim, "stride", 1)
        # A single tap has no spacing.
        dilation = tuple(
            d if k > 1 else 1 for d, k in zip(per_axis(dilation, ndim, "dilation", 1), kernel, strict=True)
        )
        groups = as_int(groups, "groups", 1)
        for side, count in zip(("C_out", "C_in"), channels, strict=True):
            if count % groups:
                raise GeometryError(f"groups must divide the channels, got groups {groups} and {side} {count}")
        widths = per_side(padding, ndim, "padding", least=-max(spatial))
        names = canonical_pairs(boundary, ndim)
        sides = [
            _canonical_sides(axis, spatial[axis], kernel[axis], stride[axis], dilation[axis], widths[axis], names[axis])
            for axis in range(ndim)
        ]
        return cls(
            spatial, kernel, stride, dilation,
            tuple(padding for padding, _ in sides), tuple(pair for _, pair in sides),
            channels[0], channels[1], groups, lifted,
        )  # fmt: skip

    @property
    def ndim(self) -> int:
        return len(self.spatial)

    @cached_property
    def reach(self) -> Shape:
        return tuple(reach(k, d) for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
    def extended(self) -> Shape:
        """Sizes of the extended array: `before + n + after`."""
        return tuple(n + before + after for n, (before, after) in zip(self.spatial, self.padding, strict=True))

    @cached_property
    def out_spatial(self) -> Shape:
        return tuple(
            (extended - span) // s + 1 for extended, span, s in zip(self.extended, self.reach, self.stride, strict=True)
        )

    @cached_property
    def in_shape(self) -> Shape:
        return (self.channels_in, *self.spatial) if self.lifted else self.spatial

    @cached_property
    def out_shape(self) -> Shape:
        return (self.channels_out, *self.out_spatial) if self.lifted else self.out_spatial

    @property
    def matrix_shape(self) -> tuple[int, int]:
        return math.prod(self.out_shape), math.prod(self.in_shape)

    @property
    def weight_shape(self) -> Shape:
        return (self.channels_out, self.channels_in // self.groups, *self.kernel)

    @property
    def taps(self) -> int:
        return math.prod(self.kernel)

    @property
    def work(self) -> int:
        """Multiply-adds for each output sample."""
        return self.taps * (self.channels_in // self.groups)

    def lags(self, axis: int) -> NDArray[np.intp]:
        """For each tap of `axis`, where it reads relative to `i * stride`."""
        return np.arange(self.kernel[axis]) * self.dilation[axis] - self.padding[axis][0]

    def on_extended(self, sizes: Mapping[int, int]) -> "Geometry":
        """The geometry that is left for signals already extended, along the axes in `sizes` to so many samples."""
        if not sizes:
            return self
        spatial, padding, boundary = list(self.spatial), list(self.padding), list(self.boundary)
        for axis, size in sizes.items():
            spatial[axis], padding[axis], boundary[axis] = size, (0, 0), ("zero", "zero")
        return Geometry.make(
            tuple(spatial), self.kernel, stride=self.stride, dilation=self.dilation, padding=tuple(padding),
            boundary=tuple(boundary), channels=(self.channels_out, self.channels_in), groups=self.groups,
            lifted=self.lifted,
        )  # fmt: skip

    @property
    def samples(self) -> tuple[slice, ...]:
        """Where the outputs stand among those that stride 1 would give."""
        return self.tap((0,) * self.ndim)

    @property
    def dense(self) -> Shape:
        """How many outputs stride 1 gives from the first output to the last."""
        return tuple(rows.stop for rows in self.samples)

    def tap(self, t: Sequence[int]) -> tuple[slice, ...]:
        """The slices of the extended array that tap `t` reads, one sample for each output."""
        return tuple(
            slice(index * d, index * d + (m - 1) * s + 1, s)
            for index, d, m, s in zip(t, self.dilation, self.out_spatial, self.stride, strict=True)
        )

    def extension(self, axis: int) -> Extension:
        """What stands outside the array on `axis`; the only place a boundary is decided."""
        return self._extensions[axis]

    @cached_property
    def _extensions(self) -> tuple[Extension, ...]:
        return tuple(map(self._extend, range(self.ndim)))

    def _extend(self, axis: int) -> Extension:
        n, (before, after) = self.spatial[axis], self.padding[axis]
        # All that is read may lie on one side of the array.
        sides = np.arange(-before, min(0, n + after)), np.arange(max(n, -before), n + after)
        terms = [RULES[name](side, n) for name, side in zip(self.boundary[axis], sides, strict=True) if len(side)]
        width = max((index.shape[1] for index, _ in terms), default=1)
        # Fewer terms on one side than on the other: fill up with terms of weight zero.
        index, weight = (
            np.concatenate(
                [np.empty((0, width), np.intp)] + [np.pad(t[i], ((0, 0), (0, width - t[i].shape[1]))) for t in terms]
            )
            for i in (0, 1)
        )
        position = np.concatenate(sides) + before
        something = weight.any(axis=1)
        return Extension(position[something], index[something], weight[something])

    def reads_outside(self, axis: int) -> tuple[bool, bool]:
        """Whether anything is read before and after the array on `axis`."""
        before, after = self.padding[axis]
        return before > 0, after > 0

    def is_periodic(self, axis: int) -> bool:
        """Whether `axis` wraps around (an axis that reads nothing outside does so under any boundary)."""
        return "periodic" in self.boundary[axis] or not any(self.reads_outside(axis))

    def adjoint(self) -> "Geometry | None":
        """The geometry of the adjoint (taps reversed, channels swapped) where that is a convolution.

        Stride 1, and on every axis either a zero boundary with padding up to `reach - 1` or a periodic
        boundary with equal sizes.
        """
        if any(s != 1 for s in self.stride) or not all(map(self._axis_transposes, range(self.ndim))):
            return None
        padding = tuple(
            (span - 1 - before, span - 1 - after)
            for span, (before, after) in zip(self.reach, self.padding, strict=True)
        )
        boundary = tuple(pair if "periodic" in pair else ("zero", "zero") for pair in self.boundary)
        return Geometry.make(
            self.out_spatial, self.kernel, dilation=self.dilation, padding=padding, boundary=boundary,
            channels=(self.channels_in, self.channels_out), groups=self.groups, lifted=self.lifted,
        )  # fmt: skip

    def _axis_transposes(self, axis: int) -> bool:
        if "periodic" in self.boundary[axis]:
            return self.out_spatial[axis] == self.spatial[axis]
        sides = zip(self.padding[axis], self.boundary[axis], strict=True)
        return all(width <= 0 or (name == "zero" and width < self.reach[axis]) for width, name in sides)

    def after(self, inner: "Geometry", boundary: tuple[Pair, ...]) -> "Geometry":
        """The geometry of this convolution applied after `inner`, with kernels composed as if on an endless grid.

        Tap `a` after tap `b` reads at offset `s_B d_A a + d_B b`; strides multiply.
        """
        step = [sb * da for sb, da in zip(inner.stride, self.dilation, strict=True)]
        dilation = [
            _common(sa, db, ka, kb)
            for sa, db, ka, kb in zip(step, inner.dilation, self.kernel, inner.kernel, strict=True)
        ]
        span = [
            (ka - 1) * s + (kb - 1) * db
            for ka, s, kb, db in zip(self.kernel, step, inner.kernel, inner.dilation, strict=True)
        ]
        stride = tuple(sa * sb for sa, sb in zip(self.stride, inner.stride, strict=True))
        padding: list[tuple[int, int]] = []
        for axis in range(self.ndim):
            before = inner.padding[axis][0] + inner.stride[axis] * self.padding[axis][0]
            last = (self.out_spatial[axis] - 1) * stride[axis] + span[axis] - before
            padding.append((before, last - (inner.spatial[axis] - 1)))
        return Geometry.make(
            inner.spatial, tuple(length // d + 1 for length, d in zip(span, dilation, strict=True)),
            stride=stride, dilation=dilation, padding=padding, boundary=boundary,
            channels=(self.channels_out, inner.channels_in), groups=math.gcd(self.groups, inner.groups),
            lifted=inner.lifted,
        )  # fmt: skip

    def union(self, other: "Geometry") -> "Geometry | None":
        """The geometry that holds the taps of both, where all else agrees; None where it does not."""
        alike = ("spatial", "out_spatial", "stride", "channels_out", "channels_in", "lifted")
        if any(getattr(self, name) != getattr(other, name) for name in alike):
            return None
        axes = [_united_axis(self, other, axis) for axis in range(self.ndim)]
        if any(axis is None for axis in axes):
            return None
        kernel, dilation, padding, boundary = zip(*(axis for axis in axes if axis is not None), strict=True)
        return Geometry.make(
            self.spatial, kernel, stride=self.stride, dilation=dilation, padding=padding, boundary=boundary,
            channels=(self.channels_out, self.channels_in), groups=math.gcd(self.groups, other.groups),
            lifted=self.lifted,
        )  # fmt: skip


def _united_axis(a: Geometry, b: Geometry, axis: int) -> tuple[int, int, tuple[int, int], Pair] | None:
    """Taps, dilation, padding and boundary of an axis that holds the taps of both; None if boundaries differ."""
    pair = _united_boundary(a, b, axis)
    if pair is None:
        return None
    lags = np.union1d(a.lags(axis), b.lags(axis))
    step = int(np.gcd.reduce(np.diff(lags))) or 1
    before, span = -int(lags[0]), int(lags[-1] - lags[0])
    after = (a.out_spatial[axis] - 1) * a.stride[axis] + span - before - (a.spatial[axis] - 1)
    return span // step + 1, step, (before, after), pair


def _united_boundary(a: Geometry, b: Geometry, axis: int) -> Pair | None:
    """The boundary of an axis that serves both: a side that one of them does not read is free."""
    if a.boundary[axis] == b.boundary[axis]:
        return a.boundary[axis]
    for reader, other in ((a, b), (b, a)):
        if not any(other.reads_outside(axis)):
            return reader.boundary[axis]
    if "periodic" in a.boundary[axis] or "periodic" in b.boundary[axis]:
        return None
    sides: list[str] = []
    for side in (0, 1):
        names = {g.boundary[axis][side] for g in (a, b) if g.reads_outside(axis)[side]}
        if len(names) > 1:
            return None
        sides.append(names.pop() if names else "zero")
    return sides[0], sides[1]


def _common(step: int, dilation: int, outer_taps: int, inner_taps: int) -> int:
    """The dilation that holds both tap grids; a single tap has none of its own."""
    return math.gcd(step if outer_taps > 1 else 0, dilation if inner_taps > 1 else 0) or 1


def _canonical_sides(
    axis: int, n: int, k: int, s: int, d: int, widths: tuple[int, int], names: Pair
) -> tuple[tuple[int, int], Pair]:
    """Padding down to what is really read, and 'zero' for a side that nothing reads."""
    before, after = widths
    span = reach(k, d)
    free = n + before + after - span
    if free < 0:
        raise GeometryError(
            f"axis {axis}: {k} taps with dilation {d} span {span} samples, but the array of {n} with "
            f"padding {(before, after)} has {n + before + after}; use a smaller kernel or more padding"
        )
    after -= free % s
    read = [(width > 0) for width in (before, after)]
    for outside, name in zip(read, names, strict=True):
        if outside and n == 1 and name in NEEDS_TWO_SAMPLES:
            raise GeometryError(
                f"axis {axis} has 1 sample, and boundary {name!r} reflects about a sample, so there is nothing "
                f"to reflect; use 'symmetric' or 'replicate'"
            )
    if "periodic" in names and any(read):
        return (before, after), names
    before_name, after_name = (name if outside else "zero" for name, outside in zip(names, read, strict=True))
    return (before, after), (before_name, after_name)
