"""Singular values of many small blocks: all of them, or the largest of all without looking closely at each."""

import math

import numpy as np
from numpy.typing import NDArray

from ..apply.blas import in_one_thread
from ..apply.threads import share
from ..dtypes import Array

CANDIDATES = 8  # blocks with the largest estimates, of which the singular values are computed first
STEPS = 2  # of the power iteration that estimates
SAMPLED = 64  # blocks from which a scale is taken, so that single precision neither over- nor underflows
SINGLE = 96  # rows or columns up to which single precision proves enough
AT_ONCE = 2**16  # entries of the blocks that are certified together


def every(blocks: Array) -> Array:
    """`(*freq, min(rows, columns))`, descending at each frequency."""
    rows, columns = blocks.shape[-2:]
    if min(rows, columns) == 1:
        return np.linalg.norm(blocks, axis=(-2, -1))[..., None]
    flat = blocks.reshape(-1, rows, columns)
    values = np.empty((len(flat), min(rows, columns)), np.finfo(blocks.dtype).dtype)

    def svd(start: int, stop: int) -> None:
        values[start:stop] = np.linalg.svd(flat[start:stop], compute_uv=False)

    with in_one_thread():
        share(svd, len(flat), float(flat.size * min(rows, columns)))
    return values.reshape(*blocks.shape[:-2], -1)


def largest(blocks: Array) -> float:
    """The largest singular value of all blocks.

    A few blocks are computed, those that a power iteration says are largest. Of every other block `B` it is proven
    that it is no larger than the best of them, `t`: `t^2 I - B^H B` has a Cholesky factor. That is tried in single
    precision (large blocks in double), with `t^2` lowered by what it may round (N. J. Higham, "Accuracy and Stability
    of Numerical Algorithms", 2nd ed., SIAM 2002, sections 3.5 and 10.1); blocks that fail are computed too.
    """
    rows, columns = blocks.shape[-2:]
    flat = blocks.reshape(-1, rows, columns)
    if min(rows, columns) == 1 or len(flat) <= 2 * CANDIDATES:
        return float(every(flat).max())
    scale = float(np.abs(flat[:: -(-len(flat) // SAMPLED)]).max()) or float(np.abs(flat).max())
    if scale == 0:
        return 0.0
    with in_one_thread():
        return scale * _largest(flat, scale)


def _largest(flat: Array, scale: float) -> float:
    """The same in units of `scale`."""
    rows, columns = flat.shape[-2:]
    gram, frobenius, estimate = _looked_at(flat, scale)
    order = np.argsort(estimate)[::-1]
    best = float(every(flat[order[:CANDIDATES]]).max()) / scale
    left = order[CANDIDATES:]
    left = left[~(frobenius[left] * (1 + 1e-5) <= best)]  # the Frobenius norm may say enough
    beyond = _beyond(gram, frobenius, left, best, max(rows, columns))
    return max(best, float(every(flat[beyond]).max()) / scale if len(beyond) else 0.0)


def _components(array: Array) -> Array:
    """Real and imaginary parts."""
    return array.view(np.finfo(array.dtype).dtype)


def _looked_at(blocks: Array, scale: float) -> tuple[Array, Array, Array]:
    """Of each block divided by `scale`, in single precision: the smaller Gram matrix, the Frobenius norm, an estimate.

    The estimate is of the largest eigenvalue of the Gram matrix, from below, by power iteration.
    """
    count, rows, columns = blocks.shape
    size = min(rows, columns)
    single = np.complex64 if blocks.dtype.kind == "c" else np.float32
    narrow = blocks.dtype.type if size > SINGLE else single
    gram, estimate = np.empty((count, size, size), narrow), np.empty(count)
    begin = np.random.default_rng(0).standard_normal((size, 1)).astype(narrow)
    step = _together(rows * columns)

    @np.errstate(over="ignore", invalid="ignore")  # what the sample did not foresee is inf, and not certified
    def look(start: int, stop: int) -> None:
        for some in _slices(start * step, min(stop * step, count), step):
            b = (blocks[some] * (1 / scale)).astype(narrow)
            adjoint = b.conj().swapaxes(1, 2)
            g = np.matmul(*((adjoint, b) if rows >= columns else (b, adjoint)), out=gram[some])
            v = g @ begin
            for _ in range(STEPS):
                v = g @ (v / np.maximum(_lengths(v), np.finfo(narrow).tiny)[:, None, None])
            estimate[some] = _lengths(v)

    share(look, math.ceil(count / step), float(blocks.size * size))
    with np.errstate(over="ignore", invalid="ignore"):
        frobenius = np.sqrt(np.einsum("fkk->f", gram).real.astype(np.float64))
    return gram, frobenius, estimate


def _lengths(v: Array) -> Array:
    return np.sqrt(np.einsum("fk,fk->f", *(_components(v[..., 0]),) * 2))


def _together(entries: int) -> int:
    """How many blocks of so many entries are handled at once, so that they stay in cache."""
    return max(CANDIDATES, AT_ONCE // entries)


def _slices(start: int, stop: int, step: int) -> list[slice]:
    return [slice(first, min(first + step, stop)) for first in range(start, stop, step)]


def _beyond(gram: Array, frobenius: Array, places: NDArray[np.intp], best: float, inner: int) -> NDArray[np.intp]:
    """Those of `places` whose Gram matrix is not proven to have all eigenvalues at most `best^2`."""
    size = gram.shape[-1]
    rounding = 4 * float(np.finfo(gram.dtype).eps)
    with np.errstate(invalid="ignore"):
        bound = best**2 - rounding * ((inner + 8) * frobenius**2 + (size + 2) * size * best**2)
    bound = np.minimum(bound, float(np.finfo(gram.dtype).max) / 2)
    held = places[np.isfinite(frobenius[places])]  # nothing can be proven where its precision did not hold a block
    proven = _definite(gram, bound[held].astype(_components(gram[:0]).dtype), held)
    return np.concatenate([np.setdiff1d(places, held), held[~proven]])


def _definite(gram: Array, shift: Array, places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether ``shift[i] I - gram[places[i]]`` is positive definite."""
    size = gram.shape[-1]
    found = np.zeros(len(places), bool)
    if size <= SINGLE:
        from .definite import definite

        imag = np.imag(gram) if gram.dtype.kind == "c" else np.empty((0, 0, 0), shift.dtype)
        share(definite, len(places), float(len(places) * size**3), np.real(gram), imag, shift, places, found)
        return found
    eye = np.eye(size, dtype=gram.dtype)
    for index, place in enumerate(places):
        try:
            np.linalg.cholesky(shift[index] * eye - gram[place])
            found[index] = True
        except np.linalg.LinAlgError:
            continue
    return found
