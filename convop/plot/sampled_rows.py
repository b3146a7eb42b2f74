"""Where the entries of some rows of a matrix stand, of operators too large to write out."""

import math
from functools import singledispatch

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..blocks import Blocks
from ..composite import Conjugate, Product, Reshaped, Scaled, Sum
from ..convolution import Convolution
from ..geometry import Geometry
from ..operator import Operator

Ints = NDArray[np.int64]
SMALL = 2_000_000  # entries up to which a matrix is assembled
UNITS = 2**22  # samples of unit vectors at a time


def entries(A: Operator, wanted: Ints) -> tuple[Ints, Ints]:
    """Row (its place among the `wanted`) and column of every entry; rows not looked at have none."""
    if A.explicit and A._count()[0] <= SMALL:
        matrix = scipy.sparse.coo_array(A.tosparse()[wanted])
        return matrix.row.astype(np.int64), matrix.col.astype(np.int64)
    return _of_large(A, wanted)


def is_probed(A: Operator) -> bool:
    """Whether some rows can only be found by applying the adjoint, so that few should be asked for."""
    if isinstance(A, Convolution) or (A.explicit and A._count()[0] <= SMALL):
        return False
    if isinstance(A, Product | Sum):
        return any(map(is_probed, A.factors if isinstance(A, Product) else A.terms))
    if isinstance(A, Blocks):
        return any(is_probed(block) for _, _, block in A.blocks)
    return is_probed(A.operator) if isinstance(A, Scaled | Conjugate | Reshaped) else True


@singledispatch
def _of_large(A: Operator, wanted: Ints) -> tuple[Ints, Ints]:
    """By the adjoint: row `r` is the conjugate of `A^H e_r`."""
    found, columns, many = [], [], max(1, UNITS // max(A.shape))
    for first in range(0, len(wanted), many):
        some = wanted[first : first + many]
        units = np.zeros((len(some), A.shape[0]), A.dtype)
        units[np.arange(len(some)), some] = 1
        answers = A._flat(units, adjoint=True)
        floor = np.finfo(A.dtype).eps * np.abs(answers).max(axis=1, initial=0, keepdims=True)
        row, column = np.nonzero(np.abs(answers) > 8 * floor)  # transforms leave rounding where there is nothing
        found.append(first + row)
        columns.append(column)
    return np.concatenate(found).astype(np.int64), np.concatenate(columns).astype(np.int64)


@_of_large.register
def _of_convolution(A: Convolution, wanted: Ints) -> tuple[Ints, Ints]:
    """What each tap reads."""
    g = A.geometry
    output, *places = np.unravel_index(wanted, (g.channels_out, *g.out_spatial))
    width, size, many = g.channels_in // g.groups, math.prod(g.spatial), len(wanted)
    column = (output // (g.channels_out // g.groups) * width * size)[:, None]
    times, weight = np.ones((many, 1)), A.weight[output]
    for axis, place in enumerate(places):
        sample, factor = _read(g, axis, place)
        column = (column[:, :, None] + sample[:, None] * math.prod(g.spatial[axis + 1 :])).reshape(many, -1)
        times = (times[:, :, None] * factor[:, None]).reshape(many, -1)
        weight = weight.repeat(sample.shape[1] // g.kernel[axis], axis + 2)
    values = weight.reshape(many, width, -1) * times[:, None]
    row, channel, tap = np.nonzero(values)
    places = (row, column[row, tap] + channel * size)
    matrix = scipy.sparse.csr_array((values[row, channel, tap], places), shape=(many, A.shape[1]))
    matrix.eliminate_zeros()  # samples that are read with weights that cancel
    found = matrix.tocoo()
    return found.row.astype(np.int64), found.col.astype(np.int64)


def _read(g: Geometry, axis: int, place: Ints) -> tuple[Ints, Ints]:
    """`(outputs, taps * terms)`: which sample of an axis a tap reads, and how many times."""
    extension, n = g.extension(axis), g.spatial[axis]
    position = np.add.outer(place * g.stride[axis], np.arange(g.kernel[axis]) * g.dilation[axis])
    own = position - g.padding[axis][0]
    sample = np.zeros((*position.shape, extension.index.shape[1]), np.int64)
    times = np.zeros_like(sample)
    inside = (own >= 0) & (own < n)
    sample[..., 0], times[..., 0] = np.where(inside, own, 0), inside
    at = np.searchsorted(extension.position, position)
    outside = np.append(extension.position, -1)[at] == position
    sample[outside], times[outside] = extension.index[at[outside]], extension.weight[at[outside]]
    return sample.reshape(len(place), -1), times.reshape(len(place), -1)


@_of_large.register
def _of_product(A: Product, wanted: Ints) -> tuple[Ints, Ints]:
    """Rows of the first factor say which rows of the next are wanted; entries that cancel are among them."""
    row, column = entries(A.factors[0], wanted)
    for factor in A.factors[1:]:
        met, place = np.unique(column, return_inverse=True)
        inner = _pattern(*entries(factor, met), (len(met), factor.shape[1]))
        product = scipy.sparse.coo_array(_pattern(row, place, (len(wanted), len(met))) @ inner)
        row, column = product.row.astype(np.int64), product.col.astype(np.int64)
    return row, column


def _pattern(row: Ints, column: Ints, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((np.ones(len(row), np.float32), (row, column)), shape=shape)


@_of_large.register
def _of_blocks(A: Blocks, wanted: Ints) -> tuple[Ints, Ints]:
    found = []
    for place, beside, block in A.blocks:
        first, last = A.rows.bounds[place : place + 2]
        own = np.flatnonzero((wanted >= first) & (wanted < last))
        row, column = entries(block, wanted[own] - first)
        found.append((own[row], column + A.columns.bounds[beside]))
    return np.concatenate([row for row, _ in found]), np.concatenate([column for _, column in found])


@_of_large.register(Scaled)
@_of_large.register(Conjugate)
@_of_large.register(Reshaped)
def _of_one_other(A: Scaled | Conjugate | Reshaped, wanted: Ints) -> tuple[Ints, Ints]:
    return entries(A.operator, wanted)
