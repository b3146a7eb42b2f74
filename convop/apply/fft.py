"""Convolution by FFT, for kernels of many taps: the whole at once, or large signals in blocks (`overlap_save`).

A zero-boundary axis is transformed at a length where nothing wraps, a periodic axis at its own length (where
wrapping is what is wanted); other boundaries are extended first. The kernel's spectrum is computed once.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..dtypes import Array
from ..geometry import Geometry
from . import overlap_save, threads
from .extend import extend, fold, upsampled
from .machine import constants
from .transforms import fast_length, in_groups, inverse, kernel_symbol, mix, transform, transform_workers

FAR = 3 * 2**20  # bytes of a transform that no longer stay near one core
LINES = 4  # levels of a transform that starting on the lines of one more axis is worth
FASTER = 1.6  # how much faster than the whole blocks have to be predicted, since they lean on caches and threads


def applies(geometry: Geometry) -> bool:
    return True


def prepare(geometry: Geometry, weight: Array) -> "Prepared | overlap_save.Prepared":
    lengths = best_blocks(geometry, weight)
    return Prepared(geometry, weight) if lengths is None else overlap_save.Prepared(geometry, weight, lengths)


@dataclass(frozen=True)
class Prepared:
    """A geometry with its weight `(C_out, C_in/groups, *kernel)`, real or complex like the signals to come."""

    geometry: Geometry
    weight: Array

    @cached_property
    def extended_axes(self) -> tuple[int, ...]:
        """Axes whose boundary is neither zero nor periodic, so that they are extended before the transform."""
        g = self.geometry
        return tuple(a for a in range(g.ndim) if not _is_torus(g, a) and set(g.boundary[a]) != {"zero"})

    @cached_property
    def inner(self) -> Geometry:
        """The geometry that is left once `extended_axes` are extended."""
        return self.geometry.on_extended({axis: self.geometry.extended[axis] for axis in self.extended_axes})

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Transform lengths: the fast ones at which no sample that is read or written wraps onto another."""
        real = not np.iscomplexobj(self.weight)
        return tuple(
            least if _is_torus(self.inner, axis) else fast_length(least, real)
            for axis, least in enumerate(least_lengths(self.inner))
        )

    @cached_property
    def symbol(self) -> Array:
        """The weight's transform in blocks `(groups, C_out/groups, C_in/groups, *frequencies)`."""
        return in_groups(kernel_symbol(self.inner, self.weight, self.lengths), self.geometry.groups)

    @cached_property
    def conjugate(self) -> Array:
        """The symbol of the adjoint, but for the order of the channels."""
        return self.symbol.conj()


def forward(prepared: Prepared | overlap_save.Prepared, x: Array) -> Array:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    if isinstance(prepared, overlap_save.Prepared):
        return overlap_save.forward(prepared, x)
    g = prepared.geometry
    spectrum = transform(extend(g, x, prepared.extended_axes), prepared.lengths)
    z = inverse(mix(prepared.symbol, spectrum, adjoint=False), prepared.lengths, x.dtype)
    return np.ascontiguousarray(z[(..., *g.samples)])


def adjoint(prepared: Prepared | overlap_save.Prepared, y: Array) -> Array:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    if isinstance(prepared, overlap_save.Prepared):
        return overlap_save.adjoint(prepared, y)
    g = prepared.geometry
    mixed = mix(prepared.conjugate, transform(upsampled(g, y), prepared.lengths), adjoint=True)
    u = inverse(mixed, prepared.lengths, y.dtype)
    inside = tuple(map(slice, prepared.inner.spatial))
    return np.ascontiguousarray(fold(g, u[(..., *inside)], prepared.extended_axes))


def least_lengths(geometry: Geometry) -> tuple[int, ...]:
    """The shortest transform lengths; those of periodic axes are their own."""
    return tuple(
        n if _is_torus(geometry, axis) else max(n + max(0, *padding), dense)
        for axis, (n, padding, dense) in enumerate(zip(geometry.spatial, geometry.padding, geometry.dense, strict=True))
    )


def _is_torus(geometry: Geometry, axis: int) -> bool:
    """Whether the axis wraps around and its output needs no more than one turn."""
    return "periodic" in geometry.boundary[axis] and geometry.dense[axis] <= geometry.spatial[axis]


def cost(geometry: Geometry, weight: Array) -> float:
    """Predicted ns of one application: of the whole, or of the best blocks."""
    lengths = best_blocks(geometry, weight)
    return whole_cost(geometry, weight) if lengths is None else blocks_cost(geometry, weight, lengths)


def how(geometry: Geometry, weight: Array) -> str:
    """What it does, in words."""
    lengths = best_blocks(geometry, weight)
    if lengths is not None:
        return f"transforms of blocks of {'x'.join(map(str, lengths))} (overlap-save), the kernel's kept"
    return f"a transform of about {'x'.join(map(str, least_lengths(geometry)))}, the kernel's kept"


def best_blocks(geometry: Geometry, weight: Array) -> tuple[int, ...] | None:
    """The lengths of blocks for overlap-save, or None where the whole at once is predicted to be faster."""
    wraps = all(_is_torus(geometry, axis) for axis in range(geometry.ndim))  # then the whole needs no padding
    if math.prod(geometry.out_spatial) < overlap_save.WORTH_BLOCKS * (4 if wraps else 1):
        return None

    def price(lengths: tuple[int, ...]) -> float:
        return blocks_cost(geometry, weight, lengths)

    best = min(overlap_save.candidates(geometry, real=weight.dtype.kind == "f"), key=price)
    return best if FASTER * price(best) < whole_cost(geometry, weight) else None


def whole_cost(geometry: Geometry, weight: Array) -> float:
    """Predicted ns of transforming the whole at once."""
    size = math.prod(least_lengths(geometry))
    shared = transform_workers(size) ** 0.5 if _is_far(geometry, weight, size) else 1.0  # near ones gain nothing
    return _transform_cost(geometry, weight, size) / shared


def blocks_cost(geometry: Geometry, weight: Array, lengths: tuple[int, ...]) -> float:
    """Predicted ns of blocks of these lengths."""
    number = math.prod(overlap_save.counts(geometry, lengths))
    each = constants().block + _transform_cost(geometry, weight, math.prod(lengths))
    return number * each / threads.count() ** 0.5


def _is_far(geometry: Geometry, weight: Array, size: int) -> bool:
    """Whether `size` samples of the channels of one side do not stay near one core."""
    return size * (geometry.channels_in + geometry.channels_out) / 2 * weight.itemsize > FAR


def _transform_cost(geometry: Geometry, weight: Array, size: int) -> float:
    """Of transforming `size` samples of every channel there and back in one thread, and of mixing the channels."""
    machine, channels = constants(), (geometry.channels_in + geometry.channels_out) / 2
    products = geometry.channels_out * geometry.channels_in / geometry.groups
    numbers = {"float32": 1.0, "float64": 1.6, "complex64": 2.0, "complex128": 3.2}[weight.dtype.name]
    levels = math.log2(size + 1) + LINES * geometry.ndim
    far = machine.far if _is_far(geometry, weight, size) else 1.0
    return numbers * size * (machine.transform * far * channels * levels + machine.mix * (products - 1))
