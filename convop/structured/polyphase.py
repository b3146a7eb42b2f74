"""Arrays and impulse responses sorted by phase, so that strided periodic convolutions become plain ones.

An axis of `n = m * p` samples is `p` phases on a base grid of `m`: sample `j * p + a` is number `j` of phase `a`. An
operator that answers a shift of its input by `p` samples with a shift of its output by `q` is, between phases,

    y[b, i] = sum over a, l of response[b, a, l] * x[a, (i - l) mod m]

that is a circulant of `q x p` blocks (P. P. Vaidyanathan, "Multirate Systems and Filter Banks", Prentice Hall 1993,
sections 4.3 and 10.1: polyphase matrices and the noble identities). With channels, rows are numbered
`(channel, *phases)` in C order, and so are columns.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arguments import Shape
from ..dtypes import Array, DType
from ..memory import require_bytes


@dataclass(frozen=True)
class Layout:
    """The grids and channels that a block circulant operator maps between."""

    base: Shape
    phases_in: Shape
    phases_out: Shape
    channels_in: int
    channels_out: int
    lifted: bool  # whether arrays have a channel axis in front

    @property
    def ndim(self) -> int:
        return len(self.base)

    @property
    def grid_in(self) -> Shape:
        return tuple(m * p for m, p in zip(self.base, self.phases_in, strict=True))

    @property
    def grid_out(self) -> Shape:
        return tuple(m * q for m, q in zip(self.base, self.phases_out, strict=True))

    @property
    def in_shape(self) -> Shape:
        return (self.channels_in, *self.grid_in) if self.lifted else self.grid_in

    @property
    def out_shape(self) -> Shape:
        return (self.channels_out, *self.grid_out) if self.lifted else self.grid_out

    @cached_property
    def block(self) -> tuple[int, int]:
        """Rows and columns of the block at each frequency."""
        return self.channels_out * math.prod(self.phases_out), self.channels_in * math.prod(self.phases_in)

    @cached_property
    def frequencies(self) -> int:
        return math.prod(self.base)

    @property
    def adjoint(self) -> "Layout":
        return Layout(
            self.base, self.phases_out, self.phases_in, self.channels_out, self.channels_in, self.lifted
        )  # fmt: skip

    def after(self, inner: "Layout") -> "Layout":
        """The layout of this operator after `inner`, both on one base grid."""
        return replace(self, phases_in=inner.phases_in, channels_in=inner.channels_in)

    def coarser(self, factor: Shape) -> "Layout":
        """The same arrays, with the base grid divided by `factor`."""
        return replace(
            self,
            base=tuple(m // r for m, r in zip(self.base, factor, strict=True)),
            phases_in=tuple(p * r for p, r in zip(self.phases_in, factor, strict=True)),
            phases_out=tuple(q * r for q, r in zip(self.phases_out, factor, strict=True)),
        )

    def finer(self, factor: Shape) -> "Layout":
        """The same arrays, with the base grid multiplied by `factor`."""
        return replace(
            self,
            base=tuple(m * r for m, r in zip(self.base, factor, strict=True)),
            phases_in=tuple(p // r for p, r in zip(self.phases_in, factor, strict=True)),
            phases_out=tuple(q // r for q, r in zip(self.phases_out, factor, strict=True)),
        )

    def with_channels(self) -> "Layout":
        """The same arrays with the first axis, whose base grid is a single sample, taken as channels."""
        return Layout(
            self.base[1:], self.phases_in[1:], self.phases_out[1:], self.phases_in[0], self.phases_out[0], True
        )


def require_memory(layout: Layout, dtype: DType) -> None:
    """Raise MemoryBudgetError unless the blocks, and what they are made from, fit into memory."""
    rows, columns = layout.block
    require_bytes(
        4 * rows * columns * layout.frequencies * dtype.itemsize,
        f"the symbol, {rows} x {columns} blocks at {layout.frequencies} frequencies,",
        "apply the operators one after the other instead",
    )


def split(x: Array, base: Shape, phases: Shape) -> Array:
    """`(batch, C, *grid)` to `(batch, C * prod(phases), *base)`."""
    if math.prod(phases) == 1:
        return x
    pairs = x.reshape(*x.shape[:2], *(size for pair in zip(base, phases, strict=True) for size in pair))
    ndim = len(base)
    order = (0, 1, *range(3, 2 * ndim + 3, 2), *range(2, 2 * ndim + 2, 2))
    return pairs.transpose(order).reshape(x.shape[0], -1, *base)


def join(x: Array, base: Shape, phases: Shape) -> Array:
    """The inverse of `split`."""
    if math.prod(phases) == 1:
        return x
    ndim = len(base)
    apart = x.reshape(x.shape[0], -1, *phases, *base)
    order = (0, 1, *(axis for i in range(ndim) for axis in (2 + ndim + i, 2 + i)))
    grid = tuple(m * p for m, p in zip(base, phases, strict=True))
    return apart.transpose(order).reshape(*apart.shape[:2], *grid)


def coarsen(response: Array, layout: Layout, factor: Shape) -> Array:
    """The response `(rows, columns, *base)` on a base grid divided by `factor`.

    Lag `l` between phases `e` and `g` of the old grid's samples is `l * r + e - g` old samples.
    """
    ndim = layout.ndim
    axes = _by_phase(response, layout)
    for axis, (m, r) in enumerate(zip(layout.base, factor, strict=True)):
        if r == 1:
            continue
        row, column, lag = 1 + axis, 2 + ndim + axis, 2 + 2 * ndim + axis
        e, g, l = np.ix_(np.arange(r), np.arange(r), np.arange(m // r))
        gathered = axes.take((l * r + e - g) % m, lag)  # (..., e, g, l, ...) at `lag`
        gathered = np.moveaxis(gathered, (lag, lag + 1), (row, column + 1))
        shape: list[int] = list(axes.shape)
        shape[row], shape[column], shape[lag] = shape[row] * r, shape[column] * r, m // r
        axes = gathered.reshape(shape)
    coarse = layout.coarser(factor)
    return axes.reshape(*coarse.block, *coarse.base)


def refine(response: Array, layout: Layout, factor: Shape) -> Array:
    """The response on a base grid multiplied by `factor`, read from what happens to the first of every `factor` inputs.

    It is the operator's own only if `coarsen` brings `response` back.
    """
    ndim = layout.ndim
    axes = _by_phase(response, layout)
    for axis, r in enumerate(factor):
        if r == 1:
            continue
        row, column, lag = 1 + axis, 2 + ndim + axis, 2 + 2 * ndim + axis
        shape: list[int] = list(axes.shape)
        first = axes.take(np.arange(shape[column] // r), column)
        split_rows = first.reshape(*shape[:row], r, shape[row] // r, *first.shape[row + 1 :])
        merged = np.moveaxis(split_rows, row, lag + 1)  # behind the lag: lag * r + e
        shape[row], shape[column], shape[lag] = shape[row] // r, shape[column] // r, shape[lag] * r
        axes = merged.reshape(shape)
    fine = layout.finer(factor)
    return axes.reshape(*fine.block, *fine.base)


def _by_phase(response: Array, layout: Layout) -> Array:
    """`(rows, columns, *base)` with an axis for each: `(C_out, *phases_out, C_in, *phases_in, *base)`."""
    return response.reshape(
        layout.channels_out, *layout.phases_out, layout.channels_in, *layout.phases_in, *layout.base
    )
