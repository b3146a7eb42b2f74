"""Operators made of operators: products, sums, multiples, adjoints, conjugates, other shapes."""

# pyright: reportPrivateUsage=false

import math
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse

from .apply.estimate import Estimate
from .arguments import Shape
from .combining import Scalar, combines, joined
from .dtypes import Array, DType
from .memory import require_bytes
from .operator import Operator


class Product(Operator):
    """A chain of operators, applied from the right."""

    def __init__(self, factors: tuple[Operator, ...]) -> None:
        self.factors = factors
        dtype = np.result_type(*(factor.dtype for factor in factors))
        super().__init__(factors[-1].in_shape, factors[0].out_shape, dtype)

    def _forward(self, x: Array) -> Array:
        batch = x.shape[: x.ndim - len(self.in_shape)]
        for factor in reversed(self.factors):
            x = factor._forward(x.reshape(batch + factor.in_shape))
        return x

    def _adjoint_forward(self, y: Array) -> Array:
        batch = y.shape[: y.ndim - len(self.out_shape)]
        for factor in self.factors:
            y = factor._adjoint_forward(y.reshape(batch + factor.out_shape))
        return y

    def _adjoint(self) -> Operator:
        return reduce(lambda a, b: a @ b, (factor.H for factor in reversed(self.factors)))

    def _conjugate(self) -> Operator:
        return Product(tuple(factor.conj() for factor in self.factors))

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        matrices = (_in_double(factor._csr(max_bytes)) for factor in self.factors)
        return _canonical(reduce(lambda a, b: _multiplied(a, b, max_bytes), matrices))

    def _count(self) -> tuple[int, bool]:
        # Each entry of one factor meets at most the widest column of all to its left, the widest row to its right.
        widest = [factor._widest() for factor in self.factors]
        bounds = [
            factor._count()[0]
            * math.prod(column for _, column in widest[:place])
            * math.prod(row for row, _ in widest[place + 1 :])
            for place, factor in enumerate(self.factors)
        ]
        return min(self.shape[0] * self.shape[1], *bounds), False

    def _widest(self) -> tuple[int, int]:
        rows, columns = zip(*(factor._widest() for factor in self.factors), strict=True)
        return min(math.prod(rows), self.shape[1]), min(math.prod(columns), self.shape[0])

    @property
    def explicit(self) -> bool:
        return all(factor.explicit for factor in self.factors)

    @property
    def vanishes(self) -> bool:
        return any(factor.vanishes for factor in self.factors)

    @property
    def work(self) -> int:
        return sum(factor.work for factor in self.factors)

    def using(self, method: str) -> Operator:
        return Product(tuple(factor.using(method) for factor in self.factors))

    def _recipe(self) -> tuple[Any, ...]:
        return Product, self.factors

    def _describe(self) -> str:
        return f"Product of {len(self.factors)}"

    def _lines(self) -> list[str]:
        return super()._lines() + _indented(self.factors)


class Sum(Operator):
    """A sum of operators between the same arrays."""

    def __init__(self, terms: tuple[Operator, ...]) -> None:
        self.terms = terms
        in_shape = reduce(lambda a, b: joined(a, b, ""), (term.in_shape for term in terms))
        out_shape = reduce(lambda a, b: joined(a, b, ""), (term.out_shape for term in terms))
        super().__init__(in_shape, out_shape, np.result_type(*(term.dtype for term in terms)))

    def _total(self, results: Any, shape: Shape, dtype: DType) -> Array:
        total = None
        for result in results:
            result = result.reshape(shape)
            total = result.astype(dtype) if total is None else np.add(total, result, out=total)
        assert total is not None  # a sum has terms
        return total

    def _forward(self, x: Array) -> Array:
        batch = x.shape[: x.ndim - len(self.in_shape)]
        results = (term._forward(x.reshape(batch + term.in_shape)) for term in self.terms)
        return self._total(results, batch + self.out_shape, np.result_type(self.dtype, x.dtype))

    def _adjoint_forward(self, y: Array) -> Array:
        batch = y.shape[: y.ndim - len(self.out_shape)]
        results = (term._adjoint_forward(y.reshape(batch + term.out_shape)) for term in self.terms)
        return self._total(results, batch + self.in_shape, np.result_type(self.dtype, y.dtype))

    def _adjoint(self) -> Operator:
        return Sum(tuple(term.H for term in self.terms))

    def _conjugate(self) -> Operator:
        return Sum(tuple(term.conj() for term in self.terms))

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        matrices = (_in_double(term._csr(max_bytes)) for term in self.terms)
        return _canonical(reduce(lambda a, b: _added(a, b, max_bytes), matrices))

    def _count(self) -> tuple[int, bool]:
        return min(self.shape[0] * self.shape[1], sum(term._count()[0] for term in self.terms)), False

    def _widest(self) -> tuple[int, int]:
        rows, columns = zip(*(term._widest() for term in self.terms), strict=True)
        return min(sum(rows), self.shape[1]), min(sum(columns), self.shape[0])

    @property
    def explicit(self) -> bool:
        return all(term.explicit for term in self.terms)

    @property
    def work(self) -> int:
        return sum(term.work for term in self.terms)

    def using(self, method: str) -> Operator:
        return Sum(tuple(term.using(method) for term in self.terms))

    def _recipe(self) -> tuple[Any, ...]:
        return Sum, self.terms

    def _describe(self) -> str:
        return f"Sum of {len(self.terms)}"

    def _lines(self) -> list[str]:
        return super()._lines() + _indented(self.terms)


