"""Arrays larger than memory: every block size gives what the whole matrix gives, and memory is that of a block."""

import tracemalloc

import numpy as np
import pytest
from cases import CASES, array, signal_like
from hypothesis import given
from hypothesis import strategies as st
from oracle import BOUNDARIES, convolution_matrix, error

import convop
from convop import blockwise
from convop.part import convolution_of


def cuttable(operator):
    try:
        convolution_of(operator, "")
    except convop.GeometryError:
        return False
    return True


CUT = [case for case in CASES if cuttable(case.operator)]


def test_most_cases_can_be_cut():
    assert len(CUT) >= 90
    assert any(convolution_of(case.operator, "")[1] for case in CUT)


@pytest.mark.parametrize("case", CUT, ids=repr)
def test_every_block_size_is_the_matrix(case):
    for operator, matrix in ((case.operator, case.matrix), (case.operator.H, case.matrix.conj().T)):
        x = signal_like(operator, operator.in_shape)
        for block in (1, 2, 3, None):
            target = np.full(operator.out_shape, 7, operator.dtype)
            assert convop.apply_blocks(operator, x, target, block) is target
            assert error(target.ravel(), matrix @ x.ravel(), matrix, x.ravel()) <= 200 * np.finfo(operator.dtype).eps


@given(
    st.sampled_from(BOUNDARIES), st.tuples(*[st.integers(1, 6)] * 2), st.tuples(*[st.integers(2, 9)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2), st.integers(1, 3), st.tuples(*[st.integers(1, 5)] * 2),
)  # fmt: skip
def test_any_geometry(boundary, taps, shape, stride, dilation, block):
    kernel, x = array(taps, "complex128"), array(shape, "complex128", 1)
    matrix = convolution_matrix(kernel, shape, boundary=boundary, stride=stride, dilation=dilation)
    A = convop.Convolution(kernel, shape, boundary=boundary, stride=stride, dilation=dilation)
    y = convop.apply_blocks(A, x, np.empty(A.out_shape, "complex128"), block)
    assert error(y.ravel(), matrix @ x.ravel(), matrix, x.ravel()) <= 1e-13
    back = convop.apply_blocks(A.H, y, np.empty(shape, "complex128"), block)
    assert error(back.ravel(), matrix.conj().T @ y.ravel(), matrix.T, y.ravel()) <= 1e-13


@pytest.mark.parametrize("boundary", ["periodic", "mirror", "antireflective"])
@pytest.mark.parametrize("adjoint", [False, True])
def test_memory_is_that_of_a_block(tmp_path, boundary, adjoint):
    """Files of 2 MB each way, in blocks of 64 by 64: 33 kB each."""
    shape, block = (512, 512), 64
    A = convop.Convolution(array((5, 4)), shape, boundary=boundary).using("direct")
    operator = A.H if adjoint else A
    source = np.memmap(tmp_path / "x", np.float64, "w+", shape=shape)
    source[...] = array(shape)
    target = np.memmap(tmp_path / "y", np.float64, "w+", shape=shape)
    tracemalloc.start()
    convop.apply_blocks(operator, source, target, block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 20 * (block + 4) ** 2 * 8, peak
    assert error(target, operator(source)) <= 1e-13


def test_channels_batches_and_types():
    layer = convop.conv_layer(array((4, 3, 3, 2), "float32"), (3, 20, 30), stride=(2, 3), padding=1, boundary="mirror")
    x = array((2, 5, 3, 20, 30), "float32")
    y = convop.apply_blocks(layer, x, np.empty((2, 5, *layer.out_shape), "float32"), (3, 4))
    assert error(y, layer(x)) <= 1e-6
    back = convop.apply_blocks(layer.H, y, np.empty(x.shape, "float32"), 5)
    assert error(back, layer.H(y)) <= 1e-6
    counts = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    inverted = convop.conv_layer(layer.kernel, (3, 20, 30), padding=2, boundary="antireflective")
    y = convop.apply_blocks(inverted, counts, np.empty(inverted.out_shape, "float64"), 6)
    assert error(y, inverted(counts)) <= 1e-6


def test_blocks_are_small_where_none_are_asked_for(monkeypatch):
    monkeypatch.setattr(blockwise, "BLOCK", 50)
    A = convop.Convolution(array((3, 2)), (31, 20), boundary="periodic")
    assert blockwise._default(A.out_shape) == (8, 5)
    x = array((31, 20))
    assert error(convop.apply_blocks(A, x, np.empty((31, 20))), A(x)) <= 1e-14
    assert error(convop.apply_blocks(A, x.tolist(), np.empty((31, 20))), A(x)) <= 1e-14


def test_multiples_of_an_adjoint():
    A = convop.Convolution(array((3, 3), "complex128"), (9, 8), boundary="mirror", stride=2)
    y = array(A.out_shape, "complex128", 1)
    for operator in (2j * A.H, (2j * A).H, A.T, -A.T):
        got = convop.apply_blocks(operator, y, np.empty((9, 8), "complex128"), 2)
        assert error(got, operator(y)) <= 1e-13


def test_nan_stays_where_it_is_read():
    A = convop.Convolution(array((3, 3)), (30, 20), boundary="mirror").using("direct")
    x = array((30, 20))
    x[10, 10] = np.nan
    y = convop.apply_blocks(A, x, np.empty((30, 20)), 7)
    assert np.array_equal(np.isnan(y), np.isnan(A(x)))


def test_what_does_not_fit_is_refused(tmp_path):
    A = convop.Convolution(array((3, 3)), (9, 8))
    x, y = array((9, 8)), np.empty((9, 8))
    with pytest.raises(convop.ShapeError, match=r"source has shape \(8, 9\)"):
        convop.apply_blocks(A, x.T, y)
    with pytest.raises(convop.ShapeError, match=r"target has shape \(2, 9, 8\)"):
        convop.apply_blocks(A, x, np.empty((2, 9, 8)))
    with pytest.raises(convop.DTypeError, match="give a target of dtype complex128"):
        convop.apply_blocks(A, x + 0j, y)
    with pytest.raises(convop.DTypeError, match="float64 and the target float32"):
        convop.apply_blocks(A, x, y.astype(np.float32))
    with pytest.raises(convop.DTypeError, match="the target is list"):
        convop.apply_blocks(A, x, y.tolist())
    read_only = y.copy()
    read_only.setflags(write=False)
    with pytest.raises(convop.DTypeError, match="read-only"):
        convop.apply_blocks(A, x, read_only)
    with pytest.raises(convop.GeometryError, match="block"):
        convop.apply_blocks(A, x, y, 0)
    with pytest.raises(convop.GeometryError, match="with an array in between"):
        convop.apply_blocks(convop.Diagonal(x) @ A, x, y)
    with pytest.raises(convop.ShapeError, match="share memory"):
        convop.apply_blocks(A, y, y)
    first = np.memmap(tmp_path / "x", np.float64, "w+", shape=(9, 8))
    second = np.memmap(tmp_path / "x", np.float64, "r+", shape=(9, 8))
    with pytest.raises(convop.ShapeError, match="share memory"):
        convop.apply_blocks(A, first, second)
