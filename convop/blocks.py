"""A matrix of operators, and how arrays are made of the parts that its rows and columns act on."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import scipy.sparse

from .apply.estimate import Estimate
from .arguments import Shape
from .combining import Scalar
from .dtypes import Array, DType
from .memory import require_bytes
from .operator import Operator

Block = tuple[int, int, Operator]  # row, column, and what stands there


@dataclass(frozen=True)
class Parts:
    """How an array is made of parts: a single one as it is, equal ones along a leading axis, unequal ones flat."""

    shapes: tuple[Shape, ...]
    single: bool = False

    @cached_property
    def bounds(self) -> Shape:
        """Where each part starts in the flat array, and where the last one ends."""
        return tuple(accumulate(map(math.prod, self.shapes), initial=0))

    @cached_property
    def shape(self) -> Shape:
        if self.single:
            return self.shapes[0]
        equal = len(set(self.shapes)) == 1
        return (len(self.shapes), *self.shapes[0]) if equal else (self.bounds[-1],)

    def split(self, x: Array) -> list[Array]:
        """The parts of `x` of shape `(*batch, *shape)`; views of it where it is contiguous."""
        batch = x.shape[: x.ndim - len(self.shape)]
        flat = x.reshape((*batch, self.bounds[-1]))
        ranges = zip(pairwise(self.bounds), self.shapes, strict=True)
        return [flat[..., start:stop].reshape(batch + shape) for (start, stop), shape in ranges]


class Blocks(Operator):
    """A matrix of operators; where it has none, zeros. No row and no column is without any."""

    def __init__(self, blocks: tuple[Block, ...], rows: Parts, columns: Parts) -> None:
        self.blocks, self.rows, self.columns = blocks, rows, columns
        dtype = np.result_type(*{block.dtype for _, _, block in blocks})
        super().__init__(columns.shape, rows.shape, dtype)

    def _each(self, change: Callable[[Operator], Operator]) -> "Blocks":
        blocks = tuple((row, column, change(block)) for row, column, block in self.blocks)
        return Blocks(blocks, self.rows, self.columns)

    # Applying.

    def _forward(self, x: Array) -> Array:
        entries = ((row, column, block._forward) for row, column, block in self.blocks)
        return self._apply(entries, x, self.columns, self.rows)

    def _adjoint_forward(self, y: Array) -> Array:
        entries = ((column, row, block._adjoint_forward) for row, column, block in self.blocks)
        return self._apply(entries, y, self.rows, self.columns)

    def _apply(
        self, entries: Iterable[tuple[int, int, Callable[[Array], Array]]], x: Array, source: Parts, target: Parts
    ) -> Array:
        batch, dtype = x.shape[: x.ndim - len(source.shape)], np.result_type(self.dtype, x.dtype)
        x = x.astype(
            np.result_type(x.dtype, np.finfo(dtype).dtype), copy=False
        )  # every block in the result's precision
        y = np.empty(batch + target.shape, dtype)
        inputs, outputs, unwritten = source.split(x), target.split(y), set(range(len(target.shapes)))
        for to, origin, apply in entries:
            if to in unwritten:
                outputs[to][...] = apply(inputs[origin])
                unwritten.remove(to)
            else:
                outputs[to] += apply(inputs[origin])
        return y

    # Algebra.

    def _adjoint(self) -> Operator:
        blocks = tuple(sorted(((column, row, block.H) for row, column, block in self.blocks), key=lambda b: b[:2]))
        return Blocks(blocks, self.columns, self.rows)

    def _conjugate(self) -> Operator:
        return self._each(lambda block: block.conj())

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return self._each(lambda block: block._scaled(scalar, dtype))

    def using(self, method: str) -> Operator:
        return self._each(lambda block: block.using(method))

    # Matrices.

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        entries, exact = self._count()
        if exact:
            needed = 2 * Estimate.of(self.shape, entries, self.dtype).bytes  # the matrix, and the blocks it is made of
            advice = "apply the operator without its matrix, or allow more with max_bytes"
            require_bytes(needed, f"the sparse matrix of shape {self.shape} with {entries} entries", advice, max_bytes)
        in_row: defaultdict[int, list[tuple[int, Operator]]] = defaultdict(list)
        for row, column, block in self.blocks:
            in_row[row].append((column, block))
        rows = [self._row(in_row[row], math.prod(shape), max_bytes) for row, shape in enumerate(self.rows.shapes)]
        matrix = scipy.sparse.csr_array(scipy.sparse.vstack(rows, format="csr")).astype(self.dtype, copy=False)
        matrix.sum_duplicates()
        return matrix

    def _row(self, blocks: list[tuple[int, Operator]], height: int, max_bytes: int | None) -> scipy.sparse.csr_array:
        """The matrix of one row of blocks, with zeros where there are none."""
        pieces: list[scipy.sparse.csr_array] = []
        bounds, end = self.columns.bounds, 0
        for column, block in blocks:
            if bounds[column] > end:
                pieces.append(scipy.sparse.csr_array((height, bounds[column] - end), dtype=self.dtype))
            piece = block._csr(max_bytes)
            pieces.append(piece.astype(np.result_type(piece.dtype, self.dtype), copy=False))
            end = bounds[column + 1]
        if bounds[-1] > end:
            pieces.append(scipy.sparse.csr_array((height, bounds[-1] - end), dtype=self.dtype))
        return pieces[0] if len(pieces) == 1 else scipy.sparse.csr_array(scipy.sparse.hstack(pieces, format="csr"))

    def _count(self) -> tuple[int, bool]:
        counts = [block._count() for _, _, block in self.blocks]
        return sum(entries for entries, _ in counts), all(exact for _, exact in counts)

    def _widest(self) -> tuple[int, int]:
        rows: Counter[int] = Counter()
        columns: Counter[int] = Counter()
        for row, column, block in self.blocks:
            widest = block._widest()
            rows[row] += widest[0]
            columns[column] += widest[1]
        return max(rows.values(), default=0), max(columns.values(), default=0)

    @property
    def explicit(self) -> bool:
        return all(block.explicit for _, _, block in self.blocks)

    @property
    def work(self) -> int:
        return -(-sum(block.work * block.shape[0] for _, _, block in self.blocks) // self.shape[0])

    def _recipe(self) -> tuple[Any, ...]:
        return Blocks, self.blocks, self.rows, self.columns

    # Telling.

    def _describe(self) -> str:
        rows, columns = len(self.rows.shapes), len(self.columns.shapes)
        if self.columns.single:
            return f"Vertical stack of {rows}"
        if self.rows.single:
            return f"Horizontal stack of {columns}"
        if rows == columns == len(self.blocks) and all(row == column for row, column, _ in self.blocks):
            return f"Block diagonal of {rows}"
        return f"{rows} x {columns} blocks"

    def _lines(self) -> list[str]:
        lines = super()._lines()
        for row, column, block in self.blocks:
            first, *others = block._lines()
            lines += [f"  [{row}, {column}] {first}", *(f"  {line}" for line in others)]
        return lines
