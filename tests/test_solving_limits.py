"""Where solving ends before it should: tolerances beyond rounding, few steps, poor starts, zeros, Ctrl-C."""

import numpy as np
import oracle
import pytest
from solving_cases import Draws

import convop

DRAWS = Draws(np.random.default_rng(15))
draw, blur = DRAWS.array, DRAWS.blur


def relative_residual(A, x, b, alpha):
    """Of the normal equations, in double precision, by numpy's own convolutions."""
    matrix = oracle.convolution_matrix(A.kernel.astype(float), A.in_shape, "valid")
    f = matrix.T @ b.ravel().astype(float)
    x = np.ravel(x).astype(float)
    return np.linalg.norm(f - matrix.T @ (matrix @ x) - alpha * x) / np.linalg.norm(f)


@pytest.mark.parametrize("alpha", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("shape", [(700,), (31, 29)])
def test_single_precision_meets_the_default_tolerance_on_noise(shape, alpha):
    """All that such data hold is what the kernel takes away, and transforms round relative to all of it."""
    taps = np.ones((21,) if len(shape) == 1 else (5, 6), "float32")
    A = convop.Convolution(taps / taps.sum(), shape, mode="valid")
    b = draw(A.out_shape, "float32")
    found = convop.solve(A, b, alpha=alpha)
    assert (found.status, found.x.dtype) == ("converged", np.float32)
    left = relative_residual(A, found.x, b, alpha)
    assert left <= 1e-6
    assert found.residual_norms[-1] == pytest.approx(left, rel=1e-2)


@pytest.mark.parametrize("mode", ["valid", "full"])
def test_few_steps_are_said_to_be_few(mode):
    A = convop.Convolution(convop.psf.gaussian(9, 2.0), (30, 37), mode=mode)
    b = draw(A.out_shape)
    needed = convop.solve(A, b, alpha=1e-4, tol=1e-8).iterations
    for maxiter in range(1, needed + 1):
        found = convop.solve(A, b, alpha=1e-4, tol=1e-8, maxiter=maxiter)
        assert found.status == ("converged" if maxiter == needed else "max_iterations")
        assert found.iterations <= maxiter
    assert "took over" not in found.reason


@pytest.mark.parametrize("maxiter", [4, 10, 30, 60, 110])
def test_what_is_returned_is_the_best_of_all_iterates(maxiter):
    """A tolerance that rounding does not allow: further steps make it no worse."""
    A = convop.Convolution(blur((3, 3), "float32"), (12, 13), mode="valid")
    b = draw(A.out_shape, "float32")
    found = convop.solve(A, b, alpha=0.1, tol=1e-9, maxiter=maxiter, method="krylov")
    assert found.status in ("stalled", "max_iterations")
    assert relative_residual(A, found.x, b, 0.1) <= (1e-6 if maxiter >= 60 else 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("far", [1e4, 1e8])
@pytest.mark.parametrize("mode", ["valid", "full", "same"])
def test_a_poor_start_costs_little(mode, far, dtype):
    A = convop.Convolution(np.full((3, 3), 1 / 9, dtype), (40, 41), mode=mode)
    b = draw(A.out_shape, dtype)
    x0 = np.full(A.in_shape, far, dtype)
    found, want = convop.solve(A, b, alpha=1.0, x0=x0), convop.solve(A, b, alpha=1.0)
    assert found.status == "converged"
    assert found.iterations <= 4 * want.iterations + 10
    assert np.linalg.norm(found.x - want.x) <= 1e-4 * np.linalg.norm(want.x)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_has_to_be_finite(bad):
    A = convop.Convolution(blur((3, 3)), (12, 13), mode="valid")
    b, x0 = draw(A.out_shape), np.full(A.in_shape, bad)
    with pytest.raises(convop.GeometryError, match="x0 holds samples that are NaN or inf"):
        convop.solve(A, b, alpha=1.0, x0=x0)
    torch = pytest.importorskip("torch")
    with pytest.raises(convop.GeometryError, match="x0 holds samples that are NaN or inf"):
        convop.solve(A, torch.from_numpy(b), alpha=1.0, x0=torch.from_numpy(x0))


@pytest.mark.parametrize("rule", ["gcv", "upre", "lcurve", "discrepancy"])
@pytest.mark.parametrize("mode", ["valid", "same"])
def test_rules_for_data_that_are_zero(mode, rule):
    A = convop.Convolution(convop.psf.gaussian(5, 1.0), (20, 19), mode=mode)
    b = np.stack([0 * draw(A.out_shape), draw(A.out_shape)])
    found = convop.solve(A, b, alpha=rule, noise=0.01)
    assert found.status == "converged"
    assert not found.x[0].any()
    assert found.x[1].any()


def test_what_costs_nothing_takes_the_largest_alpha():
    """A constant picture has no gradient: every alpha explains it, and small ones would fit its rounding errors."""
    A = convop.Convolution(convop.psf.gaussian(11, 1.8), (74, 73), mode="valid")
    found = convop.solve(A, np.full(A.out_shape, 100.0), alpha="gcv", regularizer="gradient")
    assert np.abs(found.x - 100).max() < 1e-3


def test_an_interrupt_ends_all_items_of_a_batch():
    A = convop.Convolution(convop.psf.gaussian(9, 2.0), (30, 37), mode="valid")
    b, calls = draw((4, *A.out_shape)), []

    def interrupt(progress):
        calls.append(progress.iteration)
        if len(calls) == 3:
            raise KeyboardInterrupt

    found = convop.solve(A, b, alpha="discrepancy", noise=0.5, tol=1e-12, callback=interrupt)
    assert len(calls) == 3
    assert found.status == "max_iterations"
    assert "interrupted" in found.reason
    assert found.x.shape == (4, *A.in_shape)
    assert not found.x[-1].any()
    assert np.isnan(found.error_bound[-1])


@pytest.mark.parametrize("alpha", [0, 0.05])
@pytest.mark.parametrize(("dtype", "unit"), [("float32", 2.0**-80), ("float32", 2.0**60), ("float64", 2.0**600)])
def test_counts_in_any_unit(dtype, unit, alpha):
    A = convop.Convolution(convop.psf.gaussian(5, 1.0).astype(dtype), (20, 19), mode="valid")
    b = (10 + draw(A.out_shape) ** 2).astype(dtype)
    want, found = (
        convop.solve(A, scale * b, prior="poisson", alpha=alpha, maxiter=30) for scale in (1, np.array(unit, dtype))
    )
    assert np.isfinite(found.x).all()
    assert np.linalg.norm(found.x / unit - want.x) <= 1e-3 * np.linalg.norm(want.x)


def test_a_callback_is_looked_at_first():
    A = convop.Convolution(blur((3, 3)), (12, 13), mode="valid")
    with pytest.raises(convop.GeometryError, match="callback must be a function"):
        convop.solve(A, draw(A.out_shape), alpha=1.0, callback=3)
    assert convop.solve(A, draw(A.out_shape), alpha=1.0, tol=np.array(1e-3)).status == "converged"
