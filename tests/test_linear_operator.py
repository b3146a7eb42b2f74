"""What the documentation of scipy's `LinearOperator` promises, from 1.13 (one matrix) to 1.18 (batches)."""

import copy
import pickle

import numpy as np
import pytest
import scipy
import scipy.sparse
import scipy.sparse.linalg as spla
from cases import array
from oracle import convolution_matrix, error

import convop

TYPES = ("float64", "complex128")
BATCHES = ((), (2,), (2, 3))
SCIPY = tuple(map(int, scipy.__version__.split(".")[:2]))
# Until 1.18 an operator of scipy is one matrix and takes one vector or one matrix at a time.
batched = pytest.mark.skipif(SCIPY < (1, 18), reason="batches in scipy's own operators came with scipy 1.18")


def tall(dtype):
    """A wide kernel in every output: more rows than columns, so that no axis is taken for another."""
    kernel = array((3, 4), dtype)
    return convop.Convolution(kernel, (6, 7), mode="full"), convolution_matrix(kernel, (6, 7), mode="full")


def lazy(dtype):
    """A product that is no single convolution."""
    operator, matrix = tall(dtype)
    weights = array(operator.out_shape, dtype, 5)
    return convop.Diagonal(weights) @ operator, weights.reshape(-1, 1) * matrix


def columns(matrix, vectors):
    """`matrix` times each of the vectors along the last axis."""
    return np.einsum("...ij,...j->...i", matrix, vectors)


def mT(matrices):
    return np.swapaxes(matrices, -1, -2)


def agree(got, want):
    assert got.shape == want.shape
    assert error(got, want) <= 1e-13


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("made", [tall, lazy])
def test_every_product(made, dtype, batch):
    """`matvec` takes `(..., N)`, `matmat` and `@` take `(..., N, K)`; the subclass's hooks take the same."""
    A, matrix = made(dtype)
    rows, size = A.shape
    x, X = array((*batch, size), dtype, 1), array((*batch, size, 5), dtype, 2)
    y, Y = array((*batch, rows), dtype, 3), array((*batch, rows, 5), dtype, 4)
    adjoint = matrix.conj().T
    for apply in (A.matvec, A._matvec, A.H.rmatvec, A.T.T.matvec, A.H.adjoint().matvec):
        agree(apply(x), columns(matrix, x))
    for apply in (A.rmatvec, A._rmatvec, A.H.matvec, A.adjoint().matvec, A.conj().T.matvec):
        agree(apply(y), columns(adjoint, y))
    for apply in (A.matmat, A._matmat, A.H.rmatmat, A.dot, A.__matmul__, A.__mul__):
        agree(apply(X), matrix @ X)
    for apply in (A.rmatmat, A._rmatmat, A.H.matmat, A.H.dot):
        agree(apply(Y), adjoint @ Y)
    for apply in (A.T.matmat, A.transpose().dot):
        agree(apply(Y), matrix.T @ Y)
    agree(mT(Y) @ A, mT(Y) @ matrix)
    agree(A.rdot(mT(Y)), mT(Y) @ matrix)
    agree(mT(Y) * A, mT(Y) @ matrix)


@pytest.mark.parametrize("dtype", TYPES)
def test_vectors_columns_and_lists(dtype):
    A, matrix = tall(dtype)
    rows, size = A.shape
    x, y = array(size, dtype, 1), array(rows, dtype, 2)
    for got in (A @ x, A * x, A.dot(x), A @ list(x)):
        agree(got, matrix @ x)
    for got in (y @ A, y * A, A.rdot(y), list(y) @ A):
        agree(got, y @ matrix)
    agree(A.matvec(x[:, None]), (matrix @ x)[:, None])  # deprecated in 1.18 for scipy's own, still promised
    agree(A.rmatvec(y[:, None]), (matrix.conj().T @ y)[:, None])


def test_dot_and_rdot_of_numbers_and_operators():
    A, matrix = tall("complex128")
    for got, want in ((A.dot(2j), 2j * matrix), (A.rdot(2j), 2j * matrix), (A.dot(A.H), matrix @ matrix.conj().T)):
        assert isinstance(got, convop.Operator)
        agree(got.toarray(), want)
    assert isinstance(A.rdot(A.H), convop.Operator)
    agree(A.rdot(A.H).toarray(), matrix.conj().T @ matrix)
    sparse = scipy.sparse.csr_array(np.triu(array((3, A.shape[0]))))
    assert isinstance(A.rdot(sparse), convop.Operator)
    agree(A.rdot(sparse).toarray(), sparse.toarray() @ matrix)


