"""Normal equations stated in frequency: right-hand sides and residuals against dense matrices, small and large."""

import numpy as np
import oracle
import pytest
from solving_cases import Draws

import convop
from convop.apply import plan
from convop.solving import frame, in_frequency
from convop.solving.normal import Data
from convop.solving.problem import Problem

DRAWS = Draws(np.random.default_rng(8))
draw, blur = DRAWS.array, DRAWS.blur


def valid(taps, shape, dtype="float64"):
    h = blur(taps, dtype)
    return convop.Convolution(h, shape, mode="valid"), oracle.convolution_matrix(h, shape, "valid")


def periodic(taps, shape, dtype="float64"):
    h = blur(taps, dtype)
    return convop.Convolution(h, shape, boundary="periodic"), oracle.convolution_matrix(h, shape, "same", "periodic")


def difference(center):
    """Of 13 samples; the one across the edge is zero, before the others or after them."""
    h = np.array([1.0, -1.0])
    A = convop.Convolution(h, 13, boundary="symmetric", center=center)
    return A, oracle.convolution_matrix(h, (13,), "same", "symmetric", center)


def stack(*pairs):
    operators, matrices = zip(*pairs, strict=True)
    return convop.vstack(list(operators)), np.concatenate(matrices)


CASES = {
    "line": lambda: (valid((5,), (20,)), None),
    "plane": lambda: (valid((4, 5), (21, 17)), None),
    "volume": lambda: (valid((3, 2, 4), (8, 9, 7)), None),
    "complex": lambda: (valid((4, 5), (21, 17), "complex128"), None),
    "frames of several sizes": lambda: (stack(valid((4, 5), (15, 14)), valid((1, 6), (15, 14))), None),
    "frames of one size": lambda: (stack(*(valid((4, 3), (15, 14), "complex128") for _ in range(2))), None),
    "penalties": lambda: (valid((4, 5), (15, 14)), stack(valid((1, 1), (15, 14)), valid((3, 2), (15, 14)))),
    "frames and penalties": lambda: (
        stack(valid((4, 5), (15, 14)), valid((2, 2), (15, 14))),
        stack(valid((1, 1), (15, 14)), valid((2, 1), (15, 14))),
    ),
    "frame of a period": lambda: (stack(valid((4, 5), (15, 14)), periodic((3, 4), (15, 14))), None),
    "a row of zeros before": lambda: (difference(0), None),
    "a row of zeros after": lambda: (difference(1), stack(valid((1,), (13,)), valid((4,), (13,)))),
    "rows of zeros in a stack": lambda: (stack(valid((4,), (13,)), difference(1), difference(0)), None),
}  # fmt: skip


@pytest.fixture(params=["in frequency", "by operators"])
def stated(request, monkeypatch):
    if request.param == "by operators":
        monkeypatch.setattr(in_frequency, "SMALL", 0)
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_residuals_of_any_array(name, stated):
    (A, matrix), L = CASES[name]()
    alpha, penalty = 0.3, np.eye(matrix.shape[1]) if L is None else L[1].conj().T @ L[1]
    problem = Problem(A, None if L is None else L[0])
    b = draw((3, *A.out_shape), A.dtype)
    equations = frame.METHOD.prepare(problem).at(alpha).equations_for(Data(problem, b), alpha)
    assert isinstance(equations, in_frequency.InFrequency) == (stated == "in frequency")
    f = b.reshape(3, -1) @ matrix.conj()
    assert np.allclose(equations.norms(equations.right), np.linalg.norm(f, axis=1), rtol=1e-12)
    for x in (draw((3, *A.in_shape), A.dtype), np.zeros((3, *A.in_shape), A.dtype)):
        left = f - x.reshape(3, -1) @ (matrix.conj().T @ matrix + alpha * penalty).T
        assert np.allclose(equations.norms(equations.residual(x)), np.linalg.norm(left, axis=1), rtol=1e-12)


@pytest.mark.parametrize("tol", [1e-6, 1e-12])
@pytest.mark.parametrize("name", CASES)
def test_is_the_dense_solution(name, tol, stated):
    (A, matrix), L = CASES[name]()
    penalty = np.eye(matrix.shape[1]) if L is None else L[1].conj().T @ L[1]
    b = draw((2, *A.out_shape), A.dtype)
    found = convop.solve(A, b, alpha=0.3, regularizer=None if L is None else L[0], tol=tol, method="frame")
    want = np.linalg.solve(matrix.conj().T @ matrix + 0.3 * penalty, matrix.conj().T @ b.reshape(2, -1).T).T
    assert (found.status, found.x.shape) == ("converged", (2, *A.in_shape))
    assert np.linalg.norm(found.x.reshape(2, -1) - want) <= 1e3 * tol * np.linalg.norm(want)