class _Wrapper(Operator):
    """An operator made of one other."""

    operator: Operator

    def _count(self) -> tuple[int, bool]:
        return self.operator._count()

    def _widest(self) -> tuple[int, int]:
        return self.operator._widest()

    @property
    def explicit(self) -> bool:
        return self.operator.explicit

    @property
    def vanishes(self) -> bool:
        return self.operator.vanishes

    @property
    def work(self) -> int:
        return self.operator.work

    def _lines(self) -> list[str]:
        return super()._lines() + _indented((self.operator,))


@combines("scaled")
class Scaled(_Wrapper):
    """A number times an operator.

    `number` is what was given; `scalar` is rounded to `dtype`, so that signals of a wider type see the same
    operator as its matrix. In sums and products with wider operators the number is taken as it was given.
    """

    def __init__(self, operator: Operator, number: Scalar, dtype: DType) -> None:
        self.operator, self.number = operator, number
        self.scalar = dtype.type(number) if np.iscomplexobj(number) else np.finfo(dtype).dtype.type(number)
        super().__init__(operator.in_shape, operator.out_shape, dtype)

    def widened(self, dtype: DType) -> "Scaled":
        """The same number times the operator, in a precision that is at least `dtype`."""
        return Scaled(self.operator, self.number, np.result_type(self.dtype, dtype))

    def _times(self, x: Array, scalar: Scalar) -> Array:
        dtype = np.result_type(self.dtype, x.dtype)
        return np.multiply(x, np.asarray(scalar, dtype), dtype=dtype)

    def _forward(self, x: Array) -> Array:
        return self._times(self.operator._forward(x), self.scalar)

    def _adjoint_forward(self, y: Array) -> Array:
        return self._times(self.operator._adjoint_forward(y), np.conj(self.scalar))

    def spread(self, other: Operator) -> Operator:
        """`other` multiplied by this scalar, in at least this precision."""
        return other._scaled(self.number, np.result_type(self.dtype, other.dtype))

    def _adjoint(self) -> Operator:
        return Scaled(self.operator.H, self.number.conjugate(), self.dtype)

    def _conjugate(self) -> Operator:
        return Scaled(self.operator.conj(), self.number.conjugate(), self.dtype)

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return Scaled(self.operator, scalar * self.number, dtype)

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        matrix = self.operator._csr(max_bytes)
        dtype = np.result_type(matrix.dtype, self.dtype)
        data = matrix.data.astype(dtype) * dtype.type(self.scalar)
        return scipy.sparse.csr_array((data, matrix.indices, matrix.indptr), shape=self.shape)

    def using(self, method: str) -> Operator:
        return Scaled(self.operator.using(method), self.number, self.dtype)

    def _recipe(self) -> tuple[Any, ...]:
        return Scaled, self.operator, self.number, self.dtype

    def _describe(self) -> str:
        return f"{self.scalar:.6g} times"


