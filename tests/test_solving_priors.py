"""Priors that are no squares: total variation, sums of moduli, bounds; against oracles on dense matrices."""

from functools import cache

import numpy as np
import pytest
import scipy.optimize
from cases import array, needs_pylops_26

import convop
from convop.geometry import Geometry
from convop.solving import admm
from convop.solving.admm_gap import mended
from convop.solving.problem import as_regularizer

SHAPE = (6, 5)


def lengths(values, axes):
    """Moduli, or lengths of vectors of which `axes` is the number of entries, along the first axis."""
    return np.linalg.norm(values.reshape(axes, -1), axis=0)


def objective(A, b, K, alpha, axes, x):
    return np.linalg.norm(A @ x - b) ** 2 / 2 + alpha * lengths(K @ x, axes).sum()


def primal_dual(A, b, K, alpha, axes=1, nonneg=False, steps=40000):
    """The algorithm of A. Chambolle and T. Pock (2011) on dense matrices, both terms dualised."""
    stacked = np.vstack([A, K])
    step = 0.99 / np.linalg.norm(stacked, 2)
    x = previous = np.zeros(A.shape[1], np.result_type(A, b))
    u, q = np.zeros(len(A), x.dtype), np.zeros(len(K), x.dtype)
    for count in range(steps):
        ahead = 2 * x - previous
        u = (u + step * (A @ ahead - b)) / (1 + step)
        q = q + step * (K @ ahead)
        q = (q.reshape(axes, -1) / np.maximum(1, lengths(q, axes) / alpha)).ravel()
        previous, x = x, x - step * (A.conj().T @ u + K.conj().T @ q)
        if nonneg:
            x = np.maximum(x, 0)
        if count % 50 == 0 and np.linalg.norm(x - previous) <= 1e-11 * np.linalg.norm(x):
            break
    return x


def operator(name, dtype="float64"):
    kernel = array((3, 2), dtype, 3)
    if name == "periodic":
        kernel[1, 0] += 4  # far from singular, so that the minimiser is unique and near
        return convop.Convolution(kernel, SHAPE, boundary="periodic")
    if name == "valid":
        return convop.Convolution(kernel, SHAPE, mode="valid")
    if name == "full":
        return convop.Convolution(kernel, SHAPE, mode="full")
    if name in ("zero", "mirror"):
        kernel[1, 0] += 4
        return convop.Convolution(kernel, SHAPE, boundary=name)
    if name == "two frames":  # one of them strided
        kernel[1, 0] += 4
        strided = convop.Convolution(kernel[::-1], SHAPE, boundary="periodic", stride=(2, 1))
        return convop.vstack([convop.Convolution(kernel, SHAPE, boundary="periodic"), strided])
    smooth = np.array([[1, 2, 1], [2, 7, 2], [1, 2, 1]], dtype)
    if dtype == "complex128":
        smooth = smooth * (1 + 0.3j)
    return convop.Convolution(smooth, SHAPE, boundary="symmetric")


def problem(name, dtype="float64"):
    A = operator(name, dtype)
    return A, A(array(SHAPE, dtype, 5)) + 0.3 * array(A.out_shape, dtype, 6)


@cache
def reference(name, dtype, prior, alpha, nonneg=False):
    A, b = problem(name, dtype)
    K = as_regularizer("gradient", A).toarray() if prior == "tv" else np.eye(A.shape[1])
    axes = len(SHAPE) if prior == "tv" else 1
    x = primal_dual(A.toarray(), b.ravel(), K.astype(float), alpha, axes, nonneg)
    return x, objective(A.toarray(), b.ravel(), K, alpha, axes, x), K, axes


NAMES = ("periodic", "symmetric", "full", "zero", "mirror", "two frames")
STRONG = [(name, "complex128") for name in NAMES] + [("periodic", "float64")]


@pytest.mark.parametrize("prior", ["tv", "l1"])
@pytest.mark.parametrize(("name", "dtype"), STRONG)
def test_the_minimiser_is_that_of_an_independent_algorithm(name, dtype, prior):
    A, b = problem(name, dtype)
    x, _, _, _ = reference(name, dtype, prior, 1.5)
    solution = convop.solve(A, b, alpha=1.5, prior=prior, tol=1e-8, maxiter=20000)
    assert solution.status == "converged"
    assert np.linalg.norm(solution.x.ravel() - x) <= 1e-6 * np.linalg.norm(x)


