"""When the product of two multilevel Toeplitz matrices is one, and its generator."""

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..composing import convolved
from ..dtypes import Array
from ..residues import SMALLEST, digits, digits_of_primes, primes_for, reduced, residues
from .toeplitz import BlockToeplitz, of_blocks

LOOK = 2e8  # multiply-adds, tenths of a second, that a product may take which is Toeplitz by the values of its factors


def multiply(a: BlockToeplitz, b: BlockToeplitz) -> Any:
    """`a @ b` where it is Toeplitz, else NotImplemented."""
    if a.in_shape != b.out_shape or a.lifted != b.lifted:
        return NotImplemented
    if not all(_keeps(a, b, axis) or _coincides(a, b, axis) for axis in range(len(a.levels))):
        return NotImplemented
    method = a._asked if a._asked == b._asked else "auto"
    return of_blocks(_generator(a, b), b.in_shape, method)


def _keeps(a: BlockToeplitz, b: BlockToeplitz, axis: int) -> bool:
    """Whether the product depends on lags alone on `axis`, whatever the values of the blocks.

    Entry `(i, j)` sums `a[i - k] b[k - j]` over `0 <= k < m`. Moving to `(i + 1, j + 1)` brings in the term of
    `k = -1`, `a[i + 1] b[-1 - j]`, and drops that of `k = m - 1`, `a[i + 1 - m] b[m - 1 - j]`. So no positive lag of
    `a` may meet a negative one of `b`, and no lag of `a` below `n_out - m` one of `b` above `m - n_in`, in any channel.
    """
    (p, m), (_, n) = a.levels[axis], b.levels[axis]
    rows, columns = _lags_by_channel(a.blocks, 1, axis), _lags_by_channel(b.blocks, 0, axis)
    lag_a, lag_b = np.arange(1 - m, p), np.arange(1 - n, m)
    start = rows[:, lag_a > 0].any(axis=1) & columns[:, lag_b < 0].any(axis=1)
    end = rows[:, lag_a < p - m].any(axis=1) & columns[:, lag_b > m - n].any(axis=1)
    return not (start | end).any()


def _lags_by_channel(blocks: Array, side: int, axis: int) -> NDArray[np.bool_]:
    """`(channels, lags)`: which lags of `axis` are not zero, for each channel on one side."""
    others = tuple(i for i in range(blocks.ndim) if i not in (side, axis + 2))
    return (blocks != 0).any(axis=others)


def _coincides(a: BlockToeplitz, b: BlockToeplitz, axis: int) -> bool:
    """Whether what comes in and what drops out are proved to be the same, as for two circulants.

    They are compared for all rows and columns, as matrices between the other levels, modulo primes: that is exact.
    """
    left, right = _coming_and_going(a, b, axis)
    outer, inner = ([level for i, level in enumerate(each.levels) if i != axis] for each in (a, b))
    terms = left.shape[1] * math.prod(m for _, m in outer)
    rows, columns = len(left) * math.prod(p for p, _ in outer), right.shape[1] * math.prod(n for _, n in inner)
    needed, each = digits(left) + digits(right), digits_of_primes(terms)
    if each < SMALLEST or rows * terms * columns * math.ceil(needed / (each - 1)) > LOOK:
        return False
    return not any(
        reduced(_matrix(residues(left, prime), outer) @ _matrix(residues(right, prime), inner), prime).any()
        for prime in primes_for(needed, terms)
    )


