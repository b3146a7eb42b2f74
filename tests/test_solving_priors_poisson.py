"""Counts: Richardson and Lucy's iteration against its formula in loops and against a general optimiser."""

import numpy as np
import pytest
import scipy.optimize
from cases import array
from oracle import BOUNDARIES

import convop
from convop.solving.problem import as_regularizer

SHAPE = (7, 6)
KERNEL = np.array([[1.0, 2, 0.3], [0.2, 5, 1]])


def counts(A, seed=0, level=50.0):
    rng = np.random.default_rng(seed)
    return rng.poisson(A(level * (0.2 + rng.random(A.in_shape)))).astype(float)


def likelihood(matrix, b, x, alpha=0.0, K=None):
    """The objective on dense matrices, without what does not depend on `x`."""
    image, seen = matrix @ x, b.ravel() > 0
    total = image.sum() - (b.ravel()[seen] * np.log(image[seen])).sum()
    return total + (alpha * np.linalg.norm((K @ x).reshape(2, -1), axis=0).sum() if alpha else 0)


def most_likely(matrix, b):
    """The minimum by L-BFGS with bounds."""

    def both(x):
        return likelihood(matrix, b, x), matrix.T @ (1 - b.ravel() / (matrix @ x))

    start, options = np.full(matrix.shape[1], b.mean()), {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15}
    bounds = [(1e-12, None)] * len(start)
    return scipy.optimize.minimize(both, start, jac=True, bounds=bounds, options=options).fun


def primal_dual(matrix, b, alpha, K, steps=60000):
    """A. Chambolle and T. Pock (2011): counts and variation dualised, the bound projected on."""
    tau = sigma = 0.99 / np.linalg.norm(np.vstack([matrix, K]), 2)
    tau, sigma = tau * b.mean(), sigma / b.mean()
    x = previous = np.full(matrix.shape[1], b.mean())
    u, q = np.zeros(len(matrix)), np.zeros(len(K))
    for count in range(steps):
        ahead = 2 * x - previous
        v = u + sigma * (matrix @ ahead)
        u = (1 + v - np.sqrt((v - 1) ** 2 + 4 * sigma * b.ravel())) / 2
        q = q + sigma * (K @ ahead)
        q = (q.reshape(2, -1) / np.maximum(1, np.linalg.norm(q.reshape(2, -1), axis=0) / alpha)).ravel()
        previous, x = x, np.maximum(x - tau * (matrix.T @ u + K.T @ q), 0)
        if count % 50 == 0 and np.linalg.norm(x - previous) <= 1e-10 * np.linalg.norm(x):
            break
    return x


@pytest.mark.parametrize("boundary", [*(name for name in BOUNDARIES if name != "antireflective"), "valid", "full"])
def test_the_first_iteration_is_the_formula(boundary):
    if boundary in ("valid", "full"):
        A = convop.Convolution(KERNEL, SHAPE, mode=boundary)
    else:
        A = convop.Convolution(KERNEL, SHAPE, boundary=boundary)
    b, start, matrix = counts(A), 1 + array(SHAPE, seed=2) ** 2, A.toarray()
    expected = start.ravel() * (matrix.T @ (b.ravel() / (matrix @ start.ravel()))) / matrix.sum(0)
    once = convop.solve(A, b, prior="poisson", x0=start, maxiter=1)
    assert np.allclose(once.x.ravel(), expected, rtol=1e-10)
    assert once.status == "max_iterations"
    flat = convop.solve(A, b, prior="poisson", maxiter=1)
    ratio = b.ravel() / (matrix.sum(1) * b.sum() / matrix.sum())
    assert np.allclose(flat.x.ravel(), b.sum() / matrix.sum() * (matrix.T @ ratio) / matrix.sum(0), rtol=1e-10)


@pytest.mark.parametrize("mode", ["same", "valid"])
def test_it_ends_at_the_most_likely(mode):
    A = convop.Convolution(KERNEL, SHAPE, mode=mode)
    b = counts(A)
    solution = convop.solve(A, b, prior="poisson", tol=1e-9, maxiter=20000)
    assert solution.status == "converged"
    assert solution.x.min() >= 0
    best = most_likely(A.toarray(), b)
    assert likelihood(A.toarray(), b, solution.x.ravel()) <= best + 1e-6 * abs(best)


def test_it_is_faster_than_without_acceleration():
    A = convop.Convolution(convop.psf.gaussian(7, 1.3), (24, 24), boundary="symmetric")
    b, x, matrix = counts(A), np.full(576, 1.0), A.toarray()
    for _ in range(200):
        x = x * (matrix.T @ (b.ravel() / (matrix @ x))) / matrix.sum(0)
    quick = convop.solve(A, b, prior="poisson", maxiter=60)
    assert likelihood(matrix, b, quick.x.ravel()) < likelihood(matrix, b, x)


