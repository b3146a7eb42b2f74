"""The rows of a convolution's matrix as a dictionary of patterns.

Along one axis most outputs see the array alike: the same columns relative to a base, the same taps; only those
near an edge differ. Such a class of outputs is found for each axis. A class on every axis makes a row pattern
(columns in ascending order, values from the kernel), and a row is its pattern shifted to its base.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry
from ..memory import require_bytes

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class AxisClass:
    """Outputs of one axis with one pattern: tap `tap[e]` times `weight[e]` enters column `base + columns[place[e]]`."""

    columns: Ints
    place: Ints
    tap: Ints
    weight: Ints

    @property
    def one_to_one(self) -> bool:
        """Whether every column is read by one tap, as it stands."""
        return len(self.place) == len(self.columns) and bool((self.weight == 1).all())

    def contract(self, block: NDArray, axis: int) -> NDArray:
        """`block` with the taps of `axis` replaced by the columns of this class."""
        if self.one_to_one:
            return block.take(self.tap[np.argsort(self.place)], axis)
        taps = np.moveaxis(block, axis, 0)
        columns = np.zeros((len(self.columns), *taps.shape[1:]), block.dtype)
        weight = self.weight.astype(block.dtype).reshape(-1, *(1,) * (taps.ndim - 1))
        np.add.at(columns, self.place, taps[self.tap] * weight)
        return np.moveaxis(columns, 0, axis)

    def support(self) -> "AxisClass":
        """The same places with all weights one, for counting."""
        return AxisClass(self.columns, self.place, self.tap, np.ones_like(self.weight))


@dataclass(frozen=True)
class AxisPatterns:
    """The classes of an axis, and for each output its class and its base (the first column it touches)."""

    classes: list[AxisClass]
    label: Ints
    base: Ints


def axis_patterns(geometry: Geometry, axis: int) -> AxisPatterns:
    """Sort the outputs of `axis` into classes; those that read inside the array are one."""
    k, d = geometry.kernel[axis], geometry.dilation[axis]
    base = np.arange(geometry.out_spatial[axis]) * geometry.stride[axis] - geometry.padding[axis][0]
    inside = (base >= 0) & (base + geometry.reach[axis] <= geometry.spatial[axis])
    edge = int((~inside).sum())
    require_bytes(
        64 * edge * k,  # four arrays of ints for each class, and as many bytes to tell it from the others
        f"sorting the {edge} outputs that read outside axis {axis}, of {k} taps each,",
        "apply the operator without its matrix, or take a shorter kernel",
    )
    label, taps = np.zeros(len(base), np.intp), np.arange(k)
    classes = [AxisClass(taps * d, taps, taps, np.ones(k, np.intp))] if inside.any() else []
    known: dict[tuple[bytes, ...], int] = {}
    for output in np.flatnonzero(~inside).tolist():
        base[output], edge = _edge_class(geometry, axis, output)
        key = tuple(array.tobytes() for array in (edge.columns, edge.place, edge.tap, edge.weight))
        if key not in known:
            known[key] = len(classes)
            classes.append(edge)
        label[output] = known[key]
    return AxisPatterns(classes, label, base)


def _edge_class(geometry: Geometry, axis: int, output: int) -> tuple[int, AxisClass]:
    """The base and class of an output that reads outside: where its taps end up through the boundary."""
    n, (before, _), k = geometry.spatial[axis], geometry.padding[axis], geometry.kernel[axis]
    position = output * geometry.stride[axis] + np.arange(k) * geometry.dilation[axis]
    inside = np.flatnonzero((position >= before) & (position < before + n))
    extension = geometry.extension(axis)
    outside, sample, _ = _lookup(position, extension.position)
    terms = extension.index.shape[1]
    column = np.concatenate([position[inside] - before, extension.index[sample].ravel()])
    tap = np.concatenate([inside, np.repeat(outside, terms)])
    weight = np.concatenate([np.ones_like(inside), extension.weight[sample].ravel()])
    real = weight != 0
    columns, place = np.unique(column[real], return_inverse=True)
    first = int(columns[0]) if len(columns) else 0
    return first, AxisClass(columns - first, place, tap[real], weight[real])


def _lookup(wanted: Ints, ordered: Ints) -> tuple[Ints, Ints, Ints]:
    """Which entries of `wanted` stand in `ordered`, and where; and their values."""
    common, first, second = np.intersect1d(wanted, ordered, assume_unique=True, return_indices=True)
    return first, second, common


@dataclass(frozen=True)
class Patterns:
    """All row patterns, one after the other: pattern `p` is `offset[start[p]:start[p + 1]]` with its values.

    They are ordered by class on the first axis, ..., class on the last axis, output channel.
    """

    start: NDArray[np.int64]
    offset: NDArray[np.int64]
    value: NDArray


def touched(support: NDArray, combination: tuple[AxisClass, ...]) -> NDArray[np.bool_]:
    """Which columns of a pattern are read by a tap whose weight is not zero: `(C_out, C_in/groups, *columns)`."""
    for axis, each in enumerate(combination):
        support = each.support().contract(support, axis + 2)
    return support > 0


def row_patterns(geometry: Geometry, weight: NDArray, axes: list[AxisPatterns]) -> Patterns:
    """The dictionary of rows. A tap whose weight is zero has no entry."""
    support = (weight != 0).astype(np.float32)
    pitch = [math.prod(geometry.spatial[axis + 1 :]) for axis in range(geometry.ndim)]
    channel = np.arange(weight.shape[1]) * math.prod(geometry.spatial)
    counts, offsets, values = [np.zeros(1, np.int64)], [], []
    for combination in itertools.product(*(each.classes for each in axes)):
        offset, value = channel, weight
        for axis, (each, step) in enumerate(zip(combination, pitch, strict=True)):
            offset = np.add.outer(offset, each.columns * step)
            value = each.contract(value, axis + 2)
        entries = touched(support, combination)
        counts.append(entries.reshape(weight.shape[0], -1).sum(axis=1))
        offsets.append(np.broadcast_to(offset, entries.shape)[entries])
        values.append(value[entries])
    return Patterns(np.cumsum(np.concatenate(counts)), np.concatenate(offsets), np.concatenate(values))


def rows(geometry: Geometry, axes: list[AxisPatterns]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pattern and base column of every row, in the order of `(C_out, *out_spatial)`."""
    pattern, base = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for axis, each in enumerate(axes):
        pattern = np.add.outer(pattern * len(each.classes), each.label).ravel()
        base = np.add.outer(base, each.base * math.prod(geometry.spatial[axis + 1 :])).ravel()
    output = np.arange(geometry.channels_out)
    group = output // (geometry.channels_out // geometry.groups)
    first = group * (geometry.channels_in // geometry.groups) * math.prod(geometry.spatial)
    return np.add.outer(output, pattern * geometry.channels_out).ravel(), np.add.outer(first, base).ravel()
