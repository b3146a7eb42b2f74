"""The entries of a convolution's matrix, computed with tensors on any device from the geometry.

Along one axis, output `i` reads through tap `t` one sample, or a few where a boundary says so: the terms of `i`. The
terms of a row of the matrix are products of one term for each axis, so their columns, taps and places among the
entries are sums of small tables, one for each axis, spread over the rows. Nothing is sorted but those tables.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...apply.estimate import index_dtype
from ...dtypes import Array
from ...geometry import Geometry

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AxisTerms:
    """For each output of an axis its terms, by ascending column: `(outputs, terms)`, those with weight 0 are none."""

    column: Ints
    tap: Ints
    weight: Ints
    rank: Ints  # of the column among those of its output
    count: Ints  # columns of each output


def axis_terms(geometry: Geometry, axis: int) -> AxisTerms:
    """What each output of `axis` reads."""
    n, k, (before, _) = geometry.spatial[axis], geometry.kernel[axis], geometry.padding[axis]
    extension = geometry.extension(axis)
    index, weight = (np.zeros((geometry.extended[axis], extension.index.shape[1]), np.int64) for _ in range(2))
    inside = np.arange(max(before, 0), min(before + n, geometry.extended[axis]))
    index[inside, 0], weight[inside, 0] = inside - before, 1
    index[extension.position], weight[extension.position] = extension.index, extension.weight
    m = geometry.out_spatial[axis]
    position = np.arange(m)[:, None] * geometry.stride[axis] + np.arange(k) * geometry.dilation[axis]
    tap = np.broadcast_to(np.arange(k)[:, None], (m, k, index.shape[1]))
    terms = [each.reshape(m, -1) for each in (index[position], tap, weight[position])]
    return _ascending(*terms)


def _ascending(column: Ints, tap: Ints, weight: Ints) -> AxisTerms:
    order = np.argsort(np.where(weight != 0, column, np.iinfo(np.int64).max), axis=1, kind="stable")
    column, tap, weight = (np.take_along_axis(each, order, axis=1) for each in (column, tap, weight))
    some = weight != 0
    width = max(int(some.sum(axis=1).max()), 1)
    column, tap, weight, some = column[:, :width], tap[:, :width], weight[:, :width], some[:, :width]
    new = some.copy()
    new[:, 1:] &= column[:, 1:] != column[:, :-1]
    rank = np.maximum(new.cumsum(axis=1) - 1, 0)
    return AxisTerms(column, tap, weight, rank, new.sum(axis=1))


@dataclass(frozen=True)
class Entries:
    """The entries of a convolution of one channel, and how each is made from the taps.

    `values[entry[j]]` is the sum of `factor[j] * taps[tap[j]]`; without `entry`, entry `j` is made of tap `j` alone.
    """

    row_start: Tensor
    column: Tensor
    tap: Tensor
    entry: Tensor | None
    factor: Tensor | None

    def to(self, device: torch.device) -> "Entries":
        """The same on another device."""
        parts = (self.row_start, self.column, self.tap, self.entry, self.factor)
        return Entries(*(None if part is None else part.to(device) for part in parts))  # pyright: ignore[reportArgumentType]

    def values(self, taps: Tensor) -> Tensor:
        """Values `(..., entries)` of taps `(..., taps)`."""
        values = taps.index_select(-1, self.tap)
        if self.factor is not None:
            values = values * self.factor.to(values.dtype)
        if self.entry is None:
            return values
        return values.new_zeros(*taps.shape[:-1], len(self.column)).index_add(-1, self.entry, values)

    def touched(self, support: Tensor) -> Tensor:
        """Which entries some tap of `support` enters."""
        places = support.index_select(-1, self.tap).to(torch.int32)
        if self.entry is None:
            return places > 0
        counts = places.new_zeros(*support.shape[:-1], len(self.column))
        return counts.index_add(-1, self.entry, places) > 0


def entries(geometry: Geometry, device: torch.device) -> Entries:
    """The entries between one input and one output channel, rows and columns ascending."""
    axes = [axis_terms(geometry, axis) for axis in range(geometry.ndim)]
    counts = _total([axis.count for axis in axes], torch.mul, device).reshape(-1)
    size = (math.prod(geometry.out_shape), math.prod(geometry.in_shape))
    ints = torch.int32 if index_dtype(size, _bound(axes)) == np.int32 else torch.int64
    row_start = torch.nn.functional.pad(counts.cumsum(0), (1, 0)).to(ints)
    below = [math.prod(geometry.spatial[axis + 1 :]) for axis in range(geometry.ndim)]
    column = _spread([a.column * step for a, step in zip(axes, below, strict=True)], torch.add, device, ints)
    steps = [math.prod(geometry.kernel[axis + 1 :]) for axis in range(geometry.ndim)]
    tap = _spread([a.tap * step for a, step in zip(axes, steps, strict=True)], torch.add, device, ints)
    some = slice(None)
    if not all((axis.weight != 0).all() for axis in axes):
        some = _spread([axis.weight != 0 for axis in axes], torch.logical_and, device, torch.bool).reshape(-1)
    column, tap = column.reshape(-1)[some], tap.reshape(-1)[some]
    factor = None
    if any((axis.weight[axis.weight != 0] != 1).any() for axis in axes):
        factor = _spread([axis.weight for axis in axes], torch.mul, device, ints).reshape(-1)[some]
    if len(column) == int(row_start[-1]):
        return Entries(row_start, column, tap, None, factor)
    entry = _places(axes, row_start, device, ints).reshape(-1)[some]
    columns = column.new_empty(int(row_start[-1])).index_copy(0, entry.long(), column)
    return Entries(row_start, columns, tap, entry, factor)


def _bound(axes: list[AxisTerms]) -> int:
    """A number that terms do not exceed."""
    return math.prod(axis.column.size for axis in axes)


def _total(tables: list[Ints], combine: Callable[[Tensor, Tensor], Tensor], device: torch.device) -> Tensor:
    """Tables `(outputs,)` of each axis combined to `(*outputs)`."""
    ndim = len(tables)
    tensors = [torch.from_numpy(t).to(device).reshape(-1, *(1,) * (ndim - 1 - a)) for a, t in enumerate(tables)]
    return reduce(combine, tensors)


def _spread(
    tables: list[Array], combine: Callable[[Tensor, Tensor], Tensor], device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Tables `(outputs, terms)` of each axis combined to `(*outputs, *terms)`."""
    ndim = len(tables)
    tensors = []
    for axis, table in enumerate(tables):
        m, terms = table.shape
        shape = [1] * (2 * ndim)
        shape[axis], shape[ndim + axis] = m, terms
        tensors.append(torch.from_numpy(np.ascontiguousarray(table)).to(device, dtype).reshape(shape))
    return reduce(combine, tensors)


