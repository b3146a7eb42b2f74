"""Everybody else's operators: matrices, scipy and PyLops operators, pairs of functions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from .arguments import Shape, as_shape
from .combining import combines
from .composite import Reshaped
from .dtypes import Array, DType, as_coefficients, as_dtype, working
from .errors import DTypeError, GeometryError, ShapeError
from .operator import Operator

Function = Callable[[Array], Any]


class Matrix(Operator):
    """A matrix, sparse or dense, between arrays of given shapes."""

    def __init__(self, matrix: Any, in_shape: Shape, out_shape: Shape) -> None:
        self.matrix = matrix
        super().__init__(in_shape, out_shape, matrix.dtype)

    def _forward(self, x: Array) -> Array:
        return _through_columns(lambda columns: self.matrix @ columns, x, self.in_shape, self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        # A^H y = conj(A^T conj(y)), so that A itself is never copied.
        return _through_columns(
            lambda columns: (self.matrix.T @ columns.conj()).conj(), y, self.out_shape, self.in_shape
        )

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.matrix, copy=True)

    def _count(self) -> tuple[int, bool]:
        sparse = scipy.sparse.issparse(self.matrix)
        return int(self.matrix.nnz if sparse else np.count_nonzero(self.matrix)), True

    def _widest(self) -> tuple[int, int]:
        entries = scipy.sparse.coo_array(self.matrix)
        return int(np.bincount(entries.row).max(initial=0)), int(np.bincount(entries.col).max(initial=0))

    @property
    def work(self) -> int:
        return -(-self._count()[0] // self.shape[0])

    def _recipe(self) -> tuple[Any, ...]:
        return Matrix, self.matrix, self.in_shape, self.out_shape

    def _describe(self) -> str:
        return "Sparse matrix" if scipy.sparse.issparse(self.matrix) else "Dense matrix"


class Functions(Operator):
    """An operator known by its action: functions between arrays of its shapes, forward and adjoint."""

    def __init__(
        self, forward: Function, adjoint: Function | None, in_shape: Shape, out_shape: Shape, dtype: DType
    ) -> None:
        self.forward, self.backward = forward, adjoint
        super().__init__(in_shape, out_shape, dtype)

    def _forward(self, x: Array) -> Array:
        return self._each(self.forward, x, self.in_shape, self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        if self.backward is None:
            raise GeometryError("the operator was given without an adjoint; pass as_operator(..., adjoint=function)")
        return self._each(self.backward, y, self.out_shape, self.in_shape)

    def _each(self, function: Function, x: Array, source: Shape, target: Shape) -> Array:
        if x.dtype.kind == "c" and self.dtype.kind != "c":
            # A real operator acts on both parts alike; its functions may know real arrays only.
            return self._each(function, np.real(x), source, target) + 1j * self._each(
                function, np.imag(x), source, target
            )
        batch = x.shape[: x.ndim - len(source)]
        results = [self._checked(function(item), target) for item in x.reshape(-1, *source)]
        return np.stack(results).astype(np.result_type(self.dtype, x.dtype), copy=False).reshape(batch + target)

    def _checked(self, result: Any, target: Shape) -> Array:
        array = np.asarray(result)
        if array.dtype.kind not in "biufc":
            raise DTypeError(f"the function returned {result!r}, needed an array of numbers of shape {target}; mend it")
        if array.size != math.prod(target):
            raise ShapeError(f"the function returned an array of shape {array.shape}, needed {target}; mend it")
        if array.dtype.kind == "c" and self.dtype.kind != "c":
            raise DTypeError(f"the function returned {array.dtype}, its operator says {self.dtype}; give dtype=complex")
        return array.reshape(target)

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        raise GeometryError("an operator known by its action has no matrix to assemble; use toarray()")

    def _count(self) -> tuple[int, bool]:
        return self.shape[0] * self.shape[1], False

    @property
    def explicit(self) -> bool:
        return False

    @property
    def work(self) -> int:
        return self.shape[1]

    def _recipe(self) -> tuple[Any, ...]:
        return Functions, self.forward, self.backward, self.in_shape, self.out_shape, self.dtype

    def _describe(self) -> str:
        owner = getattr(self.forward, "__self__", self.forward)
        name = getattr(owner, "__name__", type(owner).__name__)
        return f"{name} (known by its action)"


def _through_columns(apply: Function, x: Array, source: Shape, target: Shape) -> Array:
    """Apply a function of columns to arrays with leading batch axes."""
    batch = x.shape[: x.ndim - len(source)]
    columns = x.reshape(math.prod(batch), math.prod(source)).T
    return np.ascontiguousarray(apply(columns).T).reshape(batch + target)


@combines("operator")
def as_factor(value: Any) -> Operator | None:
    """`value` as an operator if it is one of anybody's; None for arrays and numbers."""
    if isinstance(value, Operator):
        return value
    if scipy.sparse.issparse(value) or _is_operator(value):
        return as_operator(value)
    return None


def _is_operator(value: Any) -> bool:
    return hasattr(value, "matvec") and hasattr(value, "shape") and not isinstance(value, np.ndarray)


