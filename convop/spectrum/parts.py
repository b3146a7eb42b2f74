"""An operator in a basis: its blocks at each frequency, made of those of its parts.

Along the axes of a DFT, samples may have phases, as in `structured.polyphase`; the leading axes of arrays that are no
grid of a convolution are channels.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce, singledispatch
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..algebra import Identity, Zero
from ..arguments import Shape
from ..blocks import Block, Blocks
from ..composite import Adjoint, Product, Reshaped, Scaled, Sum
from ..convolution import Convolution
from ..errors import GeometryError
from ..operator import Operator
from ..selection import Diagonal
from ..structured import symbol
from ..structured.channels import ungrouped
from ..structured.circulant import BlockCirculant
from ..structured.lifted import Lifted
from ..structured.polyphase import Layout, coarsen, require_memory
from .basis import DCT, DFT, Basis
from .line import Line


class NoClosedForm(GeometryError):
    """Why an operator is no block at each frequency."""


class Part(NamedTuple):
    """Grids, phases and channels; and the blocks `(*frequencies, rows, columns)` in double precision."""

    layout: Layout
    blocks: NDArray


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


def common_kinds(A: Operator, ndim: int, wanted: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """A basis that all of `A` has: `wanted`, or any.

    Raises
    ------
    NoClosedForm
        If there is none, with the reason.
    """
    allowed = [{DFT, DCT} if wanted is None else {wanted[axis]} for axis in range(ndim)]
    for leaf in leaves(A):
        for axis, kinds in enumerate(_kinds(leaf, ndim)):
            allowed[axis] &= set(kinds)
            if not allowed[axis]:
                raise NoClosedForm(f"along axis {axis}, {leaf!r} has a closed form in another basis than was needed")
    # An axis on which every basis serves takes that of the others.
    rest = DFT if {DFT} in allowed else DCT
    return tuple(rest if len(each) > 1 else min(each) for each in allowed)


@singledispatch
def _kinds(leaf: Operator, ndim: int) -> list[tuple[str, ...]]:
    raise NoClosedForm(f"{leaf!r} is nothing that a transform makes diagonal")


@_kinds.register
def _(leaf: Convolution, ndim: int) -> list[tuple[str, ...]]:
    if leaf.geometry.ndim != ndim:
        raise NoClosedForm(f"{leaf!r} mixes an axis that is channels elsewhere")
    lines = [Line.of(leaf, axis) for axis in range(ndim)]
    for axis, line in enumerate(lines):
        if not line.kinds:
            raise NoClosedForm(line.why_not(axis))
    return [line.kinds for line in lines]


@_kinds.register
def _(leaf: BlockCirculant, ndim: int) -> list[tuple[str, ...]]:
    if leaf.layout.ndim > ndim + 1:
        raise NoClosedForm(f"{leaf!r} mixes axes that are channels elsewhere")
    layout = leaf.layout
    sizes = [max(layout.grid_in[axis], layout.grid_out[axis]) for axis in range(layout.ndim - ndim, layout.ndim)]
    return [(DFT,) if n > 1 else (DFT, DCT) for n in sizes]


@_kinds.register(Identity)
@_kinds.register(Diagonal)
@_kinds.register(Zero)
def _(leaf: Any, ndim: int) -> list[tuple[str, ...]]:
    if isinstance(leaf, Diagonal) and (leaf.array != leaf.array.flat[0]).any():
        raise NoClosedForm("a Diagonal whose values differ is diagonal in no basis but its own")
    if len(leaf.in_shape) < ndim or leaf.in_shape[-ndim:] != leaf.out_shape[-ndim:]:
        raise NoClosedForm(f"{leaf!r} sees an array flat, or in a shape of its own")
    return [(DFT, DCT)] * ndim


@singledispatch
def part(A: Operator, basis: Basis) -> Part:
    """The blocks of `A` in a basis that all of its leaves have."""
    raise NoClosedForm(f"{A!r} is nothing that a transform makes diagonal")


@part.register
def _(A: Convolution, basis: Basis) -> Part:
    g = A.geometry
    lines = [Line.of(A, axis) for axis in range(g.ndim)]
    dense = ungrouped(A.weight, g.groups)
    base, phases = g.out_spatial, tuple(line.phases for line in lines)
    layout = Layout(base, phases, (1,) * g.ndim, g.channels_in, g.channels_out, True)
    require_memory(layout, np.result_type(A.dtype, np.float64))
    kept = tuple(slice(line.first, line.first + line.geometry.kernel[0]) for line in lines)
    values = np.moveaxis(dense[(slice(None), slice(None), *kept)], (0, 1), (-2, -1))
    values = values.astype(np.result_type(values.dtype, np.float64))
    done, halved = 1, basis.halved(base)
    for axis, line in enumerate(lines):
        flat = values.reshape(done, line.geometry.kernel[0], -1)
        mixed = line.transformed(flat, basis.kinds[axis], halved == axis - g.ndim)
        done *= mixed.shape[1]
        values = np.moveaxis(mixed, 2, -1)  # phases are the last of the columns
    return Part(layout, values.reshape(*basis.frequencies(base), *layout.block))


@part.register
def _(A: BlockCirculant, basis: Basis) -> Part:
    own = A.with_channels() if A.layout.ndim > len(basis.kinds) else A
    layout = own.layout
    whole = symbol.full(own.blocks, layout.base) if own.dtype.kind != "c" else own.blocks
    kept = tuple(map(slice, basis.frequencies(layout.base)))
    blocks = whole[kept].astype(np.complex128)
    real = basis.real and basis.halved(layout.base) is None
    return Part(replace(layout, lifted=True), blocks.real if real else blocks)


@part.register(Identity)
@part.register(Diagonal)
@part.register(Zero)
def _(A: Any, basis: Basis) -> Part:
    ndim = len(basis.kinds)
    base, one = A.in_shape[-ndim:], (1,) * ndim
    rows, columns = (math.prod(shape[:-ndim]) for shape in (A.out_shape, A.in_shape))
    layout = Layout(base, one, one, columns, rows, True)
    value = A.array.flat[0] if isinstance(A, Diagonal) else float(isinstance(A, Identity))
    block = np.asarray(value) * np.eye(rows, columns)
    return Part(layout, np.broadcast_to(block, (*basis.frequencies(base), rows, columns)))


@part.register
def _(A: Reshaped, basis: Basis) -> Part:
    return part(A.operator, basis)


@part.register
def _(A: Scaled, basis: Basis) -> Part:
    layout, blocks = part(A.operator, basis)
    return Part(layout, A.number * blocks)


@part.register
def _(A: Adjoint, basis: Basis) -> Part:
    return adjoint_of(part(A.operator, basis))


@part.register
def _(A: Product, basis: Basis) -> Part:
    return reduce(lambda a, b: multiplied(a, b, basis), (part(factor, basis) for factor in A.factors))


@part.register
def _(A: Sum, basis: Basis) -> Part:
    return reduce(lambda a, b: added(a, b, basis), (part(term, basis) for term in A.terms))


@part.register(Blocks)
@part.register(Lifted)
def _(A: Any, basis: Basis) -> Part:
    entries = [(row, column, part(block, basis)) for row, column, block in placed(A)]
    base = reduce(_divisor, (each.layout.base for *_, each in entries))
    return _stacked([(row, column, on_base(each, base, basis)) for row, column, each in entries])


def _stacked(entries: list[tuple[int, int, Part]]) -> Part:
    """A matrix of parts on one base grid; channels of its rows, and of its columns, one after the other."""
    grids = {(each.layout.grid_in, each.layout.grid_out) for *_, each in entries}
    if len(grids) > 1:
        raise NoClosedForm("the operators that are stacked have different grids")
    rows, columns = ({place: layout for place, layout in sorted(((e[line], e[2].layout) for e in entries), key=lambda e: e[0])} for line in (0, 1))
    down = [0, *accumulate(layout.block[0] for layout in rows.values())]
    across = [0, *accumulate(layout.block[1] for layout in columns.values())]
    first, dtype = entries[0][2], np.result_type(*(each.blocks for *_, each in entries))
    blocks = np.zeros((*first.blocks.shape[:-2], down[-1], across[-1]), dtype)
    for row, column, each in entries:
        blocks[..., down[row] : down[row + 1], across[column] : across[column + 1]] = each.blocks
    channels_out = sum(layout.channels_out for layout in rows.values())
    channels_in = sum(layout.channels_in for layout in columns.values())
    return Part(replace(first.layout, channels_in=channels_in, channels_out=channels_out), blocks)


def adjoint_of(a: Part) -> Part:
    return Part(a.layout.adjoint, a.blocks.conj().swapaxes(-1, -2))


def multiplied(a: Part, b: Part, basis: Basis) -> Part:
    """`a` after `b`."""
    if (a.layout.grid_in, a.layout.channels_in) != (b.layout.grid_out, b.layout.channels_out):
        raise NoClosedForm("one factor sees an array flat, or in a shape of its own, that another sees as a grid")
    a, b = _alike(a, b, basis)
    return Part(a.layout.after(b.layout), a.blocks @ b.blocks)


def added(a: Part, b: Part, basis: Basis) -> Part:
    """`a + b`."""
    if (a.layout.in_shape, a.layout.out_shape) != (b.layout.in_shape, b.layout.out_shape):
        raise NoClosedForm("one term sees an array flat, or in a shape of its own, that another sees as a grid")
    a, b = _alike(a, b, basis)
    return Part(a.layout, a.blocks + b.blocks)


def _alike(a: Part, b: Part, basis: Basis) -> tuple[Part, Part]:
    base = _divisor(a.layout.base, b.layout.base)
    return on_base(a, base, basis), on_base(b, base, basis)


def _divisor(a: Shape, b: Shape) -> Shape:
    return tuple(map(math.gcd, a, b))


def on_base(a: Part, base: Shape, basis: Basis) -> Part:
    """The same operator with larger blocks, on a base grid that divides its own along the axes of a DFT."""
    if any(m % coarse for m, coarse in zip(a.layout.base, base, strict=True)):
        raise NoClosedForm(f"the grid {a.layout.base} is no multiple of {base}")
    factor = tuple(m // coarse for m, coarse in zip(a.layout.base, base, strict=True))
    if math.prod(factor) == 1:
        return a
    if any(r > 1 and kind == DCT for r, kind in zip(factor, basis.kinds, strict=True)):
        raise NoClosedForm("along an axis of a DCT-II, operators have grids of different sizes")
    layout = a.layout.coarser(factor)
    require_memory(layout, np.dtype(np.float64))
    response = basis.response(np.moveaxis(a.blocks, (-2, -1), (0, 1)), a.layout.base)
    blocks = basis.spectrum(coarsen(response, a.layout, factor), base)
    return Part(layout, np.moveaxis(blocks, (0, 1), (-2, -1)))
