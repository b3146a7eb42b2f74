"""A convolution by FFT, its spectrum kept; what is transformed at which length is decided as for numpy arrays."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...apply.fft import Prepared
from ...convolution import Convolution
from .extending import Extension
from .kernelled import Kernelled
from .options import Options


class Fourier(Kernelled):
    """Multiplication with the spectrum of the kernel, on a torus where no sample that counts wraps onto another."""

    places: Tensor

    def __init__(self, A: Convolution, options: Options) -> None:
        super().__init__(A, options)
        plan = Prepared(A.geometry, A.weight)
        self.lengths, self.inner = plan.lengths, plan.inner
        self.extension = Extension(A.geometry, plan.extended_axes, options.device)
        self.dims = tuple(range(-A.geometry.ndim, 0))
        self.register_buffer("places", self._places().to(options.device), persistent=False)

    def _places(self) -> Tensor:
        """Where each tap stands on the torus, flat: a tap that reads at lag `l` at `-l` of the impulse response."""
        along = ((-self.inner.lags(axis)) % n for axis, n in enumerate(self.lengths))
        return torch.from_numpy(np.ravel_multi_index(np.ix_(*along), self.lengths).ravel())

    def derive(self, weight: Tensor) -> Tensor:
        """Blocks `(groups, C_out/groups, C_in/groups, *frequencies)`, half of the frequencies for a real kernel."""
        g = self.geometry
        response = weight.new_zeros(*weight.shape[:2], math.prod(self.lengths))
        response = response.index_add(2, self.places, weight.flatten(2)).unflatten(2, self.lengths)
        return self._transform(response).unflatten(0, (g.groups, -1))

    def _transform(self, x: Tensor) -> Tensor:
        transform = torch.fft.fftn if x.is_complex() else torch.fft.rfftn
        return transform(x, self.lengths, self.dims)

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        g, symbol = self.geometry, self.derived(x.dtype)
        inverse: Any = torch.fft.ifftn if x.is_complex() else torch.fft.irfftn
        signal = x.reshape(x.shape[0], *((g.channels_out, *g.out_spatial) if adjoint else (g.channels_in, *g.spatial)))
        signal = upsampled(signal, g.stride) if adjoint else self.extension.extend(signal)
        z = inverse(_mix(symbol, self._transform(signal), adjoint), self.lengths, self.dims)
        if adjoint:
            z = self.extension.fold(z[(..., *map(slice, self.inner.spatial))])
        else:
            z = z[(..., *g.tap((0,) * g.ndim))]
        z = z.contiguous()
        return z if g.lifted else z.squeeze(1)


def _mix(symbol: Tensor, spectrum: Tensor, adjoint: bool) -> Tensor:
    """Multiply each frequency's channels by its block of the symbol, or by the adjoint of that."""
    symbol = symbol.conj() if adjoint else symbol
    if symbol.shape[:3] == (1, 1, 1):
        return spectrum * symbol[0, 0]
    blocks = spectrum.unflatten(1, (symbol.shape[0], -1))
    subscripts = "goi...,bgo...->bgi..." if adjoint else "goi...,bgi...->bgo..."
    return torch.einsum(subscripts, symbol, blocks).flatten(1, 2)


def upsampled(y: Tensor, stride: Sequence[int]) -> Tensor:
    """`y` with `stride - 1` zeros between the samples of each of the last axes."""
    first = y.ndim - len(stride)
    for axis, s in enumerate(stride, first):
        if s > 1:
            size = (y.shape[axis] - 1) * s + 1
            apart = functional.pad(y.unsqueeze(axis + 1), [0, 0] * (y.ndim - axis - 1) + [0, s - 1])
            y = apart.flatten(axis, axis + 1).narrow(axis, 0, size)
    return y
