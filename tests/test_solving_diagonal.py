"""The diagonal method against dense normal equations: whatever a unitary transform makes blocks, in one step."""

import numpy as np
import oracle
import pytest
from cases import array
from spectrum_cases import CLOSED, WITHOUT, even

import convop

PERIODIC, SYMMETRIC = {"boundary": "periodic"}, {"boundary": "symmetric"}
SOLVABLE = [name for name in CLOSED if not CLOSED[name][0].vanishes]


def tight(dtype):
    return 20 * float(np.finfo(dtype).eps)


def check(A, matrix, b, alpha, L=None, penalty=None):
    """The solution is that of the dense normal equations, found without iteration, and stays in its precision."""
    penalty = np.eye(matrix.shape[1]) if penalty is None else penalty
    gram = matrix.conj().T @ matrix + alpha * penalty.conj().T @ penalty
    flat = b.reshape(-1, matrix.shape[0])
    want = np.linalg.solve(gram, matrix.conj().T @ flat.T).T
    dtype = np.result_type(A.dtype, b.dtype)
    found = convop.solve(A, b, alpha=alpha, regularizer=L, tol=tight(dtype))
    assert found.method == "diagonal"
    assert found.x.shape == (*b.shape[: b.ndim - len(A.out_shape)], *A.in_shape)
    assert found.x.dtype == dtype
    rounding = 1e-9 if np.finfo(dtype).eps < 1e-10 else 1e-3
    assert oracle.error(found.x.reshape(want.shape), want) < rounding
    assert found.status == "converged" or rounding > 1e-9
    return found


@pytest.mark.parametrize("name", SOLVABLE)
def test_closed_forms(name):
    A, matrix = CLOSED[name]
    scale = np.linalg.norm(matrix, 2) ** 2
    for alpha in (1e-1, 1e-3):
        check(A, matrix, array((2, 3, *A.out_shape), A.dtype, 5), alpha * scale)


@pytest.mark.parametrize("name", SOLVABLE)
def test_least_norm(name):
    """Least squares of least norm, also where the operator has directions that it maps to zero, or to next to it."""
    A, matrix = CLOSED[name]
    b = array((2, *A.out_shape), A.dtype, 5)
    eps = float(np.finfo(A.dtype).eps)
    inverse = np.linalg.pinv(matrix, rcond=max(eps * matrix.shape[1], 1e-10) ** 0.5)
    condition = np.linalg.norm(matrix, 2) * np.linalg.norm(inverse, 2)
    assert condition**2 * eps < 1e-5
    found = convop.solve(A, b, alpha=0)
    assert found.method == "diagonal"
    assert oracle.error(found.x.reshape(2, -1).T, inverse @ b.reshape(2, -1).T) < 100 * condition**2 * eps


@pytest.mark.parametrize(
    ("taps", "shape", "options"),
    [((4, 3), (8, 9), {}), ((2, 1), (6, 5), {"stride": (2, 1)}), ((2, 3), (6, 9), {"stride": (1, 3)})],
)
def test_least_norm_with_directions_that_are_lost(taps, shape, options):
    """A box as wide as a part of the period has zeros in its spectrum; a stride leaves samples out."""
    kernel = np.ones(taps) * (1 + 2j)
    A = convop.Convolution(kernel, shape, **PERIODIC, **options)
    matrix = oracle.convolution_matrix(kernel, shape, **PERIODIC, **options)
    assert np.linalg.matrix_rank(matrix, tol=1e-8) < matrix.shape[1]
    b = array(A.out_shape, "complex128", 5)
    found = convop.solve(A, b, alpha=0)
    assert oracle.error(found.x.ravel(), np.linalg.pinv(matrix, rcond=1e-8) @ b.ravel()) < 1e-10


# Regularizers


def forward_differences(shape, pairs):
    rows = [
        oracle.convolution_matrix(np.reshape([1.0, -1.0], taps), shape, center=center, boundary=pairs)
        for taps, center in (((2, 1), (1, 0)), ((1, 2), (0, 1)))
    ]
    return np.concatenate(rows)


LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


@pytest.mark.parametrize("dtype", ["complex128", "float64", "float32"])
@pytest.mark.parametrize("boundary", ["periodic", "symmetric", ("symmetric", "periodic"), ("periodic", "symmetric")])
@pytest.mark.parametrize("regularizer", ["gradient", "laplacian"])
def test_named_regularizers(dtype, boundary, regularizer):
    names = (boundary,) * 2 if isinstance(boundary, str) else boundary
    kernel = even(array((3, 5), dtype, 8), *(axis for axis in (0, 1) if names[axis] == "symmetric"))
    A = convop.Convolution(kernel, (6, 7), boundary=boundary)
    matrix = oracle.convolution_matrix(kernel, (6, 7), boundary=boundary)
    penalty = forward_differences((6, 7), boundary)
    if regularizer == "laplacian":
        penalty = oracle.convolution_matrix(LAPLACIAN, (6, 7), boundary=boundary)
    check(A, matrix, array((2, 6, 7), dtype, 5), 0.3, regularizer, penalty)


