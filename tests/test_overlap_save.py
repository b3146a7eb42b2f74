"""Overlap-save against matrices made by loops: small blocks on small arrays, whatever the geometry."""

import numpy as np
import oracle
import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convop
from convop.apply import fft, overlap_save

MODEST = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def check_blocks(spec, seed, more):
    """With blocks a little longer than what an output reads, so that there are several along each axis."""
    A, matrix = spec.build(), spec.matrix()
    lengths = tuple(span + extra for span, extra in zip(overlap_save.spans(A.geometry), more, strict=False))
    prepared = overlap_save.Prepared(A.geometry, A.weight, lengths)
    x = strategies.values(seed, (2, A.geometry.channels_in, *A.geometry.spatial), A.dtype)
    y = strategies.values(seed + 1, (2, A.geometry.channels_out, *A.geometry.out_spatial), A.dtype)
    tol = 256 * np.finfo(A.dtype).eps
    for signal, made, rows in (
        (x, overlap_save.forward(prepared, x), matrix),
        (y, overlap_save.adjoint(prepared, y), matrix.conj().T),
    ):
        assert made.dtype == A.dtype
        for one, got in zip(signal, made, strict=True):
            assert oracle.error(got.ravel(), rows @ one.ravel(), rows, one.ravel()) <= tol


@MODEST
@given(strategies.convolutions(), st.integers(0, 1000), st.tuples(*[st.integers(1, 4)] * 4))
def test_convolutions_in_small_blocks(spec, seed, more):
    check_blocks(spec, seed, more)


@MODEST
@given(strategies.layers(), st.integers(0, 1000), st.tuples(*[st.integers(1, 4)] * 4))
def test_layers_in_small_blocks(spec, seed, more):
    check_blocks(spec, seed, more)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("boundary", ["zero", "periodic", ("symmetric", "mirror")])
def test_large_pictures_are_done_in_blocks(boundary, dtype):
    """What the plan takes blocks for equals direct sums."""
    kernel, shape = strategies.values(0, (24, 31), np.dtype(dtype)), (2053, 1201)
    A = convop.Convolution(kernel, shape, boundary=boundary).using("fft")
    assert isinstance(fft.prepare(A.geometry, A.weight), overlap_save.Prepared)
    x, y = (strategies.values(seed, shape, np.dtype(dtype)) for seed in (1, 2))
    for got, want in ((A(x), A.using("direct")(x)), (A.H(y), A.using("direct").H(y))):
        assert np.abs(got - want).max() <= 100 * np.finfo(dtype).eps * np.abs(want).max()


def test_threads_share_blocks():
    """One thread and several give the same numbers."""
    import numba

    kernel = strategies.values(0, (40, 25), np.dtype("float64"))
    A = convop.Convolution(kernel, (900, 807), boundary="mirror").using("fft")
    x = strategies.values(1, A.in_shape, np.dtype("float64"))
    several = A(x)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert np.array_equal(A(x), several)
    finally:
        numba.set_num_threads(threads)
