"""In which order to multiply a chain of sparse matrices: the classic dynamic programme with estimated entries."""

# pyright: reportPrivateUsage=false

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any, Literal

import scipy.sparse

from .arguments import is_one_of, is_tuple_or_list
from .convolution import Convolution
from .errors import GeometryError, ShapeError
from .foreign import as_operator
from .fuse import composed
from .operator import Operator

Tree = int | tuple["Tree", "Tree"]


@dataclass(frozen=True)
class Order:
    """An association of a chain, with what it is expected to cost.

    Attributes
    ----------
    tree : int or nested pair
        Which products come first, by position in the chain: `((0, 1), 2)`.
    flops : float
        Expected multiply-adds of all products.
    nnz : float
        Expected entries of the largest matrix on the way, the result included.
    left_to_right : float
        The same cost for multiplying from the left.
    """

    chain: tuple[Operator, ...]
    by: str
    tree: Tree
    flops: float
    nnz: float
    left_to_right: float

    def __str__(self) -> str:
        cost = self.flops if self.by == "flops" else self.nnz
        unit = "multiply-adds" if self.by == "flops" else "entries at most"
        return f"{_drawn(self.tree)}: about {cost:,.0f} {unit}; from left to right {self.left_to_right:,.0f}"

    def tosparse(self, format: str = "csr") -> Any:
        """The product as a canonical sparse array, multiplied in this order."""
        matrix: Any = scipy.sparse.csr_array(self._multiplied(self.tree))
        matrix.sum_duplicates()
        return matrix.asformat(format)

    def _multiplied(self, tree: Tree) -> Any:
        if isinstance(tree, int):
            return self.chain[tree].tosparse()
        left, right = tree
        return self._multiplied(left) @ self._multiplied(right)


@dataclass(frozen=True)
class _Part:
    """A product of neighbours: how it is associated, its expected entries, and its cost."""

    tree: Tree
    nnz: float
    convolution: Convolution | None
    flops: float
    largest: float

    def cost(self, by: str) -> tuple[float, float]:
        return (self.flops, self.largest) if by == "flops" else (self.largest, self.flops)


def optimal_order(chain: Any, by: Literal["flops", "nnz"] = "flops") -> Order:
    """The cheapest order in which to multiply the sparse matrices of a chain of operators.

    Parameters
    ----------
    chain : sequence of Operator or anything `as_operator` takes
        `[A, B, C]` for `A @ B @ C`.
    by : {"flops", "nnz"}
        What to make small: the work of all products, or the largest matrix on the way.

    Returns
    -------
    Order
        The association and its expected cost; its `tosparse()` multiplies in that order.

    Raises
    ------
    ShapeError
        If neighbours do not fit.
    GeometryError
        If the chain is empty, or holds an operator known by its action only.

    Notes
    -----
    Entries of products of convolutions come from the composed kernel; of others, from entries that fall on
    columns independently: `n (1 - exp(-k / n))` of `n` columns for `k` products (Cohen, *Structure prediction and
    computation of sparse matrix products*, 1998, discusses such estimates).

    Examples
    --------
    >>> import numpy as np, convop
    >>> wide = convop.Convolution(np.ones(9), 64)
    >>> few = convop.Select(64, slice(0, 4))
    >>> convop.optimal_order([few, wide, wide]).tree
    ((0, 1), 2)
    """
    if not is_tuple_or_list(chain):
        raise GeometryError(f"optimal_order takes a list of operators, [A, B, C] for A @ B @ C, got {chain!r}")
    operators = tuple(as_operator(each) for each in chain)
    _require_chain(operators, by)
    table = {(i, i): _leaf(i, operator) for i, operator in enumerate(operators)}
    for length in range(1, len(operators)):
        for first in range(len(operators) - length):
            last = first + length
            candidates = [
                _joined(operators, table[first, split], table[split + 1, last], split) for split in range(first, last)
            ]
            table[first, last] = min(candidates, key=lambda part: part.cost(by))
    best = table[0, len(operators) - 1]
    straight = reduce(
        lambda left, i: _joined(operators, left, table[i, i], i - 1), range(1, len(operators)), table[0, 0]
    )
    return Order(operators, by, best.tree, best.flops, best.largest, straight.cost(by)[0])


def _require_chain(operators: tuple[Operator, ...], by: str) -> None:
    if not operators or not all(operator.explicit for operator in operators):
        raise GeometryError(
            "optimal_order needs operators that have a matrix, at least one; wrap matrices, not functions"
        )
    if not is_one_of(by, ("flops", "nnz")):
        raise GeometryError(f"by must be 'flops' or 'nnz', got {by!r}")
    for left, right in pairwise(operators):
        if left.shape[1] != right.shape[0]:
            raise ShapeError(f"optimal_order: neighbours of shapes {left.shape} and {right.shape} do not multiply")


def _leaf(place: int, operator: Operator) -> _Part:
    nnz = float(operator._count()[0])
    return _Part(place, nnz, operator if isinstance(operator, Convolution) else None, 0.0, nnz)


def _joined(operators: tuple[Operator, ...], left: _Part, right: _Part, split: int) -> _Part:
    inner = operators[split].shape[1]
    flops = left.nnz * right.nnz / inner
    both = left.convolution is not None and right.convolution is not None
    one = composed(left.convolution, right.convolution) if both else None  # pyright: ignore[reportArgumentType]
    if one is not None:
        nnz = float(one._count()[0])
    else:
        rows, columns = operators[_first(left.tree)].shape[0], operators[_last(right.tree)].shape[1]
        nnz = rows * columns * -math.expm1(-flops / (rows * columns))
    total, largest = left.flops + right.flops + flops, max(left.largest, right.largest, nnz)
    return _Part((left.tree, right.tree), nnz, one, total, largest)


def _first(tree: Tree) -> int:
    return tree if isinstance(tree, int) else _first(tree[0])


def _last(tree: Tree) -> int:
    return tree if isinstance(tree, int) else _last(tree[1])


def _drawn(tree: Tree) -> str:
    return str(tree) if isinstance(tree, int) else f"({_drawn(tree[0])} @ {_drawn(tree[1])})"
