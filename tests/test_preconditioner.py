"""Preconditioners: Hermitian, positive definite, exact where they can be, and worth their name."""

import numpy as np
import oracle
import pytest
from scipy.sparse.linalg import LinearOperator, cg, gmres
from solving_cases import Draws

import convop

RNG = np.random.default_rng(0)
DRAWS = Draws(RNG)
draw = DRAWS.array


def dense(M):
    return M @ np.eye(M.shape[1], dtype=M.dtype)


def cases():
    for dtype in ("complex128", "float64"):
        h = draw((3, 4), dtype)
        for boundary in ("zero", "mirror", "symmetric", "replicate", "periodic", "antireflective"):
            yield f"{boundary} {dtype}", convop.Convolution(h, (6, 7), boundary=boundary)
        yield f"strided {dtype}", convop.Convolution(h, (7, 5), stride=(2, 3))
        yield f"valid {dtype}", convop.Convolution(h, (7, 5), mode="valid")
        yield f"1-D {dtype}", convop.Convolution(h[0], 11)
        yield f"3-D {dtype}", convop.Convolution(draw((2, 3, 2), dtype), (4, 3, 5))
        yield f"channels {dtype}", convop.conv_layer(draw((3, 2, 3, 2), dtype), (2, 4, 5), padding=1)
        yield f"masked {dtype}", convop.Select((6, 7), draw((6, 7)) > 0) @ convop.Convolution(h, (6, 7))
        yield f"stack {dtype}", convop.vstack([convop.Convolution(draw((3, 2), dtype), (6, 7)) for _ in range(2)])
        yield f"kernel longer than the signal {dtype}", convop.Convolution(draw((9, 3), dtype), (4, 7))


CASES = dict(cases())


