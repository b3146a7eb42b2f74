"""The sparse matrix, assembled from row patterns: ascending patterns make it canonical without sorting."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..geometry import Geometry
from ..memory import require_bytes
from . import threads
from .compiled import compiled
from .estimate import Estimate, count
from .patterns import axis_patterns, row_patterns, rows


def _fill(pattern, base, start, offset, value, indptr, indices, data, first, last):
    """Write rows `first` to `last`: each its pattern, shifted to its base."""
    for row in range(first, last):
        target, source, shift = indptr[row], start[pattern[row]], base[row]
        for entry in range(indptr[row + 1] - target):
            indices[target + entry] = shift + offset[source + entry]
            data[target + entry] = value[source + entry]


def csr(geometry: Geometry, weight: NDArray, max_bytes: int | None = None) -> scipy.sparse.csr_array:
    """The canonical CSR array of shape `geometry.matrix_shape`.

    Raises
    ------
    MemoryBudgetError
        If the matrix and what it is made from need more than `max_bytes`, by default what is free.
    """
    expected = Estimate.of(geometry.matrix_shape, count(geometry, weight), weight.dtype)
    require_bytes(
        # Beside the matrix: a pattern and a base for each row; and the patterns, at worst as many as entries.
        expected.bytes + 16 * expected.shape[0] + min(expected.nnz, 64 * weight.size) * (8 + weight.itemsize),
        f"the sparse matrix of shape {expected.shape} with {expected.nnz} entries",
        "apply the operator without its matrix, or allow more with max_bytes",
        max_bytes,
    )
    axes = [axis_patterns(geometry, axis) for axis in range(geometry.ndim)]
    patterns = row_patterns(geometry, weight, axes)
    pattern, base = rows(geometry, axes)
    indptr = np.zeros(len(pattern) + 1, expected.index_dtype)
    np.cumsum(np.diff(patterns.start)[pattern], out=indptr[1:])
    indices, data = np.empty(indptr[-1], expected.index_dtype), np.empty(indptr[-1], weight.dtype)
    threads.share(
        compiled(_fill), len(pattern), len(data),
        pattern, base, patterns.start, patterns.offset, patterns.value, indptr, indices, data,
    )  # fmt: skip
    matrix = scipy.sparse.csr_array((data, indices, indptr), shape=expected.shape)
    matrix.has_canonical_format = True
    return matrix


def applies(geometry: Geometry) -> bool:
    return True


def prepare(geometry: Geometry, weight: NDArray) -> tuple[Geometry, scipy.sparse.csr_array]:
    return geometry, csr(geometry, weight)


def forward(prepared: tuple[Geometry, scipy.sparse.csr_array], x: NDArray) -> NDArray:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    geometry, matrix = prepared
    y = (matrix @ x.reshape(len(x), -1).T).T
    return np.ascontiguousarray(y).reshape(len(x), geometry.channels_out, *geometry.out_spatial)


def adjoint(prepared: tuple[Geometry, scipy.sparse.csr_array], y: NDArray) -> NDArray:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    geometry, matrix = prepared
    x = (matrix.T @ y.reshape(len(y), -1).conj().T).T.conj()  # A^H y = conj(A^T conj(y)): no copy of A
    return np.ascontiguousarray(x).reshape(len(y), geometry.channels_in, *geometry.spatial)
