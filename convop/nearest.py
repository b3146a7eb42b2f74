"""The convolution nearest to a matrix in the Frobenius norm, among all with given sizes, strides and boundaries.

A convolution's matrix is a sum of tap matrices, each a Kronecker product of one small matrix of integers for each axis.
Under zero and periodic boundaries different taps have different entries, so the nearest kernel is the mean of each
tap's entries (T. F. Chan, "An optimal circulant preconditioner for Toeplitz systems", SIAM J. Sci. Stat. Comput. 9,
1988). Under the others taps share entries; the linear least squares problem then falls apart into one for each axis:
project on the taps of an axis, solve with their Gram matrix, go on to the next.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from .arguments import Shape
from .convolution import Convolution
from .dtypes import Array, DType
from .geometry import Geometry
from .structured.channels import finest_groups, grouped
from .tap_window import Axis, Ints, Window, best_window, steps, support, windows

ROUNDING = 64  # times eps and the largest entry: what an entry may be off by and still count as equal


class Nearest(NamedTuple):
    """A convolution, its relative Frobenius distance, and whether every entry agrees to rounding."""

    operator: Convolution
    residual: float
    exact: bool


@dataclass(frozen=True)
class Entries:
    """The entries that are not zero: their values, channel pair, and output and input index on each axis."""

    value: Array  # in double precision
    channel: Ints
    places: list[tuple[Ints, Ints]]
    matrix: Any
    shapes: tuple[Shape, Shape, int]  # of output and input arrays, and how many of their axes are spatial
    channels: tuple[int, int]
    dtype: DType

    @classmethod
    def of(cls, matrix: Any, target: Shape, source: Shape, ndim: int) -> "Entries":
        coo = scipy.sparse.coo_array(matrix)
        outer = (math.prod(target[:-ndim]), math.prod(source[:-ndim]))
        row, column = (
            np.unravel_index(index.astype(np.int64), (count, *shape[-ndim:]))
            for index, count, shape in zip((coo.row, coo.col), outer, (target, source), strict=True)
        )
        value = coo.data.astype(np.result_type(coo.dtype, np.float64))
        places = list(zip(row[1:], column[1:], strict=True))
        channel = row[0] * outer[1] + column[0]
        return cls(value, channel, places, matrix, (target, source, ndim), outer, coo.dtype)

    def minus(self, operator: Convolution) -> "Entries":
        """The entries of the difference to an operator."""
        return Entries.of(self.matrix - operator.tosparse(), *self.shapes)

    def judged(self, off: Array, missing: Array) -> tuple[float, bool]:
        """The residual and whether it is rounding, from what entries are off by; `missing` for those that are zero."""
        size, largest = np.linalg.norm(self.value), np.abs(self.value).max(initial=0)
        distance = math.hypot(float(np.linalg.norm(off)), float(np.linalg.norm(missing)))
        worst = max(np.abs(off).max(initial=0), np.abs(missing).max(initial=0))
        return float(distance / size) if size else 0.0, bool(worst <= ROUNDING * np.finfo(self.dtype).eps * largest)


def nearest(entries: Entries, axes: list[Axis], taps: Shape | None, lifted: bool) -> Nearest:
    """The nearest convolution, with as many `taps` as given or needed."""
    if not any(axis.folds for axis in axes):
        return _averaged(entries, axes, taps, lifted)
    found = [_between(axis, axis.lags(*place)) for axis, place in zip(axes, entries.places, strict=True)]
    # Taps that read outside on every row show only where they are folded to.
    wide = [np.union1d(own, axis.all_lags()) if axis.folds else own for axis, own in zip(axes, found, strict=True)]
    if all(len(more) <= len(own) + 1 for more, own in zip(wide, found, strict=True)):
        return _least_squares(entries, axes, wide, taps, lifted)
    best = _least_squares(entries, axes, found, taps, lifted)
    if best.exact:
        return best
    wider = _least_squares(entries, axes, wide, taps, lifted)
    return wider if wider.exact or (taps is not None and wider.residual < best.residual) else best


def _between(axis: Axis, lags: Ints) -> Ints:
    """The lags that occur; all between them where taps share entries."""
    lags = np.unique(lags) if len(lags) else np.zeros(1, np.int64)
    return np.arange(int(lags[0]), int(lags[-1]) + 1) if axis.folds else lags


# Taps with entries of their own: means.


def _averaged(entries: Entries, axes: list[Axis], taps: Shape | None, lifted: bool) -> Nearest:
    lags = [axis.lags(*place) for axis, place in zip(axes, entries.places, strict=True)]
    tap, (channel, *distinct) = _grouped([entries.channel, *lags])
    count = np.prod([axis.count(own) for axis, own in zip(axes, distinct, strict=True)], axis=0)
    mean, present = _means(entries.value, tap, len(channel))
    mean = mean * (present / count)  # the other entries of a tap are zero
    mean = mean.astype(entries.dtype).astype(mean.dtype)  # as the kernel will have it
    if taps is None:
        window = [support(axis, own[mean != 0]) for axis, own in zip(axes, distinct, strict=True)]
    else:
        window = best_window(axes, distinct, np.abs(mean) ** 2 * count, taps)
    place = [steps(axis, own - first) for axis, own, (first, _) in zip(axes, distinct, window, strict=True)]
    inside = np.all([(p >= 0) & (p < size) for p, (_, size) in zip(place, window, strict=True)], axis=0)
    kernel = np.zeros((math.prod(entries.channels), *(size for _, size in window)), mean.dtype)
    kernel[(channel[inside], *(p[inside] for p in place))] = mean[inside]
    mean = np.where(inside, mean, 0)
    missing = mean * np.sqrt(count - present)
    operator = _convolution(kernel, entries, axes, window, lifted)
    return Nearest(operator, *entries.judged(entries.value - mean[tap], missing))


def _means(value: Array, group: Ints, groups: int) -> tuple[Array, Ints]:
    """The mean of each group, without rounding where all its values are equal, and its size."""
    present = np.bincount(group, minlength=groups)
    reference = np.empty(groups, value.dtype)
    reference[group] = value
    ones = scipy.sparse.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group)))
    return reference + (ones @ (value - reference[group])) / present, present


def _grouped(keys: list[Ints]) -> tuple[Ints, list[Ints]]:
    """For each entry the number of its combination of keys, and the keys of each combination."""
    order = np.lexsort(keys[::-1])
    ranked = [key[order] for key in keys]
    new = np.ones(len(order), bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in ranked], axis=0)
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(new) - 1
    return group, [key[new] for key in ranked]


# Taps that share entries: least squares, an axis at a time.


def _least_squares(entries: Entries, axes: list[Axis], lags: list[Ints], taps: Shape | None, lifted: bool) -> Nearest:
    """The nearest convolution with taps at `lags`; with `taps` of them where they hold most of it."""
    kernel, norms = _fit(entries, axes, lags)
    met = np.nonzero(_without_rounding(kernel))
    found = [own[place] for own, place in zip(lags, met[1:], strict=True)]
    if taps is None:
        window = [support(axis, own) for axis, own in zip(axes, found, strict=True)]
        whole = all(
            np.array_equal(first + np.arange(size), own) for (first, size), own in zip(window, lags, strict=True)
        )
        return _in_window(entries, axes, window, lifted, kernel if whole else None)
    norm = math.prod(norm[place] for norm, place in zip(norms, met[1:], strict=True))
    best: Nearest | None = None
    for window in windows(axes, found, lags, np.abs(kernel[met]) ** 2 * norm, taps):
        tried = _in_window(entries, axes, window, lifted)
        if best is None or tried.exact or tried.residual < best.residual * (1 - 1e-9):
            best = tried
        if tried.exact:
            break
    assert best is not None  # there is a window that holds most
    return best


def _in_window(
    entries: Entries, axes: list[Axis], window: Window, lifted: bool, kernel: Array | None = None
) -> Nearest:
    """The nearest convolution with its taps in a window; `kernel` is that of least squares if it is known."""
    own = [np.arange(first, first + size) for first, size in window]
    kernel = _without_rounding(_fit(entries, axes, own)[0] if kernel is None else kernel)
    operator = _convolution(kernel, entries, axes, window, lifted)
    off = entries.minus(operator)
    if np.abs(off.value).max(initial=0) < 1e-8 * np.abs(entries.value).max(initial=0):  # take the rounding out
        kernel = _without_rounding(kernel + _fit(off, axes, own)[0])
        operator = _convolution(kernel, entries, axes, window, lifted)
        off = entries.minus(operator)
    return Nearest(operator, *entries.judged(off.value, np.zeros(0)))


def _fit(entries: Entries, axes: list[Axis], lags: Sequence[Ints]) -> tuple[Array, list[Array]]:
    """Kernel values `(C_out * C_in, *lags)` of the nearest convolution, and the squared norm of each axis' taps."""
    pairs_met = (i * axis.n + j for axis, (i, j) in zip(axes, entries.places, strict=True))
    value, keys = entries.value[:, None], [entries.channel, *pairs_met]
    norms: list[Array] = []
    for axis, own in zip(reversed(axes), reversed(lags), strict=True):
        pairs, design = axis.design(own)
        *keys, pair = keys
        value, keys = _projected(value, keys, pair, pairs, design)
        gram = scipy.sparse.csr_array(design.T @ design)
        norms.insert(0, gram.diagonal())
        value = _solved(gram, value)
        value = value.reshape(len(value), math.prod(value.shape[1:]))
    total = np.zeros((math.prod(entries.channels), value.shape[1]), value.dtype)
    total[keys[0]] = value
    return total.reshape(-1, *map(len, lags)), norms