def test_differences_after_a_strided_blur():
    kernel = array((3, 4), "complex128", 8)
    A = convop.Convolution(kernel, (6, 8), stride=(3, 2), **PERIODIC)
    matrix = oracle.convolution_matrix(kernel, (6, 8), stride=(3, 2), **PERIODIC)
    check(A, matrix, array((2, 4), "complex128", 5)[None], 0.1, "gradient", forward_differences((6, 8), "periodic"))


def test_penalties_that_are_operators():
    """Of channels that mix, of a complex kernel, of another size than the operator's."""
    A, matrix = CLOSED["layer with groups and stride"]
    weight = array((3, 4, 2, 3), "complex128", 9)
    L = convop.conv_layer(weight, A.in_shape, padding=((1, 0), (1, 1)), **PERIODIC)
    penalty = oracle.layer_matrix(weight, A.in_shape, padding=((1, 0), (1, 1)), **PERIODIC)
    assert penalty.shape[0] < penalty.shape[1]
    check(A, matrix, array(A.out_shape, "complex128", 5)[None], 0.2, L, penalty)
    check(A, matrix, array(A.out_shape, "complex128", 5)[None], 0.2, 2j * L, 2j * penalty)
    check(A, matrix, array(A.out_shape, "float64", 5)[None].astype("complex128"), 0.2, convop.Identity(A.in_shape))


def test_a_penalty_in_another_basis_is_left_to_other_methods():
    A = CLOSED["real symmetric"][0]
    with pytest.raises(convop.GeometryError, match="'diagonal' cannot serve here"):
        convop.solve(
            A, array(A.out_shape), alpha=1.0, regularizer=convop.gradient(A.in_shape, "zero"), method="diagonal"
        )


@pytest.mark.parametrize("name", ["zero boundary", "symmetric, uneven kernel", "mirror", "masked"])
def test_operators_without_a_closed_form_are_refused(name):
    A = WITHOUT[name][0]
    with pytest.raises(convop.GeometryError, match="no unitary transform"):
        convop.solve(A, array(A.out_shape), alpha=1.0, method="diagonal")


# Data of other types


@pytest.mark.parametrize(
    ("name", "boundary"),
    [
        ("layer", None),
        ("real symmetric", None),
        ("real symmetric", "symmetric"),
        ("real periodic, strided on one axis", "periodic"),
    ],
)
def test_complex_data_of_a_real_operator(name, boundary):
    """Half of the spectrum does not say all of them."""
    A, matrix = CLOSED[name]
    L = None if boundary is None else convop.gradient(A.in_shape, boundary, "float64")
    penalty = None if boundary is None else forward_differences(A.in_shape, boundary)
    check(A, matrix, array(A.out_shape, "complex128", 5)[None], 0.2, L, penalty)


def test_real_and_integer_data_of_a_complex_operator():
    A, matrix = CLOSED["complex periodic"]
    b = np.arange(np.prod(A.out_shape)).reshape(A.out_shape) % 7
    found = convop.solve(A, b, alpha=0.5)
    gram = matrix.conj().T @ matrix + 0.5 * np.eye(matrix.shape[1])
    assert oracle.error(found.x.ravel(), np.linalg.solve(gram, matrix.conj().T @ b.ravel())) < 1e-10
    assert found.x.dtype == "complex128"


def test_what_is_told():
    A, matrix = CLOSED["real symmetric"]
    b = array(A.out_shape)
    found = convop.solve(A, b, alpha=0.1, tol=1e-12)
    assert found.iterations == 0
    assert found.alpha == 0.1
    assert "small system for each frequency" in found.reason
    exact = np.linalg.solve(matrix.T @ matrix + 0.1 * np.eye(len(matrix)), matrix.T @ b.ravel())
    error = np.linalg.norm(found.x.ravel() - exact) / np.linalg.norm(exact)
    assert error <= found.error_bound + 1e-15
    assert found.error_bound < 1e-10
    assert np.isnan(convop.solve(A, b, alpha=0).error_bound)
    flat = convop.solve(A, b.ravel(), alpha=0.1)
    assert np.allclose(flat.x, found.x)