@pytest.mark.parametrize("alpha", [0.02, 0.2, 5.0])
@pytest.mark.parametrize("mode", ["same", "valid"])
def test_with_total_variation_it_ends_at_the_minimum(mode, alpha):
    A = convop.Convolution(KERNEL / KERNEL.sum(), SHAPE, mode=mode)
    b, K = counts(A), as_regularizer("gradient", A).toarray()
    best = likelihood(A.toarray(), b, primal_dual(A.toarray(), b, alpha, K), alpha, K)
    solution = convop.solve(A, b, prior="poisson", alpha=alpha, tol=1e-8)
    assert solution.status == "converged"
    assert solution.x.min() >= 0
    assert likelihood(A.toarray(), b, solution.x.ravel(), alpha, K) <= best + 1e-7 * abs(best)
    loose = convop.solve(A, b, prior="poisson", alpha=alpha, tol=1e-3)
    assert np.linalg.norm(loose.x - solution.x) <= 0.05 * np.linalg.norm(solution.x)


@pytest.mark.parametrize("alpha", [None, 0.05])
@pytest.mark.parametrize("boundary", ["periodic", "symmetric", "mirror", "replicate", "valid"])
def test_a_flat_scene_has_no_bright_edges(boundary, alpha):
    options = {"mode": "valid"} if boundary == "valid" else {"boundary": boundary}
    A = convop.Convolution(KERNEL, SHAPE, **options)
    solution = convop.solve(A, A(np.full(SHAPE, 9.0)), prior="poisson", alpha=alpha)
    assert np.allclose(solution.x, 9, rtol=1e-6)
    assert solution.status == "converged"


def test_samples_that_no_data_see_stay_as_they_were():
    A = convop.Select(SHAPE, (slice(0, 3), slice(None))) @ convop.Convolution(KERNEL, SHAPE)
    b = counts(A)
    solution = convop.solve(A, b, prior="poisson", maxiter=50)
    matrix = A.toarray()
    unseen = matrix.sum(0) == 0
    assert unseen.any()
    assert np.allclose(solution.x.ravel()[unseen], b.sum() / matrix.sum())
    assert np.isfinite(solution.x).all()
    filled = convop.solve(A, b, prior="poisson", alpha=0.1, maxiter=300)
    assert np.isfinite(filled.x).all()


def test_a_batch_is_its_items_and_zeros_stay_zero():
    A = convop.Convolution(KERNEL, SHAPE, boundary="symmetric")
    many = np.stack([counts(A), np.zeros(SHAPE), 100 * counts(A, 1)])
    for options in ({"maxiter": 30}, {"alpha": 0.05}):
        together = convop.solve(A, many, prior="poisson", tol=1e-8, **options)
        for b, x in zip(many, together.x, strict=True):
            alone = convop.solve(A, b, prior="poisson", tol=1e-8, **options)
            assert np.allclose(x, alone.x, rtol=1e-4, atol=1e-4)
        assert not together.x[1].any()


def test_counts_of_float32_and_ints():
    A = convop.Convolution(KERNEL.astype(np.float32), SHAPE, boundary="mirror").using("fft")
    b = counts(A)
    narrow = convop.solve(A, b.astype(np.float32), prior="poisson", maxiter=20)
    assert narrow.x.dtype == np.float32
    wide = convop.solve(convop.Convolution(KERNEL, SHAPE, boundary="mirror"), b, prior="poisson", maxiter=20)
    assert np.allclose(narrow.x, wide.x, rtol=1e-3)
    assert convop.solve(A, b.astype(int), prior="poisson", maxiter=2).x.dtype == np.float32


def test_what_are_no_counts_is_refused():
    A = convop.Convolution(KERNEL, SHAPE)
    b = counts(A)
    refused = {
        "b has 1 negative samples, down to -1": (A, np.where(np.arange(42).reshape(SHAPE) == 3, -1, b)),
        "its kernel has 1 negative taps": (A.with_kernel(KERNEL - np.eye(2, 3)[::-1] / 2), b),
        "complex": (A.with_kernel(KERNEL * 1j), b),
        "antireflective": (convop.Convolution(KERNEL, SHAPE, boundary="antireflective"), b),
        "a diagonal": (convop.Diagonal(-np.ones(SHAPE)) @ A, b),
        "negative number": (-1.0 * (convop.Select(SHAPE, slice(0, 7)) @ A), b),
        "matrix": (convop.as_operator(-np.eye(42), SHAPE, SHAPE) @ A, b),
        "negative data of x = 1": (
            convop.as_operator(forward=np.negative, adjoint=np.negative, in_shape=SHAPE, out_shape=SHAPE), b,
        ),
        "positive where A x is zero": (convop.Diagonal(np.eye(*SHAPE)), b + 1),
    }  # fmt: skip
    for words, (operator, data) in refused.items():
        with pytest.raises(convop.GeometryError, match=words):
            convop.solve(operator, data, prior="poisson")
    with pytest.raises(convop.GeometryError, match="x0 has negative samples"):
        convop.solve(A, b, prior="poisson", x0=-np.ones(SHAPE))


def test_steps_may_be_interrupted():
    A = convop.Convolution(KERNEL, SHAPE)
    b = counts(A)

    def watch(progress):
        if progress.iteration == 5:
            raise KeyboardInterrupt

    solution = convop.solve(A, b, prior="poisson", callback=watch)
    assert (solution.iterations, solution.status) == (5, "max_iterations")
    assert "interrupted" in solution.reason
