"""What laws are made of: test signals, what an operator must answer, and when two answers agree."""

from typing import Any

import numpy as np

from ..arguments import Shape
from ..check.rounding import SIGMAS, measure
from ..check.subject import Direction
from ..check.vectors import Gaussian, norm
from ..dtypes import Array, DType
from ..errors import CheckFailed
from ..foreign import as_operator
from ..operator import Operator

SLACK = 256  # roundings that an entry may have suffered
DENSE = 1 << 22  # entries of a matrix that a law writes out for its own use
TYPES = ("float32", "float64", "complex64", "complex128")


class NotApplicable(Exception):
    """A law that says nothing about this operator, and why; no failure."""


def need(holds: object, message: str) -> None:
    """Raise CheckFailed with a message unless something holds; unlike `assert`, also under `python -O`."""
    if not holds:
        raise CheckFailed(message)


def tolerance(*dtypes: Any) -> float:
    """What rounding in the coarsest of the types may leave."""
    return SLACK * max(float(np.finfo(np.dtype(dtype)).eps) for dtype in dtypes)


def small(operator: Operator) -> None:
    """Leave out what would write a large operator out as a dense matrix."""
    if operator.shape[0] * operator.shape[1] > DENSE:
        raise NotApplicable(f"a dense matrix of shape {operator.shape} is too large to compare with")


def deviation(got: Array, want: Array, scale: float = 0.0) -> float:
    """Largest difference, relative to `scale` or the largest entry that is wanted."""
    need(got.shape == want.shape, f"an array of shape {got.shape} came back, needed {want.shape}")
    if got.size == 0:
        return 0.0
    scale = max(scale, float(np.abs(want).max()))
    worst = float(np.abs(got - want).max())
    return worst / scale if scale else worst


def close(got: Array, want: Array, tol: float, what: str) -> None:
    """Two arrays are equal to rounding."""
    error = deviation(got, want)
    need(error <= tol, f"{what}: relative error {error:.2e}, rounding allows {tol:.2e}")


class Trial:
    """An operator under test with its signals, and its matrix where that is known.

    Without a matrix an answer is compared with what the operator answers to one signal at a time, in arrays of its
    own shapes.
    """

    def __init__(self, A: Any, matrix: Any, rng: Any) -> None:
        self.given = A
        self.operator = as_operator(A)
        self.rng = np.random.default_rng(rng)
        dense = matrix.toarray() if hasattr(matrix, "toarray") else matrix
        self.matrix = None if dense is None else np.asarray(dense)
        if self.matrix is not None:
            shape = self.operator.shape
            need(self.matrix.shape == shape, f"an operator of shape {shape}, needed {self.matrix.shape}")
        self._levels: dict[tuple[str, DType], float] = {}

    @property
    def own(self) -> bool:
        """Whether it is an operator of convop's; of others less is asked."""
        return isinstance(self.given, Operator)

    def require_own(self) -> None:
        if not self.own:
            raise NotApplicable("asked of operators of convop only")

    @property
    def tol(self) -> float:
        return tolerance(self.operator.dtype)

    def array(self, shape: Shape, dtype: Any = None) -> Array:
        """Normal values, with an imaginary part where the type has one; of the operator's type by default."""
        dtype = np.dtype(self.operator.dtype if dtype is None else dtype)
        values = self.rng.standard_normal(shape)
        if dtype.kind == "c":
            values = values + 1j * self.rng.standard_normal(shape)
        return values.astype(dtype)

    def x(self, dtype: Any = None, batch: Shape = ()) -> Array:
        return self.array((*batch, *self.operator.in_shape), dtype)

    def y(self, dtype: Any = None, batch: Shape = ()) -> Array:
        return self.array((*batch, *self.operator.out_shape), dtype)

    def agree(self, got: Any, form: str, x: Array, tol: float, what: str = "") -> None:
        """`got` is what `form` ("A", "A.H", "A.T" or "A.conj()") answers to every signal of the batch `x`."""
        source, target = self.operator.in_shape, self.operator.out_shape
        if form in ("A.H", "A.T"):
            source, target = target, source
        what, got = what or f"{form}(x)", np.asarray(got)
        batch = x.shape[: x.ndim - len(source)]
        need(got.shape == batch + target, f"{what} has shape {got.shape}, needed {batch + target}")
        rows = x.reshape((-1, int(np.prod(source))))
        self.agree_flat(got.reshape(len(rows), -1).T, form, rows.T, tol, what)

    def agree_flat(self, got: Array, form: str, columns: Array, tol: float, what: str) -> None:
        """The same for vectors or the columns of a matrix."""
        if self.matrix is None:
            return self._agree_with_itself(got, form, columns, tol, what)
        m = {"A": self.matrix, "A.H": self.matrix.conj().T, "A.T": self.matrix.T, "A.conj()": self.matrix.conj()}[form]
        # Methods that compute more outputs than are kept, as FFT does, round at the scale of those.
        sizes = (np.abs(m) @ np.abs(columns)).max(), np.abs(m).max() * np.abs(columns).max()
        error = deviation(got, m @ columns, float(max(sizes)))
        return need(error <= tol, f"{what} is not the matrix times x: relative error {error:.2e}, allowed {tol:.2e}")

    def _agree_with_itself(self, got: Array, form: str, columns: Array, tol: float, what: str) -> None:
        for number, column in enumerate(np.atleast_2d(columns.T)):
            want = self._alone(form, column)
            answer = got if got.ndim == 1 else got[:, number]
            need(answer.shape == want.shape, f"{what} has shape {answer.shape}, needed {want.shape}")
            error, scale = norm(answer - want), norm(want)
            allowed = tol * scale
            if error > allowed:  # inner cancellation leaves rounding that the size of an answer does not show
                allowed += self._level(form, tol)
            need(error <= allowed, f"{what} is not {form} of the signal alone: off by {error:.2e} in {scale:.2e}")

    def _alone(self, form: str, column: Array) -> Array:
        operator = self.operator
        if form in ("A", "A.conj()"):
            x = column.reshape(operator.in_shape)
            return (operator(x) if form == "A" else operator(x.conj()).conj()).ravel()
        y = column.reshape(operator.out_shape)
        return (operator.H(y) if form == "A.H" else operator.H(y.conj()).conj()).ravel()

    def _level(self, form: str, tol: float) -> float:
        """The 2-norm that rounding may have where nothing but the operator itself is known."""
        operator = self.operator if form in ("A", "A.conj()") else self.operator.H
        vectors = Gaussian(self.rng, operator.dtype)
        coarser = max(1.0, tol / self.tol)
        return SIGMAS * coarser * 2 * measure(Direction(operator, form), vectors).level
