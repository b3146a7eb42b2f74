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

    costly = True
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

    def derive(self, numbers: Tensor) -> Tensor:
        """Blocks `(groups, frequencies, C_out/groups, C_in/groups)`, half of the frequencies for a real kernel."""
        g = self.geometry
        response = numbers.new_zeros(*numbers.shape[:2], math.prod(self.lengths))
        response = response.index_add(2, self.places, numbers.flatten(2)).unflatten(2, self.lengths)
        symbol = self._transform(response).flatten(2).unflatten(0, (g.groups, -1))
        return symbol.permute(0, 3, 1, 2).contiguous()

    def _transform(self, x: Tensor) -> Tensor:
        transform = torch.fft.fftn if x.is_complex() else torch.fft.rfftn
        return transform(x, self.lengths, self.dims)

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        g, symbol = self.geometry, self.derived(x.dtype)
        inverse: Any = torch.fft.ifftn if x.is_complex() else torch.fft.irfftn
        signal = x.reshape(x.shape[0], *((g.channels_out, *g.out_spatial) if adjoint else (g.channels_in, *g.spatial)))
        signal = upsampled(signal, g.stride) if adjoint else self.extension.extend(signal)
        z = inverse(_mix(symbol, self._transform(signal), adjoint), self.lengths, self.dims)
        first = (0,) * g.ndim
        z = self.extension.fold(z[(..., *map(slice, self.inner.spatial))]) if adjoint else z[(..., *g.tap(first))]
        z = z.contiguous()
        return z if g.lifted else z.squeeze(1)


def _mix(symbol: Tensor, spectrum: Tensor, adjoint: bool) -> Tensor:
    """Multiply each frequency's channels by its block of the symbol, or by the adjoint of that."""
    if symbol.shape[0] == math.prod(symbol.shape[-2:]) == 1:
        factor = symbol.reshape(spectrum.shape[2:])
        return spectrum * (factor.conj() if adjoint else factor)
    columns = spectrum.flatten(2).unflatten(1, (symbol.shape[0], -1)).permute(1, 3, 2, 0)
    mixed = torch.matmul(symbol.mH if adjoint else symbol, columns)
    return mixed.permute(3, 0, 2, 1).flatten(1, 2).unflatten(2, spectrum.shape[2:])


def upsampled(y: Tensor, stride: Sequence[int]) -> Tensor:
    """`y` with `stride - 1` zeros between the samples of each of the last axes."""
    first = y.ndim - len(stride)
    for axis, s in enumerate(stride, first):
        if s > 1:
            size = (y.shape[axis] - 1) * s + 1
            apart = functional.pad(y.unsqueeze(axis + 1), [0, 0] * (y.ndim - axis - 1) + [0, s - 1])
            y = apart.flatten(axis, axis + 1).narrow(axis, 0, size)
    return y
