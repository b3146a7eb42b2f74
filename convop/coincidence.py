"""Which outputs of `outer @ inner` one convolution with the composed kernel would get wrong, exactly.

Outputs are many, but there are few kinds of them: on each axis every one that reads outside, and one that stands for
all that read inside. Their rows are compared: of the product, and of the one convolution. Entries are sums of products
of floats with integers, so the difference is compared with zero modulo primes, as many as it takes to prove it zero:
there is no rounding and no tolerance.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .composing import blocks, composed_taps
from .convolution import Convolution
from .dtypes import Array
from .geometry import Geometry
from .residues import SMALLEST, digits, digits_of_primes, primes_for, reduced, residues

Ints = NDArray[np.intp]
MOST_DIGITS = 1200  # binary: kernels whose values span more than that are left undecided
GLANCE = 1e6  # multiply-adds, some milliseconds: for every product that no rule makes one
LOOK = 3e8  # a second: for one that a glance did not tell apart, and to explain


def coincides(outer: Convolution, inner: Convolution, one: Geometry) -> bool:
    """Whether the composed kernel in geometry `one` is proved to be `outer @ inner`.

    The first or the last output tells apart nearly all that differ.
    """
    for corner in ([0] * one.ndim, [m - 1 for m in one.out_spatial]):
        differ = _differ(outer, inner, one, [np.array([output]) for output in corner], GLANCE, proof=False)
        if differ is None or differ.any():
            return False
    every = [kinds(outer, one, axis) for axis in range(one.ndim)]
    differ = _differ(outer, inner, one, every, LOOK)
    return differ is not None and not differ.any()


def differing(outer: Convolution, inner: Convolution, one: Geometry) -> NDArray[np.bool_] | None:
    """A mask of the output samples `(C_out, *out_spatial)` that differ; None where that is too much to find out."""
    every = [kinds(outer, one, axis) for axis in range(one.ndim)]
    mask = _differ(outer, inner, one, every, LOOK)
    if mask is None:
        return None
    for axis, outputs in enumerate(every):
        label = np.full(one.out_spatial[axis], len(outputs) - 1)  # the last kind stands for all that read inside
        label[outputs] = np.arange(len(outputs))
        mask = mask.take(label, axis + 1)
    return mask


def kinds(outer: Convolution, one: Geometry, axis: int) -> Ints:
    """The outputs of an axis that read outside, and one of the others."""
    outside = np.zeros(one.out_spatial[axis], bool)
    for g in (outer.geometry, one):
        first = np.arange(len(outside)) * g.stride[axis] - g.padding[axis][0]
        outside |= (first < 0) | (first + g.reach[axis] > g.spatial[axis])
    return np.concatenate([np.flatnonzero(outside), np.flatnonzero(~outside)[:1]])


def _differ(
    outer: Convolution, inner: Convolution, one: Geometry, outputs: list[Ints], budget: float, proof: bool = True
) -> NDArray[np.bool_] | None:
    """Which of the `outputs`, `(C_out, *outputs)`, differ; None if that costs more than `budget` or has no proof.

    Without `proof` those that differ do so, but others may as well: one prime has to do.
    """
    a, b = (blocks(each.weight, each.geometry.groups, 1)[0] for each in (outer, inner))
    grown = sum(_growth(geometry) for geometry in (outer.geometry, inner.geometry, one))
    needed = digits(a) + digits(b) + grown + 1 if proof else 1.0
    terms = a[0].size * b[0, 0].size * 2**grown
    each = digits_of_primes(terms)
    work = a.size * b[0].size * math.prod(map(len, outputs)) * math.ceil(needed / max(each - 1, 1))
    if work > budget or needed > MOST_DIGITS or each < SMALLEST:
        return None
    geometries = outer.geometry, inner.geometry, one
    axes = [_axis(*geometries, axis, own) for axis, own in enumerate(outputs)]
    read, between, straight = zip(*axes, strict=True)
    differ = np.zeros((len(a), *map(len, outputs)), bool)
    for prime in primes_for(needed, terms):
        first, second = residues(a, prime), residues(b, prime)
        both = reduced(composed_taps(one, *geometries[:2], first[None], second[None])[0], prime)
        gap = _rows(first, read) @ _rows(second, between) - _rows(both, straight)
        gap.data = reduced(gap.data, prime)
        gap.eliminate_zeros()
        differ |= (np.diff(gap.indptr) > 0).reshape(differ.shape)
    return differ


def _growth(geometry: Geometry) -> float:
    """The binary digits that extending adds to what a sum of samples may come to."""
    sums = [np.abs(geometry.extension(axis).weight).sum(axis=1).max(initial=1) for axis in range(geometry.ndim)]
    return float(np.log2(sums).sum())


@dataclass(frozen=True)
class _Reads:
    """Which samples of an axis of `n` the taps of some outputs read, and how often: `(outputs, taps, terms)`."""

    n: int
    sample: Ints
    weight: Ints

    @classmethod
    def of(cls, geometry: Geometry, axis: int, outputs: Ints) -> "_Reads":
        extension, n, (before, _) = geometry.extension(axis), geometry.spatial[axis], geometry.padding[axis]
        taps = np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
        position = np.add.outer(outputs * geometry.stride[axis], taps)
        inside = (position >= before) & (position < before + n)
        sample = np.zeros((*position.shape, extension.index.shape[1]), np.intp)
        weight = np.zeros_like(sample)
        sample[..., 0], weight[..., 0] = np.where(inside, position - before, 0), inside
        place = np.searchsorted(extension.position, position)
        found = np.append(extension.position, -1)[place] == position
        sample[found], weight[found] = extension.index[place[found]], extension.weight[place[found]]
        return cls(n, sample, weight)

    def among(self, met: Ints) -> "_Reads":
        """The same with samples numbered among those that are met."""
        return _Reads(len(met), np.searchsorted(met, self.sample), self.weight)

    def spread(self, axis: int, ndim: int) -> tuple[Ints, Ints]:
        """Samples and weights along axes for `(*outputs, *taps, *terms)` of all axes."""
        shape = [1] * (3 * ndim)
        shape[axis::ndim] = self.sample.shape
        return self.sample.reshape(shape), self.weight.reshape(shape)


def _axis(outer: Geometry, inner: Geometry, one: Geometry, axis: int, outputs: Ints) -> tuple[_Reads, _Reads, _Reads]:
    """What `outer` reads of the output of `inner`, what that reads of the array there, and `one` of the array."""
    read, straight = _Reads.of(outer, axis, outputs), _Reads.of(one, axis, outputs)
    met = np.unique(read.sample)
    between = _Reads.of(inner, axis, met)
    columns = np.union1d(between.sample, straight.sample)
    return read.among(met), between.among(columns), straight.among(columns)


def _rows(weight: Array, axes: tuple[_Reads, ...]) -> Any:
    """The rows `(C_out, *outputs)` of a convolution's matrix."""
    column, times = np.zeros((1,) * (3 * len(axes)), np.intp), np.ones((1,) * (3 * len(axes)))
    for axis, each in enumerate(axes):
        sample, own = each.spread(axis, len(axes))
        column, times = column * each.n + sample, times * own
    outputs, size = column.shape[: len(axes)], math.prod(each.n for each in axes)
    channels: int = weight.shape[1]
    shape = (1, math.prod(outputs), 1, weight[0, 0].size, -1)  # (C_out, outputs, C_in, taps, terms)
    values = weight.reshape(len(weight), 1, channels, -1, 1) * times.reshape(shape)
    column = column.reshape(shape) + size * np.arange(channels).reshape(1, 1, -1, 1, 1)
    rows, entries = len(weight) * math.prod(outputs), values[0, 0].size
    places = np.broadcast_to(column, values.shape).ravel()
    return scipy.sparse.csr_array(
        (values.ravel(), places, np.arange(rows + 1) * entries), shape=(rows, channels * size)
    )