def _projected(value: Array, keys: list[Ints], pair: Ints, pairs: Ints, design: Any) -> tuple[Array, list[Ints]]:
    """Inner products with the taps of an axis: `(entries, q)` to `(groups, lags, q)`, a group for each of the keys."""
    found = np.minimum(np.searchsorted(pairs, pair), max(len(pairs) - 1, 0))
    kept = np.flatnonzero(pairs[found] == pair) if len(pairs) else np.zeros(0, np.int64)
    group, distinct = _grouped(keys)
    read = design[found[kept]].tocoo()
    count, taps = len(distinct[0]), design.shape[1]
    row = group[kept[read.row]] * taps + read.col
    gather = scipy.sparse.csr_array((read.data, (row, kept[read.row])), shape=(count * taps, len(value)))
    return (gather @ value).reshape(count, taps, value.shape[1]), distinct


def _solved(gram: scipy.sparse.csr_array, value: Array) -> Array:
    """The Gram matrix's pseudoinverse along axis 1: a division where the taps are orthogonal."""
    diagonal = gram.diagonal()
    if gram.nnz == np.count_nonzero(diagonal):
        return value / np.where(diagonal == 0, 1, diagonal)[:, None]
    power, basis = np.linalg.eigh(gram.toarray())
    kept = power > power[-1] * len(power) * np.finfo(float).eps
    basis = basis[:, kept]
    flat = np.moveaxis(value, 1, 0).reshape(len(power), -1)
    solved = basis @ ((basis.T @ flat) / power[kept, None])
    return np.moveaxis(solved.reshape(len(power), len(value), value.shape[2]), 0, 1)


def _without_rounding(kernel: Array) -> Array:
    """Taps that are rounding beside the largest are zero."""
    size = np.abs(kernel)
    return np.where(size <= 16 * np.finfo(float).eps * size.max(initial=0), 0, kernel)


def _convolution(kernel: Array, entries: Entries, axes: list[Axis], window: Window, lifted: bool) -> Convolution:
    """The convolution whose tap `t` reads at lag `first + t`."""
    weight = kernel.reshape(*entries.channels, *kernel.shape[1:])
    groups = finest_groups((weight != 0).any(axis=tuple(range(2, weight.ndim))))
    padding = tuple(
        (-first, (axis.m - 1) * axis.stride + first + size - axis.n)
        for axis, (first, size) in zip(axes, window, strict=True)
    )
    geometry = Geometry.make(
        tuple(axis.n for axis in axes), weight.shape[2:], stride=tuple(axis.stride for axis in axes), padding=padding,
        boundary=tuple(axis.boundary for axis in axes), channels=entries.channels, groups=groups, lifted=lifted,
    )  # fmt: skip
    convention = "correlation" if lifted else "convolution"
    return Convolution.of(geometry, grouped(weight, groups).astype(entries.dtype), convention)
