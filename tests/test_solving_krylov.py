"""The methods for everything else, quasi-definite cross and preconditioned Krylov, against dense normal equations."""

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from solving_cases import Draws

import convop
from convop.solving import same
from convop.solving.krylov import KrylovState
from convop.solving.normal import ByOperators, refined
from convop.solving.problem import Problem

DRAWS = Draws(np.random.default_rng(0))
draw, blur = DRAWS.array, DRAWS.blur
DTYPES = ("complex128", "float64")


def invertible(shape, dtype, center):
    """A kernel whose one tap outweighs the others, so that least squares without penalty are well-posed."""
    h = blur(shape, dtype)
    h[center] += 2
    return h


def assert_solves(A, matrix, alpha=1e-2, method="krylov", penalty=None, **options):
    """`solve` gives what the dense matrices give; the pseudo-inverse where there is no penalty."""
    b = draw((2, *A.out_shape), A.dtype)
    got = convop.solve(A, b, alpha=alpha, tol=1e-12, method=method, maxiter=5000, **options)
    rows = b.reshape(2, -1).T
    if alpha == 0:
        want = np.linalg.pinv(matrix) @ rows
    else:
        gram = np.eye(matrix.shape[1]) if penalty is None else penalty.conj().T @ penalty
        want = np.linalg.solve(matrix.conj().T @ matrix + alpha * gram, matrix.conj().T @ rows)
    assert (got.method, got.status) == (method, "converged"), got
    assert np.linalg.norm(got.x.reshape(2, -1).T - want) <= 1e-8 * np.linalg.norm(want), got
    return got


# Zero boundaries: the quasi-definite cross


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "taps", "options"),
    [
        ((20,), (5,), {}),
        ((19,), (4,), {}),
        ((14, 13), (4, 5), {}),
        ((14, 13), (3, 4), {"center": (0, 2)}),
        ((14, 13), (3, 2), {"dilation": (2, 3)}),
        ((14, 13), (3, 3), {"boundary": ("zero", "periodic")}),
        ((7, 8, 6), (3, 2, 2), {}),
        ((12, 11), (3, 4), {"mode": "valid"}),
        ((12, 11), (3, 4), {"mode": "full"}),
    ],
)
def test_zero_boundary(shape, taps, options, dtype):
    h = blur(taps, dtype)
    matrix = oracle.convolution_matrix(h, shape, **options)
    assert_solves(convop.Convolution(h, shape, **options), matrix, 0.1, "same")


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_boundary_with_any_padding(dtype):
    weight = blur((1, 1, 4, 5), dtype)
    A = convop.conv_layer(weight, (1, 12, 13), padding=((1, 0), (2, 6)))
    assert_solves(A, oracle.layer_matrix(weight, (1, 12, 13), padding=((1, 0), (2, 6))), 0.1, "same")


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_zero_boundary_frames(dtype):
    kernels = [blur((3, 4), dtype), blur((2, 3), dtype)]
    A = convop.vstack([convop.Convolution(h, (12, 11)) for h in kernels])
    matrix = np.concatenate([oracle.convolution_matrix(h, (12, 11)) for h in kernels])
    assert_solves(A, matrix, 0.1, "same")


def test_zero_boundary_takes_complex_data():
    h = blur((3, 4))
    A, b = convop.Convolution(h, (12, 11)), draw((12, 11), "complex128")
    matrix = oracle.convolution_matrix(h, (12, 11))
    want = np.linalg.solve(matrix.T @ matrix + 0.1 * np.eye(132), matrix.T @ b.ravel())
    for method in ("same", "krylov"):
        x = convop.solve(A, b, alpha=0.1, tol=1e-12, method=method).x
        assert np.linalg.norm(x.ravel() - want) <= 1e-8 * np.linalg.norm(want)


