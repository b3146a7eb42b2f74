"""What a part is described by, field by field: how each is written, and read from a file that may say anything."""

import math
from collections.abc import Callable
from dataclasses import fields as fields_of
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from ...arguments import Shape
from ...blocks import Parts
from ...dtypes import FLOATING, Array, DType
from ...geometry import Geometry
from ...operator import Operator
from ...structured.circulant import Dropped
from ...structured.polyphase import Layout
from .archive import damaged
from .parts import Reader, Writer

MOST_AXES = 64  # that numpy has
MOST_SAMPLES = 2**63 - 1  # that an index counts


class Field(NamedTuple):
    """How a value becomes JSON, with arrays and operators by their numbers, and comes back from it."""

    write: Callable[[Any, Writer], Any]
    read: Callable[[Any, Reader], Any]


def _entries(value: Any, what: str, most: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (most is not None and len(value) > most):
        damaged(f"{what} is no list of its kind")
    return value


def _whole(value: Any, what: str, least: int = 0) -> int:
    if type(value) is not int or not least <= value <= MOST_SAMPLES:
        damaged(f"{what} is {str(value)[:40]!r}")
    return value


def _shape(value: Any, what: str = "a shape") -> Shape:
    shape = tuple(_whole(n, what, 1) for n in _entries(value, what, MOST_AXES))
    if math.prod(shape) > MOST_SAMPLES:
        damaged(f"{what} has more samples than can be counted")
    return shape


def _text(value: Any, _: Reader) -> str:
    return value if isinstance(value, str) and len(value) < 100 else damaged("a name is no name")


def _convention(value: Any, _: Reader) -> str:
    return value if value in ("convolution", "correlation") else damaged(f"a convention is {str(value)[:40]!r}")


def _dtype(value: Any, _: Reader) -> DType:
    found = [dtype for dtype in FLOATING if dtype.name == value]
    return found[0] if found else damaged(f"a type is {str(value)[:40]!r}")


def _coefficients(value: Any, source: Reader) -> Array:
    array = source.array(value)
    return array if array.dtype in FLOATING else damaged(f"an array of {array.dtype} stands where there are none")


def _ints(value: Any, source: Reader) -> Array:
    array = source.array(value)
    return array if array.dtype.kind == "i" else damaged(f"an array of {array.dtype} stands where ints are needed")


def _write_scalar(value: Any, _: Writer) -> list[str]:
    name = value.dtype.name if isinstance(value, np.inexact) else "complex" if isinstance(value, complex) else "float"
    number = complex(value)
    return [name, number.real.hex(), number.imag.hex()]


_SCALARS: dict[str, Callable[[complex], Any]] = {
    "float": lambda number: number.real,
    "complex": complex,
    "float32": lambda number: np.float32(number.real),
    "float64": lambda number: np.float64(number.real),
    "complex64": np.complex64,
    "complex128": np.complex128,
}


def _scalar(value: Any, _: Reader) -> Any:
    name, real, imag = _entries(value, "a number", 3)
    number = complex(float.fromhex(real), float.fromhex(imag))
    return _SCALARS[name](number) if np.isfinite(number) else damaged("a number is not finite")


def _write_matrix(value: Any, target: Writer) -> dict[str, Any]:
    if isinstance(value, np.ndarray):
        return {"dense": target.array(value)}
    sparse = scipy.sparse.csr_array(value)
    index = np.int32 if sparse.indices.dtype == np.int32 else np.int64
    parts = (sparse.data, sparse.indices.astype(index, copy=False), sparse.indptr.astype(index, copy=False))
    return {"shape": [*value.shape], "csr": [target.array(part) for part in parts]}


def _matrix(value: Any, source: Reader) -> Any:
    if "dense" in value:
        return _coefficients(value["dense"], source)
    data, indices, indptr = _entries(value["csr"], "a sparse matrix", 3)
    arrays = _coefficients(data, source), _ints(indices, source), _ints(indptr, source)
    shape = _shape(value["shape"])
    if len(shape) != 2 or any(array.ndim != 1 for array in arrays) or len(arrays[2]) != shape[0] + 1:
        damaged("the arrays of a sparse matrix do not fit its shape")
    matrix = scipy.sparse.csr_array(arrays, shape=shape)
    matrix.check_format(full_check=True)  # every index, before compiled code meets it
    return matrix


def _write_geometry(value: Geometry, _: Writer) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields_of(Geometry)}