@pytest.mark.parametrize("prior", ["tv", "l1"])
@pytest.mark.parametrize("dtype", ["complex128", "float64"])
def test_the_objective_is_least_where_the_minimiser_is_not_unique(dtype, prior):
    A, b = problem("valid", dtype)
    _, least, K, axes = reference("valid", dtype, prior, 0.7)
    solution = convop.solve(A, b, alpha=0.7, prior=prior, tol=1e-9, maxiter=20000)
    assert solution.status == "converged"
    assert objective(A.toarray(), b.ravel(), K, 0.7, axes, solution.x.ravel()) <= least * (1 + 1e-8)


# Frames: their differences are split off on a torus, where those that wrap around go free.


def frame(name, dtype):
    kernel = array((3, 2), dtype, 3)
    kernel[1, 0] += 4
    if name == "a line":
        return convop.Convolution(kernel[:, 0], 20, mode="valid")
    if name == "a volume":
        return convop.Convolution(kernel[:, :, None], (4, 3, 3), mode="valid")
    if name == "two frames":
        return convop.vstack([convop.Convolution(each, SHAPE, mode="valid") for each in (kernel, kernel[::-1, ::-1])])
    if name == "around one axis":
        padding = ((0, 0), (0, 1))
        geometry = Geometry.make(SHAPE, (3, 2), padding=padding, boundary=("zero", "periodic"))
        return convop.Convolution.of(geometry, kernel[None, None], "correlation")
    if name == "one channel":
        return convop.conv_layer(kernel[None, None], (1, *SHAPE))
    return convop.Convolution(kernel, SHAPE, mode="valid")


FRAMES = [
    ("a line", "complex128", "tv", False), ("a line", "float64", "tv", True), ("a line", "float64", "l1", False),
    ("a volume", "complex128", "tv", False),
    ("plain", "complex128", "tv", False), ("two frames", "complex128", "tv", False),
    ("around one axis", "complex128", "tv", False), ("one channel", "float64", "tv", False),
    ("plain", "complex128", "l1", False), ("two frames", "float64", "l1", False),
    ("plain", "float64", "tv", True), ("around one axis", "float64", "tv", True), ("plain", "float64", "l1", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "dtype", "prior", "nonneg"), FRAMES)
def test_frames_come_to_the_least_objective(name, dtype, prior, nonneg):
    A, tol = frame(name, dtype), 1e-4 if nonneg else 1e-9
    b = A(array(A.in_shape, dtype, 5)) + 0.3 * array(A.out_shape, dtype, 6)
    K = as_regularizer("gradient", A).toarray().astype(float)
    axes = len(A.in_shape) - (name == "one channel") if prior == "tv" else 1
    x = primal_dual(A.toarray(), b.ravel(), K, 0.7, axes, nonneg)
    least = objective(A.toarray(), b.ravel(), K, 0.7, axes, x)
    options = {"prior": prior, "regularizer": "gradient", "nonneg": nonneg, "alpha": 0.7}
    solution = convop.solve(A, b, **options, tol=tol, maxiter=20000)
    assert solution.status == "converged"
    assert solution.x.shape == A.in_shape
    assert "'frame'" in solution.reason
    assert objective(A.toarray(), b.ravel(), K, 0.7, axes, solution.x.ravel()) <= least * (1 + 1.1 * tol)
    assert not nonneg or solution.x.min() >= 0
    for maxiter in (1, 5, 12, 40):
        early = convop.solve(A, b, **options, maxiter=maxiter, tol=tol)
        value = objective(A.toarray(), b.ravel(), K, 0.7, axes, early.x.ravel())
        assert value - least <= early.residual_norms[-1] * value * (1 + 1e-9) + 1e-12


def test_a_frame_starts_and_reports_in_its_own_shape():
    A = frame("plain", "float64")
    b, shapes = A(array(SHAPE, seed=5)), set()
    cold = convop.solve(A, b, alpha=0.7, prior="tv", tol=1e-6, callback=lambda progress: shapes.add(progress.x.shape))
    assert shapes == {SHAPE}
    warm = convop.solve(A, b, alpha=0.7, prior="tv", tol=1e-6, x0=cold.x)
    assert warm.iterations <= cold.iterations


def test_the_gap_is_measured_seldom(monkeypatch):
    scene = np.kron(array((12, 13), seed=1), np.ones((5, 5)))
    A = convop.Convolution(convop.psf.motion(7, 30), scene.shape, mode="valid")
    b = A(scene) + 0.02 * array(A.out_shape, seed=2)
    measured = []
    monkeypatch.setattr(admm, "mended", lambda *arguments: measured.append(1) or mended(*arguments))
    solution = convop.solve(A, b, alpha=0.02, prior="tv", tol=1e-2)
    assert solution.status == "converged"
    assert solution.iterations > 8
    assert len(measured) <= 4