def test_zero_boundary_from_a_start_and_for_any_right_hand_side():
    h = blur((5, 4))
    problem = Problem(convop.Convolution(h, (14, 13)))
    matrix = oracle.convolution_matrix(h, (14, 13))
    f, factor = draw((3, 14, 13)), same.METHOD.prepare(problem).at(0.1)
    answer = refined(ByOperators(problem, factor, f, 0.1), 1e-12, 200)
    want = np.linalg.solve(matrix.T @ matrix + 0.1 * np.eye(182), f.reshape(3, -1).T).T
    assert np.linalg.norm(answer.x.reshape(3, -1) - want) <= 1e-8 * np.linalg.norm(want)
    again = refined(ByOperators(problem, factor, f, 0.1), 1e-9, 200, answer.x)
    assert again.iterations == 0
    near = refined(ByOperators(problem, factor, f, 0.1), 1e-9, 200, answer.x * (1 + 1e-4 * draw(f.shape)))
    assert near.iterations < refined(ByOperators(problem, factor, f, 0.1), 1e-9, 200).iterations
    assert np.linalg.norm(near.x - answer.x) <= 1e-6 * np.linalg.norm(answer.x)


SCENE = np.random.default_rng(3)


@pytest.mark.parametrize(
    ("h", "alpha", "most"),
    [
        (convop.psf.gaussian(15, 2.5), 1e-2, 4),
        (convop.psf.gaussian(15, 2.5), 1e-6, 10),
        (convop.psf.disk(4), 1e-4, 10),
        (convop.psf.motion(15, 30), 1e-2, 10),
        (np.random.default_rng(1).random((9, 9)) / 40, 1e-2, 6),
        (np.random.default_rng(2).random((31, 31)) / 480, 1e-4, 16),
    ],
)
def test_steps_under_a_zero_boundary(h, alpha, most):
    A = convop.Convolution(h, (128, 128))
    b = A(SCENE.random((128, 128))) + 0.01 * SCENE.standard_normal((128, 128))
    s = convop.solve(A, b, alpha=alpha, method="same")
    assert s.status == "converged"
    assert s.iterations <= most
    assert "conjugate" not in s.reason


def test_a_stall_is_seen_and_said():
    A = convop.Convolution(convop.psf.motion(9, 30), (48, 48))
    b = A(SCENE.random((48, 48)))
    s = convop.solve(A, b, alpha=1e-6, method="same", maxiter=5000)
    assert s.status == "converged"
    assert "stalled" in s.reason
    assert "conjugate gradients" in s.reason
    left = A.H(b - A(s.x)) - 1e-6 * s.x
    assert np.linalg.norm(left) <= 1e-6 * np.linalg.norm(A.H(b))


# What always serves


@pytest.mark.parametrize("alpha", [1e-2, 0])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("boundary", [*oracle.BOUNDARIES, (("mirror", "zero"), ("symmetric", "replicate"))])
def test_every_boundary(boundary, dtype, alpha):
    h = blur((3, 4), dtype) if alpha else invertible((3, 4), dtype, (1, 1))
    matrix = oracle.convolution_matrix(h, (8, 9), boundary=boundary)
    assert_solves(convop.Convolution(h, (8, 9), boundary=boundary), matrix, alpha)


@pytest.mark.parametrize("alpha", [1e-2, 0])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("stride", "boundary"), [((2, 3), "zero"), ((3, 1), "mirror"), ((2, 2), "periodic")])
def test_strides(stride, boundary, dtype, alpha):
    h = blur((3, 4), dtype) if alpha else invertible((3, 4), dtype, (1, 1))
    matrix = oracle.convolution_matrix(h, (9, 11), boundary=boundary, stride=stride)
    assert_solves(convop.Convolution(h, (9, 11), boundary=boundary, stride=stride), matrix, alpha)


@pytest.mark.parametrize("alpha", [1e-2, 0])
@pytest.mark.parametrize("channels", [(3, 2), (2, 3), (2, 2)])
def test_channels(channels, alpha):
    weight = draw((*channels, 3, 2), "complex128") / 3
    if alpha == 0:
        weight[[0, 1], [0, 1], 1, 1] += 4
    matrix = oracle.layer_matrix(weight, (channels[1], 6, 7), padding=1, boundary="mirror")
    A = convop.conv_layer(weight, (channels[1], 6, 7), padding=1, boundary="mirror")
    assert_solves(A, matrix, alpha)


