"""The closed table of what a file may hold: for each kind its fields, and what makes it of them.

Nothing is looked up by a name from a file but here. Fields are those of an operator's recipe, in its order, and what
a constructor takes on trust from the rest of convop is looked at first.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ...affine import Affine
from ...algebra import Identity, Zero
from ...arguments import Shape
from ...blocks import Blocks, Parts
from ...combining import joined
from ...composite import Adjoint, Conjugate, Product, Reshaped, Scaled, Sum
from ...convolution import Convolution
from ...dtypes import Array, DType
from ...errors import GeometryError
from ...foreign import Functions, Matrix, as_operator
from ...geometry import Geometry
from ...kernel_side import KernelOperator
from ...operator import Operator
from ...selection import Diagonal, Extend, Select, Unfold
from ...structured.circulant import BlockCirculant, Dropped
from ...structured.lifted import Lifted
from ...structured.polyphase import Layout
from ...structured.toeplitz import BlockToeplitz
from . import fields as f
from .archive import damaged
from .parts import Part, Reader, Writer


class Kind(NamedTuple):
    """A kind of operator: its name in files, its class, its fields by name, and what makes it of them."""

    name: str
    type: type
    schema: dict[str, f.Field]
    make: Callable[..., Part]

    def write(self, part: Part, target: Writer) -> dict[str, Any]:
        """The record of an operator of this kind."""
        arguments = part.__reduce__()[1]
        written = zip(self.schema.items(), arguments, strict=True)
        return {"kind": self.name, **{name: field.write(value, target) for (name, field), value in written}}

    def fields(self, record: dict[str, Any], source: Reader) -> list[Any]:
        """What `make` takes, from a record in a file."""
        if set(record) != {"kind", *self.schema}:
            damaged(f"a {self.name} has other fields than {', '.join(self.schema)}")
        return [field.read(record[name], source) for name, field in self.schema.items()]


def kind_of(part: Part) -> Kind:
    """The kind of an operator; GeometryError if no file can hold it."""
    if isinstance(part, Functions):
        raise GeometryError(
            f"{part!r} is known by its action only, which is code, and a file holds none; give that part as a matrix "
            f"(as_operator(M)), or pickle it"
        )
    for kind in KINDS.values():
        if type(part) is kind.type:
            return kind
    raise GeometryError(f"no file holds an operator of class {type(part).__name__}, which is none of convop's")


# What the constructors take on trust.


def _product(factors: tuple[Operator, ...]) -> Operator:
    for a, b in pairwise(factors):
        joined(a.in_shape, b.out_shape, f"a factor takes arrays of shape {a.in_shape}, the next gives {b.out_shape}")
    return Product(factors)


def _sum(terms: tuple[Operator, ...]) -> Operator:
    for name in ("in_shape", "out_shape"):
        for term in terms:
            joined(getattr(terms[0], name), getattr(term, name), "the terms of a sum have different shapes")
    return Sum(terms)


def _scaled(operator: Operator, number: Any, dtype: DType) -> Operator:
    if np.result_type(operator.dtype, dtype) != dtype or (dtype.kind != "c" and np.iscomplexobj(number)):
        damaged(f"a multiple by {number} of an operator of {operator.dtype} is not of {dtype}")
    return Scaled(operator, number, dtype)


def _reshaped(operator: Operator, in_shape: Shape, out_shape: Shape) -> Operator:
    if (math.prod(out_shape), math.prod(in_shape)) != operator.shape:
        damaged("an operator stands between arrays of another size")
    return Reshaped(operator, in_shape, out_shape)


def _select(in_shape: Shape, samples: Array, dtype: DType) -> Operator:
    inside = samples.size and samples.min() >= 0 and samples.max() < math.prod(in_shape)
    if not inside or len(np.unique(samples)) < samples.size:
        damaged("a selection names samples that are not there, or one twice")
    return Select.of(in_shape, samples.astype(np.intp, copy=False), dtype)


def _unfold(geometry: Geometry, dtype: DType) -> Operator:
    padding = tuple((before, max(after, 0)) for before, after in geometry.padding)
    unfold = Unfold(geometry.in_shape, geometry.kernel, geometry.stride, padding, geometry.dilation, dtype)
    return unfold if unfold.geometry == geometry else damaged("the geometry is that of no Unfold")


def _blocks(blocks: tuple[tuple[int, int, Operator], ...], rows: Parts, columns: Parts) -> Operator:
    places = [block[:2] for block in blocks]
    ends = (len(rows.shapes), len(columns.shapes))
    if places != sorted(set(places)) or any({place[i] for place in places} != set(range(ends[i])) for i in (0, 1)):
        damaged("the blocks of a matrix do not stand in its rows and columns")
    for row, column, block in blocks:
        if (block.out_shape, block.in_shape) != (rows.shapes[row], columns.shapes[column]):
            damaged("a block does not fit its row and column")
    return Blocks(blocks, rows, columns)


def _toeplitz(generator: Array, in_shape: Shape, method: str) -> Operator:
    return BlockToeplitz(generator, in_shape, method=method)


def _circulant(layout: Layout, blocks: Array, dtype: DType, dropped: Dropped | None) -> Operator:
    last = layout.base[-1] if dtype.kind == "c" else layout.base[-1] // 2 + 1
    if blocks.shape != (*layout.base[:-1], last, *layout.block) or blocks.dtype != np.result_type(dtype, np.complex64):
        damaged("the blocks of a circulant do not fit its grids")
    return BlockCirculant(layout, blocks, dtype, dropped)


def _kernel_side(
    geometry: Geometry, signal: Array, batch: Shape, in_shape: Shape, out_shape: Shape, convention: str, method: str
) -> Operator:
    outputs = (geometry.out_shape, geometry.out_spatial) if geometry.channels_out == 1 else (geometry.out_shape,)
    kernels = (
        (geometry.weight_shape, geometry.kernel) if geometry.weight_shape[:2] == (1, 1) else (geometry.weight_shape,)
    )
    plain = Geometry.make(
        geometry.spatial, geometry.kernel, stride=geometry.stride, dilation=geometry.dilation,
        channels=(geometry.channels_out, geometry.channels_in), groups=geometry.groups, lifted=True,
    )  # fmt: skip
    fits = signal.shape == (math.prod(batch), geometry.channels_in, *geometry.spatial)
    if geometry != plain or not fits or out_shape not in outputs or in_shape not in kernels:
        damaged("the signal of a convolution by its kernel does not fit")
    return KernelOperator(geometry, signal, batch, in_shape, out_shape, convention, method)


def _affine(linear: Operator, offset: Array) -> Affine:
    return Affine(linear, offset)


_TABLE = (
    Kind(
        "Convolution", Convolution,
        {"geometry": f.GEOMETRY, "weight": f.ARRAY, "convention": f.CONVENTION, "method": f.TEXT}, Convolution.of,
    ),
    Kind("Product", Product, {"factors": f.OPERATORS}, _product),
    Kind("Sum", Sum, {"terms": f.OPERATORS}, _sum),
    Kind("Scaled", Scaled, {"operator": f.OPERATOR, "number": f.SCALAR, "dtype": f.DTYPE}, _scaled),
    Kind("Adjoint", Adjoint, {"operator": f.OPERATOR}, Adjoint),
    Kind("Conjugate", Conjugate, {"operator": f.OPERATOR}, Conjugate),
    Kind("Reshaped", Reshaped, {"operator": f.OPERATOR, "in_shape": f.SHAPE, "out_shape": f.SHAPE}, _reshaped),
    Kind("Identity", Identity, {"shape": f.SHAPE, "dtype": f.DTYPE}, Identity),
    Kind("Zero", Zero, {"in_shape": f.SHAPE, "out_shape": f.SHAPE, "dtype": f.DTYPE}, Zero),
    Kind("Diagonal", Diagonal, {"array": f.ARRAY}, Diagonal),
    Kind("Select", Select, {"in_shape": f.SHAPE, "samples": f.INTS, "dtype": f.DTYPE}, _select),
    Kind(
        "Extend", Extend, {"in_shape": f.SHAPE, "widths": f.PAIRS, "boundary": f.PAIRS, "dtype": f.DTYPE}, Extend
    ),
    Kind("Unfold", Unfold, {"geometry": f.GEOMETRY, "dtype": f.DTYPE}, _unfold),
    Kind("Matrix", Matrix, {"matrix": f.MATRIX, "in_shape": f.SHAPE, "out_shape": f.SHAPE}, as_operator),
    Kind("Blocks", Blocks, {"blocks": f.BLOCKS, "rows": f.PARTS, "columns": f.PARTS}, _blocks),
    Kind("BlockToeplitz", BlockToeplitz, {"generator": f.ARRAY, "in_shape": f.SHAPE, "method": f.TEXT}, _toeplitz),
    Kind("Lifted", Lifted, {"blocks": f.GRID, "groups": f.WHOLE}, Lifted),
    Kind(
        "BlockCirculant", BlockCirculant,
        {"layout": f.LAYOUT, "blocks": f.ARRAY, "dtype": f.DTYPE, "dropped": f.DROPPED}, _circulant,
    ),
    Kind(
        "KernelOperator", KernelOperator,
        {
            "geometry": f.GEOMETRY, "signal": f.ARRAY, "batch": f.SHAPE, "in_shape": f.SHAPE, "out_shape": f.SHAPE,
            "convention": f.CONVENTION, "method": f.TEXT,
        },
        _kernel_side,
    ),
    Kind("Affine", Affine, {"linear": f.OPERATOR, "offset": f.ARRAY}, _affine),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _TABLE}
