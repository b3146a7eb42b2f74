"""What has a multilevel Toeplitz matrix, and when sums and products keep one."""

from functools import reduce
from typing import Any

import numpy as np

from ..algebra import Identity, product_rule, sum_rule
from ..composite import Adjoint, Conjugate, Product, Scaled, Sum
from ..convolution import Convolution
from ..errors import GeometryError, MemoryBudgetError
from ..foreign import as_operator
from ..memory import require_bytes
from ..operator import Operator
from .channels import ungrouped
from .toeplitz import BlockToeplitz, of_blocks
from .toeplitz_product import multiply


def as_toeplitz(A: Any) -> BlockToeplitz:
    """The operator as a multilevel Toeplitz matrix, given by one block for each lag.

    Parameters
    ----------
    A : Operator
        A convolution with stride 1 and zeros outside, or sums, multiples, adjoints and products of such.

    Returns
    -------
    BlockToeplitz
        With the same matrix, its `generator` by lag and its `block(*lag)`.

    Raises
    ------
    GeometryError
        If its entries do not depend on lags alone: strides, other boundaries, products that differ at an edge.
    MemoryBudgetError
        If the generator would not fit.

    Examples
    --------
    >>> import numpy as np, convop
    >>> T = convop.as_toeplitz(convop.Convolution([[1.0, 2.0], [3.0, 4.0]], (2, 3), mode="full"))
    >>> print(T)
    BlockToeplitz of 2 levels: 2x3 -> 3x4, float64
    T =
    ⎡ T[0]     0 ⎤
    ⎢ T[1]  T[0] ⎥
    ⎣    0  T[1] ⎦
    T[0] =
    ⎡ 1  0  0 ⎤
    ⎢ 2  1  0 ⎥
    ⎢ 0  2  1 ⎥
    ⎣ 0  0  2 ⎦
    T[1] =
    ⎡ 3  0  0 ⎤
    ⎢ 4  3  0 ⎥
    ⎢ 0  4  3 ⎥
    ⎣ 0  0  4 ⎦
    """
    return _converted(as_operator(A))


def _converted(operator: Operator) -> BlockToeplitz:
    if isinstance(operator, BlockToeplitz):
        return operator
    if isinstance(operator, Convolution):
        return _of_convolution(operator)
    if isinstance(operator, Identity):
        return _multiple_of_identity(operator, 1, lifted=False)
    if isinstance(operator, Scaled):
        scaled = operator.spread(_converted(operator.operator))
        assert isinstance(scaled, BlockToeplitz)
        return scaled
    if isinstance(operator, Adjoint | Conjugate):
        inner = _converted(operator.operator)
        answer = inner.H if isinstance(operator, Adjoint) else inner.conj()
        assert isinstance(answer, BlockToeplitz)
        return answer
    if isinstance(operator, Sum):
        return _of_sum(operator)
    if isinstance(operator, Product):
        return reduce(_product, map(_converted, operator.factors))
    raise GeometryError(
        f"{operator!r} is no operator that is known to depend on lags; read a matrix with "
        f"as_toeplitz(as_convolution(M, in_shape).operator), or give the generator: BlockToeplitz(generator, in_shape)"
    )


def _of_convolution(A: Convolution) -> BlockToeplitz:
    g = A.geometry
    for axis in range(g.ndim):
        problem = _why_not(A, axis)
        if problem:
            raise GeometryError(f"axis {axis} of {A!r} {problem}")
    lags = tuple(m + n - 1 for m, n in zip(g.out_spatial, g.spatial, strict=True))
    shape = (g.channels_out, g.channels_in, *lags)
    require_bytes(
        2 * int(np.prod(shape, dtype=object)) * A.dtype.itemsize, f"a generator of shape {shape}",
        "keep the convolution, or take a smaller array: the generator does not grow more interesting with it",
    )  # fmt: skip
    weight, places = ungrouped(A.weight, g.groups), []
    for axis, (n, m) in enumerate(zip(g.spatial, g.out_spatial, strict=True)):
        lag = -g.lags(axis)
        met = (lag > -n) & (lag < m)  # other taps read nothing but zeros
        weight = weight.compress(met, axis + 2)
        places.append(lag[met] + n - 1)
    generator = np.zeros(shape, A.dtype)
    generator[np.ix_(*map(range, shape[:2]), *places)] = weight
    return of_blocks(generator, g.in_shape, A._asked)


