"""Direct convolution: compiled loops over rows, for kernels of few taps.

The kernel below knows nothing of axes: a tap is an offset into the flat extended array, an output row a start.
The adjoint is the same kernel: an output phase `e mod stride` of the transposed convolution is a stride-1
correlation of the zero-extended `y` with the taps that meet that phase, channels swapped.
Complex numbers go as pairs of real channels, so that the loops are over reals.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry
from . import complexity, threads
from .compiled import compiled
from .extend import extend, fold

CHUNK = 4096  # samples of an output row kept in cache while taps are added to it


def _correlate(x, weight, tap_offsets, row_offsets, step, y, start, stop):
    """y[b, g, o, row] += sum over c, tap of weight[g, o, c, tap] * x[b, g, c, row_offset + tap_offset + i * step]."""
    rows, chunks = row_offsets.shape[0], -(-y.shape[4] // CHUNK)
    for task in range(start, stop):
        batch, row, begin = task // (rows * chunks), task // chunks % rows, task % chunks * CHUNK
        size = min(CHUNK, y.shape[4] - begin)
        base = row_offsets[row] + begin * step
        for g in range(weight.shape[0]):
            for o in range(weight.shape[1]):
                out = y[batch, g, o, row, begin : begin + size]
                for c in range(weight.shape[2]):
                    channel = x[batch, g, c]
                    tap = 0
                    while tap + 4 <= weight.shape[3]:
                        w0, w1 = weight[g, o, c, tap], weight[g, o, c, tap + 1]
                        w2, w3 = weight[g, o, c, tap + 2], weight[g, o, c, tap + 3]
                        x0 = channel[base + tap_offsets[tap] :]
                        x1 = channel[base + tap_offsets[tap + 1] :]
                        x2 = channel[base + tap_offsets[tap + 2] :]
                        x3 = channel[base + tap_offsets[tap + 3] :]
                        if step == 1:
                            for i in range(size):
                                out[i] += w0 * x0[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i]
                        else:
                            for i in range(size):
                                j = i * step
                                out[i] += w0 * x0[j] + w1 * x1[j] + w2 * x2[j] + w3 * x3[j]
                        tap += 4
                    while tap < weight.shape[3]:
                        w0 = weight[g, o, c, tap]
                        x0 = channel[base + tap_offsets[tap] :]
                        for i in range(size):
                            out[i] += w0 * x0[i * step]
                        tap += 1


@dataclass(frozen=True)
class Prepared:
    """A geometry with its weight as `(groups, C_out/groups, C_in/groups, *kernel)` of reals."""

    geometry: Geometry
    weight: NDArray


def applies(geometry: Geometry) -> bool:
    return True


def prepare(geometry: Geometry, weight: NDArray) -> Prepared:
    grouped = weight.reshape(geometry.groups, -1, *geometry.weight_shape[1:])
    if np.iscomplexobj(grouped):
        grouped = complexity.real_weight(grouped)
    return Prepared(geometry, np.ascontiguousarray(grouped))


def forward(prepared: Prepared, x: NDArray) -> NDArray:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    geometry, weight = prepared.geometry, prepared.weight
    extended = extend(geometry, x)
    starts = [np.arange(k) * d for k, d in zip(geometry.kernel, geometry.dilation, strict=True)]
    parts = complexity.split(extended)
    y = _run(parts, weight, starts, geometry.stride, geometry.out_spatial)
    return complexity.join(y, x.dtype)


def adjoint(prepared: Prepared, y: NDArray) -> NDArray:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    geometry = prepared.geometry
    swapped = np.ascontiguousarray(prepared.weight.swapaxes(1, 2))
    parts = complexity.split(y)
    phases = [_phases(geometry, axis) for axis in range(geometry.ndim)]
    margin = [(max((s.max() for _, s, _ in each if len(s)), default=0)) for each in phases]
    shape = (len(parts), swapped.shape[0] * swapped.shape[1], *geometry.extended)
    # Samples that no tap reads (strides longer than the kernel) stay zero.
    unread = any(len(taps) == 0 for each in phases for _, _, taps in each)
    u = (np.zeros if unread else np.empty)(shape, parts.dtype)
    padded = _surround(parts, margin, [-(-e // s) for e, s in zip(geometry.extended, geometry.stride, strict=True)])
    for phase in itertools.product(*phases):
        places, shifts, taps = zip(*phase, strict=True)
        if not all(map(len, taps)):
            continue
        target = u[(..., *(slice(p, None, s) for p, s in zip(places, geometry.stride, strict=True)))]
        starts = [m - shift for m, shift in zip(margin, shifts, strict=True)]
        block = swapped[np.ix_(*map(np.arange, swapped.shape[:3]), *taps)]
        target[...] = _run(padded, block, starts, (1,) * geometry.ndim, target.shape[2:])
    return fold(geometry, complexity.join(u, y.dtype))


def _phases(geometry: Geometry, axis: int) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """For each residue of the extended axis modulo the stride: the shifts `(t d - residue) / s` and taps `t`."""
    s, offsets = geometry.stride[axis], np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
    residues = range(min(s, geometry.extended[axis]))
    meets = [np.flatnonzero(offsets % s == residue) for residue in residues]
    return [(r, (offsets[taps] - r) // s, taps) for r, taps in zip(residues, meets, strict=True)]


def _surround(y: NDArray, before: list[int], sizes: list[int]) -> NDArray:
    """`y` with zeros around it: `before` on the left of each spatial axis, and up to `sizes` from its start on."""
    ndim = len(before)
    padded = np.zeros((*y.shape[:-ndim], *map(sum, zip(before, sizes, strict=True))), y.dtype)
    padded[(..., *(slice(b, b + n) for b, n in zip(before, y.shape[-ndim:], strict=True)))] = y
    return padded


def _run(x: NDArray, weight: NDArray, starts: list[NDArray], stride: tuple[int, ...], out: tuple[int, ...]) -> NDArray:
    """Correlate `(batch, channels, *sizes)` with taps that start at `starts` along each axis."""
    groups, c_out, c_in = weight.shape[:3]
    sizes = x.shape[2:]
    pitch = [math.prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    taps = _outer_sum([start * p for start, p in zip(starts, pitch, strict=True)])
    rows = _outer_sum([np.arange(m) * s * p for m, s, p in zip(out[:-1], stride, pitch, strict=False)])
    y = np.zeros((x.shape[0], groups, c_out, len(rows), out[-1]), x.dtype)
    threads.share(
        compiled(_correlate), x.shape[0] * len(rows) * -(-out[-1] // CHUNK), y.size * c_in * len(taps),
        np.ascontiguousarray(x).reshape(x.shape[0], groups, c_in, math.prod(sizes)),
        np.ascontiguousarray(weight).reshape(groups, c_out, c_in, -1), taps, rows, stride[-1], y,
    )  # fmt: skip
    return y.reshape(x.shape[0], groups * c_out, *out)


def _outer_sum(parts: list[NDArray]) -> NDArray[np.int64]:
    """All sums of one entry of each part, the last part fastest."""
    total = np.zeros(1, np.int64)
    for part in parts:
        total = np.add.outer(total, part).ravel()
    return total
