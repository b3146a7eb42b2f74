"""Normal equations stated in frequency: right-hand sides and residuals against dense matrices, small and large."""

import numpy as np
import oracle
import pytest
from solving_cases import Draws

import convop
from convop.apply import plan
from convop.solving import frame, in_frequency
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
    equations = frame.METHOD.prepare(problem).at(alpha).equations_for(problem, b, alpha)
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

    def planned(geometry, weight):
        raise AssertionError("planned")

    monkeypatch.setattr(plan, "cheapest", planned)
    A = convop.Convolution(blur((4, 5)), (21, 17), mode="valid")
    assert convop.solve(A, draw(A.out_shape), alpha=0.1).status == "converged"
    with pytest.raises(AssertionError, match="planned"):
        A(draw(A.in_shape))
