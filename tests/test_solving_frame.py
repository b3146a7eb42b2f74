"""Unknown boundary and "full", solved nearly directly: against dense normal equations, and in how many steps."""

import itertools
from functools import reduce

import numpy as np
import oracle
import pytest
from solving_cases import Draws

import convop
from convop.solving import cross, frame, pinned
from convop.solving.normal import ByOperators, refined
from convop.solving.problem import Problem

DRAWS = Draws(np.random.default_rng(0))
draw, blur = DRAWS.array, DRAWS.blur


def dense_solution(A, L, alpha, b):
    """The minimiser for dense matrices `A` and `L` (None: the identity) and rows of data `b`."""
    penalty = np.eye(A.shape[1]) if L is None else L.conj().T @ L
    return np.linalg.solve(A.conj().T @ A + alpha * penalty, A.conj().T @ b.T).T


def assert_solves(A, matrix, alpha, L=None, penalty=None, method="frame"):
    """`solve` gives what the dense matrices of operator and regulariser give."""
    b = draw((2, *A.out_shape), A.dtype)
    want = dense_solution(matrix, penalty, alpha, b.reshape(2, -1))
    got = convop.solve(A, b, alpha=alpha, regularizer=L, tol=1e-12, method=method)
    assert (got.method, got.status) == (method, "converged")
    errors = np.linalg.norm(got.x.reshape(2, -1) - want, axis=1) / np.linalg.norm(want, axis=1)
    # A residual of 1e-12 of the right-hand side may carry the solution this far, and no farther.
    f = matrix.conj().T @ b.reshape(2, -1).T
    reach = 1e-12 * np.linalg.norm(f, axis=0) / (alpha * np.linalg.norm(want, axis=1))
    assert (errors <= (1e-8 if alpha >= 1e-3 else np.maximum(1e-8, reach))).all()


SHAPES = [((20,), (5,)), ((21, 17), (4, 5)), ((9, 10, 8), (3, 2, 4))]
DTYPES = ("complex128", "float64")


@pytest.mark.parametrize("alpha", [1e-1, 1e-3, 1e-5])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "taps"), SHAPES)
@pytest.mark.parametrize(("mode", "method"), [("valid", "frame"), ("full", "pinned")])
def test_is_the_dense_solution(mode, method, shape, taps, dtype, alpha):
    h = blur(taps, dtype)
    matrix = oracle.convolution_matrix(h, shape, mode)
    assert_solves(convop.Convolution(h, shape, mode=mode), matrix, alpha, method=method)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("mode", "method"), [("valid", "frame"), ("full", "pinned")])
def test_dilated(mode, method, dtype):
    h = blur((3, 2), dtype)
    A = convop.Convolution(h, (13, 12), mode=mode, dilation=(2, 3))
    assert_solves(A, oracle.convolution_matrix(h, (13, 12), mode, dilation=(2, 3)), 1e-3, method=method)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(20,), (14, 17), (7, 9, 6)])
def test_gradient_as_penalty(shape, dtype):
    h = blur((4, 3, 2)[: len(shape)], dtype)
    A = convop.Convolution(h, shape, mode="valid")
    matrix = oracle.convolution_matrix(h, shape, "valid")
    # Forward differences that leave out the one across the edge: row n - 1 of each axis is zero.
    differences = []
    for axis, n in enumerate(shape):
        line = np.eye(n, k=1) - np.eye(n)
        line[-1] = 0
        factors = [line if other == axis else np.eye(m) for other, m in enumerate(shape)]
        differences.append(reduce(np.kron, factors))
    assert_solves(A, matrix, 1e-2, L="gradient", penalty=np.concatenate(differences))


@pytest.mark.parametrize("dtype", DTYPES)
def test_convolution_as_penalty(dtype):
    h, g = blur((3, 4), dtype), blur((2, 3), dtype)
    # Two valid convolutions have common null vectors, one for each common zero of their symbols; the third has none.
    rows = [convop.Convolution(each, (12, 13), mode="valid") for each in (g, [[0.5]])]
    A, L = convop.Convolution(h, (12, 13), mode="valid"), convop.vstack(rows)
    penalty = np.concatenate([oracle.convolution_matrix(g, (12, 13), "valid"), 0.5 * np.eye(156)])
    assert_solves(A, oracle.convolution_matrix(h, (12, 13), "valid"), 1e-1, L=L, penalty=penalty)
    A, L = convop.Convolution(h, (9, 8), mode="full"), convop.Convolution(g, (9, 8), mode="full")
    penalty = oracle.convolution_matrix(g, (9, 8), "full")
    matrix = oracle.convolution_matrix(h, (9, 8), "full")
    assert_solves(A, matrix, 1e-1, L=L, penalty=penalty, method="pinned")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("taps", [[(3, 4)] * 3, [(3, 4), (2, 2), (5, 1)]])