@pytest.mark.parametrize("nonneg", [False, True])
@pytest.mark.parametrize("prior", ["tv", "l1"])
@pytest.mark.parametrize("name", ["periodic", "symmetric", "valid"])
def test_the_gap_that_is_told_is_never_less_than_the_true_one(name, prior, nonneg):
    A, b = problem(name)
    _, least, K, axes = reference(name, "float64", prior, 0.7, nonneg)
    for maxiter in (1, 3, 10, 30, 100):
        solution = convop.solve(A, b, alpha=0.7, prior=prior, nonneg=nonneg, maxiter=maxiter, tol=1e-9)
        value = objective(A.toarray(), b.ravel(), K, 0.7, axes, solution.x.ravel())
        assert value - least <= solution.residual_norms[-1] * value * (1 + 1e-9) + 1e-12
        assert len(solution.residual_norms) == solution.iterations
        assert all(np.diff(solution.residual_norms) <= 0)


def taut_string(b, alpha):
    """Total variation denoising on a line: the derivative of the shortest path in a tube about the sums of `b`.

    P. L. Davies and A. Kovac, "Local extremes, runs, strings and multiresolution", 2001.
    """
    n, sums = len(b), np.concatenate([[0], np.cumsum(b)])
    low, high = sums - alpha, sums + alpha
    low[[0, n]] = high[[0, n]] = sums[[0, n]]
    at, height, slopes = 0, 0.0, []
    while at < n:
        lowest, highest, below, above, knot = -np.inf, np.inf, at, at, None
        for j in range(at + 1, n + 1):
            to_low, to_high = (low[j] - height) / (j - at), (high[j] - height) / (j - at)
            if to_low > highest:
                knot = above, high[above]
                break
            if to_high < lowest:
                knot = below, low[below]
                break
            if to_low >= lowest:
                lowest, below = to_low, j
            if to_high <= highest:
                highest, above = to_high, j
        end, target = knot or (n, sums[n])
        slopes += [(target - height) / (end - at)] * (end - at)
        at, height = end, target
    return np.array(slopes)


def test_variation_on_a_line_is_the_taut_string():
    rng = np.random.default_rng(4)
    b = np.repeat(rng.standard_normal(8), 6) + 0.2 * rng.standard_normal(48)
    A = convop.Convolution([1.0], 48, boundary="symmetric")
    for alpha in (0.05, 0.4, 3.0):
        x = taut_string(b, alpha)
        solution = convop.solve(A, b, alpha=alpha, prior="tv", tol=1e-13, maxiter=50000)
        assert np.abs(solution.x - x).max() < 1e-6


def test_moduli_on_a_line_are_soft_thresholds():
    b = array(30, "complex128", 2)
    solution = convop.solve(convop.Identity(30, float), b, alpha=0.8, prior="l1", tol=1e-12)
    expected = b * np.maximum(1 - 0.8 / abs(b), 0)
    assert np.allclose(solution.x, expected, rtol=0, atol=1e-7)
    assert np.array_equal(solution.x == 0, expected == 0)  # exact zeros


def test_moduli_of_coefficients():
    A, b = problem("periodic")
    L = as_regularizer("laplacian", A)
    x = primal_dual(A.toarray(), b.ravel(), L.toarray().astype(float), 0.6)
    for nonneg in (False, True):
        x = primal_dual(A.toarray(), b.ravel(), L.toarray().astype(float), 0.6, nonneg=nonneg)
        solution = convop.solve(
            A, b, alpha=0.6, prior="l1", regularizer="laplacian", nonneg=nonneg, tol=1e-12, maxiter=20000
        )
        assert np.linalg.norm(solution.x.ravel() - x) <= 1e-6 * np.linalg.norm(x)


@pytest.mark.parametrize("prior", ["tv", "l1"])
def test_bounds_beside_a_penalty(prior):
    A, b = problem("periodic")
    x, _, _, _ = reference("periodic", "float64", prior, 0.7, True)
    solution = convop.solve(A, b, alpha=0.7, prior=prior, nonneg=True, tol=1e-12, maxiter=20000)
    assert solution.x.min() == 0
    assert np.linalg.norm(solution.x.ravel() - x) <= 1e-6 * np.linalg.norm(x)


