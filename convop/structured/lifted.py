"""`Lifted`: a multi-channel operator as the grid of single-channel operators that it is made of."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..algebra import add, sum_rule
from ..arguments import Shape, as_int
from ..combining import Scalar
from ..composite import Adjoint, Conjugate, Scaled
from ..convolution import Convolution
from ..dtypes import Array, DType
from ..errors import GeometryError, ShapeError
from ..foreign import as_operator
from ..operator import Operator
from .channels import grouped, respects

Grid = tuple[tuple[Operator, ...], ...]


class Lifted(Operator):
    """The `C_out x C_in` grid of operators between channels: ``y[o] = sum over i of L[o, i](x[i])``.

    Parameters
    ----------
    blocks : sequence of sequences of Operator
        Row by row; all between arrays of the same shapes.
    groups : int
        As the grid of a layer: blocks of channels that do not mix, for `lower`.

    Attributes
    ----------
    blocks : tuple of tuples of Operator
    channels : tuple of int
        `(C_out, C_in)`.
    groups : int

    Raises
    ------
    GeometryError
        If the rows are not equally long, or `groups` and the blocks that are not zero disagree.
    ShapeError
        If the blocks do not map between the same shapes.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.conv_layer(np.arange(8.0).reshape(2, 2, 2), (2, 5))
    >>> L = convop.lift(A)
    >>> L[1, 0]
    <Convolution 2: 5 -> 4, float64, direct>
    >>> blurred = L.replace(1, 0, convop.Convolution([0.5, 0.5], 5, mode="valid"))
    >>> convop.lower(blurred).kernel[1, 0]
    array([0.5, 0.5])
    """

    def __init__(self, blocks: Iterable[Iterable[Operator]], groups: int = 1) -> None:
        self.blocks: Grid = tuple(tuple(map(as_operator, row)) for row in _rows(blocks))
        widths = {len(row) for row in self.blocks}
        if len(widths) != 1 or 0 in widths:
            raise GeometryError(f"a grid has rows of one length, at least 1, got rows of {sorted(widths)} blocks")
        first = self.blocks[0][0]
        for o, i, block in self._each():
            _require_shapes(block, first.in_shape, first.out_shape, o, i)
        self.channels = (len(self.blocks), widths.pop())
        self.groups = as_int(groups, "groups", 1)
        if any(count % self.groups for count in self.channels) or not respects(self.mask, self.groups):
            raise GeometryError(
                f"groups {groups} needs zero blocks between groups and channels {self.channels} that it divides"
            )
        source, target = (self.channels[1], *first.in_shape), (self.channels[0], *first.out_shape)
        super().__init__(source, target, np.result_type(*(block.dtype for *_, block in self._each())))

    def _each(self) -> Iterable[tuple[int, int, Operator]]:
        for o, row in enumerate(self.blocks):
            for i, block in enumerate(row):
                yield o, i, block

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Which blocks of the grid are not zero kernels."""
        return np.array([[not _is_zero(block) for block in row] for row in self.blocks])

    def __getitem__(self, place: tuple[int, int]) -> Operator:
        """`L[o, i]`, the operator from input channel `i` to output channel `o`."""
        o, i = self._place(place)
        return self.blocks[o][i]

    def _place(self, place: object) -> tuple[int, int]:
        if not isinstance(place, tuple) or len(place) != 2:
            raise GeometryError(f"a block has two indices, L[output channel, input channel], got L[{place!r}]")
        o, i = (
            as_int(index, f"the {side} channel", -count)
            for index, side, count in zip(place, ("output", "input"), self.channels, strict=True)
        )
        if o >= self.channels[0] or i >= self.channels[1]:
            raise GeometryError(f"there is no block {place}: the grid has {self.channels[0]} x {self.channels[1]}")
        return o % self.channels[0], i % self.channels[1]

    def replace(self, o: int, i: int, operator: Any) -> "Lifted":
        """The grid with another operator at `[o, i]`.

        Parameters
        ----------
        o, i : int
            Output and input channel.
        operator : Operator
            Any operator between the shapes of the block that it replaces.

        Returns
        -------
        Lifted
            A new grid; `groups` become 1 if the new block mixes what they kept apart.

        Raises
        ------
        ShapeError
            If the operator's shapes are others.
        GeometryError
            If there is no such block.
        """
        o, i = self._place((o, i))
        block, old = as_operator(operator), self.blocks[o][i]
        _require_shapes(block, old.in_shape, old.out_shape, o, i)
        rows = [list(row) for row in self.blocks]
        rows[o][i] = block
        return _grid(rows, self.groups)

    # Applying: as one convolution where the blocks are of one geometry.

    @cached_property
    def _one(self) -> Convolution | None:
        return None if why_not_one(self) else lowered(self)

    def _forward(self, x: Array) -> Array:
        if self._one is not None:
            return self._one._forward(x)
        return self._sum(x, self.blocks, self.mask, self.in_shape, self.out_shape, "_forward")

    def _adjoint_forward(self, y: Array) -> Array:
        if self._one is not None:
            return self._one._adjoint_forward(y)
        columns = tuple(zip(*self.blocks, strict=True))
        return self._sum(y, columns, self.mask.T, self.out_shape, self.in_shape, "_adjoint_forward")

    def _sum(self, x: Array, grid: Grid, mask: NDArray[np.bool_], source: Shape, target: Shape, apply: str) -> Array:
        batch = x.shape[: x.ndim - len(source)]
        signals = x.reshape((-1, *source))
        total = np.zeros((len(signals), *target), np.result_type(self.dtype, x.dtype))
        for o, i in zip(*np.nonzero(mask), strict=True):
            total[:, o] += getattr(grid[o][i], apply)(np.ascontiguousarray(signals[:, i]))
        return total.reshape(batch + target)

    # Algebra.

    def _map(self, change: Any) -> "Lifted":
        return Lifted([[change(block) for block in row] for row in self.blocks], self.groups)

    def _adjoint(self) -> Operator:
        return Lifted([[block.H for block in column] for column in zip(*self.blocks, strict=True)], self.groups)

    def _conjugate(self) -> Operator:
        return self._map(lambda block: block.conj())

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return self._map(lambda block: block._scaled(scalar, np.result_type(dtype, block.dtype)))

    def using(self, method: str) -> Operator:
        """The same grid with the convolutions in it pinned to `method`."""
        return self._map(lambda block: block.using(method))

    @property
    def explicit(self) -> bool:
        return all(block.explicit for *_, block in self._each())

    @property
    def work(self) -> int:
        return max(sum(block.work for block in row) for row in self.blocks)

    # Matrices.

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        if self._one is not None:
            return self._one._csr(max_bytes)
        matrix = scipy.sparse.block_array([[block._csr(max_bytes) for block in row] for row in self.blocks])
        canonical = scipy.sparse.csr_array(matrix)
        canonical.sum_duplicates()
        return canonical

    def _count(self) -> tuple[int, bool]:
        counts = [block._count() for *_, block in self._each()]
        return sum(count for count, _ in counts), all(exact for _, exact in counts)

    def _recipe(self) -> tuple[Any, ...]:
        return Lifted, self.blocks, self.groups

    # Telling.

    def _describe(self) -> str:
        return f"Lifted {self.channels[0]}x{self.channels[1]}"

    def _lines(self) -> list[str]:
        lines = super()._lines()
        for o, i, block in self._each():
            if len(lines) > 12:
                return [*lines, f"  … {self.channels[0] * self.channels[1]} blocks, L[output channel, input channel]"]
            lines.append(f"  [{o}, {i}] {'zero' if _is_zero(block) else repr(block)}")
        return lines


