"""Operators side by side: `vstack`, `hstack`, `block_diag`, `block`, and when they multiply and add block by block."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import reduce
from typing import Any

from .algebra import add, product, product_rule, sum_rule
from .arguments import Shape
from .blocks import Block, Blocks, Parts
from .combining import joined
from .composite import Product, Scaled, Sum
from .errors import GeometryError
from .foreign import as_operator
from .operator import Operator

Factors = tuple[int, int, Operator, Operator]  # row, column, and the two factors of a product that belongs there


# Building them.


def vstack(operators: Iterable[Any]) -> Operator:
    """Operators on top of each other: every one is applied to the same array.

    Parameters
    ----------
    operators : iterable
        Anything `as_operator` takes, of one `in_shape` (or flat of that size).

    Returns
    -------
    Operator
        To `(len(operators), *out_shape)` where all have the same `out_shape`, else flat.

    Raises
    ------
    ShapeError
        If they take arrays of different shapes.
    GeometryError
        If there is none.

    Examples
    --------
    >>> import convop
    >>> A = convop.vstack([convop.Identity(3), convop.Convolution([1.0, -1.0], 3)])
    >>> A([1, 2, 4])
    array([[1., 2., 4.],
           [1., 1., 2.]])
    """
    column = _operators(operators, "vstack")
    return _assembled([(row, 0, each) for row, each in enumerate(column)], len(column), 1, one_column=True)


def hstack(operators: Iterable[Any]) -> Operator:
    """Operators next to each other: each is applied to its own array, and the results are added.

    Parameters
    ----------
    operators : iterable
        Anything `as_operator` takes, of one `out_shape` (or flat of that size).

    Returns
    -------
    Operator
        From `(len(operators), *in_shape)` where all have the same `in_shape`, else from flat.

    Raises
    ------
    ShapeError
        If they give arrays of different shapes.
    GeometryError
        If there is none.

    Examples
    --------
    >>> import convop
    >>> A = convop.hstack([convop.Identity(2), 10 * convop.Identity(2)])
    >>> A([[1.0, 2.0], [3.0, 4.0]])
    array([31., 42.])
    """
    row = _operators(operators, "hstack")
    return _assembled([(0, column, each) for column, each in enumerate(row)], 1, len(row), one_row=True)


def block_diag(operators: Iterable[Any]) -> Operator:
    """Operators that act each on an array of its own.

    Parameters
    ----------
    operators : iterable
        Anything `as_operator` takes.

    Returns
    -------
    Operator
        From `(len(operators), *in_shape)` where all have the same `in_shape`, else from flat; likewise to.

    Raises
    ------
    GeometryError
        If there is none.

    Examples
    --------
    >>> import convop
    >>> A = convop.block_diag([convop.Identity(2), convop.Select(2, [1])])
    >>> A([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 4.])
    """
    diagonal = _operators(operators, "block_diag")
    return _assembled([(n, n, each) for n, each in enumerate(diagonal)], len(diagonal), len(diagonal))


def block(rows: Iterable[Iterable[Any]]) -> Operator:
    """A matrix of operators.

    Parameters
    ----------
    rows : iterable of iterables
        Rows of equal length of anything `as_operator` takes; None stands for zeros.

    Returns
    -------
    Operator
        From `(columns, *in_shape)` where all columns have the same `in_shape`, else from flat; likewise to.

    Raises
    ------
    ShapeError
        If operators in a row give, or in a column take, arrays of different shapes.
    GeometryError
        If rows are of different lengths, or a row or column holds no operator.

    Examples
    --------
    >>> import convop
    >>> A = convop.block([[convop.Identity(2), 10 * convop.Identity(2)], [None, convop.Identity(2)]])
    >>> A([[1.0, 2.0], [3.0, 4.0]])
    array([[31., 42.],
           [ 3.,  4.]])
    """
    table = [_listed(row, "block takes rows of operators") for row in _listed(rows, "block takes a list of rows")]
    lengths = sorted({len(row) for row in table})
    if len(lengths) != 1 or lengths == [0]:
        raise GeometryError(f"block needs rows of one length, at least 1, got lengths {lengths}; put None for zeros")
    blocks = [
        (row, column, as_operator(each))
        for row, operators in enumerate(table)
        for column, each in enumerate(operators)
        if each is not None
    ]
    return _assembled(blocks, len(table), lengths[0])


def _operators(operators: Iterable[Any], name: str) -> list[Operator]:
    return [as_operator(each) for each in _listed(operators, f"{name} takes a list of operators")]


def _listed(values: Any, needed: str) -> list[Any]:
    try:
        listed = list(values)
    except TypeError:
        raise GeometryError(f"{needed}, got {values!r}; put it in a list") from None
    if not listed:
        raise GeometryError(f"{needed}, got an empty one; give at least one")
    return listed


def _assembled(
    blocks: list[Block], rows: int, columns: int, one_row: bool = False, one_column: bool = False
) -> Operator:
    """The blocks, each between arrays of the shapes that its row and its column agree on."""
    out_shapes = [_agreed([b.out_shape for row, _, b in blocks if row == n], "row", n) for n in range(rows)]
    in_shapes = [_agreed([b.in_shape for _, column, b in blocks if column == n], "column", n) for n in range(columns)]
    fitted = tuple((row, column, as_operator(b, in_shapes[column], out_shapes[row])) for row, column, b in blocks)
    return Blocks(fitted, Parts(tuple(out_shapes), one_row), Parts(tuple(in_shapes), one_column))


def _agreed(shapes: list[Shape], line: str, number: int) -> Shape:
    if not shapes:
        raise GeometryError(
            f"{line} {number} of the blocks holds nothing but None, so its size is unknown; "
            f"put an operator there, such as 0 * Identity(shape) or an empty sparse matrix"
        )
    what = "give" if line == "row" else "take"
    return reduce(lambda a, b: joined(a, b, f"{line} {number}: operators {what} arrays of shapes {a} and {b}"), shapes)


# Multiplying and adding them.


@product_rule(Blocks, Blocks)
def multiply_blocks(a: Blocks, b: Blocks) -> Any:
    """Block by block, where every block is used once, or where all products become one operator."""
    if a.columns.shapes != b.rows.shapes:
        return NotImplemented
    in_row: defaultdict[int, list[tuple[int, Operator]]] = defaultdict(list)
    for row, column, right in b.blocks:
        in_row[row].append((column, right))
    factors = [(row, column, left, right) for row, inner, left in a.blocks for column, right in in_row[inner]]
    uses = Counter(inner for _, inner, _ in a.blocks)
    once = all(uses[inner] * len(in_row[inner]) <= 1 for inner in range(len(a.columns.shapes)))
    return _multiplied(factors, a.rows, b.columns, lazy=once)


@product_rule(Blocks, Operator)
def multiply_column(a: Blocks, b: Operator) -> Any:
    """Every operator of a vertical stack takes `b` in, where all become one with it."""
    if not a.columns.single:
        return NotImplemented
    factors = [(row, 0, left, b) for row, _, left in a.blocks]
    return _multiplied(factors, a.rows, Parts((b.in_shape,), single=True))


@product_rule(Operator, Blocks)
def multiply_row(a: Operator, b: Blocks) -> Any:
    """Every operator of a horizontal stack takes `a` in, where all become one with it."""
    if not b.rows.single:
        return NotImplemented
    factors = [(0, column, a, right) for _, column, right in b.blocks]
    return _multiplied(factors, Parts((a.out_shape,), single=True), b.columns)


def _multiplied(factors: list[Factors], rows: Parts, columns: Parts, lazy: bool = False) -> Any:
    """The blocks that are sums of products; NotImplemented where one stays a product, unless that is as good."""
    total: dict[tuple[int, int], Operator] = {}
    for row, column, left, right in factors:
        term = product(left, right)
        if not lazy and _stays_apart(term):
            return NotImplemented
        total[row, column] = add(total[row, column], term) if (row, column) in total else term
    if rows.single and columns.single:
        return total[0, 0]
    return Blocks(tuple((*place, total[place]) for place in sorted(total)), rows, columns)


def _stays_apart(a: Operator) -> bool:
    """Whether a lazy product is part of `a`."""
    if isinstance(a, Scaled):
        return _stays_apart(a.operator)
    parts = a.terms if isinstance(a, Sum) else [block for _, _, block in a.blocks] if isinstance(a, Blocks) else ()
    return isinstance(a, Product) or any(map(_stays_apart, parts))


@sum_rule(Blocks, Blocks)
def add_blocks(a: Blocks, b: Blocks) -> Any:
    """Block by block, where both have the same parts."""
    if (a.rows, a.columns) != (b.rows, b.columns):
        return NotImplemented
    total = {(row, column): block for row, column, block in a.blocks}
    for row, column, term in b.blocks:
        total[row, column] = add(total[row, column], term) if (row, column) in total else term
    return Blocks(tuple((*place, total[place]) for place in sorted(total)), a.rows, a.columns)
