"""The sparse matrix, written row by row in ascending order: canonical without sorting."""

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..dtypes import Array
from ..geometry import Geometry
from ..memory import require_bytes
from . import threads
from .estimate import Estimate, count
from .patterns import Layout

PIECES = 16  # of all lines together, where lines are few
_ENTRY = 8  # multiply-adds that take as long as writing an entry


def csr(geometry: Geometry, weight: Array, max_bytes: int | None = None) -> scipy.sparse.csr_array:
    """The canonical CSR array of shape `geometry.matrix_shape`.

    Raises
    ------
    MemoryBudgetError
        If the matrix and what it is made from need more than `max_bytes`, by default what is free.
    """
    expected = Estimate.of(geometry.matrix_shape, count(geometry, weight), weight.dtype)
    lines = expected.shape[0] // geometry.out_spatial[-1]
    require_bytes(
        # Beside the matrix: three numbers for each line, a count for each kind of row, the kernel and its support.
        expected.bytes + 24 * lines + 8 * expected.shape[0] + 2 * weight.nbytes,
        f"the sparse matrix of shape {expected.shape} with {expected.nnz} entries",
        "apply the operator without its matrix, or allow more with max_bytes",
        max_bytes,
    )
    return _matrix(expected, geometry, weight)


def _matrix(expected: Estimate, geometry: Geometry, weight: Array) -> scipy.sparse.csr_array:
    from .assembly import fill  # loads compiled code

    layout, support = Layout.of(geometry), weight != 0
    counts, (kinds, bases) = layout.row_counts(support), layout.lines(geometry)
    runs = layout.of_axis(-1)
    starts = np.concatenate([[0], np.cumsum((counts @ (runs["last"] - runs["first"]))[kinds])])
    indptr = np.zeros(expected.shape[0] + 1, expected.index_dtype)
    indices, data = np.empty(expected.nnz, expected.index_dtype), np.empty(expected.nnz, weight.dtype)
    pieces = max(PIECES // len(kinds), 1)
    threads.share(
        fill, len(kinds) * pieces, _ENTRY * expected.nnz, *layout.tables, _weights(weight, support), weight.shape[1],
        kinds, bases, counts, starts, pieces, indptr, indices, data,
    )  # fmt: skip
    matrix = scipy.sparse.csr_array((data, indices, indptr), shape=expected.shape)
    matrix.has_canonical_format = True
    return matrix


def _weights(weight: Array, support: NDArray[np.bool_]) -> Array:
    """The weight as `(1, C_out, C_in/groups * taps)`; and, if some are zero, their support as a second like it."""
    both = (weight,) if support.all() else (weight, support)
    return np.stack([np.reshape(each, (len(weight), -1)).astype(weight.dtype) for each in both])


def applies(geometry: Geometry) -> bool:
    return True


def prepare(geometry: Geometry, weight: Array) -> tuple[Geometry, scipy.sparse.csr_array]:
    return geometry, csr(geometry, weight)


def forward(prepared: tuple[Geometry, scipy.sparse.csr_array], x: Array) -> Array:
    """`x` of shape `(batch, C_in, *spatial)` to `(batch, C_out, *out_spatial)`."""
    geometry, matrix = prepared
    y = (matrix @ x.reshape(len(x), -1).T).T
    return np.ascontiguousarray(y).reshape(len(x), geometry.channels_out, *geometry.out_spatial)


def adjoint(prepared: tuple[Geometry, scipy.sparse.csr_array], y: Array) -> Array:
    """`y` of shape `(batch, C_out, *out_spatial)` to `(batch, C_in, *spatial)`."""
    geometry, matrix = prepared
    x = (matrix.T @ y.reshape(len(y), -1).conj().T).T.conj()  # A^H y = conj(A^T conj(y)): no copy of A
    return np.ascontiguousarray(x).reshape(len(y), geometry.channels_in, *geometry.spatial)
