"""The arguments of `solve`: what is refused and with which words, batches, starts, callbacks."""

import numpy as np
import pytest

import convop

rng = np.random.default_rng(0)
A = convop.Convolution(rng.standard_normal((3, 4)), (9, 8), mode="valid")
C = convop.Convolution(rng.standard_normal((3, 4)) + 1j * rng.standard_normal((3, 4)), (9, 8), mode="valid")
b = rng.standard_normal(A.out_shape)


def dense(operator, data, alpha):
    matrix = operator.toarray()
    normal = matrix.conj().T @ matrix + alpha * np.eye(matrix.shape[1])
    return np.linalg.solve(normal, matrix.conj().T @ data.ravel()).reshape(operator.in_shape)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"alpha": -1}, convop.GeometryError, "0 or more"),
        ({"alpha": "gvc"}, convop.GeometryError, "'gcv'"),
        ({"alpha": 1j}, convop.GeometryError, "no weight"),
        ({"alpha": np.nan}, convop.GeometryError, "no weight"),
        ({"alpha": 1, "prior": "tvv"}, convop.GeometryError, "'tv'"),
        ({"alpha": 1, "method": "lsqr"}, convop.GeometryError, "'auto'"),
        ({"alpha": 1, "method": "diagonal"}, convop.GeometryError, "those that can: frame"),
        ({"alpha": 1, "regularizer": "grad"}, convop.GeometryError, "'gradient'"),
        ({"alpha": 1, "regularizer": convop.gradient((8, 9))}, convop.ShapeError, "in_shape"),
        ({"alpha": 1, "tol": 0}, convop.GeometryError, "between 0 and 1"),
        ({"alpha": 1, "maxiter": 0}, convop.GeometryError, "maxiter"),
        ({"alpha": 1, "noise": -0.1}, convop.GeometryError, "standard deviation"),
        ({"alpha": 1, "x0": np.zeros(9)}, convop.ShapeError, "x0"),
        ({"alpha": 1, "x0": np.zeros((9, 8), complex)}, convop.DTypeError, "x0.real"),
    ],
)
def test_what_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        convop.solve(A, b, **arguments)


def test_data_that_do_not_fit():
    with pytest.raises(convop.ShapeError, match="needed"):
        convop.solve(A, b.T, alpha=1)
    broken = b.copy()
    broken[1, 2] = np.nan
    with pytest.raises(convop.GeometryError, match="1 samples that are NaN"):
        convop.solve(A, broken, alpha=1)


@pytest.mark.parametrize("operator", [C, A])
def test_batches_flat_data_and_starts(operator):
    data = rng.standard_normal((2, 3, *operator.out_shape)) + (1j if operator is C else 0)
    want = np.array([[dense(operator, item, 0.1) for item in row] for row in data])
    for start in (None, np.ones(operator.in_shape), np.ones((2, 3, *operator.in_shape))):
        solution = convop.solve(operator, data, alpha=0.1, tol=1e-12, x0=start)
        assert solution.status == "converged"
        assert solution.x.shape == (2, 3, *operator.in_shape)
        assert np.allclose(solution.x, want, rtol=0, atol=1e-9)
    flat = convop.solve(operator, data[1, 2].ravel(), alpha=0.1, tol=1e-12)
    assert np.allclose(flat.x, want[1, 2], rtol=0, atol=1e-9)


def test_real_operator_and_complex_data():
    data = b + 2j * b[::-1]
    solution = convop.solve(A, data, alpha=0.1, tol=1e-12)
    assert np.allclose(solution.x, dense(A, data, 0.1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.1, "gcv"])
def test_an_empty_batch_gives_an_empty_batch(alpha):
    solution = convop.solve(A, np.zeros((0, 3, *A.out_shape)), alpha=alpha)
    assert solution.unwrap().shape == (0, 3, 9, 8)


def test_float32_stays_float32():
    narrow = convop.Convolution(A.kernel.astype(np.float32), A.in_shape, mode="valid")
    solution = convop.solve(narrow, b.astype(np.float32), alpha=0.1, tol=3e-7)
    assert solution.x.dtype == np.float32
    assert np.allclose(solution.x, dense(narrow, b, 0.1), atol=1e-4)


def test_an_offset_is_taken_off():
    affine = convop.Affine(A, 3.0 * np.ones(A.out_shape))
    assert np.allclose(convop.solve(affine, b + 3, alpha=0.1).x, convop.solve(A, b, alpha=0.1).x)


def test_the_callback_sees_every_step_and_the_bound_holds():
    seen = []
    solution = convop.solve(A, b, alpha=1e-3, tol=1e-10, callback=seen.append)
    assert len(seen) >= solution.iterations > 0
    assert seen[-1].x.shape == A.in_shape
    assert seen[-1].residual_norm < seen[0].residual_norm
    want = dense(A, b, 1e-3)
    assert np.linalg.norm(solution.x - want) <= solution.error_bound * np.linalg.norm(want) * 1.01 + 1e-12


def test_running_out_of_steps_is_said():
    same = convop.Convolution(A.kernel, (40, 30))
    solution = convop.solve(same, rng.standard_normal((40, 30)), alpha=1e-8, tol=1e-12, maxiter=1, method="krylov")
    assert solution.status != "converged"
    with pytest.raises(convop.NotConverged, match="maxiter"):
        solution.unwrap()
