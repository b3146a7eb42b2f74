"""Many channels through BLAS: each tile of outputs gathers what it reads and is one small stack of matrix products.

A tile's buffer holds rows of the array, with a copy for each tap of the other axes: `(rows, taps, channels, columns)`.
Taps along the rows need no copies, since the windows of neighbouring outputs are overlapping views of the buffer;
where they do not fit together (dilation, short rows) every tap is copied, the im2col of the textbooks.

Tiles are shared out over threads. BLAS must then stay in the thread that calls it, so products are small enough for
OpenBLAS to start no threads of its own (`product_limit`); one core multiplies those at its full speed.

The adjoint is the same gathering from `y`: inputs of one residue modulo the stride are a stride-1 correlation of `y`
with the taps that meet that residue, in reverse, channels swapped.

Memory beside the result: for each thread a buffer of `BUFFER` bytes, or of one window where that is more.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array, DType
from ..geometry import Geometry
from . import machine, threads
from .compiled import compiled
from .extend import extend, fold

INNER = 640  # terms of the sums in one product; more are added up
BUFFER = 2**20  # bytes that a tile gathers: a common second-level cache
SHORT = 24  # outputs in a row below which several rows go into one product

Indices = NDArray[np.int64]


def _gather(x, lines, columns, steady, step, begin, size, pitch, buffer):
    """For each segment, tap and channel the samples that `size` outputs from `begin` on read, zero where nothing is.

    `x` (channels, lines, samples); `lines` (segments, line taps) and `columns` (column taps, outputs) say what is read,
    -1 for nothing; from output `steady[j, 0]` to `steady[j, 1]` tap `j` reads every `step`-th sample.
    With a `pitch` each segment is `pitch` further in the buffer; without, segments follow one another in each row.
    """
    channels, taps = x.shape[0], columns.shape[0]
    done = 0
    for segment in range(lines.shape[0]):
        first, count, base = begin, size, segment * pitch
        if pitch == 0:
            first, base = (begin if segment == 0 else 0), done
            count = min(columns.shape[1] - first, size - done)
            done += count
        for tap in range(lines.shape[1] * taps):
            line, j = lines[segment, tap // taps], tap % taps
            at = base + tap * channels * size
            if line < 0:
                for c in range(channels):
                    out = buffer[at + c * size :]
                    for i in range(count):
                        out[i] = 0
                continue
            low = min(max(steady[j, 0], first), first + count) - first
            high = max(min(steady[j, 1], first + count) - first, low)
            for i in range(count):
                if low <= i < high:
                    continue
                index = columns[j, first + i]
                for c in range(channels):
                    if index < 0:
                        buffer[at + c * size + i] = 0
                    else:
                        buffer[at + c * size + i] = x[c, line, index]
            if low == high:
                continue
            start = columns[j, first + low]
            for c in range(channels):
                out = buffer[at + c * size + low :]
                source = x[c, line, start:]
                if step == 1:
                    for i in range(high - low):
                        out[i] = source[i]
                else:
                    for i in range(high - low):
                        out[i] = source[i * step]


@dataclass(frozen=True)
class Reading:
    """One axis: at tap `t` output `i` reads sample `source[i * stride + t * dilation]`, nothing where that is -1."""

    source: Indices
    size: int
    stride: int
    dilation: int
    taps: int
    outputs: int

    def table(self) -> Indices:
        """The sample of each `(output, tap)`."""
        return self.source[np.add.outer(np.arange(self.outputs) * self.stride, np.arange(self.taps) * self.dilation)]

    def whole(self) -> "Reading":
        """The same coordinates, each an output with a single tap."""
        last = (self.outputs - 1) * self.stride + (self.taps - 1) * self.dilation
        return Reading(self.source, self.size, 1, 1, 1, last + 1)


@cache
def product_limit(dtype: DType) -> int:
    """Multiply-adds of the largest product that OpenBLAS computes in the thread that calls it.

    It shares out what has 2 * 2^18 or more (its interface/gemm.c), but where there is AVX-512 it multiplies real
    matrices of up to 10^6 in place (its kernel/x86_64/sgemm_small_kernel_permit_skylakex.c).
    """
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # pyright: ignore
    wide = any(name in ("AVX512_SKX", "X86_V4") for name in found)
    return 10**6 if wide and dtype.kind == "f" else 2**19 - 1


@dataclass(frozen=True)
class Tile:
    """How much is done at a time."""

    columns: int  # outputs in a product
    channels: int  # output channels of a product
    terms: int  # of the sums in a product
    rows: int  # products that share a buffer

    @classmethod
    def of(cls, product: "Product") -> "Tile":
        c_out, terms = product.weight.shape[1:]
        limit, itemsize = product_limit(product.weight.dtype), product.weight.itemsize
        inner = -(-terms // -(-terms // INNER))
        columns = _even(product.length, max(32, limit // (inner * min(c_out, 16)) // 16 * 16), 16)
        channels = max(1, min(c_out, limit // (columns * inner)))
        row = terms // product.window * columns * itemsize
        rows = max(1, (BUFFER // row - product.window) // product.stride + 1)
        # Several tiles for each thread, unless they would be little more than their overlap.
        lines = math.prod(product.outputs) // product.length * -(-product.length // columns)
        rows = min(rows, max(2 * product.window, lines // (4 * threads.count())))
        if channels < c_out:
            channels = channels // 8 * 8 or channels
        return cls(columns, channels, inner, _even(product.rows, rows, 1))


def _even(total: int, most: int, multiple: int) -> int:
    """The size of pieces of `total` of nearly the same size, a multiple if there are several, about `most` at most."""
    pieces = -(-total // most)
    return min(total, -(-total // (pieces * multiple)) * multiple)


class Product:
    """A correlation with one reading for each axis and `weight` `(groups, C_out/groups, C_in/groups, *taps)`.

    With a `window`, `rows` are the outputs of the last axis but one and `length` those of the last; without one,
    `length` is all outputs in one line.
    """

    def __init__(self, readings: Sequence[Reading], weight: Array) -> None:
        self.outputs = tuple(reading.outputs for reading in readings)
        *lines, last = readings
        taps = np.moveaxis(weight, 2, -1)  # channels fastest
        self.window = self.stride = 1
        if lines and lines[-1].dilation == 1 and lines[-1].stride < lines[-1].taps and last.outputs >= SHORT:
            self.window, self.stride = lines[-1].taps, lines[-1].stride
            lines[-1] = lines[-1].whole()
            taps = np.moveaxis(taps, -3, 2)  # rows slowest
        self.weight = np.ascontiguousarray(taps).reshape(*weight.shape[:2], -1)
        self.lines = _lines(lines)
        self.columns = np.ascontiguousarray(last.table().T)
        self.step = last.stride
        self.steady = np.array([_steady(column, last.stride) for column in self.columns], np.int64)
        self.rows, self.length = self.outputs[-2:] if self.window > 1 else (1, math.prod(self.outputs))
        self.tile = Tile.of(self)

    def run(self, x: Array, y: Array) -> None:
        """Write the correlation of `x` `(batch, C_in, *sizes)` to `y` `(batch, C_out, *outputs)`."""
        if not y.flags.c_contiguous:
            whole = np.empty(y.shape, y.dtype)
            self.run(x, whole)
            y[...] = whole
            return
        groups, c_out, terms = self.weight.shape
        x = x.reshape(len(x) * groups, -1, math.prod(x.shape[2:-1]), x.shape[-1])
        y = y.reshape(len(y) * groups, c_out, -1, self.rows, self.length)
        work = y.size * terms
        threads.share(self._tiles, math.prod(self._counts(y)), work, x, y)

    def _counts(self, y: Array) -> tuple[int, int, int, int]:
        """Tiles along batch and groups, other axes, rows and columns."""
        return len(y), y.shape[2], -(-self.rows // self.tile.rows), -(-self.length // self.tile.columns)

    def _tiles(self, x: Array, y: Array, start: int, stop: int) -> None:
        tile, counts = self.tile, self._counts(y)
        lines = self.lines.reshape(y.shape[2] if self.window > 1 else 1, -1, self.lines.shape[1])
        terms = self.weight.shape[2]
        row_terms = terms // self.window
        buffer = np.empty(((tile.rows - 1) * self.stride + self.window) * row_terms * tile.columns, y.dtype)
        partial = np.empty((tile.rows, tile.channels, tile.columns), y.dtype)
        gather = compiled(_gather)
        for task in range(start, stop):
            rest, piece = divmod(task, counts[3])
            rest, block = divmod(rest, counts[2])
            item, other = divmod(rest, counts[1])
            first, begin = block * tile.rows, piece * tile.columns
            rows, size = min(tile.rows, self.rows - first), min(tile.columns, self.length - begin)
            if self.window > 1:
                pitch = row_terms * size
                read = lines[other, first * self.stride : (first + rows - 1) * self.stride + self.window]
            else:
                pitch, across = 0, self.columns.shape[1]
                read = lines[0, begin // across : (begin + size - 1) // across + 1]
            low = begin if pitch else begin % self.columns.shape[1]
            gather(x[item], read, self.columns, self.steady, self.step, low, size, pitch, buffer)
            strides = (self.stride * pitch * y.itemsize, size * y.itemsize, y.itemsize)
            windows = np.ndarray((rows, terms, size), y.dtype, buffer, 0, strides)
            target = y[item, :, other, first : first + rows, begin : begin + size].swapaxes(0, 1)
            self._multiply(self.weight[item % len(self.weight)], windows, target, partial[:rows, :, :size])

    def _multiply(self, weight: Array, windows: Array, target: Array, partial: Array) -> None:
        """`target[r] = weight @ windows[r]`, a few output channels and terms at a time."""
        channels, terms = self.tile.channels, self.tile.terms
        for o in range(0, len(weight), channels):
            some = weight[o : o + channels]
            out = target[:, o : o + channels]
            np.matmul(some[:, :terms], windows[:, :terms], out=out)
            for t in range(terms, weight.shape[1], terms):
                part = partial[:, : len(some)]
                np.matmul(some[:, t : t + terms], windows[:, t : t + terms], out=part)
                out += part


def _lines(readings: Sequence[Reading]) -> Indices:
    """Which line of the array each `(output, tap)` of all axes but the last reads, -1 for none."""
    lines = np.zeros((1, 1), np.int64)
    for reading in readings:
        table = reading.table()[None, :, None, :]
        before = lines[:, None, :, None]
        both = np.where((before < 0) | (table < 0), -1, before * reading.size + table)
        lines = both.reshape(len(lines) * reading.outputs, -1)
    return lines


def _steady(column: Indices, step: int) -> tuple[int, int]:
    """The longest range of outputs in which each sample read is `step` after the one before."""
    breaks = np.flatnonzero((np.diff(column) != step) | (column[:-1] < 0)) + 1
    edges = np.concatenate([[0], breaks, [len(column)]])
    longest = int(np.argmax(np.diff(edges) * (column[edges[:-1]] >= 0)))
    low, high = int(edges[longest]), int(edges[longest + 1])
    return (low, high) if column[low] >= 0 else (low, low)


@dataclass(frozen=True)
class Prepared:
    """A geometry with its weight `(C_out, C_in/groups, *kernel)`, real or complex like the signals to come."""

    geometry: Geometry
    weight: Array

    @cached_property
    def blocks(self) -> Array:
        """The weight as `(groups, C_out/groups, C_in/groups, *kernel)`."""
        return self.weight.reshape(self.geometry.groups, -1, *self.weight.shape[1:])

    @cached_property
    def extended(self) -> tuple[int, ...]:
        """Axes outside of which stand combinations of samples, so that they are extended first."""
        g = self.geometry
        return tuple(axis for axis in range(g.ndim) if (g.extension(axis).weight != 1).any())

    @cached_property
    def correlation(self) -> Product:
        return Product([_reading(self.geometry, a, a in self.extended) for a in range(self.geometry.ndim)], self.blocks)

    @cached_property
    def folded(self) -> tuple[int, ...]:
        """Axes whose adjoint adds copies back."""
        g = self.geometry
        return tuple(axis for axis in range(g.ndim) if len(g.extension(axis).position) and not _wraps(g, axis))

    @cached_property
    def phases(self) -> list[tuple[tuple[slice, ...], Product]]:
        """The adjoint: which samples, and the correlation of `y` that gives them."""
        g = self.geometry
        axes = [_phases(g, axis, axis in self.folded) for axis in range(g.ndim)]
        swapped = self.blocks.swapaxes(1, 2).conj()
        found = []
        for phase in itertools.product(*axes):
            places, readings, taps = zip(*phase, strict=True)
            block = swapped[np.ix_(*map(np.arange, swapped.shape[:3]), *taps)]
            found.append((places, Product(readings, block)))
        return found


def applies(geometry: Geometry) -> bool:
    return True


def cost(geometry: Geometry, weight: Array) -> float:
    """Predicted ns of one application."""
    unit = machine.constants().product * machine.arithmetic(weight.dtype)
    outputs = math.prod(geometry.out_spatial)
    # With few output channels BLAS has too little to do for what it reads.
    product = (1 + 3 * geometry.groups / geometry.channels_out) * geometry.channels_out * geometry.work
    gathered = 6 * geometry.channels_in * geometry.taps / geometry.kernel[-2 if geometry.ndim > 1 else -1]
    return unit * outputs * (product + gathered)


def prepare(geometry: Geometry, weight: Array) -> Prepared:
    return Prepared(geometry, weight)


def forward(prepared: Prepared, x: Array) -> Array:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    g = prepared.geometry
    y = np.empty((len(x), g.channels_out, *g.out_spatial), x.dtype)
    prepared.correlation.run(extend(g, x, prepared.extended), y)
    return y


def adjoint(prepared: Prepared, y: Array) -> Array:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    g = prepared.geometry
    sizes = [_domain(g, axis, axis in prepared.folded)[1] for axis in range(g.ndim)]
    covered = sum(math.prod(product.outputs) for _, product in prepared.phases)
    # Samples that no tap reads (strides longer than the kernel) stay zero.
    u = (np.empty if covered == math.prod(sizes) else np.zeros)((len(y), g.channels_in, *sizes), y.dtype)
    for places, product in prepared.phases:
        product.run(y, u[(..., *places)])
    return np.ascontiguousarray(fold(g, u, prepared.folded))


def _reading(geometry: Geometry, axis: int, extended: bool) -> Reading:
    """How the forward map reads an axis, of the array or of the extended one."""
    n, length = geometry.spatial[axis], geometry.extended[axis]
    source = np.arange(length)
    if not extended:
        source -= geometry.padding[axis][0]
        source[(source < 0) | (source >= n)] = -1
        outside = geometry.extension(axis)
        source[outside.position] = outside.index[:, 0] if len(outside.position) else ()
    return Reading(
        source, length if extended else n, geometry.stride[axis], geometry.dilation[axis], geometry.kernel[axis],
        geometry.out_spatial[axis],
    )  # fmt: skip


def _wraps(geometry: Geometry, axis: int) -> bool:
    """Whether the adjoint along a periodic axis is a periodic correlation."""
    same = geometry.stride[axis] == 1 and geometry.out_spatial[axis] == geometry.spatial[axis]
    return same and "periodic" in geometry.boundary[axis]


def _domain(geometry: Geometry, axis: int, folded: bool) -> tuple[int, int]:
    """What the adjoint computes along an axis, the array or the extended one: first coordinate and number."""
    return (0, geometry.extended[axis]) if folded else (geometry.padding[axis][0], geometry.spatial[axis])


def _phases(geometry: Geometry, axis: int, folded: bool) -> list[tuple[slice, Reading, Indices]]:
    """For each residue of the samples modulo the stride that taps meet: where, how `y` is read, and by which taps."""
    first, size = _domain(geometry, axis, folded)
    s, d, m = geometry.stride[axis], geometry.dilation[axis], geometry.out_spatial[axis]
    offsets, step = np.arange(geometry.kernel[axis]) * d, d // math.gcd(s, d)
    phases = []
    for residue in range(min(s, size)):
        # Sample `residue + q s` stands at coordinate e = first + residue + q s and is read by output (e - t d) / s.
        taps = np.flatnonzero((first + residue - offsets) % s == 0)[::-1]
        if len(taps):
            outputs = -(-(size - residue) // s)
            source = np.arange(outputs + (len(taps) - 1) * step) + (first + residue - int(offsets[taps[0]])) // s
            source = source % m if _wraps(geometry, axis) else np.where((source < 0) | (source >= m), -1, source)
            phases.append((slice(residue, None, s), Reading(source, m, 1, step, len(taps), outputs), taps))
    return phases
