"""Transforms of signals and kernels; `scipy.fft` is called, so that a backend set there is used."""

import os
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array, DType
from ..geometry import Geometry
from . import threads

WORTH_SHARING = 2**18  # samples below which one thread transforms faster than two; measured


def transform_workers(size: int) -> int:
    """How many threads `scipy.fft` takes for so many samples."""
    return _cores() if size > WORTH_SHARING else 1


@cache
def _cores() -> int:
    return os.cpu_count() or 1  # which reads a file, in as long as a small transform takes


def fast_length(least: int, real: bool) -> int:
    """The shortest length of at least `least` that transforms fast."""
    from scipy.fft import next_fast_len

    return next_fast_len(least, real)  # pyright: ignore[reportReturnType]


def transform(x: Array, lengths: tuple[int, ...], workers: int | None = None) -> Array:
    """Over the last axes, zero-extended to `lengths`; the half spectrum of reals."""
    import scipy.fft

    forward = scipy.fft.fftn if np.iscomplexobj(x) else scipy.fft.rfftn
    workers = workers or transform_workers(x.size)
    return np.asarray(forward(x, lengths, axes=range(-len(lengths), 0), workers=workers))


def inverse(spectrum: Array, lengths: tuple[int, ...], dtype: DType, workers: int | None = None) -> Array:
    """What `transform` undoes, to signals of `dtype`; `spectrum` is spent."""
    import scipy.fft

    backward = scipy.fft.ifftn if dtype.kind == "c" else scipy.fft.irfftn
    workers = workers or transform_workers(spectrum.size)
    return np.asarray(backward(spectrum, lengths, axes=range(-len(lengths), 0), workers=workers, overwrite_x=True))


def impulse_response(weight: Array, lags: list[NDArray[np.intp]], lengths: tuple[int, ...]) -> Array:
    """The weight `(C_out, C_in/groups, *lengths)` on a torus; a tap that reads at lag `l` stands at `-l`."""
    places = np.ix_(*((-each) % n for each, n in zip(lags, lengths, strict=True)))
    response = np.zeros((*weight.shape[:2], *lengths), weight.dtype)
    # A kernel longer than the torus wraps around, so taps that meet add up.
    np.add.at(response, (slice(None), slice(None), *places), weight)  # pyright: ignore[reportArgumentType]
    return response


def kernel_symbol(geometry: Geometry, weight: Array, lengths: tuple[int, ...]) -> Array:
    """Transform of the impulse response: `(C_out, C_in/groups, *frequencies)`; the half spectrum of reals."""
    lags = [geometry.lags(axis) for axis in range(geometry.ndim)]
    return transform(impulse_response(weight, lags, lengths), lengths)


def in_groups(symbol: Array, groups: int) -> Array:
    """A symbol in blocks `(groups, C_out/groups, C_in/groups, *frequencies)`."""
    return symbol.reshape(groups, -1, *symbol.shape[1:])


def mix(symbol: Array, spectrum: Array, adjoint: bool, workers: int | None = None) -> Array:
    """Multiply each frequency's channels by its block of the symbol; `spectrum` is spent.

    For the adjoint the symbol comes conjugated, and its blocks are transposed here.
    """
    if symbol.shape[:3] == (1, 1, 1):
        if workers == 1:
            return np.multiply(spectrum, symbol[0, 0], out=spectrum)
        return _multiplied(spectrum, symbol[0, 0, 0])
    subscripts = "goi...,bgo...->bgi..." if adjoint else "goi...,bgi...->bgo..."
    blocks = spectrum.reshape(spectrum.shape[0], symbol.shape[0], -1, *spectrum.shape[2:])
    mixed = np.einsum(subscripts, symbol, blocks)
    return mixed.reshape(mixed.shape[0], -1, *mixed.shape[3:])


def _multiplied(spectrum: Array, factor: Array) -> Array:
    """Every channel of `spectrum` times `factor`, in place; lines of the first axis are shared out."""

    def multiply(start: int, stop: int) -> None:
        np.multiply(spectrum[:, :, start:stop], factor[start:stop], out=spectrum[:, :, start:stop])

    threads.share(multiply, len(factor), 4 * spectrum.size)
    return spectrum