@combines("adjoint")
class Adjoint(_Wrapper):
    """The adjoint of an operator that has no simpler one."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        super().__init__(operator.out_shape, operator.in_shape, operator.dtype)

    def _widest(self) -> tuple[int, int]:
        row, column = self.operator._widest()
        return column, row

    def _forward(self, x: Array) -> Array:
        return self.operator._adjoint_forward(x)

    def _adjoint_forward(self, y: Array) -> Array:
        return self.operator._forward(y)

    def _adjoint(self) -> Operator:
        return self.operator

    def _conjugate(self) -> Operator:
        return Adjoint(self.operator.conj())

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return _canonical(self.operator._csr(max_bytes).conj().T)

    def using(self, method: str) -> Operator:
        return self.operator.using(method).H

    def _recipe(self) -> tuple[Any, ...]:
        return Adjoint, self.operator

    def _describe(self) -> str:
        return "Adjoint of"


@combines("conjugate")
class Conjugate(_Wrapper):
    """The operator with the conjugate matrix."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        super().__init__(operator.in_shape, operator.out_shape, operator.dtype)

    def _forward(self, x: Array) -> Array:
        return self.operator._forward(x.conj()).conj()

    def _adjoint_forward(self, y: Array) -> Array:
        return self.operator._adjoint_forward(y.conj()).conj()

    def _conjugate(self) -> Operator:
        return self.operator

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return self.operator._csr(max_bytes).conj()

    def using(self, method: str) -> Operator:
        return self.operator.using(method).conj()

    def _recipe(self) -> tuple[Any, ...]:
        return Conjugate, self.operator

    def _describe(self) -> str:
        return "Conjugate of"


class Reshaped(_Wrapper):
    """An operator between arrays of other shapes with the same samples."""

    def __init__(self, operator: Operator, in_shape: Shape, out_shape: Shape) -> None:
        self.operator = operator
        super().__init__(in_shape, out_shape, operator.dtype)

    def _forward(self, x: Array) -> Array:
        batch = x.shape[: x.ndim - len(self.in_shape)]
        return self.operator._forward(x.reshape(batch + self.operator.in_shape)).reshape(batch + self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        batch = y.shape[: y.ndim - len(self.out_shape)]
        return self.operator._adjoint_forward(y.reshape(batch + self.operator.out_shape)).reshape(batch + self.in_shape)

    def _adjoint(self) -> Operator:
        return Reshaped(self.operator.H, self.out_shape, self.in_shape)

    def _conjugate(self) -> Operator:
        return Reshaped(self.operator.conj(), self.in_shape, self.out_shape)

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return self.operator._csr(max_bytes)

    def using(self, method: str) -> Operator:
        return Reshaped(self.operator.using(method), self.in_shape, self.out_shape)

    def _recipe(self) -> tuple[Any, ...]:
        return Reshaped, self.operator, self.in_shape, self.out_shape


def _in_double(matrix: Any) -> Any:
    """Matrices are combined in double precision and rounded once, by `tosparse`, to the operator's."""
    return matrix.astype(np.result_type(matrix.dtype, np.float64), copy=False)


SAMPLED_ROWS = 64


def _multiplied(a: Any, b: Any, max_bytes: int | None) -> Any:
    """`a @ b`, once some of its rows say that it fits into memory."""
    rows = np.unique(np.linspace(0, int(a.shape[0]) - 1, SAMPLED_ROWS).astype(int))
    expected = math.ceil((a[rows] @ b).nnz * a.shape[0] / len(rows))
    _require_entries((a.shape[0], b.shape[1]), expected, np.result_type(a.dtype, b.dtype), max_bytes)
    return a @ b


def _added(a: Any, b: Any, max_bytes: int | None) -> Any:
    """`a + b`, once their entries say that it fits into memory."""
    _require_entries(a.shape, a.nnz + b.nnz, np.result_type(a.dtype, b.dtype), max_bytes)
    return a + b


def _require_entries(shape: tuple[int, int], nnz: int, dtype: DType, max_bytes: int | None) -> None:
    require_bytes(
        Estimate.of(shape, nnz, dtype).bytes,
        f"a sparse matrix of shape {shape} with about {nnz} entries",
        "apply the operator without its matrix, multiply in another order, or allow more with max_bytes",
        max_bytes,
    )


def _canonical(matrix: Any) -> scipy.sparse.csr_array:
    matrix = scipy.sparse.csr_array(matrix)
    matrix.sum_duplicates()
    return matrix


def _indented(parts: tuple[Operator, ...]) -> list[str]:
    return [f"  {line}" for part in parts for line in part._lines()]
