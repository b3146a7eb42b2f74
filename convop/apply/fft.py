"""Convolution by FFT, for kernels of many taps. `scipy.fft` is called, so that a backend set there is used.

A zero-boundary axis is transformed at a length where nothing wraps, a periodic axis at its own length (where
wrapping is what is wanted); other boundaries are extended first. The kernel's spectrum is computed once.
"""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry
from .extend import extend, fold

WORTH_SHARING = 2**16  # samples below which one thread transforms faster than many


def applies(geometry: Geometry) -> bool:
    return True


def prepare(geometry: Geometry, weight: NDArray) -> "Prepared":
    return Prepared(geometry, weight)


def kernel_symbol(geometry: Geometry, weight: NDArray, lengths: tuple[int, ...]) -> NDArray:
    """Transform of the weight's impulse response on a torus of `lengths`: `(C_out, C_in/groups, *frequencies)`.

    A tap that reads at lag `l` stands at `-l` of the impulse response. Real weights give the half spectrum.
    """
    places = np.ix_(*((-geometry.lags(axis)) % n for axis, n in enumerate(lengths)))
    response = np.zeros((*weight.shape[:2], *lengths), weight.dtype)
    # A kernel longer than the torus wraps around, so taps that meet add up.
    np.add.at(response, (slice(None), slice(None), *places), weight)  # pyright: ignore[reportArgumentType]
    return _transform(response, geometry.ndim)


@dataclass(frozen=True)
class Prepared:
    """A geometry with its weight `(C_out, C_in/groups, *kernel)`, real or complex like the signals to come."""

    geometry: Geometry
    weight: NDArray

    @cached_property
    def extended_axes(self) -> tuple[int, ...]:
        """Axes whose boundary is neither zero nor periodic, so that they are extended before the transform."""
        g = self.geometry
        return tuple(a for a in range(g.ndim) if not _is_torus(g, a) and set(g.boundary[a]) != {"zero"})

    @cached_property
    def inner(self) -> Geometry:
        """The geometry that is left once `extended_axes` are extended."""
        g = self.geometry
        if not self.extended_axes:
            return g
        spatial, padding, boundary = list(g.spatial), list(g.padding), list(g.boundary)
        for axis in self.extended_axes:
            spatial[axis], padding[axis], boundary[axis] = g.extended[axis], (0, 0), ("zero", "zero")
        return Geometry.make(
            tuple(spatial), g.kernel, stride=g.stride, dilation=g.dilation, padding=tuple(padding),
            boundary=tuple(boundary), channels=(g.channels_out, g.channels_in), groups=g.groups, lifted=g.lifted,
        )  # fmt: skip

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Transform lengths: the fast ones at which no sample that is read or written wraps onto another."""
        from scipy.fft import next_fast_len

        real = not np.iscomplexobj(self.weight)
        return tuple(
            least if _is_torus(self.inner, axis) else next_fast_len(least, real)  # pyright: ignore[reportReturnType]
            for axis, least in enumerate(least_lengths(self.inner))
        )

    @cached_property
    def symbol(self) -> NDArray:
        """The weight's transform in blocks `(groups, C_out/groups, C_in/groups, *frequencies)`."""
        symbol = kernel_symbol(self.inner, self.weight, self.lengths)
        return symbol.reshape(self.geometry.groups, -1, *symbol.shape[1:])


def forward(prepared: Prepared, x: NDArray) -> NDArray:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    g = prepared.geometry
    spectrum = _transform(extend(g, x, prepared.extended_axes), g.ndim, prepared.lengths)
    z = _inverse(_mix("goi...,bgi...->bgo...", prepared.symbol, spectrum), prepared, x.dtype)
    return np.ascontiguousarray(z[(..., *_samples(g))])


def adjoint(prepared: Prepared, y: NDArray) -> NDArray:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    g = prepared.geometry
    z = np.zeros((*y.shape[:2], *(rows.stop for rows in _samples(g))), y.dtype)
    z[(..., *_samples(g))] = y
    spectrum = _transform(z, g.ndim, prepared.lengths)
    u = _inverse(_mix("goi...,bgo...->bgi...", prepared.symbol.conj(), spectrum), prepared, y.dtype)
    inside = tuple(map(slice, prepared.inner.spatial))
    return np.ascontiguousarray(fold(g, u[(..., *inside)], prepared.extended_axes))


def least_lengths(geometry: Geometry) -> tuple[int, ...]:
    """The shortest transform lengths; those of periodic axes are their own."""
    return tuple(
        n if _is_torus(geometry, axis) else max(n + max(0, *padding), rows.stop)
        for axis, (n, padding, rows) in enumerate(
            zip(geometry.spatial, geometry.padding, _samples(geometry), strict=True)
        )
    )


def _is_torus(geometry: Geometry, axis: int) -> bool:
    """Whether the axis wraps around and its output needs no more than one turn."""
    dense = (geometry.out_spatial[axis] - 1) * geometry.stride[axis] + 1
    return "periodic" in geometry.boundary[axis] and dense <= geometry.spatial[axis]


def _samples(geometry: Geometry) -> tuple[slice, ...]:
    """Where the outputs stand among those of stride 1."""
    return tuple(slice(0, (m - 1) * s + 1, s) for m, s in zip(geometry.out_spatial, geometry.stride, strict=True))


def _mix(subscripts: str, symbol: NDArray, spectrum: NDArray) -> NDArray:
    """Multiply each frequency's channels by its block of the symbol."""
    if symbol.shape[:3] == (1, 1, 1):
        return spectrum * symbol[0, 0]
    groups = symbol.shape[0]
    blocks = spectrum.reshape(spectrum.shape[0], groups, -1, *spectrum.shape[2:])
    mixed = np.einsum(subscripts, symbol, blocks)
    return mixed.reshape(mixed.shape[0], -1, *mixed.shape[3:])


def transform_workers(size: int) -> int:
    """How many threads `scipy.fft` takes for so many samples."""
    return (os.cpu_count() or 1) if size > WORTH_SHARING else 1


def _transform(x: NDArray, ndim: int, lengths: tuple[int, ...] | None = None) -> NDArray:
    import scipy.fft

    transform = scipy.fft.fftn if np.iscomplexobj(x) else scipy.fft.rfftn
    return np.asarray(transform(x, lengths, axes=range(-ndim, 0), workers=transform_workers(x.size)))


def _inverse(spectrum: NDArray, prepared: Prepared, dtype: np.dtype) -> NDArray:
    import scipy.fft

    inverse = scipy.fft.ifftn if dtype.kind == "c" else scipy.fft.irfftn
    axes = range(-prepared.geometry.ndim, 0)
    workers = transform_workers(spectrum.size)
    return np.asarray(inverse(spectrum, prepared.lengths, axes=axes, workers=workers, overwrite_x=True))