def as_operator(
    M: Any = None,
    in_shape: Any = None,
    out_shape: Any = None,
    *,
    forward: Function | None = None,
    adjoint: Function | None = None,
    dtype: Any = None,
) -> Operator:
    """Anybody's linear operator as a convop Operator.

    Parameters
    ----------
    M : Operator, scipy.sparse array, 2-D array, scipy or PyLops LinearOperator, optional
        The operator; a convop Operator comes back as it is.
    in_shape, out_shape : int or tuple of int, optional
        Shapes of the arrays it maps between; by default flat, or a PyLops operator's `dims` and `dimsd`.
    forward, adjoint : callable, optional
        Instead of `M`: functions from an array of `in_shape` to one of `out_shape` and back.
    dtype : dtype, optional
        Type of an operator given by functions, float64 by default.

    Raises
    ------
    GeometryError
        If it is none of these, or shapes do not fit the operator's size.
    DTypeError
        For entries that are no floating or complex numbers of 32 or 64 bits.

    Examples
    --------
    >>> import numpy as np, convop
    >>> shift = convop.as_operator(
    ...     forward=lambda x: np.roll(x, 1), adjoint=lambda y: np.roll(y, -1), in_shape=3, out_shape=3
    ... )
    >>> shift.H @ [1.0, 2.0, 3.0]
    array([2., 3., 1.])
    """
    if M is None:
        return _from_functions(forward, adjoint, in_shape, out_shape, dtype)
    if forward is not None or adjoint is not None or dtype is not None:
        raise GeometryError("as_operator takes either an operator or forward= and adjoint= with dtype=, got both")
    if isinstance(M, Operator):
        return _reshaped(M, in_shape, out_shape)
    if scipy.sparse.issparse(M):
        return _from_matrix(_own_csr(M), in_shape, out_shape)
    if _is_operator(M):
        return _from_linear_operator(M, in_shape, out_shape)
    if hasattr(M, "state_dict"):
        raise GeometryError(f"{type(M).__name__} is a torch module; convop.from_torch(module, in_shape) reads it")
    matrix = as_coefficients(M, "the matrix")
    if matrix.ndim != 2:
        raise GeometryError(f"as_operator needs a matrix of 2 axes or a linear operator, got shape {matrix.shape}")
    return _from_matrix(matrix, in_shape, out_shape)


def _own_csr(M: Any) -> scipy.sparse.csr_array:
    if M.ndim != 2:
        raise GeometryError(f"as_operator needs a sparse matrix of 2 axes, got shape {M.shape}")
    dtype = working(M.dtype, np.dtype(np.float64), "the matrix")
    matrix: Any = scipy.sparse.csr_array(M, dtype=dtype, copy=True)
    matrix.sum_duplicates()
    if not np.isfinite(matrix.data).all():
        raise GeometryError("the matrix holds NaN or inf, needed finite numbers")
    matrix.data.setflags(write=False)
    return matrix


def _shapes(shape: tuple[int, int], in_shape: Any, out_shape: Any) -> tuple[Shape, Shape]:
    """Array shapes for a matrix of `shape`: what was asked for, or flat."""
    shapes: list[Shape] = []
    for size, given, what in ((shape[1], in_shape, "in_shape"), (shape[0], out_shape, "out_shape")):
        asked = (size,) if given is None else as_shape(given, what)
        if math.prod(asked) != size:
            raise GeometryError(
                f"{what} {asked} has {math.prod(asked)} samples, the operator of shape {shape} has {size}"
            )
        shapes.append(asked)
    return shapes[0], shapes[1]


def _from_matrix(matrix: Any, in_shape: Any, out_shape: Any) -> Operator:
    if 0 in matrix.shape:
        raise GeometryError(f"as_operator needs a matrix with rows and columns, got shape {matrix.shape}")
    return Matrix(matrix, *_shapes(matrix.shape, in_shape, out_shape))


def _reshaped(operator: Operator, in_shape: Any, out_shape: Any) -> Operator:
    if in_shape is None and out_shape is None:
        return operator
    wanted = _shapes(
        operator.shape,
        operator.in_shape if in_shape is None else in_shape,
        operator.out_shape if out_shape is None else out_shape,
    )
    if wanted == (operator.in_shape, operator.out_shape):
        return operator
    return Reshaped(operator, *wanted)


def _from_linear_operator(M: Any, in_shape: Any, out_shape: Any) -> Operator:
    shape = tuple(map(int, M.shape))
    if len(shape) != 2 or 0 in shape:
        raise GeometryError(f"as_operator needs an operator of shape (M, N) with M, N > 0, got {M.shape}")
    dims, dimsd = getattr(M, "dims", None), getattr(M, "dimsd", None)  # PyLops' array shapes
    shapes = _shapes(shape, in_shape if in_shape is not None else dims, out_shape if out_shape is not None else dimsd)
    dtype = (
        np.dtype(np.float64) if M.dtype is None else working(np.dtype(M.dtype), np.dtype(np.float64), "the operator")
    )
    return Functions(FlatCall(M, "matvec"), FlatCall(M, "rmatvec"), *shapes, dtype)


class FlatCall:
    """A method of a flat operator as a function of arrays."""

    def __init__(self, operator: Any, name: str) -> None:
        self.operator, self.name = operator, name
        self.__name__ = type(operator).__name__

    def __call__(self, x: Array) -> Any:
        try:
            return getattr(self.operator, self.name)(x.reshape(-1))
        except NotImplementedError as error:
            raise GeometryError(f"{self.__name__} has no {self.name}: {error}; give the operator one") from error


def _from_functions(
    forward: Function | None, adjoint: Function | None, in_shape: Any, out_shape: Any, dtype: Any
) -> Operator:
    if not callable(forward) or in_shape is None or out_shape is None:
        raise GeometryError(
            "as_operator needs an operator, or forward=, in_shape= and out_shape= (and adjoint= for its adjoint)"
        )
    if adjoint is not None and not callable(adjoint):
        raise GeometryError(f"adjoint must be a function, got {adjoint!r}")
    shapes = as_shape(in_shape), as_shape(out_shape, "out_shape")
    return Functions(forward, adjoint, *shapes, as_dtype(np.float64 if dtype is None else dtype))
