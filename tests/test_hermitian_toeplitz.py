"""Inverses of Hermitian Toeplitz matrices by Levinson's recursion, against dense inverses."""

import numpy as np
import pytest
from scipy.linalg import toeplitz

from convop.solving.hermitian_toeplitz import inverses

RNG = np.random.default_rng(3)


def columns_of(spectra, size):
    """First columns `(size, many)` of positive definite Toeplitz matrices, from spectra `(many, n)` above zero."""
    return np.fft.ifft(spectra, axis=1)[:, :size].T


@pytest.mark.parametrize("size", [1, 2, 3, 14, 31])
def test_is_the_dense_inverse(size):
    columns = columns_of(RNG.random((6, 64)) + 0.05, size)
    want = [np.linalg.inv(toeplitz(column)) for column in columns.T]
    np.testing.assert_allclose(inverses(columns), want, rtol=1e-10, atol=1e-10)


def test_many_axes_and_real_columns():
    symmetric = RNG.random((6, 64)) + 0.1
    symmetric = symmetric + np.roll(symmetric[:, ::-1], 1, axis=1)
    columns = columns_of(symmetric, 5).real.reshape(5, 2, 3)
    found = inverses(columns)
    assert found.shape == (2, 3, 5, 5)
    assert found.dtype == float
    np.testing.assert_allclose(found[1, 2], np.linalg.inv(toeplitz(columns[:, 1, 2])), rtol=1e-10, atol=1e-12)


def test_errs_no_more_than_elimination_does():
    spectra = RNG.random((4, 256)) + 1e-6
    spectra[:, :100] = 1e-6  # condition numbers near a million, as for a weak penalty
    columns = columns_of(spectra, 30)
    for column, found in zip(columns.T, inverses(columns), strict=True):
        matrix = toeplitz(column)
        assert np.linalg.cond(matrix) > 1e5
        errors = [abs(matrix @ each - np.eye(30)).max() for each in (found, np.linalg.inv(matrix))]
        assert errors[0] < 10 * errors[1] + 1e-13
