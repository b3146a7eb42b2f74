"""PyLops and PyProximal on our operators, and theirs here: shapes, types, adjoints, solvers, products either way."""

import pickle

import numpy as np
import pylops
import pytest
from cases import array, needs_pylops_26
from oracle import convolution_matrix, error
from pylops.optimization.basic import cg, cgls, lsqr
from pylops.optimization.leastsquares import regularized_inversion
from pylops.optimization.sparsity import fista, ista, splitbregman

import convop

SHAPE, SIZE = (6, 7), 42
TYPES = ("float32", "float64", "complex64", "complex128")


def blur(dtype, **options):
    kernel = 0.1 * array((3, 4), dtype)
    kernel[1, 1] += 2
    return convop.Convolution(kernel, SHAPE, **options), convolution_matrix(kernel, SHAPE, **options)


def loose(dtype):
    return 1e-4 if np.finfo(dtype).eps > 1e-8 else 1e-7


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("mode", ["same", "full", "valid"])
def test_shapes_types_and_adjoints_are_kept(dtype, mode):
    A, matrix = blur(dtype, mode=mode)
    P = convop.to_pylops(A)
    assert isinstance(P, pylops.LinearOperator)
    assert (P.dims, P.dimsd, P.shape, P.dtype) == (A.in_shape, A.out_shape, A.shape, A.dtype)
    assert (P.H.dims, P.H.dimsd, P.H.dtype) == (A.out_shape, A.in_shape, A.dtype)
    x, y = array(A.in_shape, dtype, 1), array(A.out_shape, dtype, 2)
    eps = 100 * np.finfo(dtype).eps
    assert (P @ x).shape == A.out_shape
    assert (P @ x).dtype == dtype
    assert error((P @ x).ravel(), matrix @ x.ravel()) <= eps
    assert error((P.H @ y).ravel(), matrix.conj().T @ y.ravel()) <= eps
    assert error((P.T @ y).ravel(), matrix.T @ y.ravel()) <= eps
    columns, rows = array((SIZE, 3), dtype, 3), array((A.shape[0], 3), dtype, 4)
    assert error(P @ columns, matrix @ columns) <= eps
    assert error(P.rmatmat(rows), matrix.conj().T @ rows) <= eps
    assert error(P.todense(), matrix) <= eps
    assert error(P.tosparse().toarray(), matrix) <= eps


@pytest.mark.parametrize("dtype", TYPES)
def test_their_dot_test_passes(dtype):
    layer = convop.conv_layer(array((3, 2, 3, 2), dtype), (2, 5, 6), stride=2, padding=1, boundary="mirror")
    for A in (blur(dtype, boundary="antireflective")[0], layer, layer.H, layer.H @ layer):
        complexflag = 3 if np.dtype(dtype).kind == "c" else 0
        np.random.seed(0)  # noqa: NPY002 (theirs draws from it)
        assert pylops.utils.dottest(convop.to_pylops(A), *A.shape, complexflag=complexflag, rtol=100 * loose(dtype))


@pytest.mark.parametrize("dtype", TYPES)
def test_least_squares_solvers(dtype):
    A, _ = blur(dtype, boundary="symmetric")
    P, x, start = convop.to_pylops(A), array(SIZE, dtype, 1), np.zeros(SIZE, dtype)
    b = A @ x
    normal = P.H @ P
    roughness = [pylops.Laplacian(SHAPE, dtype=dtype)]
    for found, times in (
        (cgls(P, b, start, niter=60, tol=1e-14)[0], 1),
        (lsqr(P, b, start, niter=60, atol=1e-14, btol=1e-14)[0], 1),
        (cg(normal, A.H @ b, start, niter=80, tol=1e-14)[0], 10),
        (P.div(b, niter=200), 1),
        (regularized_inversion(P, b, roughness, epsRs=[1e-7], iter_lim=200)[0], 1000),
    ):
        assert error(np.ravel(found), x) <= times * loose(dtype)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_sparse_solvers(dtype):
    A, _ = blur(dtype, boundary="mirror")
    P = convop.to_pylops(A)
    spikes = np.zeros(SIZE, dtype)
    spikes[[3, 17, 40]] = [2, -1, 1.5]
    b = A @ spikes
    for solve in (ista, fista):
        found = solve(P, b, niter=400, eps=1e-8, tol=1e-14)[0]
        assert error(found, spikes) <= 1e-7
    steps = np.zeros(SHAPE)
    steps[2:5, 3:] = 1
    slopes = [pylops.FirstDerivative(SHAPE, axis=axis, kind="forward", dtype=dtype) for axis in (0, 1)]
    found = splitbregman(
        P, A(steps).ravel(), slopes, niter_outer=30, niter_inner=5, mu=1e3, epsRL1s=[1e-3] * 2, tol=1e-12, iter_lim=50
    )[0]
    assert error(np.reshape(found, SHAPE), steps.astype(dtype)) <= 1e-3


