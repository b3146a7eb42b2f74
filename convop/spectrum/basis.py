"""Orthonormal bases of a grid in which convolutions are blocks: along each axis the DFT or the DCT-II.

Real operators on a DFT axis keep half of the spectrum: that of the last DFT axis with more than one sample stops at
`m // 2 + 1`, as `scipy.fft.rfftn` has it, and `weights` says how many frequencies an entry stands for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..apply.transforms import transform_workers
from ..arguments import Shape
from ..dtypes import Array
from ..errors import GeometryError

DFT, DCT, NONE = "DFT", "DCT-II", "none"
EVEN, ODD = "DCT-I", "DST-I with borders"  # not orthogonal: for eigenvalues only


@dataclass(frozen=True)
class Basis:
    """One of the two transforms for each axis; `real` if arrays are, so that half of the spectrum is enough."""

    kinds: tuple[str, ...]
    real: bool

    def names(self, base: Shape) -> tuple[str, ...]:
        """The transform of each axis of the grid `base`; "none" where it has one sample."""
        return tuple(kind if n > 1 else NONE for kind, n in zip(self.kinds, base, strict=True))

    def axes(self, base: Shape, kind: str) -> tuple[int, ...]:
        """The axes that have this transform, counted from the end."""
        names = self.names(base)
        return tuple(axis - len(base) for axis, name in enumerate(names) if name == kind)

    def halved(self, base: Shape) -> int | None:
        """The axis of which half the spectrum is kept, counted from the end."""
        fourier = self.axes(base, DFT)
        return fourier[-1] if self.real and fourier else None

    def frequencies(self, base: Shape) -> Shape:
        """Shape of the spectrum of an array of shape `base`."""
        halved, shape = self.halved(base), list(base)
        if halved is not None:
            shape[halved] = shape[halved] // 2 + 1
        return tuple(shape)

    def weights(self, base: Shape) -> NDArray[np.float64]:
        """For each entry of the spectrum, how many of the whole spectrum it stands for: 1 or 2."""
        halved, weights = self.halved(base), np.ones(self.frequencies(base))
        if halved is not None:
            m = base[halved]
            np.moveaxis(weights, halved, -1)[..., 1 : (m + 1) // 2] = 2
        return weights

    def forward(self, x: Array, base: Shape) -> Array:
        """The orthonormal transform along the last axes of `x`, of shape `(..., *base)`."""
        import scipy.fft

        cosine = self.axes(base, DCT)
        if cosine:
            x = np.asarray(scipy.fft.dctn(x, axes=cosine, norm="ortho", workers=transform_workers(x.size)))
        return self.spectrum(x, base, "ortho")

    def backward(self, c: Array, base: Shape) -> Array:
        """The inverse of `forward`."""
        import scipy.fft

        x = self.response(c, base, "ortho")
        cosine = self.axes(base, DCT)
        if not cosine:
            return x
        return np.asarray(scipy.fft.idctn(x, axes=cosine, norm="ortho", workers=transform_workers(x.size)))

    def spectrum(self, x: Array, base: Shape, norm: Any = "backward") -> Array:
        """The transform along the DFT axes alone."""
        import scipy.fft

        axes = self.axes(base, DFT)
        if not axes:
            return x
        transform: Any = scipy.fft.rfftn if self.real else scipy.fft.fftn
        return np.asarray(transform(x, axes=axes, norm=norm, workers=transform_workers(x.size)))

    def response(self, c: Array, base: Shape, norm: Any = "backward") -> Array:
        """The inverse of `spectrum`."""
        import scipy.fft

        axes = self.axes(base, DFT)
        if not axes:
            return c
        inverse: Any = scipy.fft.irfftn if self.real else scipy.fft.ifftn
        sizes = [base[axis] for axis in axes]
        return np.asarray(inverse(c, sizes, axes=axes, norm=norm, workers=transform_workers(c.size)))

    def whole(self, half: Array, base: Shape) -> Array:
        """The whole spectrum `(*base, ...)` of blocks of a real operator from its half `(*frequencies, ...)`."""
        halved = self.halved(base)
        if halved is None:
            return half
        last, m = halved + len(base), base[halved]
        missing = half.conj().take(m - np.arange(m // 2 + 1, m), last)
        for axis in self.axes(base, DFT)[:-1]:
            n = base[axis]
            missing = missing.take(-np.arange(n) % n, axis + len(base))
        return np.concatenate([half, missing], axis=last)


def as_kinds(names: Any, ndim: int) -> tuple[str, ...]:
    """Names of transforms, one for each axis; an axis of one sample has none, and the DFT does nothing there."""
    kinds = tuple(DFT if name == NONE else name for name in names)
    if len(kinds) != ndim or not set(kinds) <= {DFT, DCT}:
        raise GeometryError(f"axes_names must be {DFT!r}, {DCT!r} or {NONE!r} for each of {ndim} axes, got {names!r}")
    return kinds
