"""Laws of the forms that an operator takes: adjoints of adjoints, matrices, estimates, methods, copies, text."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..algebra import Identity
from ..check import equal as check_equal
from ..convolution import Convolution
from ..errors import GeometryError, MemoryBudgetError
from ..operator import Operator
from ..selection import Diagonal, Extend, Select, Unfold
from ..sizing import estimate
from .agreement import NotApplicable, Trial, close, need, small

METHODS = ("direct", "fft", "sparse", "gemm", "separable")
COUNTED = (Convolution, Select, Extend, Unfold, Diagonal, Identity)  # kinds whose entries are counted exactly


def adjoints_undo_each_other(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.H.H is A`; `A.T.T`, `A.conj().conj()` and `A.H.T.conj()` are the same map."""
    trial = Trial(operator, matrix, rng)
    A, x = trial.operator, trial.x()
    need(A.H.H is A, "A.H.H is not A itself")
    again = {"A.T.T": A.T.T, "A.conj().conj()": A.conj().conj(), "A.H.T.conj()": A.H.T.conj()}
    for name, same in again.items():
        trial.agree(same(x), "A", x, trial.tol, f"{name}(x)")
        if trial.matrix is not None:
            close(same.toarray(), trial.matrix, trial.tol, f"{name}.toarray()")


