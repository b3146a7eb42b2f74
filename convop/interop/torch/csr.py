"""A convolution's matrix in compressed rows, with channels, on any device."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ...apply.estimate import index_dtype, with_small_indices
from ...apply.sparse import csr
from ...geometry import Geometry
from .entries import Entries, entries, grouped_order


@dataclass(frozen=True)
class Pattern:
    """Where the entries of a convolution's matrix stand: by row, ascending by column, none twice."""

    geometry: Geometry
    channel: Entries  # between one input and one output channel
    order: Tensor | None  # entries of a row for each input channel, as `(channel, entry)` numbered in C order
    row_start: Tensor
    column: Tensor

    @classmethod
    def of(cls, geometry: Geometry, device: torch.device) -> "Pattern":
        one = entries(geometry, device)
        inner = geometry.channels_in // geometry.groups
        size = len(one.column) * inner * geometry.channels_out
        if geometry.channels_in == geometry.channels_out == 1:
            return cls(geometry, one, None, one.row_start, one.column)
        ints = torch.int32 if index_dtype(geometry.matrix_shape, size) == np.int32 else torch.int64
        channel, entry = grouped_order(one.row_start, inner)
        samples = math.prod(geometry.spatial)
        group = torch.arange(geometry.channels_out, device=device) // (geometry.channels_out // geometry.groups)
        first = (group * (inner * samples))[:, None].to(ints)
        column = first + (channel * samples + one.column[entry]).to(ints)
        rows = torch.arange(geometry.channels_out, device=device)[:, None] * len(entry) + one.row_start[:-1] * inner
        row_start = torch.nn.functional.pad(rows.reshape(-1), (0, 1), value=size).to(ints)
        return cls(geometry, one, channel * len(one.column) + entry, row_start, column.reshape(-1))

    def to(self, device: torch.device) -> "Pattern":
        """The same on another device."""
        order = None if self.order is None else self.order.to(device)
        return Pattern(
            self.geometry, self.channel.to(device), order, self.row_start.to(device), self.column.to(device)
        )  # fmt: skip

    def values(self, weight: Tensor) -> Tensor:
        """The values of a weight `(C_out, C_in/groups, *taps)`; differentiable."""
        return self._ordered(self.channel.values(weight.flatten(2)))

    def _ordered(self, by_channel: Tensor) -> Tensor:
        if self.order is None:
            return by_channel.reshape(-1)
        return by_channel.flatten(1).index_select(1, self.order).reshape(-1)

    def touched(self, weight: Tensor) -> Tensor | None:
        """Which entries a tap that is not zero enters; None for all."""
        support = weight != 0
        return None if bool(support.all()) else self._ordered(self.channel.touched(support.flatten(2)))


@dataclass(frozen=True)
class Rows:
    """A matrix in compressed rows."""

    row_start: Tensor
    column: Tensor
    values: Tensor
    shape: tuple[int, int]

    @classmethod
    def of_convolution(cls, geometry: Geometry, weight: Tensor) -> "Rows":
        """The matrix of a convolution, where it is wanted: compiled loops on a CPU, tensors elsewhere."""
        if weight.device.type == "cpu":
            return cls.of_scipy(csr(geometry, weight.numpy()))
        return cls.assembled(geometry, weight)

    @classmethod
    def assembled(cls, geometry: Geometry, weight: Tensor) -> "Rows":
        """The matrix of a convolution, computed with tensors. A tap whose weight is zero has no entry."""
        pattern = Pattern.of(geometry, weight.device)
        row_start, column, values = pattern.row_start, pattern.column, pattern.values(weight)
        kept = pattern.touched(weight)
        if kept is not None:
            before = torch.nn.functional.pad(kept.cumsum(0), (1, 0))
            row_start, column, values = before[row_start.long()].to(row_start.dtype), column[kept], values[kept]
        return cls(row_start, column, values, geometry.matrix_shape)

    @classmethod
    def of_scipy(cls, matrix: Any) -> "Rows":
        """The rows of a canonical `scipy.sparse` array that nobody else holds."""
        matrix = with_small_indices(matrix)
        row_start, column, values = map(torch.from_numpy, (matrix.indptr, matrix.indices, matrix.data))
        return cls(row_start, column, values, matrix.shape)

    @property
    def row(self) -> Tensor:
        """The row of each entry."""
        return rows_of(self.row_start, len(self.column))

    def adjoint(self) -> "Rows":
        """The conjugate transpose."""
        row_start, column, order = transposed(self.row_start, self.column, self.shape)
        rows, columns = self.shape
        return Rows(row_start, column, self.values[order].conj().resolve_conj(), (columns, rows))

    def tensor(self) -> Tensor:
        """As torch's CSR tensor."""
        return compressed(torch.sparse_csr_tensor, self.row_start, self.column, self.values, self.shape)


@contextmanager
def without_beta_warning() -> Iterator[None]:
    """Within it, torch does not say that its compressed layouts are in beta, which is nothing to users of these."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse (CSR|CSC|BSR) tensor support is in beta", category=UserWarning
        )
        yield


def compressed(make: Callable[..., Tensor], starts: Tensor, others: Tensor, values: Tensor, shape: Any) -> Tensor:
    """A tensor in one of torch's compressed layouts."""
    with without_beta_warning():
        # Without the device, torch would take its default one.
        return make(starts, others, values, shape, device=values.device, check_invariants=False)


def rows_of(row_start: Tensor, size: int) -> Tensor:
    """The row of each of `size` entries."""
    numbers = torch.arange(len(row_start) - 1, dtype=row_start.dtype, device=row_start.device)
    return torch.repeat_interleave(numbers, row_start.diff().long(), output_size=size)


def transposed(row_start: Tensor, column: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Row starts and columns of the transpose, and which entry each of its entries was."""
    return (by_counting if column.device.type == "cpu" else by_sorting)(row_start, column, shape)


def by_counting(row_start: Tensor, column: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """`transposed` in linear time, by scipy."""
    numbers = np.arange(len(column), dtype=column.numpy().dtype)
    matrix: Any = scipy.sparse.csr_array((numbers, column.numpy(), row_start.numpy()), shape=shape).tocsc()
    starts, rows, order = (torch.from_numpy(np.asarray(p)) for p in (matrix.indptr, matrix.indices, matrix.data))
    return starts.to(row_start.dtype), rows.to(column.dtype), order


def by_sorting(row_start: Tensor, column: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """`transposed` on any device."""
    order = torch.argsort(column, stable=True)
    counts = torch.bincount(column, minlength=shape[1])
    starts = torch.nn.functional.pad(counts.cumsum(0), (1, 0)).to(row_start.dtype)
    return starts, rows_of(row_start, len(column))[order], order


def multiply(matrix: Tensor, x: Tensor) -> Tensor:
    """The products of a CSR tensor with the rows of `x`."""
    if len(x) == 1:
        return (matrix @ x[0]).unsqueeze(0)
    return (matrix @ x.T).T.contiguous()
