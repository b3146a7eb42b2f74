"""What the rows of a convolution's matrix have in common.

Along one axis most outputs read the array alike, each `stride` samples after the one before; only those near an edge
differ. Consecutive outputs that read alike are a run. A row's pattern is made of one run for each axis, and
the matrix of rows written once and repeated.
"""

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array
from ..geometry import Geometry
from . import threads

Ints = NDArray[np.int64]

# How an axis is read: output `i` reads through tap `t` the extended position `i * stride + t * dilation`. Positions
# from `low` to `high` are samples `position - before`; the others, in order, are rows of `Outside` from `row` on.
# Outputs from `inside` to before `beyond` read samples only. Neighbouring samples are `pitch` columns apart. Its `runs`
# runs start at `first_run`; kinds of lines that differ in the next of them are `period` apart.
_AXIS = (
    "taps", "dilation", "stride", "samples", "before", "low", "high", "row", "outputs", "inside", "beyond", "pitch",
    "first_run", "runs", "period",
)  # fmt: skip
AXIS = np.dtype([(name, np.int64) for name in _AXIS])
# Outputs `first` to `last - 1` read `width` samples each, `step` after those of the output before.
RUN = np.dtype([(name, np.int64) for name in ("first", "last", "step", "width")])


@dataclass(frozen=True)
class Outside:
    """At each position outside stands `sum(weight * x[index])`, of shape `(positions, terms)`."""

    index: Ints
    weight: Ints

    @classmethod
    def of(cls, geometry: Geometry, axis: int) -> "Outside":
        """What stands outside `axis`; nothing has weight zero."""
        low, high = _own(geometry, axis)
        extension = geometry.extension(axis)
        shape = (geometry.extended[axis] - (high - low), extension.index.shape[1])
        index, weight = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        row = np.where(extension.position < low, extension.position, extension.position - (high - low))
        index[row], weight[row] = extension.index, extension.weight
        return cls(index, weight)

    def padded(self, terms: int) -> tuple[Ints, Ints]:
        """Index and weight with terms of weight zero added."""
        if self.index.shape[1] == terms:
            return self.index, self.weight
        more = ((0, 0), (0, terms - self.index.shape[1]))
        return np.pad(self.index, more), np.pad(self.weight, more)


def _own(geometry: Geometry, axis: int) -> tuple[int, int]:
    """The positions of the extended axis at which the array's own samples stand: from the first to before the last."""
    before, extended = geometry.padding[axis][0], geometry.extended[axis]
    return min(max(before, 0), extended), min(max(before + geometry.spatial[axis], 0), extended)


