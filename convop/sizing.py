"""How large a matrix would be."""

# pyright: reportPrivateUsage=false

from typing import Any

from .apply.estimate import Estimate
from .errors import GeometryError
from .foreign import as_operator


def estimate(A: Any, format: str = "csr") -> Estimate:
    """How large the sparse matrix of `A` will be, before anything is built.

    Parameters
    ----------
    A : Operator
        Any operator with a matrix.
    format : {"csr", "csc", "coo"}
        The sparse format.

    Returns
    -------
    Estimate
        With `nnz`, `bytes`, `index_dtype`; `exact` is False where a lazy product or sum leaves only upper bounds.

    Raises
    ------
    GeometryError
        For another format, or an operator that is known by its action only.

    Examples
    --------
    >>> import numpy as np, convop
    >>> print(convop.estimate(convop.Convolution(np.ones((3, 3)), (512, 512))))
    262,144 x 262,144 CSR matrix of float64: 2,353,156 entries, int32 indices, 29.3 MB
    """
    operator = as_operator(A)
    if not operator.explicit:
        raise GeometryError("the operator is known by its action only, so the entries of its matrix cannot be counted")
    nnz, exact = operator._count()
    return Estimate.of(operator.shape, nnz, operator.dtype, format, exact)
