"""Wrong adjoints, each with its cause. Matrices come from explicit loops and share no code with the package.

`animals(seed)` gives the whole zoo; the bugs are those that reached released libraries (DESIGN.md), and relatives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import convop

REAL, COMPLEX = (np.float32, np.float64), (np.complex64, np.complex128)


class Animal(NamedTuple):
    """A forward map, its wrong adjoint, and what a checker should call the fault."""

    name: str
    forward: Callable[[Any], Any]
    adjoint: Callable[[Any], Any]
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    dtype: Any
    cause: str

    def check(self, **options: Any) -> Any:
        pair = (self.forward, self.adjoint)
        shapes = {"in_shape": self.in_shape, "out_shape": self.out_shape, "dtype": self.dtype}
        return convop.check.adjoint(pair, **shapes, **options)


# -- naive matrices ----------------------------------------------------------------------------------------


def outside(i: int, n: int, boundary: str) -> int | None:
    """The sample that stands at index i, None where it is zero."""
    if 0 <= i < n:
        return i
    if boundary == "zero":
        return None
    if boundary == "periodic":
        return i % n
    if boundary == "replicate":
        return min(max(i, 0), n - 1)
    period, offset = (2 * n, 1) if boundary == "symmetric" else (2 * n - 2, 0)
    i %= period
    return i if i < n else period - offset - i


def conv_matrix(h, n, m, *, start, boundary="zero", stride=1, flip=True, conj=False):
    """Row i reads x[i * stride + start - t] (or + t where not flipped) with weight h[t], per axis."""
    h = np.asarray(h)
    flip = (flip,) * h.ndim if isinstance(flip, bool) else flip
    A = np.zeros((*m, *n), h.dtype)
    for i in np.ndindex(*m):
        for t in np.ndindex(*h.shape):
            at = [
                outside(i[a] * stride + start[a] + (-t[a] if flip[a] else t[a]), n[a], boundary) for a in range(h.ndim)
            ]
            if None not in at:
                A[(*i, *at)] += h[t].conj() if conj else h[t]
    return A.reshape(math.prod(m), math.prod(n))


def same(h, n, **options):
    """ "same" size with the default centre (k - 1) // 2."""
    return conv_matrix(h, n, n, start=[(k - 1) // 2 for k in np.shape(h)], **options)


def correlate(h, n, centre, **options):
    """What the adjoint of a convolution with this centre looks like inside: a correlation, conjugated."""
    return conv_matrix(h, n, n, start=[-c for c in centre], flip=False, conj=True, **options)


def kernel(rng, shape, dtype):
    """Random and unsymmetric, complex in both parts."""
    h = rng.standard_normal(shape)
    return (h + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else h).astype(dtype)


def matrices(name, A, G, in_shape, out_shape, cause) -> Animal:
    def forward(x):
        return np.einsum("ij,j->i", A, x.reshape(-1)).reshape(out_shape)

    def adjoint(y):
        return np.einsum("ij,j->i", G, y.reshape(-1)).reshape(in_shape)

    return Animal(name, forward, adjoint, in_shape, out_shape, A.dtype, cause)


# -- the bugs ----------------------------------------------------------------------------------------------


def scale_not_conjugated(rng, real, cplx):
    A = (1 + 2j) * same(kernel(rng, (3, 2), cplx), (6, 7))
    A = A.astype(cplx)
    return matrices(
        "scale not conjugated",
        A,
        (A.conj().T * (1 + 2j) / (1 - 2j)).astype(cplx),
        (6, 7),
        (6, 7),
        "missing_conjugate",
    )


def kernel_not_conjugated(rng, real, cplx):
    h = kernel(rng, (3, 4), cplx)
    A = conv_matrix(h, (7, 9), (9, 12), start=(0, 0))
    return matrices("kernel not conjugated", A, A.T, (7, 9), (9, 12), "missing_conjugate")


def transpose_for_adjoint(rng, real, cplx):
    A = kernel(rng, (11, 8), cplx)
    return matrices("T and H swapped", A, A.T, (8,), (11,), "missing_conjugate")


def unflipped(rng, real, cplx):
    h, n = kernel(rng, (3, 5), cplx), (8, 11)
    return matrices("kernel not flipped", same(h, n), same(h.conj(), n), n, n, "unflipped_kernel")


def forward_for_adjoint(rng, real, cplx):
    h, n = kernel(rng, (5,), real), (23,)
    return matrices("forward for adjoint", same(h, n), same(h, n), n, n, "unflipped_kernel")


def flipped_on_wrong_axis(rng, real, cplx):
    h, n = kernel(rng, (3, 3), real), (9, 12)
    G = conv_matrix(h, n, n, start=(-1, 1), flip=(False, True), conj=True)
    return matrices("flip on the wrong axis", same(h, n), G, n, n, "unflipped_kernel")


def unflipped_full(rng, real, cplx):
    h, n, m = kernel(rng, (4,), cplx), (17,), (20,)
    A = conv_matrix(h, n, m, start=(0,))
    G = conv_matrix(h, m, n, start=(3,), conj=True)
    return matrices("full, kernel not flipped", A, G, n, m, "unflipped_kernel")


def unflipped_even(rng, real, cplx):
    h, n = kernel(rng, (4, 2), real), (12, 13)
    return matrices("even kernel not flipped", same(h, n), same(h, n), n, n, "unflipped_kernel")


def unflipped_volume(rng, real, cplx):
    h, n = kernel(rng, (3, 3, 3), real), (5, 6, 7)
    G = conv_matrix(h, n, n, start=(-1, 1, -1), flip=(False, True, False))
    return matrices("volume, one axis not flipped", same(h, n), G, n, n, "unflipped_kernel")


def even_centre(rng, real, cplx):
    h, n = kernel(rng, (4,), cplx), (24,)
    return matrices("even kernel, centre off by one", same(h, n), correlate(h, n, (2,)), n, n, "shifted")


def even_centre_both_axes(rng, real, cplx):
    h, n = kernel(rng, (2, 4), real), (10, 13)
    return matrices("even kernel, both centres off", same(h, n), correlate(h, n, (1, 2)), n, n, "shifted")


def centre_periodic(rng, real, cplx):
    h, n = kernel(rng, (3, 3), real), (9, 10)
    A, G = same(h, n, boundary="periodic"), correlate(h, n, (1, 3), boundary="periodic")
    return matrices("periodic, shifted by two", A, G, n, n, "shifted")


def upsampled_with_offset(rng, real, cplx):
    h, n, m = kernel(rng, (3, 3), real), (13, 15), (7, 8)
    A = conv_matrix(h, n, m, start=(1, 1), stride=2)
    G = np.zeros((*n, math.prod(m)), A.dtype)
    G[:, 1:] = A.conj().T.reshape(*n, -1)[:, :-1]
    return matrices("upsampled to the wrong offset", A, G.reshape(math.prod(n), -1), n, m, "shifted")


def half_sample_correlated(rng, real, cplx):
    h, n = kernel(rng, (3, 3), cplx), (9, 11)
    G = correlate(h, n, (1, 1), boundary="symmetric")
    return matrices("half-sample, correlated", same(h, n, boundary="symmetric"), G, n, n, "boundary")


def half_sample_line(rng, real, cplx):
    h, n = kernel(rng, (3,), real), (20,)
    G = correlate(h, n, (1,), boundary="symmetric")
    return matrices("half-sample line, correlated", same(h, n, boundary="symmetric"), G, n, n, "boundary")


def halo_cropped(rng, real, cplx):
    h, n = kernel(rng, (3, 5), real), (12, 14)
    A = same(h, n, boundary="mirror")
    return matrices("halo cropped", A, same(h, n).T, n, n, "boundary")


def wrap_forgotten(rng, real, cplx):
    h, n = kernel(rng, (3, 3), cplx), (10, 9)
    return matrices("wrap forgotten", same(h, n, boundary="periodic"), same(h, n).conj().T, n, n, "boundary")


def replicated_correlated(rng, real, cplx):
    h, n = kernel(rng, (5, 3), real), (13, 12)
    G = correlate(h, n, (2, 1), boundary="replicate")
    return matrices("replicate, correlated", same(h, n, boundary="replicate"), G, n, n, "boundary")


def strided_truncated(rng, real, cplx):
    h, n, m = kernel(rng, (3, 3), real), (11, 13), (6, 7)
    A = conv_matrix(h, n, m, start=(1, 1), stride=2)
    seen = A.reshape(*m, -1).copy()
    seen[-1] = 0  # the adjoint expects floor(11 / 2) rows
    return matrices("strided, last row dropped", A, seen.reshape(A.shape).T, n, m, "boundary")


def one_sided(rng, real, cplx):
    h, n = kernel(rng, (3, 3), real), (9, 10)
    G = same(h, n).T.copy().reshape(*n, -1)
    G[:, 0] = 0
    return matrices("first column dropped", same(h, n), G.reshape(90, 90), n, n, "boundary")


def fourier_unnormalised(rng, real, cplx):
    n = 12
    F = np.array([[np.exp(-2j * np.pi * i * j / n) for j in range(n)] for i in range(n)]).astype(cplx)
    return matrices("factor 1/N", F, F.conj().T / n, (n,), (n,), "scaled")


def scaled_by_two(rng, real, cplx):
    A = same(kernel(rng, (3, 3), real), (8, 9))
    return matrices("scaled by two", A, 2 * A.T, (8, 9), (8, 9), "scaled")


def divergence_sign(rng, real, cplx):
    A = (np.eye(14, k=1) - np.eye(14))[:-1].astype(real)
    return matrices("divergence with the wrong sign", A, -A.T, (14,), (13,), "scaled")


def one_entry(rng, real, cplx):
    n = (9, 11)
    A = same(kernel(rng, (3, 3), real), n)
    G = A.T.copy()
    G[rng.integers(99), rng.integers(99)] += 1
    return matrices("one wrong entry", A, G, n, n, "wrong_entries")


def three_entries(rng, real, cplx):
    A = kernel(rng, (13, 17), cplx)
    G = A.conj().T.copy()
    G[(2, 9, 16), (12, 5, 3)] *= 3
    return matrices("three wrong entries", A, G, (17,), (13,), "wrong_entries")


def channels_not_swapped(rng, real, cplx):
    w, n = kernel(rng, (3, 3, 5), real), (11,)
    blocks = [[same(w[o, i], n) for i in range(3)] for o in range(3)]
    A, wrong = np.block(blocks), np.block([[blocks[o][i].T for i in range(3)] for o in range(3)])
    return matrices("channels not swapped", A, wrong, (3, 11), (3, 11), "wrong_entries")


def scaled_and_not_conjugated(rng, real, cplx):
    A = same(kernel(rng, (3, 4), cplx), (8, 9))
    return matrices("scaled and not conjugated", A, (3 * A.T).astype(cplx), (8, 9), (8, 9), "missing_conjugate")


def scaled_and_unflipped(rng, real, cplx):
    h, n = kernel(rng, (3, 3), real), (9, 12)
    A = same(h, n)
    return matrices("scaled and not flipped", A, (A / 2).astype(real), n, n, "unflipped_kernel")


def imaginary_part_dropped(rng, real, cplx):
    A = same(kernel(rng, (3, 3), cplx), (7, 8))
    animal = matrices("imaginary part dropped", A, A.conj().T, (7, 8), (7, 8), "not_linear")
    return animal._replace(adjoint=lambda y: animal.adjoint(y).real.astype(cplx))


def bias(rng, real, cplx):
    A = same(kernel(rng, (3, 3), real), (7, 8))
    animal = matrices("affine", A, A.T, (7, 8), (7, 8), "not_linear")
    return animal._replace(forward=lambda x: animal.forward(x) + A.dtype.type(0.1))


def clipped(rng, real, cplx):
    A = same(kernel(rng, (3,), real), (19,))
    level = np.abs(A).max()
    animal = matrices("clipped", A, A.T, (19,), (19,), "not_linear")
    return animal._replace(forward=lambda x: np.clip(animal.forward(x), -level, level))


def in_place(rng, real, cplx):
    A = same(kernel(rng, (3,), real), (19,))
    animal = matrices("scales its input in place", A, 2 * A.T, (19,), (19,), "mutates_input")

    def forward(x):
        x *= 2
        return animal.forward(x)

    return animal._replace(forward=forward)


def not_a_number(rng, real, cplx):
    A = same(kernel(rng, (3,), real), (19,))
    G = A.T.copy()
    G[3, 4] = np.nan
    return matrices("NaN in the adjoint", A, G, (19,), (19,), "unknown")


BUGS = (
    scale_not_conjugated, kernel_not_conjugated, transpose_for_adjoint,
    unflipped, forward_for_adjoint, flipped_on_wrong_axis, unflipped_full, unflipped_even, unflipped_volume,
    even_centre, even_centre_both_axes, centre_periodic, upsampled_with_offset,
    half_sample_correlated, half_sample_line, halo_cropped, wrap_forgotten, replicated_correlated,
    strided_truncated, one_sided,
    fourier_unnormalised, scaled_by_two, divergence_sign,
    one_entry, three_entries, channels_not_swapped, scaled_and_not_conjugated, scaled_and_unflipped,
    imaginary_part_dropped, bias, clipped, in_place, not_a_number,
)  # fmt: skip


def animals(seed: int) -> Iterator[Animal]:
    """The zoo, in single precision for even seeds and double for odd ones."""
    rng = np.random.default_rng(seed)
    for bug, real, cplx in zip(BUGS, itertools.repeat(REAL[seed % 2]), itertools.repeat(COMPLEX[seed % 2])):
        yield bug(rng, real, cplx)
