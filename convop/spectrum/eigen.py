"""`eigvals`, and `symbol`, the blocks themselves."""

from typing import Any

import numpy as np

from ..arguments import as_max_bytes
from ..composite import Adjoint, Conjugate
from ..dtypes import Array
from ..errors import GeometryError, ShapeError
from ..foreign import as_operator
from ..operator import Operator
from ..structured import inverse
from .basis import DCT, DFT, Basis
from .closed_form import require_closed_form
from .kinds import NoClosedForm, common_kinds, grid_axes, inside
from .lanczos import dense_matrix
from .parts import part


def eigvals(A: Any, *, max_bytes: int | None = None) -> Array:
    """The eigenvalues of an operator with as many outputs as inputs, in no particular order.

    In closed form for the operators of which `svdvals` knows one by a transform, and beyond them for kernels even
    about their centre under a mirror boundary (by the DCT-I) or an antireflective one: those transforms are not
    orthogonal, so that their numbers are eigenvalues and no singular values. Otherwise from the dense matrix.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.
    max_bytes : int, optional
        Memory that a dense matrix may take; by default what the machine has free.

    Returns
    -------
    numpy.ndarray
        `(N,)`; complex, or real where all are seen to be.

    Raises
    ------
    ShapeError
        If there are more outputs than inputs, or fewer.
    MemoryBudgetError
        If there is no closed form, and the dense matrix does not fit into memory.

    Examples
    --------
    >>> import convop
    >>> A = convop.Convolution([1, 2, 5, 2, 1], 9, boundary="mirror")
    >>> round(float(convop.eigvals(A).max()), 3), round(convop.norm(A), 3)
    (11.0, 11.149)
    """
    operator, budget = as_operator(A), as_max_bytes(max_bytes)
    if operator.shape[0] != operator.shape[1]:
        raise ShapeError(
            f"eigenvalues need as many outputs as inputs, the operator has shape {operator.shape}; use svdvals(A)"
        )
    if isinstance(operator, Adjoint | Conjugate):
        return eigvals(operator.operator, max_bytes=max_bytes).conj()
    try:
        values = _by_frequency(operator)
    except NoClosedForm:
        values = np.linalg.eigvals(dense_matrix(operator, budget, "all eigenvalues"))
    real = np.finfo(operator.dtype).dtype
    return values.astype(np.result_type(real, np.complex64) if np.iscomplexobj(values) else real)


def _by_frequency(A: Operator) -> Array:
    """Those of the block at each frequency, where input and output are in one basis."""
    ndim = grid_axes(A)
    kinds = common_kinds(A, ndim, similar=True)
    if not set(kinds) <= {DFT, DCT} and _turns_round(A):
        raise NoClosedForm("the adjoint is diagonal in another basis")
    basis = Basis(kinds, A.dtype.kind != "c")
    layout, blocks = part(A, basis)
    if (layout.phases_in, layout.channels_in) != (layout.phases_out, layout.channels_out):
        raise NoClosedForm("input and output have different channels")
    values = blocks[..., 0] if blocks.shape[-1] == 1 else inverse.eigenvalues(blocks)
    return basis.whole(values, layout.base).ravel()


def _turns_round(A: Operator) -> bool:
    return isinstance(A, Adjoint | Conjugate) or any(map(_turns_round, inside(A) or ()))


def symbol(A: Any) -> Array:
    """The block of an operator at each frequency.

    Parameters
    ----------
    A : Operator
        One with a closed form: periodic along an axis (then in the order of `numpy.fft.fft`), or with a kernel even
        about its centre under a half-sample symmetric boundary (then in the order of `scipy.fft.dct`).

    Returns
    -------
    numpy.ndarray
        `(*freq, C_out, C_in)`; `(*freq)` for one channel; `(*freq_out, C_out, C_in * prod(stride))` for a strided
        convolution, with columns `(C_in, *phases)`: phase `a` is `x[a::stride]`.

    Raises
    ------
    GeometryError
        If there is no closed form, with the reason.
    MemoryBudgetError
        If the blocks do not fit into memory.

    Examples
    --------
    >>> import convop
    >>> convop.symbol(convop.Convolution([1.0, 2.0, 1.0], 4, boundary="periodic")).real
    array([4., 2., 0., 2.])
    >>> convop.symbol(convop.Convolution([1.0, 2.0, 1.0], 4, boundary="symmetric")).round(3)
    array([4.   , 3.414, 2.   , 0.586])
    """
    try:
        blocks = require_closed_form(A).whole().blocks
    except NoClosedForm as error:
        raise GeometryError(
            f"there is no symbol: {error}; take boundary 'periodic' on that axis, or norm_bounds(A) for its norm"
        ) from None
    return blocks[..., 0, 0] if blocks.shape[-2:] == (1, 1) else blocks
