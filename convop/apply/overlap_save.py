"""Convolution by FFT of blocks that fit the cache, for large signals: overlap-save.

Of a circular convolution all samples but `span` are those of the linear one, where `span` is the distance between the
first and the last sample that an output reads. So outputs are made `length - span` at a time from blocks that overlap
by `span`. The adjoint takes the conjugate symbol: an output now reads what stands before it, and the samples that are
right are the last of each block (A. V. Oppenheim and R. W. Schafer, Discrete-Time Signal Processing, section 8.7).
"""

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..dtypes import Array
from ..geometry import Geometry
from . import threads
from .extend import extend, fold, upsampled
from .transforms import fast_length, impulse_response, in_groups, inverse, mix, transform

WORTH_BLOCKS = 2**19  # samples below which the whole is transformed at once
_TARGETS = tuple(2**power for power in range(13, 20))  # samples of a block, from which the best is taken


@dataclass(frozen=True)
class Prepared:
    """A geometry with its weight `(C_out, C_in/groups, *kernel)` and the lengths of its blocks."""

    geometry: Geometry
    weight: Array
    lengths: tuple[int, ...]

    @cached_property
    def extended_axes(self) -> tuple[int, ...]:
        """Axes whose boundary is not zero: they are extended first."""
        return tuple(a for a, pair in enumerate(self.geometry.boundary) if set(pair) != {"zero"})

    @cached_property
    def inner(self) -> Geometry:
        """The geometry that is left once `extended_axes` are extended."""
        return self.geometry.on_extended({axis: self.geometry.extended[axis] for axis in self.extended_axes})

    @cached_property
    def symbol(self) -> Array:
        """Transform of the weight, taps counted from the first: `(groups, C_out/groups, C_in/groups, *frequencies)`."""
        lags = [each - each[0] for each in map(self.inner.lags, range(self.inner.ndim))]
        response = impulse_response(self.weight, lags, self.lengths)
        return in_groups(transform(response, self.lengths), self.geometry.groups)

    @cached_property
    def conjugate(self) -> Array:
        """The symbol of the adjoint, but for the order of the channels."""
        return self.symbol.conj()


def spans(geometry: Geometry) -> tuple[int, ...]:
    """For each axis, the distance between the first and the last sample that an output reads."""
    return tuple(reach - 1 for reach in geometry.reach)


def counts(geometry: Geometry, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """How many blocks of these lengths the outputs of each axis take."""
    steps = (n - span for n, span in zip(lengths, spans(geometry), strict=True))
    return tuple(-(-size // step) for size, step in zip(geometry.dense, steps, strict=True))


def candidates(geometry: Geometry, real: bool) -> list[tuple[int, ...]]:
    """Lengths of blocks that might pay: of about `_TARGETS` samples, no axis longer than its signal needs."""
    found = {
        tuple(
            fast_length(min(size, max(round(target ** (1 / geometry.ndim)) - span, span)) + span, real)
            for size, span in zip(geometry.dense, spans(geometry), strict=True)
        )
        for target in _TARGETS
    }
    return sorted(found)


def forward(prepared: Prepared, x: Array) -> Array:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    g, inner = prepared.geometry, prepared.inner
    z = np.empty((len(x), g.channels_out, *g.dense), x.dtype)
    first = tuple(int(inner.lags(axis)[0]) for axis in range(g.ndim))
    _share(prepared, extend(g, x, prepared.extended_axes), z, first, adjoint=False)
    return np.ascontiguousarray(z[(..., *g.samples)])


def adjoint(prepared: Prepared, y: Array) -> Array:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    g, inner = prepared.geometry, prepared.inner
    u = np.empty((len(y), g.channels_in, *inner.spatial), y.dtype)
    first = tuple(-int(inner.lags(axis)[-1]) for axis in range(g.ndim))
    _share(prepared, upsampled(g, y), u, first, adjoint=True)
    return fold(g, u, prepared.extended_axes)


def _share(prepared: Prepared, source: Array, target: Array, first: tuple[int, ...], adjoint: bool) -> None:
    """Fill `target`, whose sample 0 reads `source` from `first` on; blocks are shared among threads."""
    steps = [n - span for n, span in zip(prepared.lengths, spans(prepared.geometry), strict=True)]
    starts = [range(0, size, step) for size, step in zip(target.shape[2:], steps, strict=True)]
    blocks = list(itertools.product(range(len(source)), *starts))
    threads.share(_fill, len(blocks), math.inf, prepared, source, target, blocks, first, adjoint)


def _fill(
    prepared: Prepared, source: Array, target: Array, blocks: list[tuple[int, ...]], first: tuple[int, ...],
    adjoint: bool, start: int, stop: int,
) -> None:  # fmt: skip
    """Fill the blocks `start` to `stop` of `target`."""
    symbol = prepared.conjugate if adjoint else prepared.symbol
    for batch, *corner in blocks[start:stop]:
        places = [at + offset for at, offset in zip(corner, first, strict=True)]
        spectrum = transform(_block(source[batch], places, prepared.lengths)[None], prepared.lengths, workers=1)
        made = inverse(mix(symbol, spectrum, adjoint, workers=1), prepared.lengths, target.dtype, workers=1)
        right = target[(batch, slice(None), *(slice(at, None) for at in corner))]
        keep = []
        for axis, span in enumerate(spans(prepared.geometry)):
            skipped = span if adjoint else 0
            size = min(prepared.lengths[axis] - span, right.shape[1 + axis])
            keep.append((slice(size), slice(skipped, skipped + size)))
        ours, theirs = zip(*keep, strict=True)
        right[(slice(None), *ours)] = made[(0, slice(None), *theirs)]


def _block(source: Array, places: list[int], lengths: tuple[int, ...]) -> Array:
    """`lengths` samples of `(channels, *sizes)` from `places` on, zero outside."""
    ranges = [(max(p, 0), min(p + n, size)) for p, n, size in zip(places, lengths, source.shape[1:], strict=True)]
    inside = source[(slice(None), *(slice(low, max(low, high)) for low, high in ranges))]
    if inside.shape[1:] == lengths:
        return inside
    block = np.zeros((len(source), *lengths), source.dtype)
    if inside.size:
        where = (slice(low - p, high - p) for (low, high), p in zip(ranges, places, strict=True))
        block[(slice(None), *where)] = inside
    return block