def _is_zero(block: Operator) -> bool:
    while isinstance(block, Adjoint | Conjugate | Scaled):
        block = block.operator
    return isinstance(block, Convolution) and not block.weight.any()


def _grid(rows: Sequence[Sequence[Operator]], groups: int) -> Lifted:
    """A grid in `groups` where the blocks that are not zero allow it."""
    grid = Lifted(rows)
    return Lifted(rows, groups) if groups > 1 and respects(grid.mask, groups) else grid


def _rows(blocks: Any) -> list[list[Any]]:
    """The rows of a grid as lists."""
    try:
        return [list(row) for row in blocks]
    except TypeError:
        raise GeometryError(f"a grid is rows of operators, got {blocks!r}; write [[A, B], [C, D]]") from None


def _require_shapes(block: Operator, in_shape: Shape, out_shape: Shape, o: int, i: int) -> None:
    if block.in_shape != in_shape or block.out_shape != out_shape:
        raise ShapeError(
            f"block [{o}, {i}] maps {block.in_shape} to {block.out_shape}, the others map {in_shape} to {out_shape}; "
            f"all blocks of a grid map between the same shapes, without the channel axis"
        )


def why_not_one(L: Lifted) -> str:
    """What keeps a grid from being one convolution; "" for nothing."""
    first = L.blocks[0][0]
    for o, i, block in L._each():
        if not isinstance(block, Convolution) or block.geometry.lifted:
            return (
                f"block [{o}, {i}] is {block!r}, needed a single-channel convolution; replace it, or keep the grid, "
                f"which is an operator itself"
            )
        assert isinstance(first, Convolution)  # or the loop had ended there
        if block.geometry != first.geometry:
            return (
                f"block [{o}, {i}] is {block!r} with {_differences(block, first)}; one convolution needs one "
                f"geometry for all blocks: replace it by L[0, 0].with_kernel(...)"
            )
    return ""


def _differences(block: Convolution, first: Convolution) -> str:
    mine, theirs = vars(block.geometry), vars(first.geometry)
    names = ("kernel", "stride", "dilation", "padding", "boundary")
    return ", ".join(
        f"{name} {mine[name]} where block [0, 0] has {theirs[name]}" for name in names if mine[name] != theirs[name]
    )


def lowered(L: Lifted) -> Convolution:
    rows = [[block for block in row if isinstance(block, Convolution)] for row in L.blocks]
    first = rows[0][0]
    weight = np.stack([np.stack([block.weight[0, 0].astype(L.dtype) for block in row]) for row in rows])
    geometry = replace(
        first.geometry, channels_out=L.channels[0], channels_in=L.channels[1], groups=L.groups, lifted=True
    )
    asked = {block._asked for row in rows for block in row}
    return Convolution.of(
        geometry, grouped(weight, L.groups), "correlation", asked.pop() if len(asked) == 1 else "auto"
    )


@sum_rule(Lifted, Lifted)
def added(a: Lifted, b: Lifted) -> Any:
    """Grids add block by block."""
    rows = [[_sum(*both) for both in zip(*pair, strict=True)] for pair in zip(a.blocks, b.blocks, strict=True)]
    return _grid(rows, math.gcd(a.groups, b.groups))


def _sum(a: Operator, b: Operator) -> Operator:
    dtype = np.result_type(a.dtype, b.dtype)
    for zero, other in ((a, b), (b, a)):
        if _is_zero(zero) and other.dtype == dtype:
            return other
    return add(a, b)
