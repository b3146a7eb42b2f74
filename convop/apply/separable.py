"""Kernels that are a short sum of products of one vector for each axis: a pass along each axis instead of all taps.

A matrix is the sum of its singular pairs; a kernel of more axes is split in two by the same means, and its parts again.
A kernel counts as separable if few terms reproduce it to the rounding of its own numbers, and not otherwise.
The first pass makes an array of each term and the last one adds them up, so every pass is a convolution for the loops
of `direct`. Boundaries, strides and dilations are per axis, hence a pass has those of its own axis.

Memory beside the result: what the passes leave on the way, an array for each term.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..dtypes import Array
from ..geometry import Geometry
from . import direct

# Times the kernel's eps and norm: what the terms left out may amount to.
_ROUNDING = 8
_MOST = 16  # terms of a matrix


@dataclass(frozen=True)
class Prepared:
    """The passes, in order."""

    passes: tuple[direct.Prepared, ...]


def applies(geometry: Geometry) -> bool:
    """Whether no channels are mixed and more than one axis has more than one tap; the kernel decides the rest."""
    apart = geometry.groups == geometry.channels_in == geometry.channels_out
    return apart and len(_axes(geometry)) > 1


def passes(geometry: Geometry, weight: Array) -> list[tuple[Geometry, Array]] | None:
    """A geometry and weight for each pass; None if the kernels are no short sums of products."""
    axes = _axes(geometry)
    vectors = factors(weight.reshape(len(weight), *(geometry.kernel[axis] for axis in axes)))
    if vectors is None:
        return None
    channels, terms = vectors[0].shape[:2]
    found, spatial = [], geometry.spatial
    for number, (axis, vector) in enumerate(zip(axes, vectors, strict=True)):
        last = number == len(axes) - 1
        # Axes of a single tap may have strides and paddings, which go with the first pass.
        own = {axis, *(set(range(geometry.ndim)) - set(axes) if number == 0 else ())}
        step = _along(geometry, own, spatial, (channels * (1 if last else terms), channels * (terms if number else 1)))
        found.append((step, np.ascontiguousarray(vector).reshape(step.weight_shape)))
        spatial = step.out_spatial
    return found


def _axes(geometry: Geometry) -> list[int]:
    """Those with more than one tap."""
    return [axis for axis, k in enumerate(geometry.kernel) if k > 1]


def _along(g: Geometry, own: set[int], spatial: tuple[int, ...], channels: tuple[int, int]) -> Geometry:
    """A pass on the axes `own`, over arrays of size `spatial`; terms of a channel are neighbours."""
    mine = [axis in own for axis in range(g.ndim)]
    return Geometry.make(
        spatial,
        tuple(k if m else 1 for k, m in zip(g.kernel, mine, strict=True)),
        stride=tuple(s if m else 1 for s, m in zip(g.stride, mine, strict=True)),
        dilation=tuple(d if m else 1 for d, m in zip(g.dilation, mine, strict=True)),
        padding=tuple(p if m else (0, 0) for p, m in zip(g.padding, mine, strict=True)),
        boundary=tuple(b if m else ("zero", "zero") for b, m in zip(g.boundary, mine, strict=True)),
        channels=channels,
        groups=min(channels),
        lifted=True,
    )


def factors(kernels: Array) -> list[Array] | None:
    """For each axis of kernels `(C, *taps)` the vectors `(C, terms, taps)` of their terms, or None."""
    sizes = kernels.shape[1:]
    most = (math.prod(sizes) - 1) // sum(sizes)  # with more terms the passes have as many taps as the kernel
    each = []
    for kernel in kernels:
        tolerance = _ROUNDING * float(np.finfo(kernel.dtype).eps * np.linalg.norm(kernel))
        terms = _terms(kernel.astype(np.result_type(kernel.dtype, np.float64)), tolerance)
        if terms is None or len(terms) > most:
            return None
        each.append(terms)
    vectors = [np.zeros((len(each), max(1, *map(len, each)), taps), kernels.dtype) for taps in sizes]
    for channel, terms in enumerate(each):
        for number, term in enumerate(terms):
            for vector, part in zip(vectors, term, strict=True):
                vector[channel, number] = part
    return vectors


def _terms(kernel: Array, tolerance: float) -> list[tuple[Array, ...]] | None:
    """Vectors for each axis whose products add up to the kernel, but for a rest of norm `tolerance`; or None."""
    if kernel.ndim == 1:
        return [(kernel,)]
    pairs = _singular_pairs(kernel.reshape(len(kernel), -1), tolerance)
    if pairs is None:
        return None
    terms = []
    for value, left, right in zip(*pairs, strict=True):
        root = math.sqrt(value)
        rest = _terms(root * right.reshape(kernel.shape[1:]), tolerance / root)
        if rest is None:
            return None
        terms += [(root * left, *term) for term in rest]
    return terms


def _singular_pairs(matrix: Array, tolerance: float) -> tuple[Array, Array, Array] | None:
    """The fewest singular values, with their left and right vectors as rows, that leave a rest of norm `tolerance`.

    None for more than a few. A large matrix is first compressed to the span of a few random combinations of its columns
    (Halko, Martinsson and Tropp, 2011), which is all of it if its rank is low, and shows at once if it is not.
    """
    basis = None
    if min(matrix.shape) > 2 * _MOST:
        sketch = matrix @ np.random.default_rng(0).standard_normal((matrix.shape[1], 2 * _MOST))
        basis = np.linalg.qr(sketch)[0]
        small = basis.conj().T @ matrix
        if np.linalg.norm(matrix - basis @ small) > tolerance:
            return None
        matrix = small
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    missing = np.sqrt(np.cumsum(values[::-1] ** 2))[::-1]  # without this pair and all after it (Eckart and Young)
    count = np.count_nonzero(missing > tolerance)
    if count > _MOST:
        return None
    left = left if basis is None else basis @ left
    return values[:count], left.T[:count], right[:count]


def fits(geometry: Geometry, weight: Array) -> bool:
    """Whether the kernels are short sums of products."""
    return passes(geometry, weight) is not None


def prepare(geometry: Geometry, weight: Array) -> Prepared:
    # A kernel that is separable to the rounding of float32 may not be to that of float64 signals: one pass of all taps.
    found = passes(geometry, weight) or [(geometry, weight)]
    return Prepared(tuple(direct.prepare(*each) for each in found))


def forward(prepared: Prepared, x: Array) -> Array:
    """`x` of shape `(batch, C, *spatial)` to `(batch, C, *out_spatial)`."""
    for each in prepared.passes:
        x = direct.forward(each, x)
    return x


def adjoint(prepared: Prepared, y: Array) -> Array:
    """`y` of shape `(batch, C, *out_spatial)` to `(batch, C, *spatial)`."""
    for each in reversed(prepared.passes):
        y = direct.adjoint(each, y)
    return y