def toarray(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.toarray()` is the matrix, of the operator's type."""
    trial = Trial(operator, matrix, rng)
    small(trial.operator)
    dense = trial.operator.toarray()
    need(type(dense) is np.ndarray, f"A.toarray() is a {type(dense).__name__}, needed an array")
    _is_the_matrix(trial, dense, "A", "A.toarray()")


def _is_the_matrix(trial: Trial, stored: Any, form: str, what: str) -> None:
    """A stored matrix has the type and entries it must have, and acts as the operator does."""
    dtype, wanted = trial.operator.dtype, trial.matrix
    need(stored.dtype == dtype, f"{what} has dtype {stored.dtype}, needed {dtype}")
    if wanted is not None:
        dense = stored if isinstance(stored, np.ndarray) else stored.toarray()
        close(dense, wanted if form == "A" else wanted.conj().T, trial.tol, what)
    columns = trial.array((stored.shape[1], 2))
    trial.agree_flat(stored @ columns, form, columns, trial.tol, f"{what} @ x")


def _assembled(A: Operator) -> sp.csr_array | None:
    """The sparse matrix; None for an operator known by its action, once it has refused to be probed."""
    if A.explicit:
        try:
            return A.tosparse()
        except MemoryBudgetError as refusal:
            raise NotApplicable(f"its matrix is too large: {refusal}") from None
    for name, call in (("tosparse()", A.tosparse), ("H.tosparse()", A.H.tosparse), ("estimate", lambda: estimate(A))):
        try:
            call()
        except GeometryError as refusal:
            need("action" in str(refusal), f"A is known by its action only; its {name} refuses with: {refusal}")
        else:
            need(False, f"A is known by its action only, but {name} gives an answer")
    return None


def tosparse_is_canonical(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.tosparse()` is the matrix: a sorted CSR array without duplicates, with the smallest indices that hold it."""
    trial = Trial(operator, matrix, rng)
    A = trial.operator
    stored = _assembled(A)
    if stored is None:
        return
    need(isinstance(stored, sp.csr_array), f"A.tosparse() is a {type(stored).__name__}, needed a csr_array")
    need(stored.shape == A.shape, f"A.tosparse() has shape {stored.shape}, needed {A.shape}")
    index = np.int32 if max(*A.shape, stored.nnz) <= np.iinfo(np.int32).max else np.int64
    kinds = stored.indices.dtype, stored.indptr.dtype
    need(kinds == (index, index), f"A.tosparse() has indices of {kinds}, needed {np.dtype(index)}")
    _is_canonical(stored)
    _is_the_matrix(trial, stored, "A", "A.tosparse()")


def _is_canonical(stored: sp.csr_array) -> None:
    """Columns ascend strictly within each row; scipy agrees when it looks anew, with no flags cached."""
    rows, columns = np.repeat(np.arange(len(stored.indptr) - 1), np.diff(stored.indptr)), stored.indices
    ascending = (np.diff(rows) > 0) | (np.diff(columns) > 0)
    need(ascending.all(), "A.tosparse() has a row whose columns are unsorted or repeated")
    rebuilt = sp.csr_array((stored.data, columns, stored.indptr), shape=stored.shape)
    need(rebuilt.has_sorted_indices and rebuilt.has_canonical_format, "A.tosparse() is not canonical")


def tosparse_of_the_adjoint(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.H.tosparse()` is the conjugate transpose."""
    trial = Trial(operator, matrix, rng)
    if _assembled(trial.operator) is not None:
        _is_the_matrix(trial, trial.operator.H.tosparse(), "A.H", "A.H.tosparse()")


def estimate_holds(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`estimate(A)` says what the matrix takes: exactly, or for lazy products and sums at most."""
    A = Trial(operator, matrix, rng).operator
    stored = _assembled(A)
    if stored is None:
        return
    told = estimate(A)
    need(told.exact or not isinstance(A, COUNTED), f"the estimate of a {type(A).__name__} is not exact")
    need(stored.nnz <= told.nnz, f"the matrix has {stored.nnz} entries, the estimate said at most {told.nnz}")
    if told.exact:
        need(told.nnz == stored.nnz, f"the matrix has {stored.nnz} entries, the estimate said {told.nnz}")
        taken = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
        need(told.bytes == taken, f"the matrix takes {taken} bytes, the estimate said {told.bytes}")
    kind = stored.indices.dtype
    need(told.index_dtype == kind, f"the matrix has {kind} indices, the estimate said {told.index_dtype}")


def with_its_own_kernel(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.with_kernel(A.kernel)` equals `A`, and the kernel is read-only."""
    A = Trial(operator, matrix, rng).operator
    if not isinstance(A, Convolution):
        raise NotApplicable("has no kernel")
    again = A.with_kernel(A.kernel)
    need(isinstance(again, Convolution), f"A.with_kernel(A.kernel) is a {type(again).__name__}")
    need(again.convention == A.convention, f"its convention is {again.convention}, needed {A.convention}")
    need(again.dtype == A.dtype, f"its dtype is {again.dtype}, needed {A.dtype}")
    need(np.array_equal(again.kernel, A.kernel), "A.with_kernel(A.kernel) has another kernel")
    difference = again.tosparse() != A.tosparse()
    need(difference.nnz == 0, f"A.with_kernel(A.kernel) differs from A in {difference.nnz} entries")
    need(not A.kernel.flags.writeable, "A.kernel can be written to; it must be read-only")


def methods_agree(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Every method that serves a convolution gives the same answers; one that does not names those that do."""
    trial = Trial(operator, matrix, rng)
    A, x = trial.operator, trial.x()
    if not isinstance(A, Convolution):
        raise NotApplicable("has no methods")
    for same in pinned(A):
        if trial.matrix is None:
            check_equal(A, same, rng=trial.rng).raise_if_failed()
            check_equal(A.H, same.H, rng=trial.rng).raise_if_failed()
            continue
        Ax, normal = same(x), trial.matrix.conj().T @ trial.matrix
        trial.agree(Ax, "A", x, trial.tol, f"A.using({same.method!r})(x)")
        Trial(A.H @ A, normal, trial.rng).agree(same.H(Ax), "A", x, 8 * trial.tol, f"A.H(A(x)) by {same.method!r}")
    chosen = A.using("auto").method
    need(chosen in METHODS, f"A.using('auto') chose {chosen!r}")


def served_by(operator: Convolution, method: str) -> Convolution | None:
    """The operator with a method pinned, or None where it is refused in words that name one that can serve."""
    try:
        return operator.using(method)
    except GeometryError as error:
        need(method != "direct" and "direct" in str(error), f"A.using({method!r}) refuses and names no other: {error}")
    return None


def pinned(operator: Operator, methods: tuple[str, ...] = METHODS) -> Iterator[Any]:
    """The operator as it is and, if it is a convolution, with each method pinned that serves it."""
    yield operator
    if not isinstance(operator, Convolution):
        return
    for method in methods:
        again = served_by(operator, method)
        if again is not None:
            need(again.method == method, f"A.using({method!r}).method is {again.method!r}")
            yield again


def can_be_read(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`repr(A)` is one line that says what it is; `print(A)` says something."""
    trial = Trial(operator, matrix, rng)
    trial.require_own()
    line = repr(trial.operator)
    need(line and "\n" not in line and "object at 0x" not in line, f"repr(A) is {line!r}")
    need(str(trial.operator), "str(A) is empty")


def copies(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Pickled, copied and deep-copied operators are the same map, also after use."""
    trial = Trial(operator, matrix, rng)
    trial.require_own()
    A, x = trial.operator, trial.x()
    A(x)  # so that whatever is derived on first use is there to be copied
    made = {"unpickled": pickle.loads(pickle.dumps(A)), "deep-copied": copy.deepcopy(A), "copied": copy.copy(A)}
    for name, again in made.items():
        need(type(again) is type(A), f"{name}, a {type(A).__name__} becomes a {type(again).__name__}")
        need(again.dtype == A.dtype, f"{name}, {A.dtype} becomes {again.dtype}")
        trial.agree(again(x), "A", x, trial.tol, f"the {name} operator's A(x)")
        need(again.H.H is again, f"{name}: A.H.H is not A itself")
