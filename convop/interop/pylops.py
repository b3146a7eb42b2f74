"""Operators to PyLops, and PyLops operators here."""

from typing import Any, final

import numpy as np
import pylops
import scipy.sparse

from ..dtypes import Array
from ..errors import GeometryError, NotLinearError
from ..foreign import as_operator
from ..operator import Operator


@final
class PyLopsOperator(pylops.LinearOperator):
    """A convop operator as PyLops knows them; made by `to_pylops`.

    Attributes
    ----------
    operator : Operator
        The operator.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        super().__init__(dtype=operator.dtype, dims=operator.in_shape, dimsd=operator.out_shape)

    def _matvec(self, x: Array) -> Array:
        return self.operator.matvec(x)

    def _rmatvec(self, x: Array) -> Array:
        return self.operator.rmatvec(x)

    def _matmat(self, X: Array) -> Array:
        return self.operator.matmat(_dense(X))

    def _rmatmat(self, X: Array) -> Array:
        return self.operator.rmatmat(_dense(X))

    def _adjoint(self) -> "PyLopsOperator":
        return PyLopsOperator(self.operator.H)

    def _transpose(self) -> "PyLopsOperator":
        return PyLopsOperator(self.operator.T)


def _dense(X: Any) -> Array:
    return X if isinstance(X, np.ndarray) else X.toarray()


def to_pylops(A: Any) -> PyLopsOperator:
    """An operator as a PyLops operator: for PyLops' solvers, PyProximal, and products with PyLops operators.

    Parameters
    ----------
    A : Operator
        Any operator; anything else that `as_operator` takes.

    Returns
    -------
    pylops.LinearOperator
        With `dims = A.in_shape`, `dimsd = A.out_shape` and `A`'s dtype; `.H` and `.T` are those of `A`.

    Examples
    --------
    >>> import numpy as np, convop, pylops
    >>> A = convop.Convolution(np.ones((3, 3)) / 9, (20, 30), boundary="mirror")
    >>> P = convop.to_pylops(A)
    >>> P.dims, (P @ np.ones((20, 30))).shape
    ((20, 30), (20, 30))
    >>> roughness = pylops.Laplacian((20, 30)) @ P  # PyLops' own product
    >>> roughness.dims
    (20, 30)
    """
    return PyLopsOperator(as_operator(A))


def from_pylops(P: pylops.LinearOperator) -> Operator:
    """A PyLops operator as a convop operator, between arrays of its `dims` and `dimsd`.

    Parameters
    ----------
    P : pylops.LinearOperator
        Any PyLops operator that is linear over the complex numbers.

    Returns
    -------
    Operator
        What `to_pylops` was given, for its result; a matrix, where `P` holds one (`pylops.MatrixMult`); else an
        operator that is known by its action.

    Raises
    ------
    GeometryError
        If `P` is no PyLops operator.
    NotLinearError
        If `P` is linear over the real numbers only, as `pylops.Real`.

    Examples
    --------
    >>> import numpy as np, convop, pylops
    >>> D = convop.from_pylops(pylops.FirstDerivative((20, 30), axis=1))
    >>> D.in_shape
    (20, 30)
    >>> bool(convop.check.adjoint(D))
    True
    """
    if not isinstance(P, pylops.LinearOperator):
        raise GeometryError(f"from_pylops takes a PyLops operator, got {type(P).__name__}; as_operator takes others")
    if not P.clinear:
        raise NotLinearError(
            f"{type(P).__name__} is linear over the real numbers only: it takes apart real and imaginary parts, so "
            f"that it is no matrix; use it on the parts as two real arrays"
        )
    if isinstance(P, PyLopsOperator):
        return P.operator
    matrix: Any = getattr(P, "A", None) if P.explicit else None
    held = isinstance(matrix, np.ndarray) or scipy.sparse.issparse(matrix)
    if held and getattr(matrix, "shape", None) == P.shape:
        return as_operator(matrix, P.dims, P.dimsd)
    return as_operator(P)
