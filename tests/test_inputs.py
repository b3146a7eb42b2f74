"""Inputs as people have them: NaN and inf, read-only, memory-mapped, strided, foreign byte order, from many threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import convop

KERNEL = np.outer([1.0, -2.0, 0.5], [3.0, 1.0, -1.0, 2.0])  # separable, unsymmetric, one even side
METHODS = ("direct", "separable", "gemm", "sparse", "fft")
LOCAL = METHODS[:-1]  # methods whose sums hold what they read and nothing else


def operator(method, **options):
    return convop.Convolution(KERNEL, (23, 31), method=method, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("method", LOCAL)
def test_nan_and_inf_stay_where_they_are_read(method, stride, bad):
    A = operator(method, stride=stride)
    matrix = A.tosparse().toarray()
    for apply, rows, shape in ((A, matrix, A.in_shape), (A.H, matrix.T, A.out_shape)):
        x = np.random.default_rng(0).standard_normal(shape)
        clean = apply(x).ravel()
        x[4, 5] = bad
        with np.errstate(invalid="ignore"):
            got = apply(x).ravel()
        reads = rows[:, np.ravel_multi_index((4, 5), shape)] != 0
        assert reads.any()
        assert not np.isfinite(got[reads]).any()
        assert np.allclose(got[~reads], clean[~reads], rtol=1e-12, atol=1e-12)


def test_fft_spreads_nan_as_any_transform_does():
    x = np.random.default_rng(0).standard_normal((23, 31))
    x[4, 5] = np.nan
    assert np.isnan(operator("fft")(x)).all()


@pytest.mark.parametrize("boundary", ["zero", "antireflective", "periodic"])
@pytest.mark.parametrize("method", METHODS)
def test_read_only_memory_mapped_strided_and_foreign_arrays(method, boundary, tmp_path):
    A, x = operator(method, boundary=boundary), np.random.default_rng(0).standard_normal((23, 31))
    np.save(tmp_path / "x.npy", x)
    frozen = x.copy()
    frozen.setflags(write=False)
    wide = np.zeros((46, 62))
    wide[::2, ::-2] = x
    given = (
        frozen,
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        wide[::2, ::-2],
        np.asfortranarray(x),
        x.astype(x.dtype.newbyteorder()),
        x.tolist(),
    )
    want, back = A(x), A.H(x)
    for array in given:
        before = np.array(array)
        assert np.array_equal(A(array), want)
        assert np.array_equal(A.H(array), back)
        assert np.array_equal(np.array(array), before)


@pytest.mark.parametrize("method", METHODS)
def test_results_are_new_arrays_that_can_be_written(method):
    A = operator(method)
    x = np.zeros(A.in_shape)
    y = A(x)
    y[...] = 1
    assert not np.shares_memory(x, y)
    assert not A(x).any()


@pytest.mark.parametrize("method", METHODS)
def test_many_threads_apply_one_operator(method):
    """Also the very first application, which prepares and compiles."""
    A = operator(method, boundary="mirror")
    signals = np.random.default_rng(0).standard_normal((32, 23, 31))
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(A, signals))
        back = list(pool.map(A.H, signals))
    one = operator(method, boundary="mirror")
    for x, y, u in zip(signals, got, back, strict=True):
        assert np.array_equal(y, one(x))
        assert np.array_equal(u, one.H(x))
