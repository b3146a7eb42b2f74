"""scipy's solvers on convop's operators, PyLops operators inside convop's algebra, and convop inside PyLops."""

import numpy as np
import pylops
import pytest
import scipy.linalg
import scipy.sparse.linalg as spla
from cases import array
from oracle import error

import convop

TYPES = ("float32", "float64", "complex64", "complex128")


def blur(dtype, boundary="periodic", shape=(6, 7)):
    """A well-conditioned convolution, not symmetric."""
    kernel = 0.1 * array((3, 4), dtype)
    kernel[1, 1] += 2
    return convop.Convolution(kernel, shape, boundary=boundary)


def loose(dtype):
    return 1e-3 if np.finfo(dtype).eps > 1e-8 else 1e-7


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # inside lsmr, in single precision
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("boundary", ["zero", "mirror"])
def test_least_squares(dtype, boundary):
    operator, x = blur(dtype, boundary), array((6, 7), dtype, 1)
    b = operator @ x.ravel()
    for solve in (spla.lsqr, spla.lsmr):
        tolerances = {"atol": 1e-12, "btol": 1e-12}
        assert error(solve(operator, b, **tolerances)[0], x.ravel()) <= loose(dtype)
    tall = convop.Convolution(operator.kernel, (6, 7), mode="full")
    b = tall @ x.ravel()
    assert error(spla.lsqr(tall, b, atol=1e-12, btol=1e-12)[0], x.ravel()) <= loose(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_conjugate_gradients(dtype):
    operator, x = blur(dtype, "symmetric"), array((6, 7), dtype, 1)
    shift = np.finfo(dtype).dtype.type(0.01)
    normal = operator.H @ operator + float(shift) * convop.Identity((6, 7))
    assert normal.dtype == dtype
    b = normal @ x.ravel()
    found, failed = spla.cg(normal, b, rtol=1e-6 if loose(dtype) > 1e-5 else 1e-12, maxiter=500)
    assert not failed
    assert error(found, x.ravel()) <= loose(dtype)


@pytest.mark.parametrize("solve", [spla.gmres, spla.bicgstab, spla.bicg, spla.qmr], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_unsymmetric_solvers(solve, dtype):
    """`bicg` and `qmr` also ask for the adjoint."""
    operator, x = blur(dtype, "replicate"), array((6, 7), dtype, 1)
    found, failed = solve(operator, operator @ x.ravel(), rtol=1e-10, maxiter=500)
    assert not failed
    assert error(found, x.ravel()) <= 1e-7


def test_minres():
    operator = convop.Convolution([[0, 1, 0], [1, 5, 1], [0, 1, 0]], (6, 7))
    x = array(42)
    found, failed = spla.minres(operator, operator @ x, rtol=1e-12)
    assert not failed
    assert error(found, x) <= 1e-7


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("boundary", ["zero", "mirror", "antireflective"])
def test_singular_values(dtype, boundary):
    operator = convop.Convolution(array((3, 4), dtype), (6, 7), boundary=boundary)
    want = scipy.linalg.svdvals(operator.toarray())
    start = array(42, dtype)
    got = spla.svds(operator, 4, v0=start, return_singular_vectors=False)
    assert error(np.sort(got)[::-1], want[:4]) <= 1e-10
    u, s, vh = spla.svds(operator, 3, v0=start)
    assert error(operator @ vh.conj().T, u * s) <= 1e-9


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_eigenvalues(dtype):
    operator = blur(dtype, "symmetric")
    dense = operator.toarray()
    start = array(42, dtype)
    got = spla.eigsh(operator.H @ operator, 4, v0=start, return_eigenvectors=False)
    assert error(np.sort(got), np.linalg.eigvalsh(dense.conj().T @ dense)[-4:]) <= 1e-10
    largest = spla.eigs(operator, 1, v0=start, return_eigenvectors=False)
    assert error(np.abs(largest), np.abs(np.linalg.eigvals(dense)).max(keepdims=True)) <= 1e-9


def test_expm_multiply_and_norm_estimates():
    operator = blur("float64", "mirror") / 10
    x = array(42)
    got = spla.expm_multiply(operator, x, traceA=float(np.trace(operator.toarray())))
    assert error(got, scipy.linalg.expm(operator.toarray()) @ x) <= 1e-10
    assert error(spla.onenormest(operator, t=42), np.linalg.norm(operator.toarray(), 1)) <= 1e-12


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_scipy_combines_operators_itself(dtype):
    """A scipy operator on the left keeps its own type and the numbers are right."""
    operator = blur(dtype, "mirror")
    dense = operator.toarray()
    table = array((42, 42), dtype, 2)
    foreign = spla.aslinearoperator(table)
    x = array(42, dtype, 3)
    assert error((foreign @ operator).matvec(x), table @ dense @ x) <= 1e-13
    assert error((foreign + operator).matvec(x), (table + dense) @ x) <= 1e-13
    assert error((foreign @ operator).rmatvec(x), dense.conj().T @ (table.conj().T @ x)) <= 1e-13
    assert spla.aslinearoperator(operator) is operator


def test_is_a_scipy_operator():
    operator = blur("complex128")
    assert isinstance(operator, spla.LinearOperator)
    assert operator.shape == (42, 42)
    assert operator.dtype == np.complex128
    dense = operator.toarray()
    x = array(42, "complex128", 1)
    assert error(operator.dot(x), dense @ x) <= 1e-14
    assert error(operator.adjoint().matvec(x), dense.conj().T @ x) <= 1e-14
    assert error(operator.transpose().matvec(x), dense.T @ x) <= 1e-14


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_pylops_operators_wrapped(dtype):
    shape = (6, 7)
    operator = blur(dtype, "mirror", shape)
    dense = operator.toarray()
    for foreign in (
        pylops.FirstDerivative(shape, axis=1, dtype=dtype),
        pylops.Laplacian(shape, dtype=dtype),
        pylops.Diagonal(array(42, dtype), dtype=dtype),
        pylops.Restriction(42, np.array([3, 1, 40]), dtype=dtype),
        2 * pylops.Identity(42, dtype=dtype),
        pylops.FirstDerivative(shape, axis=0, dtype=dtype).H,
    ):
        table = foreign.todense()
        wrapped = convop.as_operator(foreign)
        assert wrapped.shape == foreign.shape
        assert error(wrapped.toarray(), table) <= 1e-13
        assert error(wrapped.H.toarray(), table.conj().T) <= 1e-13
        product = wrapped @ operator
        assert isinstance(product, convop.Operator)
        assert error(product.toarray(), table @ dense) <= 1e-13
        back = operator @ foreign.H @ foreign
        assert error(back.toarray(), dense @ table.conj().T @ table) <= 1e-13


def test_convop_inside_pylops():
    """PyLops takes a convop operator where it takes a scipy one."""
    operator = blur("complex128", "symmetric")
    inside = pylops.LinearOperator(operator)
    x = array(42, "complex128", 1)
    assert error(inside.matvec(x), operator.matvec(x)) <= 1e-14
    assert error(inside.rmatvec(x), operator.rmatvec(x)) <= 1e-14
    assert pylops.utils.dottest(inside, 42, 42, complexflag=3, raiseerror=True)
    stacked = pylops.VStack([inside, pylops.Identity(42, dtype="complex128")])
    assert error(stacked.matvec(x), np.concatenate([operator @ x, x])) <= 1e-14


def test_a_masked_blur_is_inverted():
    """A chain of everything: scipy solves for what a mask, a blur and a boundary left."""
    shape = (8, 9)
    mask = np.random.default_rng(0).random(shape) < 0.8
    chain = (
        convop.Select(shape, mask)
        @ blur("complex128", "antireflective", shape)
        @ convop.Diagonal(1 + 0.5 * np.random.default_rng(1).random(shape))
    )
    dense = chain.toarray()
    b = array(mask.sum(), "complex128", 2)
    got = spla.lsqr(chain, b, damp=0.1, atol=1e-13, btol=1e-13)[0]
    want = np.linalg.solve(dense.conj().T @ dense + 0.01 * np.eye(72), dense.conj().T @ b)
    assert error(got, want) <= 1e-8


def test_batches_through_a_scipy_operator_inside():
    table = array((42, 42), "complex128", 3)
    chain = blur("complex128") @ spla.aslinearoperator(table)
    x = array((2, 3, 42), "complex128", 4)
    want = np.einsum("ij,abj->abi", chain.toarray(), x)
    assert error(chain(x).reshape(2, 3, 42), want) <= 1e-13