def _geometry(value: Any, _: Reader) -> Geometry:
    channels = tuple(_whole(value[name], name, 1) for name in ("channels_out", "channels_in"))
    spatial, kernel = _shape(value["spatial"]), _shape(value["kernel"])
    stride, dilation = _shape(value["stride"]), _shape(value["dilation"])
    geometry = Geometry.make(
        spatial, kernel, stride=stride, dilation=dilation, padding=_pairs(value["padding"]),
        boundary=_pairs(value["boundary"]), channels=(channels[0], channels[1]), groups=value["groups"],
        lifted=_flag(value["lifted"]),
    )  # fmt: skip
    for shape in (geometry.in_shape, geometry.out_shape, geometry.extended, geometry.weight_shape):
        _shape(list(shape), "the geometry")
    return geometry


def _pairs(value: Any) -> tuple[tuple[Any, ...], ...]:
    pairs = tuple(tuple(_entries(pair, "a pair", 2)) for pair in _entries(value, "a list of pairs", MOST_AXES))
    return pairs if all(len(pair) == 2 for pair in pairs) else damaged("a pair has one entry")


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else damaged(f"a flag is {str(value)[:40]!r}")


def _operators(value: Any, source: Reader) -> tuple[Operator, ...]:
    return tuple(map(source.part, _entries(value, "a list of operators"))) or damaged("a list of operators is empty")


def _write_blocks(value: Any, target: Writer) -> list[Any]:
    return [[row, column, target.part(block)] for row, column, block in value]


def _blocks(value: Any, source: Reader) -> tuple[tuple[int, int, Operator], ...]:
    rows = [_entries(each, "a block", 3) for each in _entries(value, "a list of blocks")]
    return tuple((_whole(row, "a row"), _whole(column, "a column"), source.part(part)) for row, column, part in rows)


def _write_parts(value: Parts, _: Writer) -> dict[str, Any]:
    return {"shapes": value.shapes, "single": value.single}


def _parts(value: Any, _: Reader) -> Parts:
    shapes = tuple(map(_shape, _entries(value["shapes"], "a list of shapes")))
    single = _flag(value["single"])
    if not shapes or (single and len(shapes) > 1) or sum(map(math.prod, shapes)) > MOST_SAMPLES:
        damaged("the parts of an array do not make one")
    return Parts(shapes, single)


def _write_layout(value: Layout, _: Writer) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields_of(Layout)}


def _layout(value: Any, _: Reader) -> Layout:
    shapes = [_shape(value[name]) for name in ("base", "phases_in", "phases_out")]
    channels = [_whole(value[name], name, 1) for name in ("channels_in", "channels_out")]
    lifted = _flag(value["lifted"])
    if len({len(shape) for shape in shapes}) != 1 or not shapes[0] or (not lifted and channels != [1, 1]):
        damaged("the grids of a circulant do not fit each other")
    layout = Layout(shapes[0], shapes[1], shapes[2], channels[0], channels[1], lifted)
    for shape in (layout.in_shape, layout.out_shape):
        _shape(list(shape), "a grid")
    return layout


def _dropped(value: Any, _: Reader) -> Dropped | None:
    return None if value is None else Dropped(*(_whole(n, "a count") for n in _entries(value, "two counts", 2)))


def _plain(value: Any, _: Writer) -> Any:
    return value


def _number_of_array(value: Array, target: Writer) -> int:
    return target.array(value)


def _number_of_ints(value: Array, target: Writer) -> int:
    return target.array(value.astype(np.int64))


SHAPE = Field(_plain, lambda value, _: _shape(value))
TEXT = Field(_plain, _text)
CONVENTION = Field(_plain, _convention)
WHOLE = Field(_plain, lambda value, _: _whole(value, "a number", 1))
DTYPE = Field(lambda value, _: value.name, _dtype)
ARRAY = Field(_number_of_array, _coefficients)
INTS = Field(_number_of_ints, _ints)
SCALAR = Field(_write_scalar, _scalar)
MATRIX = Field(_write_matrix, _matrix)
GEOMETRY = Field(_write_geometry, _geometry)
PAIRS = Field(_plain, lambda value, _: _pairs(value))
OPERATOR = Field(lambda value, target: target.part(value), lambda value, source: source.part(value))
OPERATORS = Field(lambda value, target: [target.part(each) for each in value], _operators)
GRID = Field(
    lambda value, target: [[target.part(each) for each in row] for row in value],
    lambda value, source: tuple(_operators(row, source) for row in _entries(value, "a grid")),
)
BLOCKS = Field(_write_blocks, _blocks)
PARTS = Field(_write_parts, _parts)
LAYOUT = Field(_write_layout, _layout)
DROPPED = Field(_plain, _dropped)
