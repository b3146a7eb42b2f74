"""Structured operators in torch: Toeplitz, grids of channels, block circulant."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...structured.circulant import BlockCirculant
from ...structured.lifted import Lifted, lowered, why_not_one
from ...structured.polyphase import Layout
from ...structured.toeplitz import BlockToeplitz
from .composites import Composite
from .form import Form
from .kernelled import Derived
from .number_types import REAL
from .options import Options
from .stored import Stored
from .table import part_of, torch_form


@torch_form(BlockToeplitz, "conv", "fft", "sparse")
def toeplitz(A: BlockToeplitz, options: Options) -> Form:
    """The convolution that a Toeplitz operator is."""
    return part_of(A.convolution, options)


@torch_form(Lifted, "conv", "fft", "sparse")
def lifted(A: Lifted, options: Options) -> Form:
    """The one convolution that the grid is, or the grid."""
    return LiftedForm(A, options) if why_not_one(A) else part_of(lowered(A), options)


class LiftedForm(Composite):
    """A grid of operators between channels."""

    def __init__(self, A: Lifted, options: Options) -> None:
        places = [(int(o), int(i)) for o, i in np.argwhere(A.mask)]
        super().__init__(A, [A.blocks[o][i] for o, i in places], options)
        self.places = places

    def direct(self, x: Tensor) -> Tensor:
        each = zip(self.places, self.forms, strict=True)
        return _stacked([(o, form.direct(x[:, i])) for (o, i), form in each], x, self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        each = zip(self.places, self.forms, strict=True)
        return _stacked([(i, form.adjoint(y[:, o])) for (o, i), form in each], y, self.in_shape)


def _stacked(results: list[tuple[int, Tensor]], x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sums of what belongs to each channel; zeros where nothing does."""
    total: dict[int, Tensor] = {}
    for channel, result in results:
        total[channel] = total[channel] + result if channel in total else result
    nothing = x.new_zeros(x.shape[0], *shape[1:])
    return torch.stack([total.get(channel, nothing) for channel in range(shape[0])], 1)


@torch_form(BlockCirculant, "fft", "sparse")
def circulant(A: BlockCirculant, options: Options) -> Form:
    """Blocks at each frequency, or the matrix."""
    return Stored(A, options) if options.method == "sparse" else Circulant(A, options)


class Circulant(Derived):
    """A block for each frequency.

    The blocks are kept as pairs of reals, so that a real operator stays one when a module is moved to another type.
    """

    blocks: Tensor

    def __init__(self, A: BlockCirculant, options: Options) -> None:
        super().__init__(A, options)
        self.layout, self.of_reals = A.layout, A.dtype.kind != "c"
        pairs = np.stack([np.real(A.blocks), np.imag(A.blocks)], axis=-1)
        self.register_buffer("blocks", torch.from_numpy(pairs.astype(options.precision)).to(options.device))

    @property
    def source(self) -> Tensor:
        return self.blocks

    @property
    def real(self) -> bool:
        return self.of_reals

    def numbers(self, dtype: torch.dtype) -> Tensor:
        pairs = self.blocks.real if self.blocks.is_complex() else self.blocks
        return pairs.to(REAL[dtype]).contiguous()

    def derive(self, numbers: Tensor) -> Tensor:
        return torch.view_as_complex(numbers)

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        layout = self.layout.adjoint if adjoint else self.layout
        blocks, dims = self.derived(x.dtype), tuple(range(-layout.ndim, 0))
        forward: Any = torch.fft.rfftn if self.of_reals else torch.fft.fftn
        inverse: Any = torch.fft.irfftn if self.of_reals else torch.fft.ifftn
        spectrum = forward(split(x.reshape(x.shape[0], layout.channels_in, *layout.grid_in), layout), dim=dims)
        if adjoint:
            mixed = torch.einsum("...rc,br...->bc...", blocks.conj(), spectrum)
        else:
            mixed = torch.einsum("...rc,bc...->br...", blocks, spectrum)
        return join(inverse(mixed, layout.base, dims), layout).reshape(x.shape[0], *layout.out_shape)


def split(x: Tensor, layout: Layout) -> Tensor:
    """`(batch, C, *grid)` to `(batch, C * prod(phases), *base)`."""
    base, phases, ndim = layout.base, layout.phases_in, layout.ndim
    pairs = x.reshape(*x.shape[:2], *(size for pair in zip(base, phases, strict=True) for size in pair))
    order = (0, 1, *range(3, 2 * ndim + 3, 2), *range(2, 2 * ndim + 2, 2))
    return pairs.permute(order).reshape(x.shape[0], layout.channels_in * math.prod(phases), *base)


def join(x: Tensor, layout: Layout) -> Tensor:
    """The inverse of `split` for what comes out."""
    base, phases, ndim = layout.base, layout.phases_out, layout.ndim
    apart = x.reshape(x.shape[0], layout.channels_out, *phases, *base)
    order = (0, 1, *(axis for i in range(ndim) for axis in (2 + ndim + i, 2 + i)))
    return apart.permute(order)
