"""An axis of the convolutions that a matrix is compared with: its taps by lag, and where a kernel of some taps lies."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from .arguments import Shape
from .boundary import NEEDS_TWO_SAMPLES, Pair
from .dtypes import Array
from .geometry import Geometry

Ints = NDArray[np.int64]
Window = list[tuple[int, int]]  # first lag and number of taps, for each axis
FEW = 300  # windows that are all tried


@dataclass(frozen=True)
class Axis:
    """Sizes, stride and boundary of an axis; a tap is named by its lag, where it reads relative to `i * stride`."""

    n: int
    m: int
    stride: int
    boundary: Pair

    @property
    def periodic(self) -> bool:
        return "periodic" in self.boundary

    @property
    def folds(self) -> bool:
        """Whether different taps can come to the same entry."""
        nothing = self.n == 1 and not NEEDS_TWO_SAMPLES.isdisjoint(self.boundary)  # to reflect: no tap reads outside
        return not self.periodic and set(self.boundary) != {"zero"} and not nothing

    def lags(self, i: Ints, j: Ints) -> Ints:
        """The lag of each entry, were nothing extended; on a periodic axis the one nearest to zero."""
        lags = j - i * self.stride
        return (lags + self.n // 2) % self.n - self.n // 2 if self.periodic else lags

    def count(self, lags: Ints) -> Ints:
        """How many entries each tap of an axis that does not fold has."""
        if self.periodic:
            return np.full(len(lags), self.m)
        first, last = -(lags // self.stride), (self.n - 1 - lags) // self.stride  # i with 0 <= i s + lag <= n - 1
        return np.minimum(last, self.m - 1) - np.maximum(first, 0) + 1

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest lag that a kernel's last tap may have, and the highest of its first: padding from `-n` on."""
        return -(self.m - 1) * self.stride - 1, self.n

    def all_lags(self) -> Ints:
        """Lags enough for all that a kernel of any length can do: extensions repeat with these periods."""
        periods = {"symmetric": 2 * self.n, "mirror": 2 * self.n - 2, "antireflective": 4 * self.n - 4, "replicate": 1}
        before, after = self.boundary
        if before == after and before in ("symmetric", "mirror", "antireflective"):
            return np.arange(-self.n, self.n)
        return np.arange(-(self.m - 1) * self.stride - periods.get(before, 0), self.n + periods.get(after, 0))

    def usual(self, taps: int) -> int:
        """The first lag of a kernel as the mode that fits the sizes places it."""
        if self.m == -(-self.n // self.stride):
            return (taps - 1) // 2 - (taps - 1)
        if self.m == -(-(self.n + taps - 1) // self.stride):
            return 1 - taps
        if self.m == -(-(self.n - taps + 1) // self.stride):
            return 0
        return -(((self.m - 1) * self.stride + taps - self.n) // 2)

    def design(self, lags: Ints) -> tuple[Ints, scipy.sparse.csr_array]:
        """The matrices of the taps at `lags` as columns; row `r` is entry `(i, j)` with `i * n + j == pairs[r]`."""
        position = np.add.outer(lags, np.arange(self.m) * self.stride).ravel()
        before, after = max(0, -int(position.min())), max(0, int(position.max()) - self.n + 1)
        geometry = Geometry.make(self.n, 1, padding=((before, after),), boundary=(self.boundary,))
        outside = geometry.extension(0)
        terms = outside.index.shape[1]
        rows = np.concatenate([np.arange(self.n) + before, np.repeat(outside.position, terms)])
        columns = np.concatenate([np.arange(self.n), outside.index.ravel()])
        weights = np.concatenate([np.ones(self.n), outside.weight.ravel()])
        extension = scipy.sparse.csr_array((weights, (rows, columns)), shape=(before + self.n + after, self.n))
        read = scipy.sparse.coo_array(extension[position + before])
        reader, column = (each.astype(np.int64) for each in read.coords)
        lag, i = np.divmod(reader, self.m)
        pairs, row = np.unique(i * self.n + column, return_inverse=True)
        return pairs, scipy.sparse.csr_array((read.data, (row, lag)), shape=(len(pairs), len(lags)))


def windows(axes: list[Axis], found: list[Ints], lags: list[Ints], energy: Array, taps: Shape) -> Iterator[Window]:
    """Windows worth trying: the one with most energy, the usual one, and all of them where they are few.

    Taps that do the same as others may share their energy with them, so that the first need not be the best.
    """
    yield best_window(axes, found, energy, taps)
    yield [(axis.usual(size), size) for axis, size in zip(axes, taps, strict=True)]
    every = [_starts(axis, own, size) for axis, own, size in zip(axes, lags, taps, strict=True)]
    if math.prod(map(len, every)) <= FEW:
        for firsts in itertools.product(*every):
            yield [(int(first), size) for first, size in zip(firsts, taps, strict=True)]


def steps(axis: Axis, steps: Ints) -> Ints:
    return steps % axis.n if axis.periodic else steps


def support(axis: Axis, met: Ints) -> tuple[int, int]:
    """First lag and number of the taps that are met; on a periodic axis of the shortest arc that holds them."""
    if not len(met):
        return 0, 1
    if not axis.periodic:
        low, high = axis.bounds
        first, last = min(int(met.min()), high), max(int(met.max()), low)
        return first, last - first + 1
    around = np.unique(met % axis.n)
    gaps = np.diff(around, append=around[0] + axis.n)
    taps = axis.n - int(gaps.max()) + 1
    starts = around[(np.flatnonzero(gaps == gaps.max()) + 1) % len(around)]
    usual = axis.usual(taps)
    turned = usual + (starts - usual + axis.n // 2) % axis.n - axis.n // 2  # the turn that comes closest
    return int(turned[np.argmin(np.abs(turned - usual))]), taps


def best_window(axes: list[Axis], lags: list[Ints], energy: Array, taps: Shape) -> Window:
    """The window of `taps` lags in which there is most energy; of equal ones the most usual."""
    starts: list[Ints] = []
    places: list[Ints] = []
    lengths: list[int] = []
    for axis, own, size in zip(axes, lags, taps, strict=True):
        first = _starts(axis, own, size)
        starts.append(first)
        places.append(steps(axis, own - first[0]))
        lengths.append(len(first) + (0 if axis.periodic else size - 1))
    inside = np.all([(p >= 0) & (p < length) for p, length in zip(places, lengths, strict=True)], axis=0)
    dense = np.zeros(lengths)
    np.add.at(dense, tuple(p[inside] for p in places), energy[inside])
    for number, (axis, size) in enumerate(zip(axes, taps, strict=True)):
        dense = _sums_ahead(dense, number, min(size, dense.shape[number]), axis.periodic)
    far = np.ix_(*(np.abs(first - axis.usual(size)) for first, axis, size in zip(starts, axes, taps, strict=True)))
    good = dense >= dense.max() - 1e-12 * energy.sum()
    place = np.unravel_index(np.argmin(np.where(good, sum(far), np.inf)), dense.shape)
    return [(int(first[at]), size) for first, at, size in zip(starts, place, taps, strict=True)]


def _starts(axis: Axis, lags: Ints, size: int) -> Ints:
    """Where a window of `size` lags may begin so that it holds some of `lags`, or in its usual place."""
    usual = axis.usual(size)
    if axis.periodic:
        return np.arange(axis.n) + usual - axis.n // 2
    least, most = axis.bounds
    low, high = (int(lags.min()) - size + 1, int(lags.max())) if len(lags) else (usual, usual)
    return np.arange(max(min(low, usual), least - size + 1), min(max(high, usual), most) + 1)


def _sums_ahead(values: Array, axis: int, size: int, around: bool) -> Array:
    """At each place the sum of `size` values from there on, round the end or as far as there are so many."""
    parts = [np.zeros_like(values.take([0], axis)), values]
    total = np.concatenate([*parts, *([values.take(range(size - 1), axis)] if around else [])], axis).cumsum(axis)
    count = total.shape[axis]
    return total.take(range(size, count), axis) - total.take(range(count - size), axis)