@pytest.mark.parametrize("kind", ["auto", "dct", "circulant", "none"])
@pytest.mark.parametrize("name", CASES)
def test_is_hermitian_and_positive_definite(name, kind):
    A = CASES[name]
    M = convop.preconditioner(A, 0.1, kind)
    assert isinstance(M, LinearOperator)
    assert M.shape == (A.shape[1], A.shape[1])
    assert M.dtype == A.dtype
    matrix = dense(M)
    assert np.allclose(matrix, matrix.conj().T, atol=1e-12 * abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > 0
    assert M.H is M or np.allclose(dense(M.H), matrix)
    x = draw((A.shape[1], 3), "complex128")
    assert np.allclose(M @ x, matrix @ x)
    assert np.allclose(M.matvec(x[:, 0]), matrix @ x[:, 0])
    assert np.allclose(M.rmatvec(x[:, 0]), matrix @ x[:, 0])


def normal(matrix, alpha):
    return matrix.conj().T @ matrix + alpha * np.eye(matrix.shape[1])


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
def test_circulant_is_the_inverse_of_periodic_operators(dtype):
    h = draw((3, 4), dtype)
    for shape, stride in (((6, 7), 1), ((6, 9), 3), ((4, 6), (2, 3))):
        A = convop.Convolution(h, shape, boundary="periodic", stride=stride)
        matrix = oracle.convolution_matrix(h, shape, boundary="periodic", stride=stride)
        M = dense(convop.preconditioner(A, 0.1, "circulant"))
        assert np.allclose(M @ normal(matrix, 0.1), np.eye(A.shape[1]), atol=1e-10)
    weight = draw((3, 2, 2, 3), dtype)
    A = convop.conv_layer(weight, (2, 4, 5), padding=((1, 0), (1, 1)), boundary="periodic")
    matrix = oracle.layer_matrix(weight, (2, 4, 5), padding=((1, 0), (1, 1)), boundary="periodic")
    M = dense(convop.preconditioner(A, 0.1, "circulant"))
    assert np.allclose(M @ normal(matrix, 0.1), np.eye(40), atol=1e-10)


def even(shape):
    h = RNG.standard_normal(shape)
    for axis in range(h.ndim):
        h = h + np.flip(h, axis)
    return h / np.linalg.norm(h)


def test_dct_is_the_inverse_where_the_boundary_is_symmetric_and_the_kernel_even():
    for shape, taps in (((6, 7), (3, 5)), ((5,), (9,)), ((4, 3, 5), (3, 1, 3))):
        h = even(taps)
        A = convop.Convolution(h, shape, boundary="symmetric")
        M = dense(convop.preconditioner(A, 0.1, "dct"))
        matrix = oracle.convolution_matrix(h, shape, boundary="symmetric")
        assert np.allclose(M @ normal(matrix, 0.1), np.eye(A.shape[1]), atol=1e-10)


@pytest.mark.parametrize("alpha", [1e-1, 1e-4, 1e-8])
def test_dct_is_within_a_factor_where_the_boundary_mirrors(alpha):
    """The bound that the docstring of `Cosine` claims: the weights cost a factor of 2 for each axis."""
    for shape, taps in (((8, 7), (3, 5)), ((13,), (5,)), ((5, 4, 6), (3, 3, 1))):
        h = even(taps)
        A = convop.Convolution(h, shape, boundary="mirror")
        M = dense(convop.preconditioner(A, alpha, "dct"))
        matrix = oracle.convolution_matrix(h, shape, boundary="mirror")
        root = np.linalg.cholesky(M)
        values = np.linalg.eigvalsh(root.T @ normal(matrix, alpha) @ root)
        assert values.min() >= 1 - 1e-6
        assert values.max() <= 2 ** np.count_nonzero(np.array(taps) > 1) * (
            1 + 1e-6
        )  # axes that read nothing cost none


def steps(A, alpha, kind):
    b = A.H(np.random.default_rng(1).standard_normal(A.out_shape)).ravel()
    count = []
    G = A.H @ A + alpha * convop.Identity(A.in_shape)
    x, info = cg(G, b, M=convop.preconditioner(A, alpha, kind), rtol=1e-6, maxiter=3000, callback=count.append)
    assert info == 0
    assert np.linalg.norm(G @ x - b) <= 1e-5 * np.linalg.norm(b)
    return len(count)


def test_dct_saves_most_steps_under_a_zero_boundary():
    A = convop.Convolution(convop.psf.gaussian(9, 1.5), (64, 64))
    plain = steps(A, 1e-3, "none")
    assert steps(A, 1e-3, "dct") * 4 <= plain
    assert steps(A, 1e-3, "auto") * 4 <= plain


def test_dct_saves_most_steps_under_a_mirror():
    A = convop.Convolution(convop.psf.gaussian(9, 1.5), (64, 64), boundary="mirror")
    assert steps(A, 1e-4, "auto") <= 10
    assert steps(A, 1e-4, "none") >= 150


def test_auto_takes_none_where_none_helps():
    A = convop.Convolution(convop.psf.gaussian(9, 1.5), (64, 64), boundary="replicate")
    M = convop.preconditioner(A, 1e-5)
    assert M.kind == "none"
    assert "dct" in M.reason


def test_black_boxes_have_none():
    A = convop.as_operator(draw((5, 6)))
    M = convop.preconditioner(A, 1.0)
    assert M.kind == "none"
    assert np.array_equal(dense(M), np.eye(6))
    with pytest.raises(convop.GeometryError, match="cannot serve"):
        convop.preconditioner(A, 1.0, "dct")


def test_every_solver_of_scipy_takes_it():
    A = convop.Convolution(convop.psf.disk(2), (20, 21))
    G, b = A.H @ A + 1e-2 * convop.Identity(A.in_shape), draw(420)
    M = convop.preconditioner(A, 1e-2)
    want = np.linalg.solve(G.toarray(), b)
    for solver in (cg, gmres):
        x, info = solver(G, b, M=M, rtol=1e-10, maxiter=500)
        assert info == 0
        assert np.allclose(x, want, atol=1e-6)


def test_single_precision_stays_single():
    A = convop.Convolution(draw((3, 3), "float32"), (8, 9))
    for kind in ("dct", "circulant"):
        M = convop.preconditioner(A, 0.1, kind)
        assert (M @ np.ones(72, "float32")).dtype == np.float32
        assert (M @ np.ones(72, "complex64")).dtype == np.complex64


@pytest.mark.parametrize(("alpha", "kind"), [(-1, "auto"), ("gcv", "auto"), (np.nan, "dct"), (1, "dct2"), (1j, "none")])
def test_bad_arguments_are_refused(alpha, kind):
    with pytest.raises(convop.GeometryError):
        convop.preconditioner(convop.Convolution([1.0, 2.0], 5), alpha, kind)