def operators():
    h, g = blur((3, 4), "complex128"), blur((2, 3), "complex128")
    H, G = (oracle.convolution_matrix(k, (8, 9), boundary="symmetric") for k in (h, g))
    A, B = (convop.Convolution(k, (8, 9), boundary="symmetric") for k in (h, g))
    mask = np.random.default_rng(4).random((8, 9)) < 0.7
    S = oracle.select_matrix((8, 9), mask)
    weights = np.random.default_rng(5).random((8, 9)) + 0.5
    table = draw((40, 72), "complex128") / 6
    few = np.random.default_rng(6)
    thin = sp.coo_array(np.where(few.random((30, 72)) < 0.2, few.random((30, 72)), 0))
    return {
        "masked": (convop.Select((8, 9), mask) @ A, S @ H),
        "masked product": (convop.Select((8, 9), mask) @ (A @ B), S @ H @ G),
        "weighted": (convop.Diagonal(weights) @ A, np.diag(weights.ravel()) @ H),
        "sum": (A + 2j * B, H + 2j * G),
        "adjoint": (A.H, H.conj().T),
        "conjugate": (A.conj(), H.conj()),
        "stacked": (convop.vstack([A, B]), np.concatenate([H, G])),
        "side by side": (convop.hstack([A, B]), np.concatenate([H, G], axis=1)),
        "extended": (
            convop.Convolution(g, (10, 12), mode="valid") @ convop.Extend((8, 9), ((1, 1), (2, 1)), "replicate"),
            oracle.convolution_matrix(g, (10, 12), "valid")
            @ oracle.extend_matrix((8, 9), ((1, 1), (2, 1)), "replicate"),
        ),
        "dense": (convop.as_operator(table, (8, 9), (40,)), table),
        "sparse": (convop.as_operator(thin, (8, 9), (30,)), thin.toarray()),
        "black box": (
            convop.as_operator(
                forward=lambda x: (table @ x.ravel()),
                adjoint=lambda y: (table.conj().T @ y.ravel()).reshape(8, 9),
                in_shape=(8, 9), out_shape=40, dtype="complex128",
            ),
            table,
        ),
    }  # fmt: skip


OPERATORS = operators()


@pytest.mark.parametrize("name", OPERATORS)
def test_whatever_is_linear(name):
    A, matrix = OPERATORS[name]
    assert_solves(A, matrix, 3e-2)


def test_a_penalty_that_is_not_the_identity():
    h = blur((3, 4))
    matrix = oracle.convolution_matrix(h, (8, 9))
    L = convop.gradient((8, 9))
    down, across = (np.eye(n, k=1) - np.diag([1.0] * (n - 1) + [0]) for n in (8, 9))
    penalty = np.concatenate([np.kron(down, np.eye(9)), np.kron(np.eye(8), across)])
    s = assert_solves(convop.Convolution(h, (8, 9)), matrix, 1e-1, penalty=penalty, regularizer=L)
    assert "preconditioner" in s.reason


def test_least_squares_of_least_norm():
    """Without penalty and with a null space: the pseudo-inverse, also of data outside the range."""
    wide = convop.Convolution(blur((2, 3), "complex128"), (7, 8), mode="valid")
    assert_solves(wide, wide.toarray(), 0)
    rank = draw((20, 5)) @ draw((5, 24))
    assert_solves(convop.as_operator(rank, (4, 6), 20), rank, 0)
    tall = convop.as_operator(draw((30, 24)), (4, 6), 30)
    assert_solves(tall, tall.toarray(), 0)