def _why_not(A: Convolution, axis: int) -> str:
    """What keeps an axis of a convolution from depending on lags alone; "" for nothing."""
    g = A.geometry
    n, m, s = g.spatial[axis], g.out_spatial[axis], g.stride[axis]
    if s > 1 and m > 1:
        return f"has stride {s}, needed 1; take as_toeplitz of the stride-1 convolution and Select every {s}th output"
    others = tuple(i for i in range(g.ndim + 2) if i != axis + 2)
    reads = g.lags(axis)[(A.weight != 0).any(axis=others)]
    outside = bool((reads < 0).any()), bool((reads + (m - 1) * s > n - 1).any())
    for name, read in zip(g.boundary[axis], outside, strict=True):
        if read and name == "periodic":
            return "is periodic, needed zeros outside; use as_circulant, whose blocks wrap around"
        if read and name != "zero":
            return (
                f"has boundary {name!r}, whose matrix is Toeplitz plus terms at the edge; needed boundary 'zero', or "
                f"mode 'valid' after Extend"
            )
    return ""


def _multiple_of_identity(one: Identity, number: complex | np.number, lifted: bool) -> BlockToeplitz:
    spatial = one.in_shape[1:] if lifted else one.in_shape
    channels = one.in_shape[0] if lifted else 1
    generator = np.zeros((channels, channels, *(2 * n - 1 for n in spatial)), np.result_type(one.dtype, number))
    generator[(..., *(n - 1 for n in spatial))] = np.eye(channels) * number
    return of_blocks(generator, one.in_shape, "auto")


# Sums


def _of_sum(operator: Sum) -> BlockToeplitz:
    plain = [term for term in operator.terms if not _is_identity(term)]
    total = reduce(_add, map(_converted, plain or operator.terms))
    for term in operator.terms if plain else ():
        if _is_identity(term):
            total = _add(total, _identity_like(term, total))
    return total


def _is_identity(operator: Operator) -> bool:
    return isinstance(operator.operator if isinstance(operator, Scaled) else operator, Identity)


def _identity_like(operator: Operator, other: BlockToeplitz) -> BlockToeplitz:
    """A multiple of the identity, its channels told apart as those of `other` are."""
    if isinstance(operator, Scaled) and isinstance(operator.operator, Identity):
        number = np.result_type(operator.dtype, other.dtype).type(operator.number)
        return _multiple_of_identity(operator.operator, number, other.lifted)
    assert isinstance(operator, Identity)
    return _multiple_of_identity(operator, 1, other.lifted)


def _add(a: BlockToeplitz, b: BlockToeplitz) -> BlockToeplitz:
    if a.in_shape != b.in_shape or a.lifted != b.lifted:
        raise GeometryError(f"{a!r} and {b!r} do not agree on which axis holds channels; give both the same shapes")
    method = a._asked if a._asked == b._asked else "auto"
    return BlockToeplitz(a.generator + b.generator, a.in_shape, method=method)


# Products


def _product(a: BlockToeplitz, b: BlockToeplitz) -> BlockToeplitz:
    answer = multiply(a, b)
    if answer is NotImplemented:
        raise GeometryError(
            f"the product of {a!r} and {b!r} is not Toeplitz: its entries near an edge differ from those along the "
            f"same lag inside; convop.explain(A) names the rows, keep the lazy product"
        )
    return answer


# Rules: with a Toeplitz operator on one side, what is Toeplitz on the other becomes one.


def _other(operator: Operator) -> BlockToeplitz | None:
    if isinstance(operator, Convolution) and any(_why_not(operator, axis) for axis in range(operator.geometry.ndim)):
        return None
    try:
        return _converted(operator)
    except MemoryBudgetError:  # then the lazy product stands
        return None


def _multiply_any(a: Operator, b: Operator) -> Any:
    left, right = _other(a), _other(b)
    return NotImplemented if left is None or right is None else multiply(left, right)


def _add_any(a: Operator, b: Operator) -> Any:
    left, right = _other(a), _other(b)
    if left is None or right is None or left.lifted != right.lifted:
        return NotImplemented
    return _add(left, right)


def _add_identity(a: Operator, b: Operator) -> Any:
    toeplitz, other = (a, b) if isinstance(a, BlockToeplitz) else (b, a)
    assert isinstance(toeplitz, BlockToeplitz)
    return _add(toeplitz, _identity_like(other, toeplitz)) if _is_identity(other) else NotImplemented


product_rule(BlockToeplitz, BlockToeplitz)(multiply)
product_rule(BlockToeplitz, Convolution)(_multiply_any)
product_rule(Convolution, BlockToeplitz)(_multiply_any)
sum_rule(BlockToeplitz, BlockToeplitz)(_add_any)
sum_rule(BlockToeplitz, Convolution)(_add_any)
sum_rule(Convolution, BlockToeplitz)(_add_any)
for _kind in (Identity, Scaled):
    sum_rule(BlockToeplitz, _kind)(_add_identity)
    sum_rule(_kind, BlockToeplitz)(_add_identity)
