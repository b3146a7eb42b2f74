"""Problems in double precision that are solved in single: when, and that nobody can tell by the residual."""

import numpy as np
import oracle
import pytest
from solving_cases import Draws

import convop
from convop.solving import frame, pinned, precision
from convop.solving.arrays import Arrays
from convop.solving.normal import Answer
from convop.solving.on_torus import Spectral
from convop.solving.precision import AsNeeded
from convop.solving.problem import Problem

DRAWS = Draws(np.random.default_rng(5))
draw, blur = DRAWS.array, DRAWS.blur
DOUBLE, SINGLE = Arrays(np.dtype(np.float64)), Arrays(np.dtype(np.float32))


class Recorder(Spectral):
    """Notes what it is asked, and answers half of it."""

    def __init__(self, arrays, asked):
        self.arrays, self.asked = arrays, asked

    def solve(self, spectra, tol, maxiter, start=None, watch=None):
        self.asked.append((self.arrays, spectra.dtype.char, None if start is None else start.dtype.char))
        if watch is not None:
            watch(1, lambda: spectra / 2, 0.5)
        return Answer(spectra / 2, (1.0, 0.0), "converged")


def recorded(arrays=DOUBLE, least=0.01, largest=1.0):
    asked = []
    return AsNeeded(lambda each: Recorder(each, asked), arrays, least, largest), asked


@pytest.mark.parametrize("given", ["d", "D"])
def test_a_loose_tolerance_is_met_in_single_precision_and_answered_in_double(given):
    factor, asked = recorded()
    f, seen = np.array([[1, -1, 1, 1], [-2, 2, 2, 2]]).astype(given), []
    answer = factor.solve(f, 1e-6, 9, f, lambda step, iterate, worst: seen.append(iterate()))
    narrow = {"d": "f", "D": "F"}[given]
    assert asked == [(SINGLE, narrow, narrow)]
    assert answer.x.dtype.char == seen[0].dtype.char == given
    assert np.array_equal(answer.x, f / 2)


@pytest.mark.parametrize(
    ("arrays", "least", "largest", "tol"),
    [
        (DOUBLE, 0.01, 1, 5e-7), (DOUBLE, 1e-4, 1, 1e-6), (DOUBLE, 0, 1, 0.1), (SINGLE, 0.1, 1, 0.1),
        (DOUBLE, 1e-20, 1e-19, 0.1), (DOUBLE, 1e19, 1e20, 0.1),
    ],
)  # fmt: skip
def test_what_single_precision_might_not_reach_stays_as_it_is(arrays, least, largest, tol):
    factor, asked = recorded(arrays, least, largest)
    factor.solve(np.zeros((1, 3), arrays.precision), tol, 9)
    assert asked == [(arrays, arrays.precision.char, None)]


def test_a_correction_stays_in_the_precision_of_what_it_corrects():
    factor, asked = recorded()
    factor.solve(np.ones((1, 3)), 1e-9, 9)
    factor.solve(np.ones((1, 3)), 0.5, 9)
    assert [kind for _, kind, _ in asked] == ["d", "d"]


CASES = [
    ("valid", (21, 17), (4, 5)), ("full", (21, 17), (4, 5)), ("valid", (40,), (6,)), ("full", (8, 9, 7), (3, 2, 4)),
]  # fmt: skip


@pytest.mark.parametrize("alpha", [1.0, 1e-2, 1e-5])
@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize(("mode", "shape", "taps"), CASES)
@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-10])
def test_the_residual_is_as_small_as_was_asked(tol, mode, shape, taps, dtype, alpha):
    """Computed from dense matrices in double precision, of each item of a batch."""
    h = blur(taps, dtype)
    A, matrix = convop.Convolution(h, shape, mode=mode), oracle.convolution_matrix(h, shape, mode)
    b = draw((2, *A.out_shape), dtype)
    solution = convop.solve(A, b, alpha=alpha, tol=tol)
    assert (solution.status, solution.x.dtype) == ("converged", np.dtype(dtype))
    f = matrix.conj().T @ b.reshape(2, -1).T
    x = solution.x.reshape(2, -1).T
    left = np.linalg.norm(f - matrix.conj().T @ (matrix @ x) - alpha * x, axis=0) / np.linalg.norm(f, axis=0)
    assert left.max() <= tol * (1 + 1e-6)
    assert solution.residual_norms[-1] == pytest.approx(left.max(), rel=1e-3, abs=1e-15)
    if alpha >= 1e-2 or tol < 1e-6:  # else it depends on the kernel's zeros
        assert ("in single precision" in solution.reason) == (tol >= 1e-6)