def inside(geometry: Geometry, axis: int) -> tuple[int, int]:
    """The outputs that read nothing outside: from the first to before the last."""
    before, s, m = geometry.padding[axis][0], geometry.stride[axis], geometry.out_spatial[axis]
    first = min(max(-(-before // s), 0), m)
    last = (geometry.spatial[axis] + before - geometry.reach[axis]) // s + 1
    return first, min(max(last, first), m)


def widths(geometry: Geometry, axis: int) -> Ints:
    """How many samples each of the outputs reads that are not `inside`."""
    first, last = inside(geometry, axis)
    sides = ((0, first), (last, geometry.out_spatial[axis]))
    return np.concatenate([_widths(geometry, axis, *side) for side in sides])


def _widths(geometry: Geometry, axis: int, first: int, last: int) -> Ints:
    """How many samples each output from `first` to `last - 1` reads, in time that does not grow with taps * outputs.

    A sample that stands at a position is read by outputs in an arithmetic progression. Where it stands at several,
    those that read it at the next and not already at the one before are added.
    """
    if first == last:
        return np.zeros(0, np.int64)
    k, d, s = geometry.kernel[axis], geometry.dilation[axis], geometry.stride[axis]
    common = math.gcd(s, d)
    period = d // common
    position, sample = _standing(geometry, axis, first * s, (last - 1) * s + geometry.reach[axis])
    position, sample = position[position % common == 0], sample[position % common == 0]
    kind = position // common * pow(s // common, -1, period) % period  # of the outputs, modulo the period
    low = np.maximum(first, -(((k - 1) * d - position) // s))
    low += (kind - low) % period
    high = np.minimum(last - 1, position // s)
    high -= (high - kind) % period
    order = np.lexsort((position, kind, sample))
    sample, kind, low, high = sample[order], kind[order], low[order], high[order]
    again = (sample[1:] == sample[:-1]) & (kind[1:] == kind[:-1])
    low[1:] = np.where(again, np.maximum(low[1:], high[:-1] + period), low[1:])
    read = low <= high
    change = np.zeros((-(-(last - first) // period) + 1) * period, np.int64)
    np.add.at(change, low[read] - first, 1)
    np.add.at(change, high[read] - first + period, -1)
    return change.reshape(-1, period).cumsum(axis=0).ravel()[: last - first]


def _standing(geometry: Geometry, axis: int, first: int, last: int) -> tuple[Ints, Ints]:
    """Each sample that stands at an extended position from `first` to `last - 1`, and the position."""
    low, high = _own(geometry, axis)
    own = np.arange(max(first, low), min(last, high))
    extension = geometry.extension(axis)
    row, term = np.nonzero(extension.weight)
    position = extension.position[row]
    near = (position >= first) & (position < last)
    return (
        np.concatenate([own, position[near]]),
        np.concatenate([own - geometry.padding[axis][0], extension.index[row, term][near]]),
    )


@dataclass(frozen=True)
class Layout:
    """All axes with their runs, as tables for compiled loops.

    Rows that differ in the last axis only are a line. Lines are of one kind if they have the same output channel
    and the same run on every axis but the last; kinds are numbered in that order.
    """

    axes: Array  # of AXIS
    runs: Array  # of RUN, those of the first axis first
    outside: Outside

    @classmethod
    def of(cls, geometry: Geometry) -> "Layout":
        from .assembly import split  # loads compiled code

        parts = [Outside.of(geometry, axis) for axis in range(geometry.ndim)]
        terms = max(part.index.shape[1] for part in parts)
        outside = Outside(*(np.concatenate(p) for p in zip(*(part.padded(terms) for part in parts), strict=True)))
        axes, runs, row = np.zeros(geometry.ndim, AXIS), [], 0
        for axis, part in enumerate(parts):
            edge = widths(geometry, axis)
            found = np.zeros(len(edge) + 1, RUN)
            axes[axis] = _read(geometry, axis, row=row, first_run=sum(map(len, runs)))
            number = split(axes, axis, outside.index, outside.weight, edge, found)
            runs.append(found[:number])
            row += len(part.index)
        count = np.array([len(each) for each in runs])
        axes["runs"], axes["period"] = count, [math.prod(count[axis + 1 : -1]) for axis in range(geometry.ndim)]
        return cls(axes, np.concatenate(runs), outside)

    @property
    def tables(self) -> tuple[Array, Array, Ints, Ints]:
        """What every compiled loop takes first."""
        return self.axes, self.runs, self.outside.index, self.outside.weight

    def of_axis(self, axis: int) -> Array:
        """The runs of one axis."""
        first = self.axes[axis]["first_run"]
        return self.runs[first : first + self.axes[axis]["runs"]]

    @property
    def leading(self) -> int:
        """How many kinds of lines an output channel has."""
        return math.prod(self.axes["runs"][:-1].tolist())

    def row_counts(self, support: NDArray[np.bool_]) -> Ints:
        """Entries of a row, for each kind of line and run of the last axis."""
        channels_out, channels_in = support.shape[:2]
        if support.all():
            read = reduce(np.multiply.outer, (self.of_axis(axis)["width"] for axis in range(len(self.axes))))
            return np.tile(channels_in * read.reshape(self.leading, -1), (channels_out, 1))
        from .assembly import count

        counts = np.empty((channels_out * self.leading, len(self.of_axis(-1))), np.int64)
        present = support.astype(np.float32).reshape(channels_out, -1)
        threads.share(count, len(counts), counts.size * present[0].size, *self.tables, present, channels_in, counts)
        return counts

    def lines(self, geometry: Geometry) -> tuple[Ints, Ints]:
        """The kind of every line, and by how much its columns lie behind those of the first line of its kind."""
        kind, base = np.zeros(1, np.int64), np.zeros(1, np.int64)
        for axis in range(geometry.ndim - 1):
            runs, pitch = self.of_axis(axis), self.axes[axis]["pitch"]
            length = runs["last"] - runs["first"]
            number = np.repeat(np.arange(len(runs)), length)
            moved = (np.arange(length.sum()) - runs["first"][number]) * runs["step"][number] * pitch
            kind = np.add.outer(kind * len(runs), number).ravel()
            base = np.add.outer(base, moved).ravel()
        output = np.arange(geometry.channels_out)
        group = output // (geometry.channels_out // geometry.groups)
        first = group * (geometry.channels_in // geometry.groups) * math.prod(geometry.spatial)
        return np.add.outer(output * self.leading, kind).ravel(), np.add.outer(first, base).ravel()


def _read(geometry: Geometry, axis: int, row: int, first_run: int) -> tuple[int, ...]:
    """An AXIS, before its runs are known."""
    low, high = _own(geometry, axis)
    return (
        geometry.kernel[axis], geometry.dilation[axis], geometry.stride[axis], geometry.spatial[axis],
        geometry.padding[axis][0], low, high, row,
        geometry.out_spatial[axis], *inside(geometry, axis), math.prod(geometry.spatial[axis + 1 :]), first_run, 0, 0,
    )  # fmt: skip
