"""Singular values of what has no closed form: Lanczos for the largest ones, the dense matrix for all."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..composite import Adjoint, Product, Scaled
from ..convolution import Convolution
from ..dtypes import Array, DType
from ..errors import NotConverged
from ..foreign import Functions
from ..geometry import Geometry
from ..memory import require_bytes
from ..operator import Operator

DENSE = 200  # rows or columns up to which the dense matrix is quicker than an iteration
# Of `A^H A x = s^2 x`, relative to `s^2`: then `s` is a singular value to half of it, and to its square over the gap
# to the next where that is less. Zero-padded signals have gaps like `1 / n^2`, so that much less takes very long.
RESIDUAL = 1e-7
RESTARTS = 300
KRYLOV = 60  # vectors of the Lanczos basis beyond those wanted, where there are so many
ADVICE = (
    "ask for the k largest with svdvals(A, k), for norm(A), or for norm_bounds(A); a periodic boundary has all in "
    "closed form; or allow more with max_bytes"
)


def dense_svdvals(A: Operator, max_bytes: int | None) -> Array:
    """All singular values, from the dense matrix in double precision."""
    return np.linalg.svd(dense_matrix(A, max_bytes, "all singular values"), compute_uv=False)


def dense_matrix(A: Operator, max_bytes: int | None, what: str) -> Array:
    """The matrix in double precision, if it and a copy to work on fit into memory."""
    dtype = np.result_type(A.dtype, np.float64)
    needed = 3 * A.shape[0] * A.shape[1] * dtype.itemsize
    require_bytes(needed, f"{what} of an operator of shape {A.shape} without a closed form", ADVICE, max_bytes)
    return A.toarray(max_bytes=max_bytes).astype(dtype)


def largest(A: Operator, k: int, max_bytes: int | None = None) -> Array:
    """The `k` largest singular values, descending."""
    if min(A.shape) <= max(DENSE, 2 * k):
        return dense_svdvals(A, max_bytes)[:k]
    return np.sort(_iterated(A, k))[::-1]


def _iterated(A: Operator, k: int) -> Array:
    """What `scipy.sparse.linalg.svds` says of the `k` largest, begun with what the symbol says the first one is."""
    from scipy.sparse.linalg import ArpackNoConvergence, svds

    dtype = np.result_type(A.dtype, np.float64)
    wide = Functions(_in(dtype, A.matvec), _in(dtype, A.rmatvec), (A.shape[1],), (A.shape[0],), dtype)
    start = beginning(A, dtype)
    image = A.matvec(start)
    if not image.any():  # noise is mapped to zero, and so is everything
        return np.zeros(k)
    if A.shape[0] < A.shape[1]:  # svds iterates on the smaller side
        start = image
    ncv = min(min(A.shape) - 1, 2 * k + KRYLOV)
    try:
        find: Any = svds
        return find(wide, k, ncv=ncv, v0=start, tol=RESIDUAL, maxiter=RESTARTS, return_singular_vectors=False)
    except ArpackNoConvergence as error:
        raise NotConverged(
            f"Lanczos found {len(error.eigenvalues)} of {k} singular values of {A!r} in {RESTARTS} restarts; "
            f"ask for norm_bounds(A), which is certified in any case"
        ) from error


def trial(A: Operator, steps: int) -> Array:
    """A vector whose image is nearly as long as can be: the first Ritz vector of a few Lanczos steps with `A^H A`.

    Vectors are orthogonalised against all before them, so that it is no worse than the best of them.
    """
    dtype = np.result_type(A.dtype, np.float64)
    v = beginning(A, dtype)
    basis, images = np.empty((0, len(v)), dtype), []
    for _ in range(steps):
        size = np.linalg.norm(v)
        if size == 0:
            break
        basis = np.vstack([basis, v / size])
        images.append(A.matvec(basis[-1]))
        v = A.rmatvec(images[-1])
        for _ in range(2):
            v = v - (basis.conj() @ v) @ basis
    return basis.T @ np.linalg.svd(np.transpose(images), full_matrices=False)[2][0].conj()


def _in(dtype: DType, apply: Callable[[Any], Array]) -> Callable[[Any], Array]:
    return lambda x: apply(np.asarray(x, dtype).ravel())


def beginning(A: Operator, dtype: DType) -> Array:
    """A vector near the first right singular vector: the wave that a convolution in `A` lets through best.

    Under any boundary the first vector of a convolution of one channel is near the wave at the peak of the symbol, and
    falls to zero where the boundary does. Some noise is added, so that no vector is missed that is orthogonal to it.
    """
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(A.shape[1])
    leaf = _innermost(A)
    if leaf is None or math.prod(leaf.in_shape) != A.shape[1]:
        return noise.astype(dtype)
    wave = _wave(leaf)
    return (wave.ravel() + 0.05 * noise * np.abs(wave).max()).astype(dtype, copy=False)


def _innermost(A: Operator) -> Convolution | None:
    """The convolution that reads the input."""
    if isinstance(A, Product):
        return _innermost(A.factors[-1])
    if isinstance(A, Scaled):
        return _innermost(A.operator)
    if isinstance(A, Adjoint):
        inner = A.operator
        return inner if isinstance(inner, Convolution) and inner.in_shape == inner.out_shape else None
    return A if isinstance(A, Convolution) else None


def _wave(A: Convolution) -> Array:
    """The wave of one frequency and its channels, `in_shape`, at the peak of the symbol; real if `A` is."""
    from ..apply.transforms import kernel_symbol

    g: Geometry = A.geometry
    symbol = kernel_symbol(g, A.weight.astype(np.result_type(A.dtype, np.float64)), g.spatial)
    power = np.einsum("oi...,oi...->...", symbol, symbol.conj()).real
    peak = np.unravel_index(np.argmax(power), power.shape)
    block = symbol[(slice(None), slice(None), *peak)]
    channels = np.tile(np.linalg.svd(block)[2][0].conj(), g.groups)
    wave = np.ones(1)
    for n, k, pair in zip(g.spatial, peak, g.boundary, strict=True):
        window = np.sin(np.pi * np.arange(1, n + 1) / (n + 1)) if "zero" in pair else np.ones(n)
        wave = np.multiply.outer(wave, window * np.exp(2j * np.pi * k * np.arange(n) / n))
    wave = np.multiply.outer(channels, wave[0])
    if A.dtype.kind == "c":
        return wave
    real, imaginary = np.real(wave), np.imag(wave)
    return real if np.linalg.norm(real) >= np.linalg.norm(imaginary) else imaginary
