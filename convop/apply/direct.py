"""Direct convolution: every tap in compiled loops, for kernels of few taps.

Forward and adjoint are correlations by the same loops (`correlate.py`). The adjoint at samples of one residue modulo
the stride is a correlation of step one of the zero-extended `y` with the taps that meet that residue, reversed and with
channels swapped. What it finds outside the array is added back to where the boundary took it from.
Complex numbers go as pairs of real channels, so that the loops are over reals.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array
from ..geometry import Geometry
from . import complexity
from .blocking import Axis, Blocking
from .extend import fold_onto

Range = tuple[int, int]


def applies(geometry: Geometry) -> bool:
    return True


def prepare(geometry: Geometry, weight: Array) -> "Prepared":
    grouped = weight.reshape(geometry.groups, -1, *geometry.weight_shape[1:])
    if np.iscomplexobj(grouped):
        grouped = complexity.real_weight(grouped)
    return Prepared(geometry, np.ascontiguousarray(grouped))


@dataclass(frozen=True)
class Prepared:
    """A geometry with its weight as `(groups, C_out/groups, C_in/groups, *kernel)` of reals."""

    geometry: Geometry
    weight: Array

    @cached_property
    def forward(self) -> Blocking:
        g = self.geometry
        axes = [
            Axis(
                g.spatial[a], g.padding[a][0], g.out_spatial[a], g.stride[a], g.kernel[a], g.dilation[a],
                g.extension(a), g.out_spatial[a],
            )
            for a in range(g.ndim)
        ]  # fmt: skip
        return Blocking(tuple(axes), self.weight)

    @cached_property
    def inside(self) -> "Region":
        """The adjoint at the array's own samples."""
        g = self.geometry
        return Region.of(self, tuple((b, b + n) for n, (b, _) in zip(g.spatial, g.padding, strict=True)))

    @cached_property
    def outside(self) -> tuple[tuple[int, "Region"], ...]:
        """The adjoint at the samples outside, in slabs: before or after an axis, wherever on the axes that follow."""
        return tuple((axis, Region.of(self, ranges)) for axis, ranges in _slabs(self.geometry))


@dataclass(frozen=True)
class Region:
    """The adjoint at extended positions `ranges`: a correlation for each residue of the strides."""

    ranges: tuple[Range, ...]
    parts: tuple[Blocking, ...]
    channels: int
    complete: bool  # whether every sample is some part's

    @classmethod
    def of(cls, prepared: Prepared, ranges: tuple[Range, ...]) -> "Region":
        g, swapped = prepared.geometry, prepared.weight.swapaxes(1, 2)
        residues = [list(_residues(g, axis, *each)) for axis, each in enumerate(ranges)]
        met = [[(axis, taps) for axis, taps in each if len(taps)] for each in residues]
        parts = []
        for combination in itertools.product(*met):
            axes, taps = zip(*combination, strict=True)
            block = swapped[np.ix_(*map(np.arange, swapped.shape[:3]), *taps)]
            parts.append(Blocking(axes, np.ascontiguousarray(block)))
        channels = swapped.shape[0] * swapped.shape[1]
        return cls(ranges, tuple(parts), channels, all(map(len, met)) and residues == met)

    def correlate(self, y: Array) -> Array:
        """`y` of shape `(batch, channels, *out_spatial)`, real, to `(batch, channels, *ranges)`."""
        shape = (len(y), self.channels, *(stop - start for start, stop in self.ranges))
        u = (np.empty if self.complete else np.zeros)(shape, y.dtype)
        for part in self.parts:
            part.run(y, u)
        return u


def forward(prepared: Prepared, x: Array) -> Array:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    groups, c_out = prepared.weight.shape[:2]
    y = np.empty((len(x), groups * c_out, *prepared.geometry.out_spatial), prepared.weight.dtype)
    prepared.forward.run(complexity.split(x), y)
    return complexity.join(y, x.dtype)


def adjoint(prepared: Prepared, y: Array) -> Array:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    parts = complexity.split(y)
    x = prepared.inside.correlate(parts)
    for axis, slab in prepared.outside:
        fold_onto(prepared.geometry, slab.correlate(parts), axis, slab.ranges[axis][0], x)
    return complexity.join(x, y.dtype)


def _residues(geometry: Geometry, axis: int, start: int, stop: int) -> Iterator[tuple[Axis, NDArray[np.intp]]]:
    """For each residue modulo the stride: the correlation that makes its samples from `start` to `stop`, and its taps.

    A tap `t` meets position `e` where the stride divides `e - t d`, and reads `y` at the quotient.
    """
    s, d, k = geometry.stride[axis], geometry.dilation[axis], geometry.kernel[axis]
    for first in range(start, min(start + s, stop)):
        taps = np.flatnonzero((first - np.arange(k) * d) % s == 0)[::-1]
        places = (first - taps * d) // s
        yield Axis(
            geometry.out_spatial[axis], -int(places[0]) if len(taps) else 0, -(-(stop - first) // s), 1,
            len(taps), int(places[1] - places[0]) if len(taps) > 1 else 1, None,
            stop - start, first - start, s,
        ), taps  # fmt: skip


def _slabs(geometry: Geometry) -> Iterator[tuple[int, tuple[Range, ...]]]:
    """Disjoint boxes that hold every sample outside: beside one axis, inside on those before, anywhere on the rest."""
    inside = [(b, b + n) for n, (b, _) in zip(geometry.spatial, geometry.padding, strict=True)]
    extended = [(0, size) for size in geometry.extended]
    for axis in range(geometry.ndim):
        position = geometry.extension(axis).position
        first, last = inside[axis]
        for side in (position[position < first], position[position >= last]):
            if len(side):
                yield axis, (*inside[:axis], (int(side[0]), int(side[-1]) + 1), *extended[axis + 1 :])
