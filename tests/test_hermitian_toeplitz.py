"""Hermitian Toeplitz systems by Levinson's recursion, against dense ones."""

import numpy as np
import pytest
from scipy.linalg import toeplitz

from convop.apply import threads
from convop.solving import hermitian_toeplitz
from convop.solving.hermitian_toeplitz import Toeplitz

RNG = np.random.default_rng(3)


def columns_of(spectra, size):
    """First columns `(many, size)` of positive definite Toeplitz matrices, from spectra `(many, n)` above zero."""
    return np.fft.ifft(spectra, axis=1)[:, :size]


def complex_draw(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize("many", [1, 6, 65])  # fewer and more than stand side by side
@pytest.mark.parametrize("size", [1, 2, 3, 14, 31])
def test_solves_and_multiplies(size, many, threaded, monkeypatch):
    monkeypatch.setattr(threads, "WORTH_SHARING", 0 if threaded else 10**12)
    columns = columns_of(RNG.random((many, 64)) + 0.05, size)
    right = complex_draw(3, many, size)
    systems = Toeplitz(columns)
    found = systems.solve(right)
    image = systems.multiply(right)
    for k, column in enumerate(columns):
        matrix = toeplitz(column)
        np.testing.assert_allclose(found[:, k], np.linalg.solve(matrix, right[:, k].T).T, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(image[:, k], right[:, k] @ matrix.T, rtol=1e-12, atol=1e-12)


def test_many_axes_and_real_numbers():
    symmetric = RNG.random((6, 64)) + 0.1
    symmetric = symmetric + np.roll(symmetric[:, ::-1], 1, axis=1)
    columns = columns_of(symmetric, 5).real.reshape(2, 3, 5)
    right = RNG.standard_normal((4, 2, 3, 5))
    found = Toeplitz(columns).solve(right)
    assert (found.shape, found.dtype) == (right.shape, float)
    np.testing.assert_allclose(found[:, 1, 2], np.linalg.solve(toeplitz(columns[1, 2]), right[:, 1, 2].T).T, rtol=1e-10)
    both = Toeplitz(columns).solve(right + 2j * right)
    np.testing.assert_allclose(both, (1 + 2j) * found, rtol=1e-10)


@pytest.mark.parametrize(("given", "wanted"), [("f", "f"), ("F", "F"), ("d", "d"), ("D", "D")])
def test_answers_have_the_type_of_the_question_and_are_computed_in_double(given, wanted):
    columns = np.real(columns_of(RNG.random((2, 64)) + 0.05, 9))
    right = RNG.standard_normal((1, 2, 9)).astype(given)
    found = Toeplitz(columns).solve(right)
    assert found.dtype == wanted
    want = np.stack(
        [
            np.linalg.solve(toeplitz(c), right[0, k].astype(given.replace("f", "d").replace("F", "D")))
            for k, c in enumerate(columns)
        ]
    )
    np.testing.assert_allclose(found[0], want.astype(wanted), rtol=1e-6 if given in "fF" else 1e-10)


def test_errs_no_more_than_elimination_does():
    spectra = RNG.random((4, 256)) + 1e-6
    spectra[:, :100] = 1e-6  # condition numbers near a million, as for a weak penalty
    columns = columns_of(spectra, 30)
    right = complex_draw(1, 4, 30)
    for column, b, found in zip(columns, right[0], Toeplitz(columns).solve(right)[0], strict=True):
        matrix = toeplitz(column)
        assert np.linalg.cond(matrix) > 1e5
        left = [np.linalg.norm(matrix @ x - b) for x in (found, np.linalg.solve(matrix, b))]
        assert left[0] < 100 * left[1] + 1e-12 * np.linalg.norm(found)


def test_nothing_of_the_size_of_the_matrices_is_kept():
    systems = Toeplitz(columns_of(RNG.random((2, 4096)) + 0.05, 1500))
    right = complex_draw(1, 2, 1500)
    found = systems.solve(right)
    np.testing.assert_allclose(systems.multiply(found), right, rtol=1e-9, atol=1e-9)
    kept = sum(each.nbytes for each in (systems.columns, *systems._predictors))
    assert kept < 3 * right.nbytes + 100
    assert hermitian_toeplitz.TOGETHER > 1


@pytest.mark.parametrize("size", [1, 3, 14, 31])
def test_may_solve_in_single_precision_from_predictors_in_double(size):
    columns, right = columns_of(RNG.random((40, 64)) + 0.1, size), complex_draw(2, 40, size).astype(np.complex64)
    narrow, wide = Toeplitz(columns, np.dtype(np.float32)), Toeplitz(columns)
    for few, many in zip(narrow._predictors, wide._predictors, strict=True):
        assert few.dtype.itemsize == many.dtype.itemsize / 2
        np.testing.assert_allclose(few, many, rtol=1e-6)
    for name in ("solve", "multiply"):
        found, want = (getattr(systems, name)(right) for systems in (narrow, wide))
        assert found.dtype == np.complex64
        assert np.linalg.norm(found - want) < 3e-6 * np.linalg.norm(want)
