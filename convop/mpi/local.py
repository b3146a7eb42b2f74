"""One rank's share of a convolution: from the rows that it holds to the rows of the result that it keeps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..part import Part
from .exchange import Exchange
from .shares import Share


class LocalConvolution:
    """The map between the rows of one rank; every rank applies it at the same time.

    The interior is computed while the halo travels. The adjoint computes the edges first and sends what they give to
    the rows of others, to be added there, while it computes the interior.
    """

    def __init__(self, A: Convolution, comm: Any, shares: Sequence[Share]) -> None:
        self.exchange = Exchange(comm, shares)
        share = self.exchange.mine
        self.axis = -A.geometry.ndim
        self.dtype = A.dtype
        self.in_shape = with_rows(A.in_shape, self.axis, share.rows)
        self.out_shape = with_rows(A.out_shape, self.axis, share.outputs)
        self.interior = [Piece(A, share.interior, share)] if share.interior else []
        self.edges = [Piece(A, edge, share) for edge in share.edges]

    def forward(self, x: Array) -> Array:
        """From `in_shape` to `out_shape`."""
        y = np.empty(self.out_shape, np.result_type(self.dtype, x.dtype))
        rows, results = (np.moveaxis(each, self.axis, 0) for each in (x, y))
        travelling = self.exchange.fetch(rows)
        for piece in self.interior:
            results[piece.outputs] = self._through(piece.part.forward, piece.read(rows, None))
        halo = travelling.arrived()
        for piece in self.edges:
            results[piece.outputs] = self._through(piece.part.forward, piece.read(rows, halo))
        return y

    def adjoint(self, y: Array) -> Array:
        """From `out_shape` to `in_shape`."""
        x = np.zeros(self.in_shape, np.result_type(self.dtype, y.dtype))
        rows, given = (np.moveaxis(each, self.axis, 0) for each in (x, y))
        halo = np.zeros((len(self.exchange.mine.halo), *rows.shape[1:]), x.dtype)
        for piece in self.edges:
            piece.add(self._through(piece.part.adjoint, given[piece.outputs]), rows, halo)
        travelling = self.exchange.give_back(halo)
        for piece in self.interior:
            piece.add(self._through(piece.part.adjoint, given[piece.outputs]), rows, halo)
        self.exchange.add(travelling.arrived(), rows)
        return x

    def _through(self, apply: Any, rows: Array) -> Array:
        """Apply a function of arrays in their own order to one that has its rows first."""
        return np.moveaxis(apply(np.moveaxis(rows, 0, self.axis)), self.axis, 0)


class Piece:
    """A run of a rank's outputs, and where the rows that it reads are: held by the rank, or in its halo."""

    def __init__(self, A: Convolution, outputs: range, share: Share) -> None:
        self.part = Part(A, {0: outputs})
        self.outputs = slice(outputs.start - share.outputs.start, outputs.stop - share.outputs.start)
        samples = self.part.windows[0].samples
        held = (samples >= share.rows.start) & (samples < share.rows.stop)
        self.shape = (len(samples),)
        self.held, self.others = _index(np.flatnonzero(held)), np.flatnonzero(~held)
        self.rows = _index(samples[held] - share.rows.start)
        self.halo = np.searchsorted(share.halo, samples[~held])

    def read(self, rows: Array, halo: Array | None) -> Array:
        """What it reads, from the rank's rows and its halo."""
        if halo is None or len(self.others) == 0:
            return rows[self.rows]
        block = np.empty(self.shape + rows.shape[1:], rows.dtype)
        block[self.held] = rows[self.rows]
        block[self.others] = halo[self.halo]
        return block

    def add(self, block: Array, rows: Array, halo: Array) -> None:
        """The adjoint of `read`."""
        rows[self.rows] += block[self.held]
        halo[self.halo] += block[self.others]


def _index(numbers: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Ascending numbers as an index, a slice where they leave no gaps: it copies nothing."""
    if len(numbers) == 0 or numbers[-1] - numbers[0] + 1 > len(numbers):
        return numbers
    return slice(int(numbers[0]), int(numbers[-1]) + 1)


def with_rows(shape: Shape, axis: int, rows: range) -> Shape:
    """`shape` with only these rows along an axis counted from the last."""
    return (*shape[:axis], len(rows), *shape[len(shape) + axis + 1 :])
