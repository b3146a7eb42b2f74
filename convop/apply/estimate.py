"""How large a convolution's sparse matrix will be, counted without building it."""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..arguments import is_one_of
from ..dtypes import Array, DType
from ..errors import GeometryError
from ..geometry import Geometry
from ..memory import human
from .patterns import Layout, inside, widths

FORMATS = ("csr", "csc", "coo")


@dataclass(frozen=True)
class Estimate:
    """What a sparse matrix will hold: `nnz` entries of `dtype` in `bytes`, with indices of `index_dtype`.

    `exact` is False where `nnz` and `bytes` are upper bounds.
    """

    shape: tuple[int, int]
    format: str
    nnz: int
    bytes: int
    index_dtype: DType
    dtype: DType
    exact: bool

    @classmethod
    def of(cls, shape: tuple[int, int], nnz: int, dtype: DType, format: str = "csr", exact: bool = True) -> "Estimate":
        """The size of a matrix with `nnz` entries in one of `FORMATS`."""
        if not is_one_of(format, FORMATS):
            raise GeometryError(f"estimate knows the formats {', '.join(FORMATS)}, got {format!r}")
        index = index_dtype(shape, nnz)
        pointers = {"csr": shape[0] + 1, "csc": shape[1] + 1, "coo": nnz}[format]
        return cls(
            shape, format, nnz, nnz * (dtype.itemsize + index.itemsize) + pointers * index.itemsize, index, dtype, exact
        )

    def __str__(self) -> str:
        rows, columns = self.shape
        return (
            f"{rows:,} x {columns:,} {self.format.upper()} matrix of {self.dtype}: "
            f"{'' if self.exact else 'at most '}{self.nnz:,} entries, {self.index_dtype} indices, {human(self.bytes)}"
        )


def index_dtype(shape: tuple[int, int], nnz: int) -> DType:
    """int64 only where int32 cannot count the rows, columns or entries."""
    return np.dtype(np.int32 if max(*shape, nnz) <= np.iinfo(np.int32).max else np.int64)


def with_small_indices(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """`matrix` with indices of `index_dtype`; scipy widens them here and there."""
    rows, columns = cast(tuple[int, int], matrix.shape)
    index = index_dtype((rows, columns), matrix.nnz)
    if matrix.indices.dtype == index and matrix.indptr.dtype == index:
        return matrix
    parts = (matrix.data, matrix.indices.astype(index), matrix.indptr.astype(index))
    return scipy.sparse.csr_array(parts, shape=(rows, columns))


def count(geometry: Geometry, weight: Array) -> int:
    """The entries of the matrix: samples that an output reads through taps whose weight is not zero."""
    support = weight != 0
    if not any(_merges(geometry, axis) for axis in range(geometry.ndim)):
        return _count_separate(geometry, support)
    if support.all():
        return support[:, :, *(0,) * geometry.ndim].size * math.prod(
            _count_columns(geometry, axis) for axis in range(geometry.ndim)
        )
    return _count_kinds(geometry, support)


def widest(geometry: Geometry) -> tuple[int, int]:
    """Numbers that the entries of a row and of a column do not exceed, whatever the kernel."""
    row, column = geometry.channels_in // geometry.groups, geometry.channels_out // geometry.groups
    for axis, k in enumerate(geometry.kernel):
        n, m, s = geometry.spatial[axis], geometry.out_spatial[axis], geometry.stride[axis]
        outside = [max(width, 0) for width in geometry.padding[axis]]
        row *= min(n, k * (3 if "antireflective" in geometry.boundary[axis] else 1))
        # A sample and its images are read by k outputs each; copies of the edge by all that reach outside.
        images = 1 + sum(-(-width // n) for width in outside)
        column *= min(m, k * images + sum(width // s + 1 for width in outside if width))
    return row, column


def _merges(geometry: Geometry, axis: int) -> bool:
    """Whether two taps of one output can come to the same sample of `axis`."""
    if set(geometry.boundary[axis]) == {"zero"}:
        return False
    if "periodic" in geometry.boundary[axis]:
        return len(np.unique(geometry.lags(axis) % geometry.spatial[axis])) < geometry.kernel[axis]
    return True


def _count_separate(geometry: Geometry, support: NDArray[np.bool_]) -> int:
    """No taps merge: each tap has as many entries as outputs for which it reads a sample."""
    total = support.sum(axis=(0, 1)).astype(object)  # Python ints: no overflow
    for axis in reversed(range(geometry.ndim)):
        total = total @ _present(geometry, axis).astype(object)
    return int(total)


def _present(geometry: Geometry, axis: int) -> NDArray[np.intp]:
    """For each tap of `axis`, the number of outputs for which it reads a sample."""
    m, n, s = geometry.out_spatial[axis], geometry.spatial[axis], geometry.stride[axis]
    lags = geometry.lags(axis)
    if "periodic" in geometry.boundary[axis]:
        return np.full(len(lags), m)
    first, last = -(lags // s), (n - 1 - lags) // s  # i with 0 <= i s + lag <= n - 1
    return np.maximum(np.minimum(last, m - 1) - np.maximum(first, 0) + 1, 0)


def _count_columns(geometry: Geometry, axis: int) -> int:
    first, last = inside(geometry, axis)
    return int(widths(geometry, axis).sum()) + (last - first) * geometry.kernel[axis]


def _count_kinds(geometry: Geometry, support: NDArray[np.bool_]) -> int:
    """Taps merge and some are zero: count a row of each kind and multiply by the rows that are like it."""
    layout = Layout.of(geometry)
    total = layout.row_counts(support).reshape(geometry.channels_out, *layout.axes["runs"]).sum(axis=0).astype(object)
    for axis in reversed(range(geometry.ndim)):
        runs = layout.of_axis(axis)
        total = total @ (runs["last"] - runs["first"]).astype(object)
    return int(total)
