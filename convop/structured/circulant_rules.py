"""Which operators are block circulant, and what becomes of two of them."""

import math
from collections.abc import Callable
from functools import reduce, singledispatch
from typing import Any

import numpy as np

from ..algebra import Identity, product_rule, sum_rule
from ..arguments import Shape
from ..composite import Adjoint, Conjugate, Product, Scaled, Sum
from ..convolution import Convolution
from ..dtypes import Array, DType
from ..errors import GeometryError, MemoryBudgetError
from ..foreign import as_operator
from ..geometry import Geometry
from ..operator import Operator
from ..selection import Diagonal
from . import symbol
from .circulant import BlockCirculant
from .circulant_matrix import phase_and_lag
from .polyphase import Layout, require_memory


def as_circulant(A: Any) -> BlockCirculant:
    """A periodic operator as the blocks of its symbol.

    Parameters
    ----------
    A : Operator
        A convolution that wraps around on every axis, with a stride that divides the size; the identity or a constant
        `Diagonal`; or products, sums, multiples, adjoints and conjugates of such.

    Returns
    -------
    BlockCirculant
        The same operator, with `symbol`, `inv`, `pinv`, `eigvals`, `apply_function` and `convolution`.

    Raises
    ------
    GeometryError
        If some axis does not wrap around, or part of `A` is nothing of the above.
    MemoryBudgetError
        If the blocks do not fit into memory.

    Examples
    --------
    >>> import numpy as np, convop
    >>> blur = convop.Convolution(np.full((3, 3), 1 / 9), (16, 16), boundary="periodic")
    >>> C = convop.as_circulant(blur.H @ blur + 0.1 * convop.Identity((16, 16)))
    >>> x = np.eye(16)
    >>> np.allclose(C.inv()(C(x)), x)
    True
    """
    operator = as_operator(A)
    return _circulant(operator, operator.dtype)


@singledispatch
def _circulant(A: Operator, dtype: DType) -> BlockCirculant:
    """`A` in at least the precision of `dtype`, so that what it is added to or multiplied by loses nothing."""
    raise GeometryError(
        f"{A!r} is not known to wrap around; as_circulant takes periodic convolutions, identities, constant diagonals "
        f"and their products, sums, multiples and adjoints (a matrix may become one by as_convolution)"
    )


@_circulant.register
def _(A: BlockCirculant, dtype: DType) -> BlockCirculant:
    return A.astype(dtype)


@_circulant.register
def _(A: Convolution, dtype: DType) -> BlockCirculant:
    g = A.geometry
    for axis in range(g.ndim):
        _require_turn(g, axis)
    turns = tuple(zip(*(phase_and_lag(g.lags(i), g.stride[i], g.out_spatial[i]) for i in range(g.ndim)), strict=True))
    one = (1,) * g.ndim
    dtype = np.result_type(A.dtype, dtype)
    layout = Layout(g.out_spatial, g.stride, one, g.channels_in, g.channels_out, g.lifted)
    require_memory(layout, dtype)
    response = np.zeros((g.channels_out, g.channels_in, *g.stride, *g.out_spatial), np.result_type(dtype, np.float64))
    phases, lags = (np.ix_(*each) for each in turns)
    # A kernel longer than the array wraps around, so taps that meet add up.
    places: Any = (slice(None), slice(None), *phases, *lags)
    np.add.at(response, places, _dense_weight(A.weight, g.groups))
    return BlockCirculant.of(layout, response.reshape(*layout.block, *layout.base), dtype)


def _require_turn(g: Geometry, axis: int) -> None:
    """Raise GeometryError unless the axis wraps around, and its outputs are one turn of it."""
    n, m, s = g.spatial[axis], g.out_spatial[axis], g.stride[axis]
    if not g.is_periodic(axis):
        before, after = (max(width, 0) for width in g.padding[axis])
        raise GeometryError(
            f"axis {axis} does not wrap around: it has boundary {g.boundary[axis]} and reads {before} samples before "
            f"the array and {after} after it; give it boundary 'periodic'"
        )
    if m * s != n:
        raise GeometryError(
            f"axis {axis} is not one turn of the array: {m} outputs with stride {s} make {m * s} samples, the array "
            f"has {n}; take mode 'same' (or padding that keeps the size) and a stride that divides {n}"
        )