@needs_pylops_26
def test_pyproximal():
    import pyproximal

    A, matrix = blur("float64", boundary="symmetric")
    P, x = convop.to_pylops(A), np.abs(array(SIZE, seed=1))
    b = A @ x
    step = 0.9 / np.linalg.norm(matrix, 2) ** 2
    misfit = pyproximal.L2(Op=P, b=b)
    positive = pyproximal.Box(lower=0.0)
    primal = pyproximal.optimization.primal
    found = primal.ProximalGradient(misfit, positive, np.zeros(SIZE), tau=step, niter=400, acceleration="fista")
    assert error(found, x) <= 1e-6
    found = primal.ADMM(pyproximal.L2(Op=P, b=b, niter=50), positive, np.zeros(SIZE), tau=1.0, niter=60)[0]
    assert error(found, x) <= 1e-3
    G = convop.to_pylops(convop.gradient(SHAPE))
    total_variation = pyproximal.L21(ndim=2, sigma=1e-4)
    tau = 0.9 / np.sqrt(8)
    found = pyproximal.optimization.primaldual.PrimalDual(
        pyproximal.L2(Op=P, b=b, niter=50), total_variation, G, np.zeros(SIZE), tau=tau, mu=tau, niter=100
    )
    assert error(found, x) <= 1e-3


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_products_on_either_side(dtype):
    A, matrix = blur(dtype, boundary="mirror")
    L = pylops.Laplacian(SHAPE, dtype=dtype)
    dense, x = L.todense(), array(SIZE, dtype, 1)
    for left in (L @ A, L * A, L @ convop.to_pylops(A)):  # PyLops is on the left: its own product
        assert isinstance(left, pylops.LinearOperator)
        assert type(left).__name__ == "_ProductLinearOperator"
        assert error(np.ravel(left @ x), dense @ matrix @ x) <= 1e-13
        assert error(np.ravel(left.H @ x), matrix.conj().T @ dense.conj().T @ x) <= 1e-13
        assert left.dims == SHAPE
        assert (left @ x.reshape(SHAPE)).shape == SHAPE
    right = A @ L
    assert isinstance(right, convop.Operator)
    assert error(right @ x, matrix @ dense @ x) <= 1e-13
    assert isinstance(A + L, convop.Operator)
    assert isinstance(convop.to_pylops(A) @ L, pylops.LinearOperator)
    assert error((convop.to_pylops(A) @ L) @ x, matrix @ dense @ x) <= 1e-13
    for sum_ in (L + A, L + convop.to_pylops(A), convop.to_pylops(A) + L):
        assert isinstance(sum_, pylops.LinearOperator)
        assert error(sum_ @ x, (dense + matrix) @ x) <= 1e-13
    P = convop.to_pylops(A)
    for ours in (P, A):
        stacked = pylops.VStack([ours, 2 * L])
        assert error(stacked @ x, np.concatenate([matrix @ x, 2 * dense @ x])) <= 1e-13
    assert (
        error((3j * P if dtype == "complex128" else 3 * P).H @ x, (-3j if dtype == "complex128" else 3) * (P.H @ x))
        == 0
    )


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_from_pylops(dtype):
    for theirs in (
        pylops.FirstDerivative(SHAPE, axis=1, dtype=dtype),
        pylops.FirstDerivative(SHAPE, axis=0, dtype=dtype).H,
        pylops.Laplacian(SHAPE, dtype=dtype) * pylops.Diagonal(array(SHAPE, dtype), dtype=dtype),
        pylops.Restriction(SHAPE, [1, 4], axis=0, dtype=dtype),
        pylops.signalprocessing.Convolve2D(SHAPE, array((3, 2)), offset=(1, 0), dtype=dtype),
    ):
        ours = convop.from_pylops(theirs)
        assert (ours.in_shape, ours.out_shape, ours.dtype) == (tuple(theirs.dims), tuple(theirs.dimsd), theirs.dtype)
        assert error(ours.toarray(), theirs.todense()) <= 1e-13
        assert error(ours.H.toarray(), theirs.todense().conj().T) <= 1e-13
        convop.check.adjoint(ours).raise_if_failed()


def test_there_and_back_is_the_same_operator():
    A, _ = blur("complex128", boundary="mirror")
    P = convop.to_pylops(A)
    assert convop.from_pylops(P) is A
    assert convop.from_pylops(P.H) is A.H
    assert convop.from_pylops(pickle.loads(pickle.dumps(P))).kernel.tolist() == A.kernel.tolist()
    L = pylops.Laplacian(SHAPE)
    again = convop.to_pylops(convop.from_pylops(L))
    assert (again.dims, again.dimsd) == (SHAPE, SHAPE)


def test_a_matrix_stays_one():
    table = array((5, SIZE), "complex128")
    ours = convop.from_pylops(pylops.MatrixMult(table, dtype="complex128"))
    assert ours.explicit
    assert error(ours.tosparse().toarray(), table) == 0
    blocks = convop.from_pylops(pylops.MatrixMult(table, otherdims=(3,), dtype="complex128"))
    assert (blocks.in_shape, blocks.out_shape) == ((SIZE, 3), (5, 3))
    assert error(blocks.toarray(), np.kron(table, np.eye(3))) <= 1e-14


def test_what_is_no_complex_linear_operator_is_refused():
    with pytest.raises(convop.NotLinearError, match="real numbers only"):
        convop.from_pylops(pylops.Real(SIZE, dtype="complex128"))
    with pytest.raises(convop.GeometryError, match="got ndarray"):
        convop.from_pylops(np.eye(3))