def test_a_penalty_finer_than_the_rest(stated):
    """The residual is that of the penalty as it was given."""
    h, g = blur((4, 3), "float32"), blur((2, 3))
    A, L = (
        convop.Convolution(h, (12, 11), mode="valid"),
        convop.vstack([convop.Convolution(each, (12, 11), mode="valid") for each in (g, [[0.7]])]),
    )
    matrix = oracle.convolution_matrix(h, (12, 11), "valid").astype(float)
    penalty = np.concatenate([oracle.convolution_matrix(g, (12, 11), "valid"), 0.7 * np.eye(132)])
    b = draw(A.out_shape, "float32")
    found = convop.solve(A, b, alpha=0.3, regularizer=L, tol=1e-10)
    want = np.linalg.solve(matrix.T @ matrix + 0.3 * penalty.T @ penalty, matrix.T @ b.ravel())
    assert (found.status, found.x.dtype) == ("converged", np.float64)
    assert np.linalg.norm(found.x.ravel() - want) <= 1e-8 * np.linalg.norm(want)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision(stated, dtype):
    h = blur((4, 5), dtype)
    A, matrix = convop.Convolution(h, (21, 17), mode="valid"), oracle.convolution_matrix(h, (21, 17), "valid")
    b = draw((2, *A.out_shape), dtype)
    found = convop.solve(A, b, alpha=0.1, tol=1e-5)
    want = np.linalg.solve(matrix.conj().T @ matrix + 0.1 * np.eye(357), matrix.conj().T @ b.reshape(2, -1).T).T
    assert (found.status, found.x.dtype) == ("converged", np.dtype(dtype))
    assert np.linalg.norm(found.x.reshape(2, -1) - want) <= 1e-4 * np.linalg.norm(want)


def test_a_channel_two_batch_axes_and_complex_data(stated):
    """A real layer of one channel on complex data; a start, and iterates in the shape of the solution."""
    weight, seen = draw((1, 1, 4, 3)), []
    A, matrix = convop.conv_layer(weight, (1, 15, 14)), oracle.layer_matrix(weight, (1, 15, 14))
    b = draw((2, 3, *A.out_shape), "complex128")
    b[1, 2] = 0
    want = np.linalg.solve(matrix.T @ matrix + 0.1 * np.eye(210), matrix.T @ b.reshape(6, -1).T).T.reshape(
        2, 3, 1, 15, 14
    )
    start = want * (1 + 1e-3 * draw(want.shape))
    found = convop.solve(A, b, alpha=0.1, tol=1e-11, x0=start, callback=seen.append)
    assert (found.status, found.x.shape) == ("converged", want.shape)
    assert np.linalg.norm(found.x - want) <= 1e-8 * np.linalg.norm(want)
    assert not found.x[1, 2].any()
    assert [progress.iteration for progress in seen] == list(range(1, found.iterations + 1))
    assert all(progress.x.shape == want.shape for progress in seen)
    assert np.linalg.norm(seen[-1].x - want) <= 1e-8 * np.linalg.norm(want)


@pytest.mark.parametrize("samples", [10239, 10240, 10241, 10242])
def test_around_the_size_where_the_way_changes(samples):
    """Nobody sees it: five taps, and up to 2048 samples for each."""
    h = blur((5,))
    A = convop.Convolution(h, samples, mode="valid")
    b = draw(A.out_shape)
    found = convop.solve(A, b, alpha=0.1, tol=1e-11)
    left = np.convolve(b, h[::-1]) - np.convolve(np.convolve(found.x, h, "valid"), h[::-1]) - 0.1 * found.x
    assert np.linalg.norm(left) <= 1e-11 * np.linalg.norm(np.convolve(b, h[::-1]))


def test_data_finer_than_the_kernel(stated):
    """The kernel is taken as it is, and nothing else is rounded."""
    h = blur((4, 3), "float32")
    A, matrix = convop.Convolution(h, (12, 11), mode="valid"), oracle.convolution_matrix(h, (12, 11), "valid")
    b = draw(A.out_shape)
    found = convop.solve(A, b, alpha=0.1, tol=1e-12)
    want = np.linalg.solve(matrix.T @ matrix + 0.1 * np.eye(132), matrix.T @ b.ravel())
    assert (found.status, found.x.dtype) == ("converged", np.float64)
    assert np.linalg.norm(found.x.ravel() - want) <= 1e-10 * np.linalg.norm(want)


def test_small_problems_need_no_plan(monkeypatch):
    """Nor does making an operator; applying it does."""

    def planned(method, geometry, weight):
        raise AssertionError("planned")

    monkeypatch.setattr(plan, "choose", planned)
    A = convop.Convolution(blur((4, 5)), (21, 17), mode="valid")
    assert convop.solve(A, draw(A.out_shape), alpha=0.1).status == "converged"
    with pytest.raises(AssertionError, match="planned"):
        A(draw(A.in_shape))