@pytest.mark.parametrize("mode", ["valid", "full"])
@pytest.mark.parametrize("unit", [1e-60, 1e-30, 1e30, 1e60])
def test_any_units(unit, mode):
    """Data far outside the exponents of single precision, in a batch with others; and such kernels."""
    h = blur((4, 5))
    A = convop.Convolution(h, (21, 17), mode=mode)
    b = draw((3, *A.out_shape)) * np.array([1, unit, 0]).reshape(3, 1, 1)
    found, want = (convop.solve(A, b, alpha=1e-2, tol=tol) for tol in (1e-6, 1e-12))
    assert "in single precision" in found.reason
    assert found.status == "converged"
    for x, y in zip(found.x, want.x, strict=True):
        assert np.linalg.norm(x / unit**0.5 - y / unit**0.5) <= 1e-4 * np.linalg.norm(y / unit**0.5)
    other = convop.solve(convop.Convolution(h * unit, (21, 17), mode=mode), b[0] * unit, alpha=1e-2 * unit**2)
    assert "in single precision" not in other.reason
    assert np.linalg.norm(other.x - want.x[0]) <= 1e-4 * np.linalg.norm(want.x[0])


@pytest.mark.parametrize("mode", ["valid", "full"])
def test_data_that_the_blur_hardly_makes_are_corrected(mode, monkeypatch):
    """A checkerboard is what a smooth kernel takes away: all that single precision knows of it is rounded."""
    A = convop.Convolution(convop.psf.gaussian(9, 1.5), (40, 37), mode=mode)
    rows, columns = np.indices(A.out_shape)
    b = (-1.0) ** (rows + columns) * (1 + 0.1 * np.cos(rows))
    used = []
    monkeypatch.setattr(AsNeeded, "_in", _noting(AsNeeded._in, used))
    solution = convop.solve(A, b, alpha=1e-3)
    assert {arrays.precision for arrays in used} == {precision.SINGLE}
    assert solution.status == "converged"
    assert solution.residual_norms[-1] <= 1e-6
    x = convop.solve(A, b, alpha=1e-3, tol=1e-12).x
    assert np.linalg.norm(solution.x - x) <= solution.error_bound * np.linalg.norm(x) * 1.01


def _noting(method, used):
    def noted(self, arrays):
        used.append(arrays)
        return method(self, arrays)

    return noted


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize("alpha", [1e-1, 1e-4])
@pytest.mark.parametrize(("module", "mode"), [(frame, "valid"), (pinned, "full")])
def test_the_bounds_hold_for_the_normal_equations(module, mode, alpha, dtype, monkeypatch):
    h = blur((4, 5), dtype)
    A, matrix = convop.Convolution(h, (12, 11), mode=mode), oracle.convolution_matrix(h, (12, 11), mode)
    found = []
    monkeypatch.setattr(module, "AsNeeded", lambda make, arrays, *bounds: found.append(bounds))
    module.METHOD.prepare(Problem(A)).at(alpha)
    eigenvalues = np.linalg.eigvalsh(matrix.conj().T @ matrix + alpha * np.eye(132))
    (least, largest) = found[0]
    assert alpha <= least <= eigenvalues[0] * (1 + 1e-9)
    assert eigenvalues[-1] <= largest * (1 + 1e-9) <= 3 * eigenvalues[-1]


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
def test_tensors_are_solved_so_too(dtype):
    torch = pytest.importorskip("torch")
    A = convop.Convolution(blur((4, 5), dtype), (21, 17), mode="valid")
    b = draw((2, *A.out_shape), dtype)
    for tol in (1e-6, 1e-10):
        found = convop.solve(A, torch.from_numpy(b), alpha=1e-2, tol=tol)
        want = convop.solve(A, b, alpha=1e-2, tol=1e-12).x
        assert found.status == "converged"
        assert np.linalg.norm(found.x.numpy() - want) <= 100 * tol * np.linalg.norm(want)
        assert found.x.numpy().dtype == dtype