@pytest.mark.parametrize("left", [3, 2.5j, np.float64(3), np.array(3.0), None, "abc", [[1], [1, 2]], [1.0]])
def test_what_cannot_stand_on_the_left(left):
    A, _ = tall("float64")
    with pytest.raises(convop.ConvopError):
        left @ A
    with pytest.raises(convop.ConvopError):
        A @ left


@pytest.mark.parametrize("dtype", TYPES)
def test_scipys_combinations(dtype):
    """Products, sums, multiples and powers that scipy makes of ours, their adjoints and transposes."""
    A, matrix = tall(dtype)
    rows, size = A.shape
    left, same = array((4, rows), dtype, 1), array((rows, size), dtype, 2)
    for batch in BATCHES if SCIPY >= (1, 18) else BATCHES[:1]:
        for P, dense in (
            (spla.aslinearoperator(left) @ A, left @ matrix),
            (3 * (spla.aslinearoperator(left) @ A), 3 * left @ matrix),
            (spla.aslinearoperator(same) + A, same + matrix),
            (spla.aslinearoperator(same) - A, same - matrix),
            ((spla.aslinearoperator(mT(same)) @ A) ** 2, np.linalg.matrix_power(mT(same) @ matrix, 2)),
        ):
            for Q, want in ((P, dense), (P.H, dense.conj().T), (P.T, dense.T)):
                x, X = array((*batch, want.shape[1]), dtype, 3), array((*batch, want.shape[1], 2), dtype, 4)
                y = array((*batch, want.shape[0]), dtype, 5)
                agree(Q.matvec(x), columns(want, x))
                agree(Q.matmat(X), want @ X)
                agree(Q.rmatvec(y), columns(want.conj().T, y))
            again = pickle.loads(pickle.dumps(P))
            agree(again.matvec(np.ones(P.shape[1])), dense @ np.ones(P.shape[1]))


@batched
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("batch", BATCHES[1:])
def test_batches_of_matrices_are_scipys(batch, dtype):
    """A batch of matrices is no single operator: what scipy or Python combines of ours and one is scipy's."""
    A, matrix = tall(dtype)
    rows, size = A.shape
    left, right = array((*batch, 4, rows), dtype, 1), array((*batch, size, 4), dtype, 2)
    same = array((*batch, rows, size), dtype, 3)
    L, R, S = map(spla.aslinearoperator, (left, right, same))
    for P, dense in (
        (L @ A, left @ matrix),
        (A @ R, matrix @ right),
        (A * R, matrix @ right),
        (A.dot(R), matrix @ right),
        (A.rdot(L), left @ matrix),
        (A + S, matrix + same),
        (S + A, matrix + same),
        (A - S, matrix - same),
        (S - A, same - matrix),
    ):
        assert isinstance(P, spla.LinearOperator)
        for Q, want in ((P, dense), (P.H, mT(dense).conj()), (P.T, mT(dense))):
            assert Q.shape == want.shape
            x, X = array(want.shape[-1], dtype, 4), array((want.shape[-1], 2), dtype, 5)
            agree(Q.matvec(x), columns(want, x))
            agree(Q.matmat(X), want @ X)
            agree(Q.rmatvec(np.ones(want.shape[-2])), columns(mT(want).conj(), np.ones(want.shape[-2])))
    with pytest.raises(convop.GeometryError, match="got \\(2,"):
        convop.as_operator(L)


def test_copies_and_attributes():
    A, matrix = tall("complex128")
    assert copy.copy(A) is A
    assert copy.deepcopy(A) is A
    again = pickle.loads(pickle.dumps(A))
    agree(again @ np.ones(42), matrix @ np.ones(42))
    agree(again.rdot(np.ones(80)), np.ones(80) @ matrix)
    assert (A.shape, A.H.shape, A.T.shape, A.dtype) == ((80, 42), (42, 80), (42, 80), np.complex128)
    if SCIPY >= (1, 18):
        assert A.ndim == again.ndim == 2


@pytest.mark.parametrize("dtype", [None, "float64", "complex128"])
def test_operators_of_functions(dtype):
    """scipy finds a type that it was not given by a trial, int8 in 1.18: ours is never an integer one."""
    identity = spla.LinearOperator((5, 5), matvec=lambda v: v, rmatvec=lambda v: v, dtype=dtype)
    ours = convop.as_operator(identity)
    assert ours.dtype == (dtype or "float64")
    x = array((2, 5), "complex128")
    agree(ours(x), x)
    agree(ours.H.matmat(x.T), x.T)
