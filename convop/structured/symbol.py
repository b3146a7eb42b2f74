"""Spectra of impulse responses: a block at each frequency, half of them where the response is real.

A response is `(rows, columns, *base)`, its spectrum `(*frequencies, rows, columns)`. That of a real response is the
complex conjugate of itself at the opposite frequency, so the last axis keeps its first `m // 2 + 1` frequencies.
Convolution on a torus multiplies spectra frequency by frequency (the circular convolution theorem), so that all of
linear algebra is done on blocks. `scipy.fft` is called, so that a backend set there is used.
"""

from typing import Any

import numpy as np

from ..apply.transforms import transform_workers
from ..arguments import Shape
from ..dtypes import Array


def transform(x: Array, ndim: int) -> Array:
    """Transform along the last `ndim` axes; real arrays give the half spectrum."""
    import scipy.fft

    function: Any = scipy.fft.fftn if np.iscomplexobj(x) else scipy.fft.rfftn
    return function(x, axes=range(-ndim, 0), workers=transform_workers(x.size))


def inverse_transform(spectrum: Array, base: Shape, real: bool) -> Array:
    """The array on the grid `base` whose transform along the last axes is `spectrum`."""
    import scipy.fft

    function: Any = scipy.fft.irfftn if real else scipy.fft.ifftn
    return function(spectrum, base, axes=range(-len(base), 0), workers=transform_workers(spectrum.size))


def spectrum_of(response: Array) -> Array:
    """Blocks `(*frequencies, rows, columns)` of a response `(rows, columns, *base)`."""
    spectrum = transform(response, response.ndim - 2)
    return np.ascontiguousarray(np.moveaxis(spectrum, (0, 1), (-2, -1)))


def response_of(blocks: Array, base: Shape, real: bool) -> Array:
    """The response `(rows, columns, *base)` of blocks."""
    spectrum = np.moveaxis(blocks, (-2, -1), (0, 1))
    return inverse_transform(spectrum, base, real)


def mirrored(spectrum: Array, ndim: int) -> Array:
    """A full spectrum, its leading `ndim` axes, read at the opposite frequencies."""
    for axis in range(ndim):
        spectrum = spectrum.take(-np.arange(spectrum.shape[axis]) % spectrum.shape[axis], axis)
    return spectrum


def full(half: Array, base: Shape, opposite: Array | None = None) -> Array:
    """The full spectrum `(*base, ...)` from its half, and from the values at the frequencies `opposite` to that.

    By default those are the complex conjugates of `half`, as for the spectrum of a real response.
    """
    last, m = len(base) - 1, base[-1]
    opposite = half.conj() if opposite is None else opposite
    missing = opposite.take(m - np.arange(m // 2 + 1, m), last)
    return np.concatenate([half, mirrored(missing, last)], axis=last)


def half_shape(base: Shape) -> Shape:
    """The frequencies that the half spectrum keeps."""
    return (*base[:-1], base[-1] // 2 + 1)


def mix(blocks: Array, spectrum: Array, adjoint: bool) -> Array:
    """Multiply the rows of `spectrum`, `(batch, columns, *frequencies)`, by the blocks or by their adjoints."""
    if blocks.shape[-2:] == (1, 1):
        return spectrum * (blocks[..., 0, 0].conj() if adjoint else blocks[..., 0, 0])
    if adjoint:  # A^H y = conj(y^H A)^T: no copy of the blocks
        rows = np.ascontiguousarray(np.moveaxis(spectrum, (0, 1), (-2, -1)).conj())
        return np.moveaxis((rows @ blocks).conj(), (-2, -1), (0, 1))
    columns = np.ascontiguousarray(np.moveaxis(spectrum, (0, 1), (-1, -2)))
    return np.moveaxis(blocks @ columns, (-2, -1), (1, 0))


def multiply(a: Array, b: Array) -> Array:
    """Products of blocks."""
    return a * b if a.shape[-2:] == b.shape[-2:] == (1, 1) else a @ b
