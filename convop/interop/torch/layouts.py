"""An operator's matrix in torch's sparse layouts."""

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ...arguments import per_axis
from ...composite import Adjoint, Conjugate, Scaled
from ...convolution import Convolution
from ...errors import GeometryError
from ...operator import Operator
from .csr import Rows, compressed, transposed, without_beta_warning
from .entries import entries, grouped_order
from .options import Options
from .permutation import channels_last

LAYOUTS = ("csr", "csc", "coo", "bsr")


def sparse_tensor(A: Operator, layout: str, blocksize: Any, options: Options) -> Tensor:
    """The matrix of `A` in a layout; the options say where and in which type."""
    if layout != "bsr":
        if blocksize is not None:
            raise GeometryError(f"blocksize has a meaning for layout 'bsr' only, got layout {layout!r}; leave it out")
        rows = _rows(A, options)
        return {"csr": Rows.tensor, "csc": _csc, "coo": _coo}[layout](rows)
    if blocksize is not None:
        return _bsr(_rows(A, options), blocksize)
    block = channel_block(A)
    if block is None:
        raise GeometryError(
            f"layout 'bsr' has blocks of channels, and {A!r} is no convolution with channels; give blocksize=(r, c)"
        )
    return _of_channels(A, options) if isinstance(A, Convolution) else _of_wrapped(A, block, options)


def _rows(A: Operator, options: Options) -> Rows:
    if isinstance(A, Convolution) and options.device.type != "cpu":  # no matrix in the machine's memory
        return Rows.assembled(A.geometry, options.tensor(A.weight))
    rows = Rows.of_scipy(A.tosparse())
    values = options.tensor(rows.values.numpy())
    return Rows(rows.row_start.to(options.device), rows.column.to(options.device), values, A.shape)


def _csc(rows: Rows) -> Tensor:
    starts, row, order = transposed(rows.row_start, rows.column, rows.shape)
    return compressed(torch.sparse_csc_tensor, starts, row, rows.values[order], rows.shape)


def _coo(rows: Rows) -> Tensor:
    places = torch.stack([rows.row, rows.column]).long()  # torch takes no other
    return torch.sparse_coo_tensor(
        places, rows.values, rows.shape, device=places.device, is_coalesced=True, check_invariants=False
    )


def _bsr(rows: Rows, blocksize: Any) -> Tensor:
    block = per_axis(blocksize, 2, "blocksize", 1)
    if any(size % each for size, each in zip(rows.shape, block, strict=True)):
        raise GeometryError(f"blocksize {block} does not divide the shape {rows.shape}; give divisors of both sizes")
    return (_bsr_on_cpu if rows.values.device.type == "cpu" else bsr_by_sorting)(rows, block)


def _bsr_on_cpu(rows: Rows, block: tuple[int, ...]) -> Tensor:
    """In linear time, by torch, which has no such code for other devices: there it warns and goes by way of the CPU."""
    matrix = rows.tensor()
    with without_beta_warning():
        return matrix.to_sparse_bsr(block)


def bsr_by_sorting(rows: Rows, block: tuple[int, ...]) -> Tensor:
    """Blocks on any device: those that hold an entry, numbered row by row."""
    (high, wide), (height, width) = block, rows.shape
    across, row, column = width // wide, rows.row.long(), rows.column.long()
    blocks, block_of = torch.unique(row // high * across + column // wide, return_inverse=True)
    places = (block_of * high + row % high) * wide + column % wide
    values = rows.values.new_zeros(len(blocks) * high * wide).index_copy(0, places, rows.values)
    starts = torch.searchsorted(blocks, torch.arange(height // high + 1, device=blocks.device) * across)
    row_start, column = (part.to(rows.column.dtype) for part in (starts, blocks % across))
    return compressed(torch.sparse_bsr_tensor, row_start, column, values.reshape(-1, high, wide), rows.shape)


# Blocks of channels: rows and columns run over space first and channels last.


def channel_block(A: Operator) -> tuple[int, int] | None:
    """Channels out and in of a group, if `A` is a convolution with channels, or an adjoint or a multiple of one."""
    if isinstance(A, Convolution) and A.geometry.lifted:
        g = A.geometry
        return g.channels_out // g.groups, g.channels_in // g.groups
    if not isinstance(A, Adjoint | Conjugate | Scaled):
        return None
    block = channel_block(A.operator)
    return block if block is None or not isinstance(A, Adjoint) else (block[1], block[0])


def _of_channels(A: Convolution, options: Options) -> Tensor:
    """Blocks straight from the geometry: a block stands wherever one channel alone would have an entry."""
    g, weight = A.geometry, options.tensor(A.weight)
    one = entries(g, options.device)
    channel, entry = grouped_order(one.row_start, g.groups)
    values = one.values(weight.flatten(2)).unflatten(0, (g.groups, -1))[channel, :, :, entry]
    touched = one.touched(weight.flatten(2) != 0).unflatten(0, (g.groups, -1)).flatten(1, 2).any(1)[channel, entry]
    column = (one.column[entry] * g.groups + channel).to(one.column.dtype)
    starts = one.row_start[:-1, None] * g.groups + one.row_start.diff()[:, None] * torch.arange(
        g.groups, device=options.device
    )
    starts = torch.nn.functional.pad(starts.reshape(-1), (0, 1), value=len(entry))
    before = torch.nn.functional.pad(touched.cumsum(0), (1, 0))
    row_start = before[starts].to(column.dtype)
    return compressed(torch.sparse_bsr_tensor, row_start, column[touched], values[touched].contiguous(), A.shape)


def _of_wrapped(A: Operator, block: tuple[int, int], options: Options) -> Tensor:
    matrix = (channels_last(A.out_shape) @ A @ channels_last(A.in_shape).T).tosparse()
    blocks: Any = scipy.sparse.csr_array(matrix).tobsr(block)
    blocks.sort_indices()
    values = options.tensor(np.asarray(blocks.data))
    row_start, column = (torch.from_numpy(part).to(options.device) for part in (blocks.indptr, blocks.indices))
    return compressed(torch.sparse_bsr_tensor, row_start, column, values, A.shape)