def test_several_frames_of_one_scene(taps, dtype):
    kernels = [draw(each, dtype) for each in taps]
    A = convop.vstack([convop.Convolution(h, (12, 11), mode="valid") for h in kernels])
    matrix = np.concatenate([oracle.convolution_matrix(h, (12, 11), "valid") for h in kernels])
    assert_solves(A, matrix, 1e-2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_full_convolutions_of_one_scene(dtype):
    kernels = [draw((3, 4), dtype), draw((2, 2), dtype)]
    A = convop.vstack([convop.Convolution(h, (9, 8), mode="full") for h in kernels])
    matrix = np.concatenate([oracle.convolution_matrix(h, (9, 8), "full") for h in kernels])
    assert_solves(A, matrix, 1e-2, method="pinned")


@pytest.mark.parametrize("dtype", DTYPES)
def test_periodic_on_one_axis(dtype):
    weight = draw((1, 1, 4, 3), dtype)
    places = {"padding": ((2, 1), (0, 0)), "boundary": ("periodic", "zero")}
    A = convop.conv_layer(weight, (1, 12, 11), **places)
    assert_solves(A, oracle.layer_matrix(weight, (1, 12, 11), **places), 1e-2)
    places["padding"] = ((2, 1), (2, 2))
    A = convop.conv_layer(weight, (1, 12, 11), **places)
    assert_solves(A, oracle.layer_matrix(weight, (1, 12, 11), **places), 1e-2, method="pinned")


def test_batches_are_the_items_one_by_one():
    A = convop.Convolution(draw((4, 3)), (16, 15), mode="valid")
    b = draw((3, 2, *A.out_shape)) * np.logspace(-4, 3, 6).reshape(3, 2, 1, 1)
    b[1, 1] = 0
    whole = convop.solve(A, b, alpha=1e-3, tol=1e-10).x
    assert whole.shape == (3, 2, 16, 15)
    for place in itertools.product(range(3), range(2)):
        one = convop.solve(A, b[place], alpha=1e-3, tol=1e-10).x
        assert np.linalg.norm(whole[place] - one) <= 1e-7 * np.linalg.norm(one)


@pytest.mark.parametrize("mode", ["valid", "full"])
def test_a_good_start_saves_steps(mode):
    A = convop.Convolution(blur((9, 9)), (64, 61), mode=mode)
    b = draw(A.out_shape)
    cold = convop.solve(A, b, alpha=1e-3, tol=1e-8)
    warm = convop.solve(A, b, alpha=1e-3, tol=1e-8, x0=cold.x)
    near = convop.solve(A, b, alpha=1e-3, tol=1e-8, x0=cold.x * (1 + 1e-7 * draw(A.in_shape)))
    assert cold.status == warm.status == near.status == "converged"
    assert warm.iterations <= 2 < cold.iterations
    assert near.iterations < cold.iterations
    assert np.allclose(near.x, cold.x, atol=1e-5)


@pytest.mark.parametrize("alpha", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("mode", ["valid", "full"])
def test_single_precision_stays_single_and_says_how_far_it_came(mode, dtype, alpha):
    h = blur((5, 4), dtype) / 5
    A = convop.Convolution(h, (40, 37), mode=mode)
    b = draw(A.out_shape, dtype)
    s = convop.solve(A, b, alpha=alpha, tol=1e-6)
    assert s.x.dtype == dtype
    wide = A @ convop.Identity(A.in_shape, np.result_type(dtype, np.float64))
    x, f = s.x.astype(wide.dtype), wide.H(b)
    left = np.linalg.norm(f - wide.H(wide(x)) - alpha * x) / np.linalg.norm(f)
    assert left <= 3e-6
    assert s.status == ("converged" if s.residual_norms[-1] <= 1e-6 else "stalled")
    assert s.residual_norms[-1] == pytest.approx(left, abs=2e-6)


def test_the_bound_on_the_error_holds():
    h = blur((4, 5))
    A = convop.Convolution(h, (17, 16), mode="valid")
    b = draw(A.out_shape)
    want = dense_solution(oracle.convolution_matrix(h, (17, 16), "valid"), None, 1e-2, b.reshape(1, -1))
    for tol in (1e-2, 1e-4, 1e-8):
        s = convop.solve(A, b, alpha=1e-2, tol=tol)
        error = np.linalg.norm(s.x.ravel() - want) / np.linalg.norm(s.x)
        assert error <= s.error_bound * (1 + 1e-6) + 1e-12


def test_callback_sees_each_step():
    A = convop.Convolution(blur((7, 7)), (30, 31), mode="valid")
    b, seen = draw(A.out_shape), []
    s = convop.solve(A, b, alpha=1e-4, tol=1e-9, callback=lambda p: seen.append((p.iteration, p.residual_norm, p.x)))
    assert len(seen) >= s.iterations > 0
    f = A.H(b)
    assert [step for step, _, _ in seen[: s.iterations]] == list(range(1, s.iterations + 1))
    for _, size, x in seen[: s.iterations]:
        x = x.reshape(A.in_shape)
        left = np.linalg.norm(f - A.H(A(x)) - 1e-4 * x) / np.linalg.norm(f)
        assert left <= 3 * size + 1e-12  # in between the size shown is estimated, or bounded
    assert s.residual_norms[-1] == pytest.approx(left, rel=1e-3)
    assert left <= 1e-9


@pytest.mark.parametrize(
    ("A", "said"),
    [
        (convop.Convolution(np.ones((3, 3)), (9, 9)), "reads outside"),
        (convop.Convolution(np.ones((3, 3)), (9, 9), mode="valid", stride=2), "stride"),
        (convop.conv_layer(np.ones((2, 2, 3, 3)), (2, 9, 9)), "channels"),
        (convop.Diagonal(np.ones((9, 9))), "no Convolution"),
    ],
)
def test_says_what_keeps_it_from_serving(A, said):
    with pytest.raises(convop.GeometryError, match=said):
        convop.solve(A, np.ones(A.out_shape), alpha=1.0, method="frame")


# How many steps: regressions of what the strips and several sweeps are for.

KERNELS = {
    "gaussian 9": convop.psf.gaussian(9, 1.5),
    "gaussian 31": convop.psf.gaussian(31, 5),
    "disk 4": convop.psf.disk(4),
    "disk 15": convop.psf.disk(15),
    "motion 9": convop.psf.motion(9, 30),
    "motion 15": convop.psf.motion(15, 30),
    "motion 31": convop.psf.motion(31, 45),
    "random 9": np.random.default_rng(1).random((9, 9)) / 40,
    "random 31": np.random.default_rng(2).random((31, 31)) / 480,
}


@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("name", KERNELS)
def test_steps_for_an_unknown_boundary(name, alpha):
    h = KERNELS[name]
    A = convop.Convolution(h, tuple(128 + k - 1 for k in h.shape), mode="valid")
    rng = np.random.default_rng(3)
    b = A(rng.random(A.in_shape)) + 0.01 * rng.standard_normal(A.out_shape)
    for tol, most in ((1e-6, 15), (1e-9, 30)):
        s = convop.solve(A, b, alpha=alpha, tol=tol)
        assert (s.method, s.status) == ("frame", "converged")
        assert s.iterations <= most


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize(("mode", "module"), [("valid", frame), ("full", pinned)])
def test_one_factor_serves_any_right_hand_sides(mode, module, size):
    h = blur((3, 4))
    problem = Problem(convop.Convolution(h, (11, 12), mode=mode))
    dense = oracle.convolution_matrix(h, (11, 12), mode)
    factor = module.METHOD.prepare(problem).at(1e-2)
    f = draw((size, 11, 12))  # not only those in the range of A^H
    answer = refined(ByOperators(problem, factor, f, 1e-2), 1e-12, 200)
    want = np.linalg.solve(dense.T @ dense + 1e-2 * np.eye(132), f.reshape(size, -1).T).T
    assert np.linalg.norm(answer.x.reshape(size, -1) - want) <= 1e-8 * np.linalg.norm(want)


@pytest.mark.parametrize(("method", "mode"), [("frame", "valid"), ("pinned", "full"), ("same", "same")])
def test_a_single_tap_leaves_nothing_outside(method, mode):
    A = convop.Convolution([[0.5]], (5, 8), mode=mode)
    b = draw((5, 8))
    assert np.allclose(convop.solve(A, b, alpha=0.25, method=method).x, b)


def test_a_penalty_that_leaves_something_free():
    """The blocks of such a system are singular to rounding; it is solved all the same."""
    A = convop.Convolution(convop.psf.motion(21, 30), (120, 111), mode="valid")
    stencil = np.array([[0, 1.0, 0], [1, -4, 1], [0, 1, 0]])
    L = convop.Convolution(stencil, A.in_shape, mode="valid")
    b = A(np.random.default_rng(0).random(A.in_shape))
    solution = convop.solve(A, b, alpha=1e-4, regularizer=L, tol=1e-8, method="frame")
    residual = A.H(b - A(solution.x)) - 1e-4 * L.H(L(solution.x))
    assert solution.status == "converged"
    assert np.linalg.norm(residual) <= 1.01e-8 * np.linalg.norm(A.H(b))


@pytest.mark.parametrize(
    ("kernel", "penalty"), [([1.0, -1.0], "gradient"), ([1.0, 1.0], [1.0, 1.0]), ([1.0, 0.0, -1.0], [1.0, 0.0, -1.0])]
)
def test_what_neither_data_nor_penalty_sees(kernel, penalty):
    """Frequencies that are free leave many minimisers: the method steps aside, and one of them is found."""
    A = convop.Convolution(kernel, 24, mode="valid")
    L = penalty if isinstance(penalty, str) else convop.Convolution(penalty, 24, mode="valid")
    b = draw(A.out_shape)
    with pytest.raises(convop.GeometryError, match="leave a frequency free"):
        convop.solve(A, b, alpha=1e-2, regularizer=L, method="frame")
    s = convop.solve(A, b, alpha=1e-2, regularizer=L, tol=1e-10)
    penalise = convop.gradient(24, "symmetric") if isinstance(L, str) else L
    left = A.H(b) - A.H(A(s.x)) - 1e-2 * penalise.H(penalise(s.x))
    assert (s.method, s.status) == ("krylov", "converged")
    assert np.linalg.norm(left) <= 1e-9 * np.linalg.norm(A.H(b))


def test_conjugate_gradients_take_over_where_it_stalls():
    """Frames that are mostly cross: little of the scene is inside all of them, and nothing there is thin."""
    rng, steps = np.random.default_rng(10), []
    A = convop.vstack([convop.Convolution(rng.standard_normal((3, 3, 2)), (4, 6, 5), mode="valid") for _ in range(2)])
    b = rng.standard_normal((2, *A.out_shape))
    alone = convop.solve(A, b, alpha=1e-6, tol=1e-11, method="frame")
    assert alone.status == "stalled"
    s = convop.solve(A, b, alpha=1e-6, tol=1e-11, callback=lambda info: steps.append(info.iteration))
    assert (s.status, s.method) == ("converged", "frame")
    assert f"it stalled after {alone.iterations} steps, and conjugate gradients took over" in s.reason
    assert alone.iterations < s.iterations == len(s.residual_norms) - 1
    assert steps == sorted(steps)
    matrix = A.toarray()
    normal = matrix.T @ matrix + 1e-6 * np.eye(matrix.shape[1])
    f = matrix.T @ b.reshape(2, -1).T
    left = np.linalg.norm(normal @ s.x.reshape(2, -1).T - f, axis=0) / np.linalg.norm(f, axis=0)
    assert left.max() <= 1.1e-11
    few = convop.solve(A, b, alpha=1e-6, tol=1e-11, maxiter=alone.iterations)
    assert few.status != "converged"
    assert few.iterations <= alone.iterations


def test_kernels_longer_than_the_picture():
    """What systems across the strips need grows with their thickness, so long kernels need no other method."""
    rng = np.random.default_rng(5)
    A = convop.Convolution(rng.standard_normal((70, 91)), (40 + 69, 33 + 90), mode="valid")
    b = rng.standard_normal(A.out_shape)
    s = convop.solve(A, b, alpha=0.1, tol=1e-9)
    left = A.H(b) - A.H(A(s.x)) - 0.1 * s.x
    assert (s.method, s.status) == ("frame", "converged")
    assert np.linalg.norm(left) <= 1e-9 * np.linalg.norm(A.H(b))


def test_what_systems_across_the_strips_need(monkeypatch):
    """One row of systems is told by columns; those of stacked rows are matrices, of which there may be too many."""
    monkeypatch.setattr(cross, "available_bytes", lambda: 2**30)
    sizes, kept = (2448, 2448), (2048, 2048)
    assert cross.too_large(sizes, (kept,), np.dtype(float)) is None
    assert "would need 100.4 GB" in str(cross.too_large(sizes, (kept, kept), np.dtype(float)))
    monkeypatch.setattr(cross, "available_bytes", lambda: 2**20)
    assert cross.too_large((9, 9), ((7, 7), (7, 7)), np.dtype(float)) is None


def test_single_precision_stops_where_rounding_is_all_that_is_left():
    """Strips that share samples have them rounded apart, and what they disagree on cannot be solved for."""
    shape = (40, 44)
    A = convop.Convolution(convop.psf.gaussian(7, 1).astype("f"), (shape[0] + 6, shape[1] + 6), mode="valid")
    b = A(np.random.default_rng(1).random(A.in_shape).astype("f"))
    s = convop.solve(A, b, alpha=1e-5, tol=1e-14, regularizer="gradient", method="frame")
    assert s.status == "stalled"
    assert s.iterations < 60
    assert s.residual_norms[-1] < 1e-6