def test_from_a_start_least_squares_keep_what_the_data_do_not_say():
    A = convop.Convolution([1.0, 2.0, -0.5], 9, mode="valid")
    b, x0 = draw(7), draw(9)
    s = convop.solve(A, b, alpha=0, method="krylov", tol=1e-12, x0=x0)
    M = A.toarray()
    assert np.allclose(s.x, x0 + np.linalg.pinv(M) @ (b - M @ x0), atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize(("method", "boundary"), [("same", "zero"), ("krylov", "mirror"), ("krylov", "zero")])
def test_single_precision_stays_single(method, boundary, dtype):
    A = convop.Convolution(blur((5, 4), dtype), (30, 31), boundary=boundary)
    b = draw(A.out_shape, dtype)
    s = convop.solve(A, b, alpha=0.1, method=method, tol=1e-5)
    assert (s.x.dtype, s.status) == (dtype, "converged")
    left = A.H(b - A(s.x)) - np.float32(0.1) * s.x
    assert np.linalg.norm(left) <= 2e-5 * np.linalg.norm(A.H(b))


def test_batches_are_the_items_one_by_one():
    for method, boundary in (("same", "zero"), ("krylov", "replicate")):
        A = convop.Convolution(blur((4, 3)), (12, 11), boundary=boundary)
        b = draw((2, 2, *A.out_shape)) * np.array([[1e-3, 1.0], [10.0, 0.0]])[..., None, None]
        whole = convop.solve(A, b, alpha=0.1, tol=1e-10, method=method)
        assert whole.status == "converged"
        for place in np.ndindex(2, 2):
            one = convop.solve(A, b[place], alpha=0.1, tol=1e-10, method=method).x
            assert np.linalg.norm(whole.x[place] - one) <= 1e-7 * np.linalg.norm(one)


def test_too_few_steps_are_said():
    A = convop.Convolution(convop.psf.motion(9, 30), (40, 40), boundary="replicate")
    s = convop.solve(A, SCENE.random((40, 40)), alpha=1e-4, maxiter=3)
    assert (s.status, s.method, s.iterations) == ("max_iterations", "krylov", 3)
    with pytest.raises(convop.NotConverged, match="maxiter"):
        s.unwrap()


def test_too_few_steps_on_the_cross_are_said():
    A = convop.Convolution(convop.psf.motion(9, 30), (40, 40))
    s = convop.solve(A, SCENE.random((40, 40)), alpha=1e-4, method="same", maxiter=3)
    assert (s.status, s.iterations) == ("max_iterations", 3)


def test_a_batch_with_nothing_in_it_takes_no_steps():
    for method, boundary in (("same", "zero"), ("krylov", "mirror")):
        A = convop.Convolution(blur((4, 3)), (12, 11), boundary=boundary)
        s = convop.solve(A, np.zeros((2, 12, 11)), alpha=0.1, method=method)
        assert (s.status, s.iterations) == ("converged", 0)
        assert not s.x.any()


def test_a_preconditioner_is_prepared_once_for_all_alphas():
    problem = Problem(convop.Convolution(blur((3, 4)), (12, 11), boundary="mirror"))
    state = KrylovState(problem)
    kinds = dict(state.prepared.kinds)
    for alpha in (1.0, 1e-2):
        state.at(alpha)
    assert all(state.prepared.kinds[name] is kind for name, kind in kinds.items())


# Toeplitz


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"center": 0}, {"dilation": 2}])
def test_square_toeplitz_without_penalty(options, dtype):
    h = invertible((4,), dtype, (options.get("center", 1),))
    matrix = oracle.convolution_matrix(h, (23,), **options)
    A = convop.Convolution(h, 23, **options)
    assert_solves(A, matrix, 0, "levinson")


def test_long_toeplitz_matrices_are_left_to_the_recursion():
    A = convop.Convolution([0.3, 1.0, -0.5, 0.1], 2500)
    b = draw(2500)
    s = convop.solve(A, b, alpha=0, tol=1e-12)
    assert (s.method, s.status) == ("levinson", "converged")
    assert np.allclose(A(s.x), b, atol=1e-9)


@pytest.mark.parametrize("kernel", [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0, 1.0], [1.0, 2.0, 1.0]])
def test_an_unstable_recursion_is_seen(kernel):
    """The first two have singular leading blocks, and the first of odd size is singular itself."""
    A = convop.Convolution(kernel, 9)
    b = draw(9)
    s = convop.solve(A, b, alpha=0, method="levinson", tol=1e-10)
    assert s.status == "converged"
    assert np.allclose(s.x, np.linalg.pinv(A.toarray()) @ b, atol=1e-6)


@pytest.mark.parametrize(
    ("A", "alpha", "said"),
    [
        (convop.Convolution([1.0, 2.0], 5), 0.1, "penalty"),
        (convop.Convolution([1.0, 2.0], 5, mode="full"), 0, "square"),
        (convop.Convolution(np.ones((2, 2)), (5, 5)), 0, "axis"),
        (convop.Convolution([1.0, 2.0], 9000), 0, "8192"),
        (convop.Convolution([1.0, 2.0, 3.0], 9, boundary="mirror"), 0, "Toeplitz"),
    ],
)
def test_says_what_keeps_levinson_from_serving(A, alpha, said):
    with pytest.raises(convop.GeometryError, match=said):
        convop.solve(A, np.ones(A.out_shape), alpha=alpha, method="levinson")
