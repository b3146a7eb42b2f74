"""One correlation of lines in memory as data: tables that the compiled loops follow, made once for many signals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array
from ..geometry import Extension
from . import threads

LINE = 2**14  # bytes of a line of outputs that are made at a time: long ones cost less to gather
BLOCK = 2**18  # bytes of all the lines that a block of outputs reads, about a quarter of the next cache
SHORT = 400  # samples of a line that loops on it alone cost more to start than to run
ROWS = 16  # rows of outputs in a block: more share what they read, but it leaves the nearest cache


@dataclass(frozen=True)
class Axis:
    """One axis: output `i` adds what its taps find at extended positions `i * stride + tap * dilation`.

    Sample `j` of the array stands at position `before + j`; `extension` says what stands outside, None means zeros.
    Results go to every `target_step`-th sample from `target` on of an axis of `target_size`.
    """

    size: int
    before: int
    count: int
    stride: int
    taps: int
    dilation: int
    extension: Extension | None
    target_size: int
    target: int = 0
    target_step: int = 1

    @property
    def span(self) -> int:
        """How many extended positions are read."""
        return (self.count - 1) * self.stride + self.span_of_taps

    @property
    def span_of_taps(self) -> int:
        return (self.taps - 1) * self.dilation + 1

    def terms(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Every sample outside, as position, index of a sample and its factor, ordered by position."""
        if self.extension is None:
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.intp)
        position, index, weight = self.extension.position, self.extension.index, self.extension.weight
        position = np.repeat(position[:, None], index.shape[1], axis=1)
        real = weight != 0
        return position[real], index[real], weight[real]


