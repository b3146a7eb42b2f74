"""What every operator does: apply, transpose, multiply, add, become a matrix. Nothing of convolutions.

A kind of operator gives four things: `_forward`, `_adjoint_forward`, `_adjoint` and `_csr`; the rest is
built on them here. Their arguments are checked and have one of the four dtypes; results have dtype
`numpy.result_type(operator, x)`.
"""

# scipy's combinators return private classes of its own, ours return Operators.
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false

import abc
import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from scipy.sparse.linalg import LinearOperator

from .apply.estimate import with_small_indices
from .apply.plan import require_known
from .arguments import Shape, as_max_bytes, is_one_of, is_tuple_or_list
from .combining import COMBINE, Scalar, is_batch, is_scalar
from .dtypes import Array, DType, as_signal
from .errors import GeometryError, ShapeError
from .memory import require_bytes

UNIT_VECTORS = 64  # at a time, where a matrix is found by applying an operator to them


class Operator(LinearOperator, abc.ABC):
    """A linear map between arrays of `in_shape` and `out_shape`; a scipy LinearOperator on flat vectors.

    Attributes
    ----------
    in_shape, out_shape : tuple of int
        Shapes of the arrays it maps between.
    dims, dimsd : tuple of int
        The same, as PyLops calls them.
    shape : tuple of int
        scipy's `(M, N) = (prod(out_shape), prod(in_shape))`.
    dtype : numpy.dtype
        float32, float64, complex64 or complex128.
    """

    __array_ufunc__ = None  # numpy arrays on the left leave the product to us
    dtype: DType  # never None, as scipy's may be
    in_shape: Shape
    out_shape: Shape

    if TYPE_CHECKING:  # scipy's takes what __init__ takes, of which its stubs know nothing

        def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...

    def __init__(self, in_shape: Shape, out_shape: Shape, dtype: DType) -> None:
        shape = math.prod(out_shape), math.prod(in_shape)
        super().__init__(dtype, shape)  # pyright: ignore[reportCallIssue]  # scipy's stubs have no __init__
        self.in_shape, self.out_shape = in_shape, out_shape
        self.dims, self.dimsd = in_shape, out_shape
        self._hermitian: Operator | None = None

    def __setattr__(self, name: str, value: object) -> None:
        derived = isinstance(getattr(type(self), name, None), (property, cached_property))
        if (name in self.__dict__ and not name.startswith("_")) or derived:
            raise AttributeError(f"{name} of an operator does not change; make another operator")
        super().__setattr__(name, value)

    # What a kind of operator gives.

    @abc.abstractmethod
    def _forward(self, x: Array) -> Array:
        """`(*batch, *in_shape)` to `(*batch, *out_shape)`."""

    @abc.abstractmethod
    def _adjoint_forward(self, y: Array) -> Array:
        """`(*batch, *out_shape)` to `(*batch, *in_shape)`."""

    @abc.abstractmethod
    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        """The matrix as a canonical CSR array that nobody else holds, at least as precise as the operator."""

    @abc.abstractmethod
    def _count(self) -> tuple[int, bool]:
        """The entries of the matrix, or a number they do not exceed; and whether it is exact."""

    def _widest(self) -> tuple[int, int]:
        """Numbers that the entries of a row and of a column do not exceed."""
        return self.shape[1], self.shape[0]

    @abc.abstractmethod
    def _recipe(self) -> tuple[Any, ...]:
        """A callable and the arguments with which it makes this operator again."""

    def _adjoint(self) -> "Operator":
        return COMBINE["adjoint"](self)

    def _conjugate(self) -> "Operator":
        return COMBINE["conjugate"](self)

    def _scaled(self, scalar: Scalar, dtype: DType) -> "Operator":
        return COMBINE["scaled"](self, scalar, dtype)

    @property
    def explicit(self) -> bool:
        """Whether the matrix can be written down without applying the operator."""
        return True

    @property
    def vanishes(self) -> bool:
        """Whether it is seen to map everything to zero."""
        return False

    @property
    def work(self) -> int:
        """Multiply-adds for each output sample."""
        return 1

    def using(self, method: str) -> "Operator":
        """The same operator with the convolutions in it pinned to `method`."""
        require_known(method)
        return self

    # Applying.

    def __call__(self, x: ArrayLike) -> Array:
        """Apply to `x` of shape `(*batch, *in_shape)`, or to columns `(N, K)` that are no such array."""
        array = as_signal(x, self.dtype)
        rank = array.ndim - len(self.in_shape)
        if rank < 0 or array.shape[rank:] != self.in_shape:
            if array.ndim == 2 and len(array) == self.shape[1]:
                return self.matmat(array)  # as scipy's lobpcg calls an operator
            raise ShapeError(
                f"the operator takes arrays of shape (*batch, {', '.join(map(str, self.in_shape))}), got "
                f"{array.shape}; for flat vectors of length {self.shape[1]} use A @ v"
            )
        return self._run(self._forward, array, array.shape[:rank], self.out_shape)

    def _run(self, apply: Callable[[Array], Array], x: Array, batch: Shape, out_shape: Shape) -> Array:
        if x.size == 0:
            return np.zeros(batch + out_shape, np.result_type(self.dtype, x.dtype))
        # At the operator's precision from the start, so that no narrower part of it rounds on the way.
        return apply(x.astype(np.result_type(x.dtype, np.finfo(self.dtype).dtype), copy=False))

    def _flat(self, x: ArrayLike, adjoint: bool) -> Array:
        """Apply to vectors along the last axis."""
        source, target = (self.out_shape, self.in_shape) if adjoint else (self.in_shape, self.out_shape)
        array = as_signal(x, self.dtype)
        batch = array.shape[:-1]
        apply = self._adjoint_forward if adjoint else self._forward
        result = self._run(apply, array.reshape(batch + source), batch, target)
        return result.reshape((*batch, math.prod(target)))

    def _vector(self, x: ArrayLike, adjoint: bool) -> Array:
        array, size = as_signal(x, self.dtype), self.shape[0 if adjoint else 1]
        if array.shape == (size, 1):
            return self._flat(array[:, 0], adjoint)[:, None]
        if array.ndim == 0 or array.shape[-1] != size:
            raise ShapeError(self._needed(f"a vector of length {size}", array.shape))
        return self._flat(array, adjoint)

    def _columns(self, x: ArrayLike, adjoint: bool) -> Array:
        array, size = as_signal(x, self.dtype), self.shape[0 if adjoint else 1]
        if array.ndim < 2 or array.shape[-2] != size:
            raise ShapeError(self._needed(f"a matrix of {size} rows", array.shape))
        return self._flat(array.swapaxes(-1, -2), adjoint).swapaxes(-1, -2)

    def _needed(self, what: str, given: Shape) -> str:
        return f"an operator of shape {self.shape} takes {what} here, got an array of shape {given}"

    def matvec(self, x: ArrayLike) -> Array:
        """`A @ x` for a vector `(N,)`, a column `(N, 1)` or a batch of vectors `(..., N)`."""
        return self._vector(x, adjoint=False)

    def rmatvec(self, x: ArrayLike) -> Array:
        """`A.H @ x` for a vector `(M,)`, a column `(M, 1)` or a batch of vectors `(..., M)`."""
        return self._vector(x, adjoint=True)

    def matmat(self, X: ArrayLike) -> Array:
        """`A @ X` for a matrix `(N, K)` or a batch of matrices `(..., N, K)`."""
        return self._columns(X, adjoint=False)

    def rmatmat(self, X: ArrayLike) -> Array:
        """`A.H @ X` for a matrix `(M, K)` or a batch of matrices `(..., M, K)`."""
        return self._columns(X, adjoint=True)

    _matvec, _rmatvec, _matmat, _rmatmat = matvec, rmatvec, matmat, rmatmat  # scipy's hooks

    # Transposing.

    @property
    def H(self) -> "Operator":
        """The adjoint (conjugate transpose); `A.H.H is A`."""
        if self._hermitian is None:
            adjoint = self._adjoint()
            if adjoint._hermitian is None:
                adjoint._hermitian = self
            self._hermitian = adjoint
        return self._hermitian

    @property
    def T(self) -> "Operator":
        """The transpose, `A.H` conjugated."""
        return self.H.conj()

    def conj(self) -> "Operator":
        """The operator whose matrix is the conjugate."""
        return self._conjugate() if self.dtype.kind == "c" else self

    def adjoint(self) -> "Operator":
        """The adjoint, as `A.H`."""
        return self.H

    def transpose(self) -> "Operator":
        """The transpose, as `A.T`."""
        return self.T

    # Algebra.

    def dot(self, x: Any) -> Any:
        """`A @ x` for arrays and operators, `A * x` for numbers."""
        return self * x

    def rdot(self, x: Any) -> Any:
        """`x @ A` for arrays and operators, `x * A` for numbers."""
        return x * self if is_scalar(x) else x @ self

    def __matmul__(self, other: Any) -> Any:
        if is_scalar(other):
            raise ShapeError(f"A @ {other!r}: the right side is a number; write A * {other!r}")
        if is_batch(other):
            return NotImplemented
        factor = COMBINE["operator"](other)
        if factor is not None:
            return COMBINE["product"](self, factor)
        if getattr(other, "__array_ufunc__", np) is None:  # no array either: it knows what the product is
            return NotImplemented
        array = self._not_scalar(other, "A @ x")
        return self.matvec(array) if array.ndim == 1 else self.matmat(array)

    def __rmatmul__(self, other: Any) -> Any:
        if is_scalar(other):
            raise ShapeError(f"{other!r} @ A: the left side is a number; write {other!r} * A")
        factor = COMBINE["operator"](other)
        if factor is not None:
            return COMBINE["product"](factor, self)
        rows, transpose = self._not_scalar(other, "x @ A"), self.T
        if rows.ndim == 1:
            return transpose.matvec(rows)
        return transpose.matmat(rows.swapaxes(-1, -2)).swapaxes(-1, -2)

    def _not_scalar(self, x: Any, product: str) -> Array:
        if not is_tuple_or_list(x) and np.ndim(x) == 0:
            raise ShapeError(f"{product} takes a vector, a matrix or an operator, got {x!r}")
        return as_signal(x, self.dtype)

    def __mul__(self, other: Any) -> Any:
        return COMBINE["multiple"](self, other) if is_scalar(other) else self @ other

    def __rmul__(self, other: Any) -> Any:
        return COMBINE["multiple"](self, other) if is_scalar(other) else self.__rmatmul__(other)

    def __truediv__(self, other: Any) -> "Operator":
        if not is_scalar(other):
            return NotImplemented
        if other == 0:
            raise GeometryError(
                f"A / {other!r}: division by zero makes no operator; divide by a number that is not zero"
            )
        return COMBINE["multiple"](self, 1 / (other[()] if isinstance(other, np.ndarray) else other))

    def __add__(self, other: Any) -> Any:
        if is_batch(other):
            return super().__add__(other)
        term = COMBINE["operator"](other)
        return NotImplemented if term is None else COMBINE["sum"](self, term)

    def __radd__(self, other: Any) -> "Operator":
        term = COMBINE["operator"](other)
        return NotImplemented if term is None else COMBINE["sum"](term, self)

    def __sub__(self, other: Any) -> Any:
        if is_batch(other):
            return super().__sub__(other)
        term = COMBINE["operator"](other)
        return NotImplemented if term is None else self + -term

    def __rsub__(self, other: Any) -> "Operator":
        term = COMBINE["operator"](other)
        return NotImplemented if term is None else term + -self

    def __neg__(self) -> "Operator":
        return COMBINE["multiple"](self, -1)

    def __pos__(self) -> Self:
        return self

    def __pow__(self, exponent: Any) -> "Operator":
        return COMBINE["power"](self, exponent)

    # Matrices.

    def tosparse(self, format: str = "csr", *, max_bytes: int | None = None) -> Any:
        """The matrix as a canonical `scipy.sparse` array of shape `A.shape`.

        Parameters
        ----------
        format : str
            Any format of `scipy.sparse`.
        max_bytes : int, optional
            Memory it may take; by default what the machine has free.

        Raises
        ------
        MemoryBudgetError
            If it needs more memory than that.
        GeometryError
            If the operator is known by its action only, or the format is unknown.

        Examples
        --------
        >>> import convop
        >>> convop.Convolution([1.0, 2.0], 3, mode="full").tosparse().toarray()
        array([[1., 0., 0.],
               [2., 1., 0.],
               [0., 2., 1.],
               [0., 0., 2.]])
        """
        known = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
        if not is_one_of(format, known):
            raise GeometryError(f"unknown sparse format {format!r}; use one of {', '.join(known)}")
        if not self.explicit:
            raise GeometryError(
                "the operator holds a part that is known by its action only, so it has no matrix to assemble; "
                "give that part as a matrix (as_operator(M)), or use toarray(), which applies it to every unit vector"
            )
        own = self._csr(as_max_bytes(max_bytes))
        own.data = own.data.astype(self.dtype, copy=False)  # in place: what is known of its order stays known
        matrix: Any = with_small_indices(own)
        if format == "dia":  # every diagonal that holds an entry is stored whole
            rows, columns = matrix.tocoo().coords
            needed = len(np.unique(columns - rows)) * self.shape[1] * self.dtype.itemsize
            require_bytes(needed, f"a DIA array of shape {self.shape}", "take format 'csr'", as_max_bytes(max_bytes))
        matrix = matrix.asformat(format)
        if format in ("csc", "csr", "bsr"):
            matrix.sort_indices()
        return matrix

    def toarray(self, *, max_bytes: int | None = None) -> Array:
        """The matrix as a dense array of shape `A.shape`."""
        needed = self.shape[0] * self.shape[1] * self.dtype.itemsize
        require_bytes(
            needed,
            f"the dense matrix of shape {self.shape}",
            "use tosparse() or apply the operator",
            as_max_bytes(max_bytes),
        )
        if self.explicit:
            return self.tosparse(max_bytes=max_bytes).toarray()
        matrix = np.empty(self.shape, self.dtype)
        for first in range(0, self.shape[1], UNIT_VECTORS):
            units = np.eye(min(UNIT_VECTORS, self.shape[1] - first), self.shape[1], first, dtype=self.dtype)
            matrix[:, first : first + UNIT_VECTORS] = self._flat(units, adjoint=False).T
        return matrix

    # Telling.

    def __repr__(self) -> str:
        return f"<{self._describe()}: {_arrow(self)}, {self.dtype}>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return COMBINE["html"](self)

    def _describe(self) -> str:
        """What it is, in a few words."""
        return type(self).__name__

    def _lines(self) -> list[str]:
        """What it is made of, a line each."""
        return [f"{self._describe()}: {_arrow(self)}, {self.dtype}"]

    def __copy__(self) -> Self:
        return self  # nothing about an operator changes

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        make, *arguments = self._recipe()
        return make, tuple(arguments)


def _arrow(operator: Operator) -> str:
    return f"{'x'.join(map(str, operator.in_shape))} -> {'x'.join(map(str, operator.out_shape))}"