@pytest.mark.parametrize("regularizer", [None, "gradient", "laplacian"])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("name", ["periodic", "symmetric", "full"])
def test_bounded_squares_are_those_of_nnls(name, alpha, regularizer):
    A, b = problem(name)
    L = np.eye(A.shape[1]) if regularizer is None else as_regularizer(regularizer, A).toarray()
    rows = np.vstack([A.toarray(), np.sqrt(alpha) * L])
    x, _ = scipy.optimize.nnls(rows, np.concatenate([b.ravel(), np.zeros(len(L))]))
    solution = convop.solve(A, b, alpha=alpha, regularizer=regularizer, nonneg=True, tol=1e-12, maxiter=20000)
    assert solution.status == "converged"
    error = np.linalg.norm(solution.x.ravel() - x) / np.linalg.norm(x)
    assert error <= 1e-6
    if alpha and regularizer is None:
        assert error <= solution.error_bound <= 1e-4
    else:
        assert np.isnan(solution.error_bound)


def test_a_batch_is_its_items():
    A, b = problem("periodic")
    many = np.stack([b, 3 * b[::-1], 0 * b])[:, None]
    for options in ({"prior": "tv"}, {"prior": "l1"}, {"nonneg": True}, {"prior": "tv", "nonneg": True}):
        solution = convop.solve(A, many, alpha=0.5, tol=1e-9, maxiter=20000, **options)
        assert solution.x.shape == (3, 1, *SHAPE)
        assert solution.status == "converged"
        for item, x in zip(many[:, 0], solution.x[:, 0], strict=True):
            alone = convop.solve(A, item, alpha=0.5, tol=1e-9, maxiter=20000, **options)
            assert np.allclose(x, alone.x, rtol=0, atol=1e-4)


@pytest.mark.parametrize("options", [{"prior": "tv"}, {"prior": "l1"}, {"nonneg": True}])
def test_float32_stays_float32_and_converges(options):
    A, b = problem("symmetric")
    narrow = convop.Convolution(A.kernel.astype(np.float32), SHAPE, boundary="symmetric")
    solution = convop.solve(narrow, b.astype(np.float32), alpha=0.5, maxiter=5000, **options)
    assert solution.x.dtype == np.float32
    assert solution.status == "converged"
    assert np.allclose(solution.x, convop.solve(A, b, alpha=0.5, maxiter=5000, **options).x, atol=2e-2)


def test_channels_have_variations_of_their_own():
    weight = array((3, 1, 3, 2), "float64", 7)
    weight[:, :, 1, 0] += 4
    A = convop.conv_layer(weight, (3, *SHAPE), padding=((1, 1), (0, 1)), boundary="periodic", groups=3)
    b = array(A.out_shape, "float64", 8)
    together = convop.solve(A, b, alpha=0.8, prior="tv", tol=1e-11, maxiter=20000)
    for kernel, item, x in zip(weight[:, 0], b, together.x, strict=True):
        single = convop.Convolution(kernel[::-1, ::-1], SHAPE, boundary="periodic", center=(1, 1))
        alone = convop.solve(single, item, alpha=0.8, prior="tv", tol=1e-11, maxiter=20000)
        assert np.allclose(x, alone.x, rtol=0, atol=1e-4)


def test_variation_that_leaves_nothing_over():
    A, b = problem("symmetric")
    flat = convop.solve(A, A(np.full(SHAPE, 3.0)), alpha=0.5, prior="tv")
    assert flat.status == "converged"
    assert np.allclose(flat.x, 3, atol=1e-4)
    zero = convop.solve(A, 0 * b, alpha=0.5, prior="tv")
    assert zero.status == "converged"
    assert not zero.x.any()
    # So heavy a penalty that the best x is constant: the least squares fit of a constant.
    heavy = convop.solve(A, b, alpha=1e4, prior="tv", tol=1e-10)
    ones = A(np.ones(SHAPE))
    assert np.allclose(heavy.x, np.vdot(ones, b) / np.vdot(ones, ones), atol=1e-4)
    none = convop.solve(A, b, alpha=1e4, prior="l1", tol=1e-10)
    assert not none.x.any()


def test_no_weight_is_plain_least_squares():
    A, b = problem("periodic")
    plain = np.linalg.lstsq(A.toarray(), b.ravel())[0]
    for prior in ("tv", "l1"):
        assert np.allclose(convop.solve(A, b, alpha=0, prior=prior, tol=1e-10).x.ravel(), plain, atol=1e-6)
        bounded = convop.solve(A, b, alpha=0, prior=prior, nonneg=True, tol=1e-12, maxiter=20000)
        assert np.allclose(bounded.x.ravel(), scipy.optimize.nnls(A.toarray(), b.ravel())[0], atol=1e-5)


def test_a_start_near_the_end_saves_steps():
    A, b = problem("symmetric")
    cold = convop.solve(A, b, alpha=0.7, prior="tv", tol=1e-6)
    warm = convop.solve(A, b, alpha=0.7, prior="tv", tol=1e-6, x0=cold.x)
    assert warm.iterations <= cold.iterations
    assert np.allclose(warm.x, cold.x, atol=1e-2)


