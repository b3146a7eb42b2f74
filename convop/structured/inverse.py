"""Singular values, inverses and pseudo-inverses of the blocks of a spectrum, in double precision."""

from typing import Any

import numpy as np

from ..dtypes import Array, DType, as_coefficients
from ..errors import GeometryError


def double(blocks: Array) -> Array:
    return blocks.astype(np.complex128, copy=False)


def cutoff(dtype: DType, block: tuple[int, int], frequencies: int) -> float:
    """The ratio to the largest singular value up to which one is nothing but rounding.

    Blocks of that size lose `eps * max(block)`, as `numpy.linalg.matrix_rank` takes it, and their entries come from
    transforms, which lose `eps * log2(frequencies)` (N. J. Higham, "Accuracy and Stability of Numerical Algorithms",
    2nd ed., SIAM 2002, section 24.1).
    """
    return float(np.finfo(dtype).eps) * max(block) * (2 + np.log2(frequencies))


def singular_values(blocks: Array) -> Array:
    """`(*frequencies, min(rows, columns))`, descending at each frequency."""
    if blocks.shape[-2:] == (1, 1):
        return np.abs(double(blocks))[..., 0]
    return np.linalg.svd(double(blocks), compute_uv=False)


def eigenvalues(blocks: Array) -> Array:
    """`(*frequencies, k)`, in LAPACK's order."""
    return double(blocks)[..., 0] if blocks.shape[-2:] == (1, 1) else np.linalg.eigvals(double(blocks))


def inverse(blocks: Array) -> Array:
    """The inverse of blocks that have one."""
    return 1 / double(blocks) if blocks.shape[-2:] == (1, 1) else np.linalg.inv(double(blocks))


def pseudo_inverse(blocks: Array, rcond: float) -> tuple[Array, Array]:
    """Blocks with the singular values inverted that exceed `rcond` times the largest of all; and how many do not."""
    u, s, vh = _svd(double(blocks))
    cut = s <= rcond * s.max()
    inverted = np.where(cut, 0, 1 / np.where(cut, 1, s))
    adjoint_u, adjoint_vh = (np.conj(each.swapaxes(-1, -2)) for each in (u, vh))
    return (adjoint_vh * inverted[..., None, :]) @ adjoint_u, cut.sum(axis=-1)


def _svd(blocks: Array) -> tuple[Array, Array, Array]:
    if blocks.shape[-2:] != (1, 1):
        return np.linalg.svd(blocks, full_matrices=False)
    size = np.abs(blocks)
    phase = np.where(size > 0, blocks, 1) / np.where(size > 0, size, 1)
    return phase, size[..., 0], np.ones_like(phase)


def require_regular(values: Array, ratio: float) -> None:
    """Raise GeometryError if at some frequency a singular value is at most `ratio` of the largest of all."""
    largest = float(values.max())
    singular = (values <= ratio * largest).any(axis=-1)
    if np.any(singular):
        raise GeometryError(
            f"the operator is singular or nearly so at {named(singular)}: singular values there are at most "
            f"{ratio:.1e} of the largest, {largest:.3g}; use pinv(), which cuts them, or solve(..., alpha=...)"
        )


def as_ratio(value: Any, what: str) -> float:
    """`value` as a float of at least 0."""
    number = as_coefficients(value, what)
    if number.ndim or number.dtype.kind == "c" or number < 0:
        raise GeometryError(f"{what} must be a real number of at least 0, got {value!r}")
    return float(number)


def named(where: Any, most: int = 4) -> str:
    """How many frequencies of a full spectrum are meant, and the first few of them."""
    places = np.argwhere(where)
    first = ", ".join(str(tuple(map(int, place))) for place in places[:most])
    return f"{len(places)} of {where.size} frequencies ({first}{', ...' if len(places) > most else ''})"