@dataclass(frozen=True)
class Blocking:
    """A correlation along `axes` with a real `weight` of shape `(groups, C_out, C_in, *taps)`."""

    axes: tuple[Axis, ...]
    weight: Array

    def run(self, x: Array, y: Array) -> None:
        """Correlate `x`, `(batch, groups * C_in, *sizes)`, into `y`, `(batch, groups * C_out, *target_sizes)`."""
        from . import correlate

        groups, c_out, c_in = self.weight.shape[:3]
        batch = len(x)
        threads.share(
            correlate.by_four if self._by_four else correlate.by_one, batch * self._tasks, batch * self._work,
            x.reshape(batch, groups, c_in, -1), *self._tables, y.reshape(batch, groups, c_out, -1),
        )  # fmt: skip

    @cached_property
    def _split(self) -> tuple[tuple[Axis, ...], Axis, Axis]:
        """The axes as those of planes, of rows and of columns."""
        one = Axis(1, 0, 1, 1, 1, 1, None, 1)
        *outer, row, column = self.axes if len(self.axes) > 1 else (one, *self.axes)
        return tuple(outer), row, column

    @cached_property
    def _planes(self) -> int:
        """How many taps the axes of planes have."""
        return math.prod(axis.taps for axis in self._split[0])

    @cached_property
    def _work(self) -> int:
        """Multiply-adds for one signal."""
        return math.prod(axis.count for axis in self.axes) * self.weight.size

    @cached_property
    def _tasks(self) -> int:
        """Blocks of outputs of one signal."""
        outer, row, column = self._split
        blocks = -(-row.count // self._height) * -(-column.count // self._width)
        return self.weight.shape[0] * math.prod(axis.count for axis in outer) * blocks

    @cached_property
    def _width(self) -> int:
        """Outputs of a line that are made at a time: blocks of equal size, no shorter than the kernel's span."""
        column = self._split[2]
        long = (column.taps - 1) * column.dilation // column.stride
        return _equal_parts(column.count, max(LINE // self.weight.itemsize, long))

    @cached_property
    def _height(self) -> int:
        """Rows of outputs that are made at a time."""
        row = self._split[1]
        line = self.weight.shape[2] * self._planes * self._pitches[1] * self.weight.itemsize
        fit = (BLOCK // line - (row.taps - 1) * row.dilation - 1) // row.stride + 1
        return _equal_parts(row.count, max(min(ROWS, fit), min(4, row.taps)))

    @cached_property
    def _slots(self) -> NDArray[np.int64]:
        """For each residue of the stride along a line, its place among those that some tap reads, or -1."""
        column = self._split[2]
        used = np.unique(np.arange(column.taps) * column.dilation % column.stride)
        slots = np.full(column.stride, -1)
        slots[used] = np.arange(len(used))
        return slots

    @cached_property
    def _pitches(self) -> tuple[int, int]:
        """Samples from one slot of a gathered line to the next, and from one line to the next."""
        column = self._split[2]
        phase = self._width + (column.taps - 1) * column.dilation // column.stride
        return phase, phase * (int(self._slots.max()) + 1)

    @cached_property
    def _by_four(self) -> bool:
        """Whether four rows of outputs at once pay: they share samples, and their kernels' rows overlap in most."""
        _, row, column = self._split
        return (
            row.stride == row.dilation and self._slots.size == 1 and row.taps > 5 and column.taps > 2 and row.count >= 4
        )

    @cached_property
    def _together(self) -> bool:
        """Whether all rows of a block are made as one: they are short, and little lies between two of them."""
        _, row, column = self._split
        waste = self._pitches[1] - self._width
        return row.stride == column.stride == 1 and self._width < SHORT and waste <= self._width // 2 + 8

    @cached_property
    def _tables(self) -> tuple[object, ...]:
        """What the loops are given between `x` and `y`."""
        _, row, column = self._split
        dtype, taps = self.weight.dtype, np.arange(column.taps) * column.dilation
        (phase, pitch), ways = self._pitches, 4 if self._by_four else 1
        lines = self._height - 1 + row.taps if self._by_four else (self._height - 1) * row.stride + row.span_of_taps
        area = -(-lines // ways) * pitch
        columns = self._slots[taps % column.stride] * phase + taps // column.stride
        numbers = np.arange(ways)[:, None] + np.arange(row.taps) * (1 if self._by_four else row.dilation)
        first = numbers % ways * area + numbers // ways * pitch
        planes = np.arange(self._planes) * ways * area
        offsets = np.add.outer(np.add.outer(planes, first).swapaxes(0, 1), columns).reshape(ways, -1)
        position, index, factor = column.terms()
        edges = (column.size, column.before), position, index, factor.astype(dtype)
        sizes = (
            (row.count, row.stride, row.dilation, row.taps), column.count,
            (row.target_step * column.target_size, column.target_step),
            (self._height, self._width, pitch, phase, area, ways * area, ways, int(self._together)),
        )  # fmt: skip
        weight = self.weight.reshape(*self.weight.shape[:3], -1)
        tables = self._lines(), edges, sizes, self._starts(), self._targets(), self._slots, offsets, columns, weight
        return (*tables, self._padded_weight()) if self._by_four else tables

    def _lines(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """For every extended line, `start[line]` to `start[line + 1]`: the lines of the array it is a sum of."""
        outer, row, column = self._split
        position, source, factor = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1, np.int64)
        for axis in (*outer, row):
            inside = np.arange(max(axis.before, 0), min(axis.before + axis.size, axis.span))
            terms = (inside, inside - axis.before, np.ones_like(inside)), axis.terms()
            places, samples, factors = (np.concatenate(pair) for pair in zip(*terms, strict=True))
            position = np.add.outer(position * axis.span, places).ravel()
            source = np.add.outer(source * axis.size, samples).ravel()
            factor = np.multiply.outer(factor, factors).ravel()
        order = np.argsort(position, kind="stable")
        lines = math.prod(axis.span for axis in (*outer, row))
        starts = np.searchsorted(position[order], np.arange(lines + 1))
        return starts, source[order] * column.size, factor[order].astype(self.weight.dtype)

    def _starts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first extended line of each output of the outer axes, and how far each of their taps is from it."""
        outer, row, _ = self._split
        pitches = [math.prod(axis.span for axis in (*outer[a + 1 :], row)) for a in range(len(outer))]
        outputs = [np.arange(axis.count) * axis.stride * p for axis, p in zip(outer, pitches, strict=True)]
        taps = [np.arange(axis.taps) * axis.dilation * p for axis, p in zip(outer, pitches, strict=True)]
        return _sums(outputs), _sums(taps)

    def _targets(self) -> NDArray[np.int64]:
        """For each output of the outer axes, where the result of its first row and column goes."""
        outer, row, column = self._split
        places = [axis.target + np.arange(axis.count) * axis.target_step for axis in outer]
        sizes = [axis.target_size for axis in (*outer, row, column)]
        pitches = [math.prod(sizes[a + 1 :]) for a in range(len(outer))]
        first = np.array([row.target * column.target_size + column.target])
        return _sums([*(place * p for place, p in zip(places, pitches, strict=True)), first])

    def _padded_weight(self) -> Array:
        """The weight as `(groups, C_out, C_in, planes, rows, columns)` with zeros up to a multiple of eight columns."""
        _, row, column = self._split
        shape = *self.weight.shape[:3], self._planes, row.taps
        padded = np.zeros((*shape, -(-column.taps // 8) * 8), self.weight.dtype)
        padded[..., : column.taps] = self.weight.reshape(*shape, column.taps)
        return padded


def _sums(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All sums of one entry of each part, the last part fastest."""
    total = np.zeros(1, np.int64)
    for part in parts:
        total = np.add.outer(total, part).ravel()
    return total


def _equal_parts(count: int, most: int) -> int:
    """The size of the largest part when `count` things are split evenly into parts of no more than `most`."""
    return -(-count // -(-count // most))
