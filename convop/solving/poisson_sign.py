"""Whether an operator has negative entries, told from what it is made of."""

from functools import singledispatch

import numpy as np

from ..blocks import Blocks
from ..composite import Adjoint, Conjugate, Product, Reshaped, Scaled, Sum
from ..convolution import Convolution
from ..foreign import Matrix
from ..operator import Operator
from ..selection import Diagonal, Extend


@singledispatch
def negative_part(A: Operator) -> str | None:
    """What brings negative entries into `A`; None where nothing is seen to."""
    return None


@negative_part.register
def _(A: Convolution) -> str | None:
    if A.weight.min() < 0:
        count = int(np.count_nonzero(A.weight < 0))
        return f"its kernel has {count} negative taps, down to {A.weight.min():.3g}; set them to 0 with np.maximum"
    return _negative_boundary(A)


@negative_part.register
def _negative_boundary(A: Extend) -> str | None:
    g = A.geometry
    if any((g.extension(axis).weight < 0).any() for axis in range(g.ndim)):
        return "its boundary extends with negative weights, as 'antireflective' does; take another"
    return None


@negative_part.register
def _(A: Diagonal) -> str | None:
    return "a diagonal in it has negative factors; take their moduli" if A.array.min() < 0 else None


@negative_part.register
def _(A: Matrix) -> str | None:
    return "a matrix in it has negative entries; clean it with np.maximum" if A.matrix.min() < 0 else None


@negative_part.register
def _(A: Scaled) -> str | None:
    return "it is multiplied by a negative number; leave that out" if A.scalar < 0 else negative_part(A.operator)


@negative_part.register
def _(A: Product | Sum | Blocks) -> str | None:
    return next(filter(None, map(negative_part, _parts(A))), None)


@negative_part.register
def _(A: Adjoint | Conjugate | Reshaped) -> str | None:
    return negative_part(A.operator)


def _parts(A: Product | Sum | Blocks) -> tuple[Operator, ...]:
    if isinstance(A, Blocks):
        return tuple(block for _, _, block in A.blocks)
    return A.factors if isinstance(A, Product) else A.terms
