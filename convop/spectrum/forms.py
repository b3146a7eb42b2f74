"""Singular values that are known without a matrix: of which form they are, all of them, and the largest.

Numbers come from the parts: a direct sum has the values of all, a Kronecker product the products of its factors', and
an isometry changes nothing but the count of zeros. `floor` is the ratio to the largest up to which a value is nothing
but rounding; `certain` says that the largest is computed and not iterated for.
"""

import math
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from ..dtypes import Array
from ..operator import Operator
from ..structured import inverse
from . import block_values, lanczos

SMALL = 1500  # rows or columns up to which the dense matrix of a factor is decomposed


@dataclass(frozen=True, eq=False)
class Numbers:
    """Singular values that are there to be read."""

    values: Array
    told: str
    floor = 0.0
    certain = True

    def all(self) -> Array:
        return self.values

    def largest(self) -> float:
        return float(self.values.max())

    def lines(self) -> list[str]:
        return [self.told]


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Those of a block at each frequency."""

    blocks: Array
    weights: Array
    names: tuple[str, ...]
    certain = True

    @property
    def floor(self) -> float:
        return inverse.cutoff(np.dtype(np.float64), self.blocks.shape[-2:], max(self.weights.size, 1))

    def all(self) -> Array:
        values = block_values.every(self.blocks)
        counts = np.broadcast_to(self.weights.astype(np.intp)[..., None], values.shape)
        return np.repeat(values.ravel(), counts.ravel())

    def largest(self) -> float:
        return block_values.largest(self.blocks)

    def lines(self) -> list[str]:
        rows, columns = self.blocks.shape[-2:]
        what = "a number" if rows == columns == 1 else f"a {rows} x {columns} block"
        return [f"{what} at each frequency of {' x '.join(self.names)}"]


@dataclass(frozen=True, eq=False)
class Direct:
    """Those of a direct sum: each part acts on samples of its own."""

    parts: tuple["Known", ...]

    @property
    def floor(self) -> float:
        return max(part.floor for part in self.parts)

    @property
    def certain(self) -> bool:
        return all(part.certain for part in self.parts)

    def all(self) -> Array:
        return np.concatenate([part.all() for part in self.parts])

    def largest(self) -> float:
        return max(part.largest() for part in self.parts)

    def lines(self) -> list[str]:
        return _told(f"direct sum of {len(self.parts)}", self.parts)


@dataclass(frozen=True, eq=False)
class Kronecker:
    """Those of a Kronecker product: all products of the factors' values."""

    factors: tuple[Operator, ...]
    axes: tuple[str, ...]

    @property
    def floor(self) -> float:
        return float(np.finfo(np.float64).eps) * max(max(factor.shape) for factor in self.factors)

    @property
    def certain(self) -> bool:
        return all(min(factor.shape) <= SMALL for factor in self.factors)

    @cached_property
    def _values(self) -> list[Array]:
        return [lanczos.dense_svdvals(factor, None) for factor in self.factors]

    def all(self) -> Array:
        products = reduce(np.multiply.outer, self._values).ravel()
        rows, columns = (math.prod(factor.shape[side] for factor in self.factors) for side in (0, 1))
        return np.concatenate([products, np.zeros(min(rows, columns) - len(products))])

    def largest(self) -> float:
        return float(self.top(1)[0])

    def top(self, k: int) -> Array:
        """The `k` largest, which are products of the `k` largest of each factor; long factors are iterated on."""
        if self.certain:
            return descending(self.all())[:k]
        return descending(reduce(np.multiply.outer, [lanczos.largest(each, k) for each in self.factors]).ravel())[:k]

    def lines(self) -> list[str]:
        sizes = (f"{axis} {m} x {n}" for axis, (m, n) in zip(self.axes, (a.shape for a in self.factors), strict=True))
        return [f"separable: the matrix is the Kronecker product of its factors ({', '.join(sizes)})"]


@dataclass(frozen=True, eq=False)
class Times:
    """Those of a part, multiplied by a number, with as many zeros more or less as the sizes say."""

    part: "Known"
    number: float
    count: int
    told: str = ""

    @property
    def floor(self) -> float:
        return self.part.floor

    @property
    def certain(self) -> bool:
        return self.part.certain

    def all(self) -> Array:
        values = self.number * self.part.all()
        if len(values) < self.count:
            return np.concatenate([values, np.zeros(self.count - len(values))])
        return descending(values)[: self.count]

    def largest(self) -> float:
        return self.number * self.part.largest()

    def lines(self) -> list[str]:
        return _told(self.told or f"{self.number:.6g} times", (self.part,))


def descending(values: Array) -> Array:
    """Sorted, the largest first."""
    return np.sort(values)[::-1]


def top(form: "Known", k: int) -> Array:
    """The `k` largest values of a form, descending; all if there are fewer."""
    match form:
        case Kronecker():
            return form.top(k)
        case Direct():
            return descending(np.concatenate([top(part, k) for part in form.parts]))[:k]
        case Times():
            values = form.number * top(form.part, k)
            return np.concatenate([values, np.zeros(max(0, min(k, form.count) - len(values)))])
        case _:
            return descending(form.all())[:k]


Known = Numbers | Frequencies | Direct | Kronecker | Times


def _told(what: str, parts: tuple[Any, ...]) -> list[str]:
    different = list(dict.fromkeys(tuple(part.lines()) for part in parts))
    return [what, *(f"  {line}" for lines in different for line in lines)]