def test_steps_are_told_and_may_be_interrupted():
    A, b = problem("valid")
    seen = []

    def watch(progress):
        seen.append((progress.iteration, progress.residual_norm, progress.x.shape))
        if progress.iteration == 7:
            raise KeyboardInterrupt

    solution = convop.solve(A, b, alpha=0.7, prior="tv", tol=1e-12, callback=watch)
    assert [step for step, _, _ in seen] == list(range(1, 8))
    assert seen[-1][2][-2:] == SHAPE
    assert solution.status == "max_iterations"
    assert "interrupted" in solution.reason
    assert np.isfinite(solution.x).all()


def test_what_makes_no_problem_is_refused():
    A, b = problem("periodic", "complex128")
    for options in ({"nonneg": True}, {"nonneg": True, "prior": "tv"}, {"nonneg": True, "prior": "l1"}):
        with pytest.raises(convop.GeometryError, match="complex numbers have no order"):
            convop.solve(A, b, alpha=1, **options)
    with pytest.raises(convop.GeometryError, match="vectors along the first axis"):
        convop.solve(A, b, alpha=1, prior="tv", regularizer="laplacian")
    with pytest.raises(convop.GeometryError, match="nothing that a bound"):
        convop.solve(A, b, alpha=1, prior="truncated", nonneg=True)


@needs_pylops_26
def test_not_below_pyproximal():
    import pylops
    import pyproximal

    A, b = problem("symmetric")
    D = pylops.Gradient(SHAPE, kind="forward", edge=False)
    data, norm = pyproximal.L2(Op=pylops.MatrixMult(A.toarray()), b=b.ravel()), pyproximal.L21(ndim=2, sigma=0.7)
    step = 0.99 / np.linalg.norm(D.todense(), 2)
    theirs = pyproximal.optimization.primaldual.PrimalDual(
        data, norm, D, x0=np.zeros(b.size), tau=step, mu=step, niter=500
    )
    K = as_regularizer("gradient", A).toarray()
    ours = convop.solve(A, b, alpha=0.7, prior="tv", tol=1e-9, maxiter=5000).x
    values = [objective(A.toarray(), b.ravel(), K, 0.7, 2, x.ravel()) for x in (ours, theirs)]
    assert values[0] <= values[1] * (1 + 1e-8)


# Differences with the boundary of an operator


def dense_differences(name, shape, boundary):
    return (convop.gradient if name == "gradient" else convop.laplacian)(shape, boundary).toarray()


@pytest.mark.parametrize("name", ["gradient", "laplacian"])
def test_regularisers_of_lifted_convolutions_act_on_each_channel(name):
    boundary = ("periodic", ("symmetric", "zero"))
    A = convop.conv_layer(array((4, 3, 3, 2), "complex64"), (3, 5, 4), padding=1, boundary=boundary, stride=2)
    L = as_regularizer(name, A)
    assert L.dtype == np.float32
    single = dense_differences(name, (5, 4), boundary).reshape(-1, 5 * 4, 20)
    expected = np.stack([np.kron(np.eye(3), rows) for rows in single]).reshape(-1, 60)
    assert np.array_equal(L.toarray(), expected)
    valid = convop.conv_layer(array((2, 3, 3, 3)), (3, 5, 4))
    expected = [np.kron(np.eye(3), r) for r in dense_differences(name, (5, 4), "symmetric").reshape(-1, 20, 20)]
    assert np.array_equal(as_regularizer(name, valid).toarray(), np.concatenate(expected))


@pytest.mark.parametrize("name", ["gradient", "laplacian"])
def test_regularisers_find_the_convolution_in_an_operator(name):
    inner = convop.Convolution(array((3, 2)), SHAPE, boundary="periodic")
    expected = dense_differences(name, SHAPE, "periodic")
    mask = array(SHAPE, seed=3) > 0
    for A in (
        convop.vstack([inner, convop.Convolution(array((2, 2)), SHAPE, mode="valid")]),
        convop.Select(SHAPE, mask) @ inner,
        2 * (convop.Select(SHAPE, mask) @ inner),
        convop.vstack([convop.Select(SHAPE, mask) @ inner, convop.Identity(SHAPE)]),
    ):
        assert np.array_equal(as_regularizer(name, A).toarray(), expected)
    with pytest.raises(convop.GeometryError, match="boundary of a Convolution"):
        as_regularizer(name, convop.Diagonal(array(SHAPE)))
