"""Every solver of scipy.sparse.linalg takes an operator as it is, real and complex, and answers as for its matrix."""

import numpy as np
import pytest
import scipy
import scipy.linalg
import scipy.sparse.linalg as spla
from cases import array
from oracle import convolution_matrix, error

import convop

SHAPE, SIZE = (6, 7), 42
TYPES = ("float64", "complex128")
SQUARE = ("bicg", "bicgstab", "cgs", "gcrotmk", "gmres", "lgmres", "qmr", "tfqmr")


def scipy_at_least(*version):
    return tuple(map(int, scipy.__version__.split(".")[:2])) >= version


def blur(dtype, **options):
    """Well-conditioned and not symmetric: the operator and its matrix, in which convop has no part."""
    kernel = 0.1 * array((3, 4), dtype)
    kernel[1, 1] += 2
    return convop.Convolution(kernel, SHAPE, **options), convolution_matrix(kernel, SHAPE, **options)


def hermitian(dtype):
    """Positive definite, as a lazy product and as a matrix."""
    operator, matrix = blur(dtype, boundary="mirror")
    return operator.H @ operator, matrix.conj().T @ matrix


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", SQUARE)
def test_square_systems(name, dtype):
    operator, matrix = blur(dtype, boundary="replicate")
    b = array(SIZE, dtype, 1)
    found, failed = getattr(spla, name)(operator, b, rtol=1e-12, atol=0.0, maxiter=500)
    assert not failed
    assert error(found, np.linalg.solve(matrix, b)) <= 1e-9


@pytest.mark.parametrize(("name", "dtype"), [("cg", "float64"), ("cg", "complex128"), ("minres", "float64")])
def test_hermitian_systems(name, dtype):
    """`minres` is for real systems, says scipy."""
    operator, matrix = hermitian(dtype)
    b = array(SIZE, dtype, 1)
    found, failed = getattr(spla, name)(operator, b, rtol=1e-13, maxiter=500)
    assert not failed
    assert error(found, np.linalg.solve(matrix, b)) <= 1e-8


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("solver", [spla.lsqr, spla.lsmr])
def test_least_squares(solver, mode, dtype):
    """Tall, wide and square; damped, so that every one of them has one answer."""
    operator, matrix = blur(dtype, mode=mode)
    b = array(operator.shape[0], dtype, 1)
    found = solver(operator, b, damp=0.5, atol=1e-14, btol=1e-14)[0]
    want = np.linalg.solve(matrix.conj().T @ matrix + 0.25 * np.eye(SIZE), matrix.conj().T @ b)
    assert error(found, want) <= 1e-9


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("solver", ["arpack", "lobpcg", "propack"])
def test_singular_values(solver, dtype):
    operator, matrix = blur(dtype, mode="valid")
    start = array(min(operator.shape), dtype, 1)
    seed = {"rng" if scipy_at_least(1, 15) else "random_state": np.random.default_rng(0)}
    u, s, vh = spla.svds(operator, 3, solver=solver, v0=start, maxiter=500, **seed)
    assert error(np.sort(s)[::-1], scipy.linalg.svdvals(matrix)[:3]) <= 1e-6
    assert error(matrix @ vh.conj().T, u * s) <= 1e-4


@pytest.mark.parametrize("dtype", TYPES)
def test_eigenvalues(dtype):
    operator, matrix = blur(dtype, boundary="periodic")
    normal, gram = hermitian(dtype)
    start = array(SIZE, dtype, 1)
    largest = spla.eigsh(normal, 3, v0=start, return_eigenvectors=False)
    assert error(np.sort(largest), np.linalg.eigvalsh(gram)[-3:]) <= 1e-10
    smallest = spla.eigsh(normal, 2, which="SA", v0=start, return_eigenvectors=False)
    assert error(np.sort(smallest), np.linalg.eigvalsh(gram)[:2]) <= 1e-8
    values, vectors = spla.eigs(operator, 3, v0=start)
    assert error(matrix @ vectors, vectors * values) <= 1e-9


