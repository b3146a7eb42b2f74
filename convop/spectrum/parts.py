"""An operator in a basis: its blocks at each frequency, made of those of its parts.

Along the axes of a DFT, samples may have phases, as in `structured.polyphase`; the leading axes of arrays that are no
grid of a convolution are channels.
"""

import math
from dataclasses import replace
from functools import reduce, singledispatch
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from ..algebra import Identity, Zero
from ..arguments import Shape
from ..blocks import Blocks
from ..composite import Adjoint, Product, Reshaped, Scaled, Sum
from ..convolution import Convolution
from ..dtypes import Array
from ..operator import Operator
from ..selection import Diagonal
from ..structured import symbol
from ..structured.channels import ungrouped
from ..structured.circulant import BlockCirculant
from ..structured.lifted import Lifted
from ..structured.polyphase import Layout, coarsen, require_memory
from .basis import DFT, Basis
from .kinds import NoClosedForm, placed
from .line import Line


class Part(NamedTuple):
    """Grids, phases and channels; and the blocks `(*frequencies, rows, columns)` in double precision."""

    layout: Layout
    blocks: Array


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
    rows, columns = ({e[line]: e[2].layout for e in sorted(entries, key=itemgetter(line))} for line in (0, 1))
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
    if any(r > 1 and kind != DFT for r, kind in zip(factor, basis.kinds, strict=True)):
        raise NoClosedForm("along an axis that is not periodic, operators have grids of different sizes")
    layout = a.layout.coarser(factor)
    require_memory(layout, np.dtype(np.float64))
    response = basis.response(np.moveaxis(a.blocks, (-2, -1), (0, 1)), a.layout.base)
    blocks = basis.spectrum(coarsen(response, a.layout, factor), base)
    return Part(layout, np.moveaxis(blocks, (0, 1), (-2, -1)))