def _coming_and_going(a: BlockToeplitz, b: BlockToeplitz, axis: int) -> tuple[Array, Array]:
    """Factors of what moving along `axis` changes, its lags among the channels: `(rows, terms)` and `(terms, columns)`.

    Each with the lags of the other levels behind. Rows and columns of zeros are left out.
    """
    (p, m), (_, n) = a.levels[axis], b.levels[axis]
    i, j = np.arange(p - 1), np.arange(n - 1)
    outer, inner = (np.moveaxis(each.blocks, axis + 2, 2) for each in (a, b))
    left = np.stack([outer[:, :, i + m], outer[:, :, i]], axis=1)  # (C_out, 2, C, rows, ...)
    right = np.stack([inner[:, :, n - 2 - j], -inner[:, :, m + n - 2 - j]])  # (2, C, C_in, columns, ...)
    left = np.moveaxis(left, 3, 1).reshape(-1, 2 * outer.shape[1], *outer.shape[3:])
    right = right.reshape(2 * inner.shape[0], -1, *inner.shape[3:])
    behind = tuple(range(2, left.ndim))
    return left[(left != 0).any(axis=(1, *behind))], right[:, (right != 0).any(axis=(0, *behind))]


def _matrix(blocks: Array, levels: list[tuple[int, int]]) -> Array:
    """The dense matrix of `(rows, columns, *lags)`."""
    for place, (m, n) in enumerate(levels):
        blocks = blocks.take(np.subtract.outer(np.arange(m), np.arange(n)) + n - 1, 2 + 2 * place)
    order = (0, *range(2, blocks.ndim, 2), 1, *range(3, blocks.ndim, 2))
    rows = blocks.shape[0] * math.prod(m for m, _ in levels)
    return blocks.transpose(order).reshape(rows, -1)


def _generator(a: BlockToeplitz, b: BlockToeplitz) -> Array:
    """The blocks of the product: those of its first rows and columns, each a convolution of two parts of generators.

    A lag of zero or more is that of an entry in the first column, where only lags of zero or more of `b` enter; a
    negative one that of an entry in the first row, where only those of zero or less of `a` do.
    """
    sizes = tuple(p + n - 1 for (p, _), (_, n) in zip(a.levels, b.levels, strict=True))
    total = np.zeros((a.channels[0], b.channels[1], *sizes), np.result_type(a.dtype, b.dtype))
    for ahead in itertools.product((True, False), repeat=len(sizes)):
        outer = _part(a, [(1 - m, p - 1 if each else 0) for each, (p, m) in zip(ahead, a.levels, strict=True)])
        inner = _part(b, [(0 if each else 1 - n, m - 1) for each, (m, n) in zip(ahead, b.levels, strict=True)])
        if outer and inner:
            _enter(total, ahead, outer, inner, [n for _, n in b.levels])
    return total


def _part(a: BlockToeplitz, limits: list[tuple[int, int]]) -> tuple[Array, list[int]] | None:
    """`a.blocks` between the first and last lags within `limits` that are not zero, and the first; None for nothing."""
    blocks, first = a.blocks, []
    for axis, ((low, high), (_, n)) in enumerate(zip(limits, a.levels, strict=True)):
        lags = a.support(axis)
        lags = lags[(lags >= low) & (lags <= high)]
        if not len(lags):
            return None
        blocks = blocks.take(np.arange(lags[0], lags[-1] + 1) + n - 1, axis + 2)
        first.append(int(lags[0]))
    return blocks, first


def _enter(
    total: Array, ahead: tuple[bool, ...], outer: tuple[Array, list[int]], inner: tuple[Array, list[int]],
    sizes: list[int],
) -> None:  # fmt: skip
    """Put the convolution of two parts where lags are zero or more, or negative, as `ahead` says of each axis."""
    double = np.result_type(total.dtype, np.float64)  # summed in double, rounded once
    first, second, one = outer[0][None].astype(double), inner[0][None].astype(double), (1,) * len(sizes)
    full, places = convolved(first, second, one, one)[0], []
    for axis, (each, n, lowest) in enumerate(zip(ahead, sizes, np.add(outer[1], inner[1]), strict=True)):
        place = np.arange(full.shape[axis + 2]) + lowest + n - 1
        met = (place >= n - 1) & (place < total.shape[axis + 2]) if each else (place >= 0) & (place < n - 1)
        full = full.compress(met, axis + 2)
        places.append(place[met])
    total[np.ix_(*map(range, total.shape[:2]), *places)] = full
