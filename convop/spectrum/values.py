"""`svdvals`, `norm` and `cond`: from what is known of the operator, else by iteration or from its matrix."""

from typing import Any

import numpy as np

from ..arguments import as_int, as_max_bytes
from ..dtypes import Array
from ..errors import GeometryError
from ..foreign import as_operator
from ..operator import Operator
from . import lanczos
from .forms import Known, top
from .kinds import NoClosedForm
from .known import known, known_or_none


def svdvals(A: Any, k: int | None = None, *, max_bytes: int | None = None) -> Array:
    """The singular values of an operator, descending.

    In closed form, without the matrix: periodic operators (any channels, strides that divide the size), kernels even
    about their centre under a half-sample symmetric boundary, separable kernels under any boundary, groups of
    channels, and products, sums, multiples, adjoints and stacks of such where they keep the form;
    `convop.spectrum.form` tells which. Otherwise the `k` largest by Lanczos, or all from the dense matrix.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.
    k : int, optional
        How many of the largest; by default all `min(A.shape)`.
    max_bytes : int, optional
        Memory that a dense matrix may take; by default what the machine has free.

    Returns
    -------
    numpy.ndarray
        `(k,)`, real, in the precision of `A`, computed in double.

    Raises
    ------
    GeometryError
        If `k` is not between 1 and `min(A.shape)`.
    MemoryBudgetError
        If there is no closed form, and the dense matrix does not fit into memory.
    NotConverged
        If Lanczos did not find them.

    Examples
    --------
    >>> import convop
    >>> A = convop.Convolution([1.0, 2.0, 1.0], 4, boundary="symmetric")
    >>> convop.svdvals(A).round(3)
    array([4.   , 3.414, 2.   , 0.586])
    """
    operator, budget = as_operator(A), as_max_bytes(max_bytes)
    least = min(operator.shape)
    wanted = least if k is None else as_int(k, "k", 1)
    if wanted > least:
        raise GeometryError(
            f"an operator of shape {operator.shape} has {least} singular values, got k = {k}; ask for fewer"
        )
    form = known_or_none(operator)
    if form is not None:
        values = top(form, wanted)
    elif k is None:
        values = lanczos.dense_svdvals(operator, budget)
    else:
        values = lanczos.largest(operator, wanted, budget)
    return np.maximum(values, 0).astype(np.finfo(operator.dtype).dtype)


def norm(A: Any) -> float:
    """The 2-norm of an operator, its largest singular value.

    In closed form as `svdvals`, where frequencies that a bound proves smaller than the largest are not looked at
    closely; otherwise by Lanczos, to a relative residual of 1e-7 of `A^H A x = s^2 x` (the error of `s` is at most half
    of that, and of the order of its square where the next value is not as near).

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.

    Returns
    -------
    float

    Raises
    ------
    NotConverged
        If Lanczos did not find it; `norm_bounds` is certified in any case.

    Examples
    --------
    >>> import convop
    >>> convop.norm(convop.Convolution([1.0, -2.0, 1.0], 6, boundary="periodic"))
    4.0
    """
    operator = as_operator(A)
    form = known_or_none(operator)
    return float(form.largest() if form is not None else lanczos.largest(operator, 1)[0])


def cond(A: Any, *, max_bytes: int | None = None) -> float:
    """The condition number of an operator: its largest singular value divided by its smallest.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.
    max_bytes : int, optional
        Memory that a dense matrix may take; by default what the machine has free.

    Returns
    -------
    float
        `inf` where the smallest singular value is zero, or no more than what rounding in double precision leaves of
        zero.

    Raises
    ------
    MemoryBudgetError
        If there is no closed form, and the dense matrix does not fit into memory.

    Examples
    --------
    >>> import convop
    >>> convop.cond(convop.Convolution([1.0, 3.0], 4, boundary="periodic"))
    2.0
    >>> convop.cond(convop.Convolution([1.0, -1.0], 4, boundary="periodic"))
    inf
    """
    operator, budget = as_operator(A), as_max_bytes(max_bytes)
    form = known_or_none(operator)
    values = form.all() if form is not None else lanczos.dense_svdvals(operator, budget)
    floor = form.floor if form is not None else float(np.finfo(np.float64).eps) * max(operator.shape)
    largest, smallest = float(values.max()), float(values.min())
    return largest / smallest if smallest > floor * largest else float("inf")


class Form:
    """How the singular values of an operator are found; `str()` of it is for reading.

    Attributes
    ----------
    exact : bool
        Whether they are known without the matrix and without iterating.
    reason : str
        Why there is no closed form; empty where there is one.
    """

    def __init__(self, operator: Operator) -> None:
        self._known: Known | None = None
        self.operator, self.reason = operator, ""
        try:
            self._known = known(operator)
        except NoClosedForm as error:
            self.reason = str(error)

    @property
    def exact(self) -> bool:
        return self._known is not None

    def __str__(self) -> str:
        if self._known is not None:
            lines = ["closed form", *(f"  {line}" for line in self._known.lines())]
        else:
            lines = [f"no closed form: {self.reason}", "  norm and the k largest by Lanczos, all from the dense matrix"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Form of {self.operator!r}: {'exact' if self.exact else 'no closed form'}>"


def form(A: Any) -> Form:
    """Say how the singular values of an operator are found.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.

    Returns
    -------
    Form

    Examples
    --------
    >>> import numpy as np, convop
    >>> kernel = np.outer([1.0, 2.0, 1.0], [1.0, 0.0, -1.0])
    >>> print(convop.spectrum.form(convop.Convolution(kernel, (64, 48), boundary="symmetric")))
    closed form
      separable: the matrix is the Kronecker product of its factors (axis 0 64 x 64, axis 1 48 x 48)
    >>> print(convop.spectrum.form(convop.Convolution(np.eye(3), (64, 48))))
    no closed form: axis 0 reads outside with boundary 'zero', which no orthogonal transform diagonalises
      norm and the k largest by Lanczos, all from the dense matrix
    """
    return Form(as_operator(A))
