"""Laws that every operator keeps, over all cases."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import strategies
from cases import CASES, array
from oracle import error

import convop

METHODS = ("direct", "fft", "sparse")
TYPES = ("float32", "float64", "complex64", "complex128")


@pytest.fixture(params=CASES, ids=repr)
def case(request):
    return request.param


def tolerance(*dtypes):
    """What rounding in the coarsest of the types may leave."""
    return 256 * max(np.finfo(np.dtype(dtype)).eps for dtype in dtypes)


def agree(got, matrix, x, shape, tol):
    """`got` is `matrix @ x` for every signal in the batch."""
    size = int(np.prod(shape))
    assert got.shape[-len(shape) or got.ndim :] == shape
    columns = x.reshape(-1, matrix.shape[1]).T
    assert error(got.reshape(-1, size).T, matrix @ columns, matrix, columns) <= tol


def signal(case, dtype=None, batch=(), seed=5):
    return array((*batch, *case.in_shape), dtype or case.operator.dtype, seed)


def test_shapes(case):
    operator = case.operator
    assert isinstance(operator, convop.Operator)
    assert (operator.in_shape, operator.out_shape) == (case.in_shape, case.out_shape)
    assert operator.shape == case.matrix.shape
    assert all(type(n) is int for n in (*operator.in_shape, *operator.out_shape, *operator.shape))


def test_apply(case):
    x = signal(case)
    agree(case.operator(x), case.matrix, x, case.out_shape, tolerance(case.operator.dtype))


def test_apply_to_the_richest_type(case):
    x = signal(case, "complex128")
    agree(case.operator(x), case.matrix, x, case.out_shape, tolerance("complex128"))


def test_adjoint(case):
    y = array(case.out_shape, "complex128", 6)
    agree(case.operator.H(y), case.matrix.conj().T, y, case.in_shape, tolerance("complex128"))


def test_transpose_and_conjugate(case):
    x, y = signal(case, "complex128"), array(case.out_shape, "complex128", 6)
    agree(case.operator.T(y), case.matrix.T, y, case.in_shape, tolerance("complex128"))
    agree(case.operator.conj()(x), case.matrix.conj(), x, case.out_shape, tolerance("complex128"))
    assert case.operator.T.shape == case.matrix.T.shape
    assert case.operator.conj().shape == case.matrix.shape


def test_adjoints_undo_each_other(case):
    operator = case.operator
    assert operator.H.H is operator
    for again in (operator.T.T, operator.conj().conj(), operator.H.T.conj()):
        assert error(again.toarray(), case.matrix) <= tolerance(operator.dtype)


def test_toarray(case):
    dense = case.operator.toarray()
    assert isinstance(dense, np.ndarray)
    assert dense.dtype == case.operator.dtype
    assert error(dense, case.matrix) <= tolerance(case.operator.dtype)


def refused(case):
    """An operator known by its action only says so, and is not probed."""
    if case.assembles:
        return False
    for call in (case.operator.tosparse, case.operator.H.tosparse, lambda: convop.estimate(case.operator)):
        with pytest.raises(convop.GeometryError, match="action"):
            call()
    return True


def test_tosparse_is_canonical(case):
    if refused(case):
        return
    matrix = case.operator.tosparse()
    assert isinstance(matrix, sp.csr_array)
    assert matrix.dtype == case.operator.dtype
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    assert error(matrix.toarray(), case.matrix) <= tolerance(case.operator.dtype)
    rebuilt = sp.csr_array((matrix.data, matrix.indices, matrix.indptr), matrix.shape)  # with no flags cached
    assert rebuilt.has_sorted_indices
    assert rebuilt.has_canonical_format
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        assert np.all(np.diff(matrix.indices[start:stop]) > 0)


def test_tosparse_of_the_adjoint(case):
    if refused(case):
        return
    assert error(case.operator.H.tosparse().toarray(), case.matrix.conj().T) <= tolerance(case.operator.dtype)


def test_estimate(case):
    if refused(case):
        return
    estimate, matrix = convop.estimate(case.operator), case.operator.tosparse()
    leaves = convop.Convolution | convop.Select | convop.Extend | convop.Unfold | convop.Diagonal | convop.Identity
    assert estimate.exact or not isinstance(case.operator, leaves)
    assert matrix.nnz <= estimate.nnz  # lazy ones give an upper bound, before they are multiplied out
    if estimate.exact:
        assert estimate.nnz == matrix.nnz
        assert estimate.bytes == matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert estimate.index_dtype == matrix.indices.dtype


def test_batches(case):
    operator = case.operator
    x, y = signal(case, batch=(2, 3)), array((2, 3, *case.out_shape), operator.dtype, 8)
    forward, backward = operator(x), operator.H(y)
    assert forward.shape == y.shape
    assert backward.shape == x.shape
    for i in np.ndindex(2, 3):
        assert error(forward[i], operator(x[i])) <= tolerance(operator.dtype)
        assert error(backward[i], operator.H(y[i])) <= tolerance(operator.dtype)


def test_empty_batches(case):
    assert case.operator(signal(case, batch=(0,))).shape == (0, *case.out_shape)
    assert case.operator.H(np.zeros((2, 0, *case.out_shape))).shape == (2, 0, *case.in_shape)


def test_flat_meaning(case):
    operator, matrix, tol = case.operator, case.matrix, tolerance(case.operator.dtype)
    rows, columns = matrix.shape
    x, y = array((columns, 3), operator.dtype, 2), array((rows, 3), operator.dtype, 3)
    adjoint = matrix.conj().T
    for got, left, right in (
        (operator.matvec(x[:, 0]), matrix, x[:, 0]),
        (operator @ x[:, 1], matrix, x[:, 1]),
        (operator.rmatvec(y[:, 0]), adjoint, y[:, 0]),
        (operator.matmat(x), matrix, x),
        (operator @ x, matrix, x),
        (operator.rmatmat(y), adjoint, y),
        (operator.H @ y, adjoint, y),
        (operator.T @ y[:, 2], matrix.T, y[:, 2]),
    ):
        assert error(got, left @ right, left, right) <= tol


def test_types(case):
    operator = case.operator
    for dtype in TYPES:
        x, y = signal(case, dtype), array(case.out_shape, dtype, 6)
        want = np.result_type(operator.dtype, dtype)
        assert operator(x).dtype == want
        assert operator.H(y).dtype == want
        assert operator.T(y).dtype == operator.conj()(x).dtype == want
        agree(operator(x), case.matrix, x, case.out_shape, tolerance(want))
    for dtype in ("int8", "int64", "uint16", "bool"):
        x = (signal(case, "float64") > 0).astype(dtype)
        assert operator(x).dtype == operator.dtype
        agree(operator(x), case.matrix, x, case.out_shape, tolerance(operator.dtype))


def test_input_is_left_alone(case):
    x, y = signal(case), array(case.out_shape, case.operator.dtype, 6)
    before = x.copy(), y.copy()
    result = case.operator(x)
    adjoint = case.operator.H(y)
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])
    result[...] = 7  # the answer is the caller's own: writing into it reaches neither input nor operator
    adjoint[...] = 7
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])
    agree(case.operator(x), case.matrix, x, case.out_shape, tolerance(case.operator.dtype))


def test_any_memory_layout(case):
    plain = signal(case, batch=(2,))
    want = case.operator(plain)
    wide = np.zeros([3 * n for n in plain.shape], plain.dtype)
    wide[tuple(slice(1, None, 3) for _ in plain.shape)] = plain
    strided = wide[tuple(slice(1, None, 3) for _ in plain.shape)]
    readonly = plain.copy()
    readonly.flags.writeable = False
    backwards = plain[tuple(slice(None, None, -1) for _ in plain.shape)].copy()
    backwards = backwards[tuple(slice(None, None, -1) for _ in plain.shape)]
    swapped = plain.astype(plain.dtype.newbyteorder())
    for x in (strided, np.asfortranarray(plain), readonly, backwards, swapped):
        assert np.array_equal(x, plain)
        got = case.operator(x)
        assert got.dtype == want.dtype
        assert error(got, want) <= tolerance(case.operator.dtype)


def test_with_its_own_kernel(case):
    if not isinstance(case.operator, convop.Convolution):
        pytest.skip("has no kernel")
    operator = case.operator
    again = operator.with_kernel(operator.kernel)
    assert isinstance(again, convop.Convolution)
    assert again.convention == operator.convention
    assert again.dtype == operator.dtype
    assert np.array_equal(again.kernel, operator.kernel)
    assert np.array_equal(again.toarray(), operator.toarray())
    with pytest.raises(ValueError, match="read-only"):
        operator.kernel[...] = 0


def test_methods_agree(case):
    if not isinstance(case.operator, convop.Convolution):
        pytest.skip("has no methods")
    x, tol, normal = signal(case), tolerance(case.operator.dtype), case.matrix.conj().T @ case.matrix
    for pinned in strategies.pinned(case.operator):
        agree(pinned(x), case.matrix, x, case.out_shape, tol)
        agree(pinned.H(pinned(x)), normal, x, case.in_shape, 8 * tol)
    assert case.operator.using("auto").method in METHODS


def test_it_can_be_read(case):
    line = repr(case.operator)
    assert line
    assert "\n" not in line
    assert "object at 0x" not in line
    assert str(case.operator)


def test_copies(case):
    x = signal(case)
    case.operator(x)  # so that whatever is derived on first use is there to be copied
    for again in (pickle.loads(pickle.dumps(case.operator)), copy.deepcopy(case.operator), copy.copy(case.operator)):
        assert type(again) is type(case.operator)
        assert again.dtype == case.operator.dtype
        agree(again(x), case.matrix, x, case.out_shape, tolerance(case.operator.dtype))
        assert again.H.H is again


def test_there_are_enough_cases():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