def _dense_weight(weight: Array, groups: int) -> Array:
    """`(C_out, C_in/groups, *k)` with the zeros between groups: `(C_out, C_in, *k)`."""
    c_out, own = weight.shape[:2]
    dense = np.zeros((groups, c_out // groups, groups, *weight.shape[1:]), weight.dtype)
    for group, block in enumerate(weight.reshape(groups, -1, *weight.shape[1:])):
        dense[group, :, group] = block
    return dense.reshape(c_out, groups * own, *weight.shape[2:])


@_circulant.register
def _(A: Identity, dtype: DType) -> BlockCirculant:
    return _constant(A.in_shape, 1.0, np.result_type(A.dtype, dtype))


@_circulant.register
def _(A: Diagonal, dtype: DType) -> BlockCirculant:
    if (A.array != A.array.flat[0]).any():
        raise GeometryError(
            f"a Diagonal whose values differ does not wrap around, got values from {A.array.min()} to "
            f"{A.array.max()}; only a constant one does"
        )
    return _constant(A.in_shape, A.array.flat[0], np.result_type(A.dtype, dtype))


def _constant(shape: Shape, value: complex, dtype: DType) -> BlockCirculant:
    one = (1,) * len(shape)
    layout = Layout(shape, one, one, 1, 1, False)
    frequencies = shape if dtype.kind == "c" else symbol.half_shape(shape)
    return BlockCirculant(layout, np.full((*frequencies, 1, 1), value, np.complex128), dtype)


@_circulant.register
def _(A: Adjoint, dtype: DType) -> BlockCirculant:
    return _same(_circulant(A.operator, dtype).H)


@_circulant.register
def _(A: Conjugate, dtype: DType) -> BlockCirculant:
    return _same(_circulant(A.operator, dtype).conj())


@_circulant.register
def _(A: Scaled, dtype: DType) -> BlockCirculant:
    return _same(_circulant(A.operator, dtype)._scaled(A.number, np.result_type(A.dtype, dtype)))


@_circulant.register
def _(A: Product, dtype: DType) -> BlockCirculant:
    return reduce(_multiply, (_circulant(factor, dtype) for factor in A.factors))


@_circulant.register
def _(A: Sum, dtype: DType) -> BlockCirculant:
    return reduce(_add, (_circulant(term, dtype) for term in A.terms))


def _same(A: Operator) -> BlockCirculant:
    assert isinstance(A, BlockCirculant)  # as its own methods answer
    return A


def _multiply(a: BlockCirculant, b: BlockCirculant) -> BlockCirculant:
    if a.in_shape != b.out_shape:
        raise GeometryError(
            f"one factor sees an array flat that the other sees in its shape ({b.out_shape} and {a.in_shape}), so "
            f"frequencies do not match; give both the same shapes"
        )
    a, b = _alike(a, b)
    return BlockCirculant(a.layout.after(b.layout), symbol.multiply(a.blocks, b.blocks), a.dtype)


def _add(a: BlockCirculant, b: BlockCirculant) -> BlockCirculant:
    if (a.in_shape, a.out_shape) != (b.in_shape, b.out_shape):
        raise GeometryError(
            f"one term maps {a.in_shape} to {a.out_shape}, the other {b.in_shape} to {b.out_shape}, so frequencies do "
            f"not match; give both the same shapes"
        )
    a, b = _alike(a, b)
    return BlockCirculant(a.layout, a.blocks + b.blocks, a.dtype)


def _alike(a: BlockCirculant, b: BlockCirculant) -> tuple[BlockCirculant, BlockCirculant]:
    """Both with channels or without, and on the finest base grid they share."""
    if a.layout.lifted != b.layout.lifted:
        a, b = (each if each.layout.lifted else each.with_channels() for each in (a, b))
    base = tuple(map(math.gcd, a.layout.base, b.layout.base))
    return a.on_base(base), b.on_base(base)


Combine = Callable[[BlockCirculant, BlockCirculant], BlockCirculant]


def _combined(combine: Combine, a: Operator, b: Operator) -> BlockCirculant:
    dtype = np.result_type(a.dtype, b.dtype)
    return combine(_circulant(a, dtype), _circulant(b, dtype))


def multiplied(a: Operator, b: Operator) -> BlockCirculant:
    """`a @ b`, or the GeometryError or MemoryBudgetError that says why it is not block circulant."""
    return _combined(_multiply, a, b)


def _where_circulant(combine: Combine) -> Callable[[Any, Any], Any]:
    def rule(a: Operator, b: Operator) -> Any:
        try:
            return _combined(combine, a, b)
        except (GeometryError, MemoryBudgetError):  # then the lazy product or sum stands
            return NotImplemented

    return rule


for _kind in (BlockCirculant, Convolution, Diagonal, Identity, Adjoint, Conjugate, Scaled, Sum, Product):
    for _pair in ((BlockCirculant, _kind), (_kind, BlockCirculant)):
        sum_rule(*_pair)(_where_circulant(_add))
        product_rule(*_pair)(_where_circulant(_multiply))


@product_rule(BlockCirculant, Identity)
def _(a: BlockCirculant, b: Identity) -> BlockCirculant:
    return a.astype(b.dtype)


@product_rule(Identity, BlockCirculant)
def _(a: Identity, b: BlockCirculant) -> BlockCirculant:
    return b.astype(a.dtype)