def _places(axes: list[AxisTerms], row_start: Tensor, device: torch.device, ints: torch.dtype) -> Tensor:
    """The entry that each term belongs to: the start of its row, and its ranks as digits of a mixed radix."""
    ndim = len(axes)
    outputs = [len(axis.count) for axis in axes]
    place = row_start[:-1].reshape(*outputs, *(1,) * ndim)
    for axis, each in enumerate(axes):
        others = [(a.count if b > axis else np.ones_like(a.count)) for b, a in enumerate(axes)]
        radix = _total(others, torch.mul, device).to(ints).reshape(*outputs, *(1,) * ndim)
        shape = [1] * (2 * ndim)
        shape[axis], shape[ndim + axis] = each.rank.shape
        place = place + torch.from_numpy(each.rank).to(device, ints).reshape(shape) * radix
    return place


def grouped_order(row_start: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Where each row's entries stand once for each channel: channel and entry, by row, channel, entry."""
    counts = row_start.diff()
    total = int(row_start[-1]) * channels
    starts, sizes = (
        torch.repeat_interleave(each.long(), counts.long() * channels, output_size=total)
        for each in (row_start[:-1], counts)
    )
    local = torch.arange(total, device=row_start.device) - starts * channels
    return local // sizes, starts + local % sizes
