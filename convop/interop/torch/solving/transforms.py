"""The cosine transforms, and the bases in which closed forms are blocks, on tensors.

Cosine transforms are taken from the Fourier transform of one reordered sequence (J. Makhoul, "A fast cosine transform
in one and two dimensions", IEEE Trans. Acoustics, Speech and Signal Processing 28, 1980).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ....spectrum.basis import DCT, DFT
from ....spectrum.closed_form import ClosedForm
from ..structures import join, split


def cosine(x: Tensor, axis: int, kind: int = 2, inverse: bool = False) -> Tensor:
    """The orthonormal DCT-II, or DCT-I, along an axis, or its inverse; of both parts of complex tensors."""
    transform = _dct1 if kind == 1 else _idct2 if inverse else _dct2
    if not x.is_complex():
        return transform(x.movedim(axis, -1)).movedim(-1, axis)
    return torch.complex(cosine(x.real, axis, kind, inverse), cosine(x.imag, axis, kind, inverse))


def _turns(n: int, like: Tensor) -> Tensor:
    """`exp(-i pi k / 2n)` over the scale of the orthonormal transform."""
    angles = torch.arange(n, dtype=torch.float64, device=like.device) * (-math.pi / (2 * n))
    turns = torch.polar(torch.full_like(angles, math.sqrt(2 / n)), angles)
    turns[0] /= math.sqrt(2)
    return turns.to(torch.promote_types(like.dtype, torch.complex64))


def _dct2(x: Tensor) -> Tensor:
    """Along the last axis."""
    n = x.shape[-1]
    spectrum = torch.fft.fft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], -1))
    return (spectrum * _turns(n, x)).real


def _idct2(c: Tensor) -> Tensor:
    """Along the last axis: the transpose of `_dct2`."""
    n = c.shape[-1]
    reordered = torch.fft.fft(c * _turns(n, c)).real
    x = torch.empty_like(c)
    x[..., ::2], x[..., 1::2] = reordered[..., : (n + 1) // 2], reordered[..., (n + 1) // 2 :].flip(-1)
    return x


def _dct1(x: Tensor) -> Tensor:
    """Along the last axis; its own inverse."""
    n = x.shape[-1]
    ends = torch.ones(n, dtype=x.dtype, device=x.device)
    ends[0] = ends[-1] = math.sqrt(2)
    x = x * ends
    spectrum = torch.fft.rfft(torch.cat([x, x[..., 1:-1].flip(-1)], -1)).real
    return spectrum / (ends * math.sqrt(2 * (n - 1)))


class Basis:
    """The unitary transform of a closed form's input, `(batch, *in_shape)` to `(batch, *freq, C)` and back."""

    def __init__(self, form: ClosedForm) -> None:
        self.form, self.layout, self.base = form, form.layout, form.layout.base
        basis = form.basis
        self.cosines, self.fourier = (basis.axes(self.base, kind) for kind in (DCT, DFT))
        self.half = basis.halved(self.base) is not None

    def analyse(self, x: Tensor) -> Tensor:
        grid = x.reshape(x.shape[0], self.layout.channels_in, *self.layout.grid_in)
        c = split(grid, self.layout)
        for axis in self.cosines:
            c = cosine(c, axis)
        if self.fourier:
            c = (torch.fft.rfftn if self.half else torch.fft.fftn)(c, dim=self.fourier, norm="ortho")
        return c.movedim(1, -1)

    def synthesise(self, c: Tensor) -> Tensor:
        x = c.movedim(-1, 1)
        if self.fourier:
            sizes = [self.base[axis] for axis in self.fourier]
            x = (torch.fft.irfftn if self.half else torch.fft.ifftn)(x, s=sizes, dim=self.fourier, norm="ortho")
        for axis in self.cosines:
            x = cosine(x, axis, inverse=True)
        return join(x, self.layout.adjoint).reshape(x.shape[0], *self.form.in_shape)


def in_parts(apply: Callable[[Tensor], Tensor], x: Tensor, real: bool) -> Tensor:
    """A real map acts on real and imaginary parts alike: a batch of twice as many."""
    if not (real and x.is_complex()):
        return apply(x)
    re, im = apply(torch.cat([x.real, x.imag])).chunk(2)
    return torch.complex(re, im)