@pytest.mark.parametrize("dtype", TYPES)
def test_lobpcg(dtype):
    """It calls its operator with columns, and so its preconditioner."""
    normal, gram = hermitian(dtype)
    values, vectors = spla.lobpcg(normal, array((SIZE, 3), dtype, 1), largest=True, tol=1e-9, maxiter=200)
    assert error(np.sort(values), np.linalg.eigvalsh(gram)[-3:]) <= 1e-8
    assert error(gram @ vectors, vectors * values) <= 1e-4
    inverse = convop.as_operator(np.linalg.inv(gram), SHAPE, SHAPE)
    start = array((SIZE, 3), dtype, 1)
    smallest = spla.lobpcg(normal, start, M=inverse, largest=False, tol=1e-9, maxiter=200)[0]
    assert error(np.sort(smallest), np.linalg.eigvalsh(gram)[:3]) <= 1e-8


def test_a_call_with_columns_is_a_product():
    operator, matrix = blur("complex128", boundary="mirror")
    columns = array((SIZE, 5), "complex128")
    assert error(operator(columns), matrix @ columns) <= 1e-13
    along = convop.Convolution(array(3), SIZE)  # an array of its own shape is one, also where columns would fit
    square = array((SIZE, SIZE))
    assert error(along(square), square @ along.toarray().T) <= 1e-13
    with pytest.raises(convop.ShapeError):
        operator(array((SIZE + 1, 5)))


@pytest.mark.parametrize("dtype", TYPES)
def test_functions_of_the_matrix(dtype):
    operator, matrix = blur(dtype, boundary="antireflective")
    operator, matrix = operator / 10, matrix / 10
    x, X = array(SIZE, dtype, 1), array((SIZE, 3), dtype, 2)
    trace = np.trace(matrix)
    assert error(spla.expm_multiply(operator, x, traceA=trace), scipy.linalg.expm(matrix) @ x) <= 1e-10
    assert error(spla.expm_multiply(operator, X, traceA=trace), scipy.linalg.expm(matrix) @ X) <= 1e-10
    steps = spla.expm_multiply(operator, x, start=0, stop=1, num=3, traceA=trace)
    assert error(steps[1], scipy.linalg.expm(matrix / 2) @ x) <= 1e-10
    assert error(spla.onenormest(operator, t=SIZE), np.linalg.norm(matrix, 1)) <= 1e-12
    if scipy_at_least(1, 15):
        sine = spla.funm_multiply_krylov(scipy.linalg.sinm, operator, x)
        assert error(sine, scipy.linalg.sinm(matrix) @ x) <= 1e-8


@pytest.mark.parametrize("dtype", TYPES)
def test_preconditioned(dtype):
    """A convop preconditioner is scipy's `M`."""
    operator, matrix = blur(dtype, boundary="symmetric")
    normal = operator.H @ operator + 0.01 * convop.Identity(SHAPE)
    b = array(SIZE, dtype, 1)
    steps = []
    M = convop.preconditioner(operator, 0.01)
    found, failed = spla.cg(normal, b, rtol=1e-12, M=M, callback=steps.append)
    assert not failed
    want = np.linalg.solve(matrix.conj().T @ matrix + 0.01 * np.eye(SIZE), b)
    assert error(found, want) <= 1e-9
    plain = []
    spla.cg(normal, b, rtol=1e-12, callback=plain.append)
    assert len(steps) <= len(plain)


def test_none_is_forgotten():
    """A solver that scipy brings anew is to be tried here as well."""
    tried = {*SQUARE, "cg", "minres", "lsqr", "lsmr", "svds", "eigs", "eigsh", "lobpcg", "expm_multiply", "onenormest"}
    tried |= {"funm_multiply_krylov"}
    public = {name for name in spla.__all__ if name[0].islower() and callable(getattr(spla, name, None))}
    of_matrices = {
        "aslinearoperator", "expm", "factorized", "inv", "is_sptriangular", "matrix_power", "norm", "spbandwidth",
        "spilu", "splu", "spsolve", "spsolve_triangular", "use_solver",
    }  # fmt: skip
    assert public - tried - of_matrices == set()
