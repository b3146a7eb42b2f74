"""Which bases an operator has on each axis, from those of all that it is made of."""

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from ..algebra import Identity, Zero
from ..blocks import Block, Blocks
from ..composite import Adjoint, Product, Reshaped, Scaled, Sum
from ..convolution import Convolution
from ..errors import GeometryError
from ..operator import Operator
from ..selection import Diagonal
from ..structured.circulant import BlockCirculant
from ..structured.lifted import Lifted
from .basis import DCT, DFT, EVEN, ODD
from .line import Line


class NoClosedForm(GeometryError):
    """Why an operator is no block at each frequency."""


def leaves(A: Operator) -> Iterable[Operator]:
    """The operators that `A` is made of and that are made of no others."""
    inner = inside(A)
    if inner is None:
        yield A
    else:
        for each in inner:
            yield from leaves(each)


def inside(A: Operator) -> Iterable[Operator] | None:
    """What `A` is made of; None if of nothing."""
    match A:
        case Product():
            return A.factors
        case Sum():
            return A.terms
        case Blocks() | Lifted():
            return [block for _, _, block in placed(A)]
        case Adjoint() | Scaled() | Reshaped():
            return (A.operator,)
        case _:
            return None


def placed(A: Blocks | Lifted) -> list[Block]:
    """Row, column and operator of each block."""
    if isinstance(A, Blocks):
        return list(A.blocks)
    return [(o, i, block) for o, row in enumerate(A.blocks) for i, block in enumerate(row)]


def grid_axes(A: Operator) -> int:
    """How many of the last axes are a grid: those that every convolution in `A` has."""
    ranks = [_rank(leaf) for leaf in leaves(A)]
    return min([rank for rank in ranks if rank is not None], default=len(A.in_shape))


def _rank(leaf: Operator) -> int | None:
    if isinstance(leaf, Convolution):
        return leaf.geometry.ndim
    return leaf.layout.ndim if isinstance(leaf, BlockCirculant) else None


def common_kinds(
    A: Operator, ndim: int, wanted: tuple[str, ...] | None = None, similar: bool = False
) -> tuple[str, ...]:
    """A basis that all of `A` has: `wanted`, or any; with `similar` also one that is not orthogonal.

    Raises
    ------
    NoClosedForm
        If there is none, with the reason.
    """
    free = {DFT, DCT, EVEN, ODD} if similar else {DFT, DCT}
    allowed = [free if wanted is None else {wanted[axis]} for axis in range(ndim)]
    for leaf in leaves(A):
        for axis, kinds in enumerate(_kinds(leaf, ndim, similar)):
            allowed[axis] = allowed[axis] & set(kinds)
            if not allowed[axis]:
                raise NoClosedForm(f"along axis {axis}, {leaf!r} has a closed form in another basis than was needed")
    # An axis on which every basis serves takes that of the others.
    rest = DFT if {DFT} in allowed else DCT
    return tuple(rest if rest in each else min(each) for each in allowed)


@singledispatch
def _kinds(leaf: Operator, ndim: int, similar: bool) -> list[tuple[str, ...]]:
    raise NoClosedForm(f"{leaf!r} is nothing that a transform makes diagonal")


@_kinds.register
def _(leaf: Convolution, ndim: int, similar: bool) -> list[tuple[str, ...]]:
    if leaf.geometry.ndim != ndim:
        raise NoClosedForm(f"{leaf!r} mixes an axis that is channels elsewhere")
    found = []
    for axis in range(ndim):
        line = Line.of(leaf, axis)
        found.append(line.similar_kinds if similar else line.kinds)
        if not found[axis]:
            raise NoClosedForm(line.why_not(axis))
    return found


@_kinds.register
def _(leaf: BlockCirculant, ndim: int, similar: bool) -> list[tuple[str, ...]]:
    if leaf.layout.ndim > ndim + 1:
        raise NoClosedForm(f"{leaf!r} mixes axes that are channels elsewhere")
    layout = leaf.layout
    sizes = [max(layout.grid_in[axis], layout.grid_out[axis]) for axis in range(layout.ndim - ndim, layout.ndim)]
    return [(DFT,) if n > 1 else (DFT, DCT, EVEN, ODD) for n in sizes]


@_kinds.register(Identity)
@_kinds.register(Diagonal)
@_kinds.register(Zero)
def _(leaf: Any, ndim: int, similar: bool) -> list[tuple[str, ...]]:
    if isinstance(leaf, Diagonal) and (leaf.array != leaf.array.flat[0]).any():
        raise NoClosedForm("a Diagonal whose values differ is diagonal in no basis but its own")
    if len(leaf.in_shape) < ndim or leaf.in_shape[-ndim:] != leaf.out_shape[-ndim:]:
        raise NoClosedForm(f"{leaf!r} sees an array flat, or in a shape of its own")
    return [(DFT, DCT, EVEN, ODD)] * ndim
