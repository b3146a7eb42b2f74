"""What a block circulant operator's impulse response says about its matrix and its kernel."""

import math

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..apply.estimate import Estimate
from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..errors import GeometryError
from ..geometry import Geometry
from ..memory import require_bytes
from .channels import finest_groups, grouped
from .polyphase import Layout, coarsen, refine, split

ROUNDING = 8  # times eps and the norm of the response: the entries that transforms leave where there is nothing


def without_rounding(response: Array, tol: float | None = None) -> Array:
    """The response with entries up to `tol` times its 2-norm set to zero."""
    tol = ROUNDING * float(np.finfo(response.dtype).eps) if tol is None else tol
    return np.where(np.abs(response) <= tol * np.linalg.norm(response), response.dtype.type(0), response)


def csr(layout: Layout, response: Array, max_bytes: int | None) -> scipy.sparse.csr_array:
    """The canonical matrix: each entry of the response stands once for each sample of the base grid."""
    shape = math.prod(layout.out_shape), math.prod(layout.in_shape)
    expected = Estimate.of(shape, int(np.count_nonzero(response)) * layout.frequencies, response.dtype)
    require_bytes(
        expected.bytes + 32 * (response.size + expected.nnz // response.shape[0]),
        f"the matrix of shape {shape} with {expected.nnz} entries",
        "apply the operator without its matrix, or allow more with max_bytes",
        max_bytes,
    )
    per_row = np.count_nonzero(response.reshape(len(response), -1), axis=1)
    rows = _samples(layout.channels_out, layout.base, layout.phases_out)
    indptr = np.zeros(shape[0] + 1, expected.index_dtype)
    indptr[1 + rows] = per_row[:, None]
    np.cumsum(indptr, out=indptr)
    indices, data = np.empty(expected.nnz, expected.index_dtype), np.empty(expected.nnz, response.dtype)
    columns = _samples(layout.channels_in, layout.base, layout.phases_in).reshape(-1, *layout.base)
    for row, entries in zip(rows, response, strict=True):
        column, value = _row(columns, entries, layout.base)
        places = indptr[row][:, None] + np.arange(column.shape[1])
        indices[places], data[places] = column, value
    matrix = scipy.sparse.csr_array((data, indices, indptr), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def _samples(channels: int, base: Shape, phases: Shape) -> NDArray[np.intp]:
    """The flat index of every sample: `(channels * prod(phases), prod(base))`."""
    grid = [m * p for m, p in zip(base, phases, strict=True)]
    numbers = np.arange(channels * math.prod(grid)).reshape(1, channels, *grid)
    return split(numbers, base, phases).reshape(-1, math.prod(base))


def _row(columns: NDArray[np.intp], entries: Array, base: Shape) -> tuple[NDArray[np.intp], Array]:
    """Columns, ascending, and values of the matrix rows of one output phase: `(prod(base), entries)`."""
    phase, *lags = np.nonzero(entries)
    places = [
        (np.arange(m).reshape([-1 if i == axis else 1 for i in range(len(base))] + [1]) - lag) % m
        for axis, (m, lag) in enumerate(zip(base, lags, strict=True))
    ]
    column = columns[(phase, *places)].reshape(math.prod(base), -1)
    order = np.argsort(column, axis=1)
    return np.take_along_axis(column, order, 1), entries[(phase, *lags)][order]


def phase_and_lag(offset: NDArray[np.intp], stride: int, m: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the response holds what reads `x[i * stride + offset]`: as `x[(i - lag) * stride + phase]`."""
    return offset % stride, -(offset // stride) % m


def convolution(layout: Layout, response: Array, tol: float | None) -> Convolution:
    """The convolution with this response; see `BlockCirculant.convolution`."""
    tol = ROUNDING * float(np.finfo(response.dtype).eps) if tol is None else tol
    layout, response = _finest(layout, response, tol)
    if max(layout.phases_out) > 1:
        raise GeometryError(
            f"the operator from {layout.in_shape} to {layout.out_shape} has {layout.phases_out} kernels that take "
            f"turns along the output, so it is no convolution; if its adjoint is a strided one, that is "
            f"A.H.convolution().H"
        )
    stride, base = layout.phases_in, layout.base
    phases, lags = zip(
        *(phase_and_lag(np.arange(n), s, m) for n, s, m in zip(layout.grid_in, stride, base, strict=True)), strict=True
    )
    response = without_rounding(response, tol).reshape(layout.channels_out, layout.channels_in, *stride, *base)
    weight = response[(slice(None), slice(None), *np.ix_(*phases), *np.ix_(*lags))]
    padding = []
    for axis, (n, s, m) in enumerate(zip(layout.grid_in, stride, base, strict=True)):
        start, length = _window(weight, axis + 2)
        weight = weight.take((start + np.arange(length)) % n, axis + 2)
        padding.append((-start, (m - 1) * s + length + start - n))
    groups = finest_groups((weight != 0).any(axis=tuple(range(2, weight.ndim))))
    geometry = Geometry.make(
        layout.grid_in, weight.shape[2:], stride=stride, padding=tuple(padding), boundary="periodic",
        channels=(layout.channels_out, layout.channels_in), groups=groups, lifted=layout.lifted,
    )  # fmt: skip
    return Convolution.of(geometry, grouped(weight, groups), "correlation" if layout.lifted else "convolution")


def _finest(layout: Layout, response: Array, tol: float) -> tuple[Layout, Array]:
    """The response without phases that input and output share, where they do nothing of their own."""
    factor = tuple(map(math.gcd, layout.phases_in, layout.phases_out))
    if max(factor) == 1:
        return layout, response
    fine, finer = refine(response, layout, factor), layout.finer(factor)
    difference = np.abs(coarsen(fine, finer, factor) - response).max()
    return (finer, fine) if difference <= 2 * tol * np.linalg.norm(response) else (layout, response)


def _window(weight: Array, axis: int) -> tuple[int, int]:
    """Start and length of the shortest window on a circle that holds all that is not zero, its middle near 0."""
    n = weight.shape[axis]
    taken = np.flatnonzero(weight.any(axis=tuple(i for i in range(weight.ndim) if i != axis)))
    if len(taken) == 0:
        return 0, 1
    gaps = np.diff(taken, append=taken[0] + n)
    widest = int(np.argmax(gaps))
    length = n - int(gaps[widest]) + 1
    if length == n:
        return -(n // 2), n  # as the default center of a kernel has it
    start = int(taken[(widest + 1) % len(taken)])
    return (start - n if 2 * start + length - 1 >= n else start), length
