"""The matrix where lines are repeated, split between threads and folded: against numpy's pad and scipy's COO."""

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from cases import array

import convop
from convop.apply import threads

PAD = {name: mode for name, mode in oracle.PAD_MODE.items() if name not in ("zero", "antireflective")}


def padded_numbers(shape, widths, boundary):
    """The number of the sample that stands at each position of the extended array, -1 where nothing does."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    mode = {"mode": "constant", "constant_values": -1} if boundary == "zero" else PAD[boundary]
    return np.pad(numbers, widths, **mode)


def reference(weight, shape, widths, boundary, stride=1, dilation=1, groups=1):
    """The matrix of a layer: a COO entry for each output, tap and input channel; scipy adds those that meet."""
    ndim = len(shape)
    stride, dilation = oracle.per_axis(stride, ndim), oracle.per_axis(dilation, ndim)
    numbers, samples = padded_numbers(shape, widths, boundary), int(np.prod(shape))
    c_out, c_in = weight.shape[:2]
    taps = weight.shape[2:]
    out = [(e - (k - 1) * d - 1) // s + 1 for e, k, d, s in zip(numbers.shape, taps, dilation, stride, strict=True)]
    rows, columns, values = [], [], []
    for o, c, *t in np.argwhere(weight):
        places = [slice(i * d, i * d + (m - 1) * s + 1, s) for i, d, m, s in zip(t, dilation, out, stride, strict=True)]
        read = numbers[tuple(places)].ravel()
        there = read >= 0
        rows.append(o * len(read) + np.flatnonzero(there))
        columns.append((o // (c_out // groups) * c_in + c) * samples + read[there])
        values.append(np.full(there.sum(), weight[(o, c, *t)], np.result_type(weight, np.float64)))
    parts = [np.concatenate(part) for part in (values, rows, columns)]
    return sp.coo_array((parts[0], (parts[1], parts[2])), (c_out * int(np.prod(out)), c_in * groups * samples)).tocsr()


def assert_same(got, want):
    """The same entries stored, in canonical order, with the same values."""
    want.sort_indices()
    assert got.shape == want.shape
    assert sp.csr_array((got.data, got.indices, got.indptr), got.shape).has_canonical_format
    assert np.array_equal(got.indptr, want.indptr)
    assert np.array_equal(got.indices, want.indices)
    assert oracle.error(got.data, want.data) <= 20 * np.finfo(got.dtype).eps


@pytest.fixture(autouse=True, params=["alone", "shared"])
def sharing(request, monkeypatch):
    """By one thread, and by as many as there are."""
    monkeypatch.setattr(threads, "WORTH_SHARING", 0 if request.param == "shared" else 10**12)


def with_holes(shape, dtype):
    """Some taps zero, and one output channel, where there are several, without any."""
    weight = array(shape, dtype)
    weight[np.random.default_rng(5).random(shape) < 0.4] = 0
    if shape[0] > 2:
        weight[1] = 0
    return weight


SHAPES = {
    "1-D": ((1, 1, 9), (30_000,), ((4, 4),), {}),
    "1-D, long taps": ((1, 1, 400), (500,), ((300, 180),), {}),
    "1-D, wide": ((1, 1, 3), (6_000,), ((1000, 1000),), {"dilation": 1000}),
    "1-D, channels": ((3, 2, 70), (211,), ((150, 90),), {"stride": 3, "dilation": 2}),
    "2-D": ((1, 1, 4, 3), (90, 111), ((2, 1), (0, 2)), {}),
    "2-D, strided": ((2, 1, 5, 4), (83, 60), ((7, 2), (3, 3)), {"stride": (2, 3), "dilation": (3, 1)}),
    "2-D, long taps": ((1, 1, 15, 20), (16, 12), ((14, 14), (12, 9)), {}),
    "2-D, one column": ((1, 1, 3, 2), (700, 2), ((1, 1), (0, 1)), {}),
    "groups": ((6, 2, 3, 2), (21, 33), ((1, 1), (1, 0)), {"groups": 3}),
    "3-D": ((2, 2, 2, 3, 2), (12, 9, 14), ((1, 1), (2, 1), (0, 1)), {"stride": (1, 2, 1)}),
}


@pytest.mark.parametrize("boundary", ["zero", *PAD])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("make", "dtype"), [(array, "float64"), (with_holes, "float64"), (with_holes, "complex128")])
def test_against_padding(name, boundary, make, dtype):
    taps, shape, padding, options = SHAPES[name]
    weight = make(taps, dtype)
    groups = options.get("groups", 1)
    operator = convop.conv_layer(weight, (taps[1] * groups, *shape), padding=padding, boundary=boundary, **options)
    got, want = operator.tosparse(), reference(weight, shape, padding, boundary, **options)
    assert convop.estimate(operator).nnz == got.nnz
    assert_same(got, want)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_single_precision(dtype):
    weight = with_holes((2, 3, 3, 4), dtype)
    operator = convop.conv_layer(weight, (3, 40, 70), padding=((1, 2), (3, 0)), boundary="symmetric")
    matrix = operator.tosparse()
    assert matrix.dtype == dtype
    assert_same(matrix, reference(weight, (40, 70), ((1, 2), (3, 0)), "symmetric").astype(dtype))


def test_antireflective_edges():
    """Three samples for each outside; what a tap adds and takes away again stays an entry."""
    for taps, shape in (((7, 30), (9, 20)), ((3, 2), (40, 50)), ((1, 61), (3, 31))):
        kernel = np.random.default_rng(0).integers(1, 9, taps).astype("float64")
        operator = convop.Convolution(kernel, shape, boundary="antireflective")
        matrix = operator.tosparse()
        assert np.array_equal(matrix.toarray(), oracle.convolution_matrix(kernel, shape, boundary="antireflective"))
        assert convop.estimate(operator).nnz == matrix.nnz


@pytest.mark.parametrize("boundary", ["zero", *PAD])
def test_extend_and_unfold(boundary):
    """Kernels of one tap, and of one tap each."""
    extend = convop.Extend((60, 50), ((170, 3), (0, 90)), boundary, dtype="float64")
    want = reference(np.ones((1, 1, 1, 1)), (60, 50), ((170, 3), (0, 90)), boundary)
    assert_same(extend.tosparse(), want)
    unfold = convop.Unfold((2, 40, 50), (3, 5), stride=(1, 2), padding=(1, 4), dtype="float64")
    filters = np.tile(np.eye(15).reshape(15, 1, 3, 5), (2, 1, 1, 1))
    assert_same(unfold.tosparse(), reference(filters, (40, 50), ((1, 1), (4, 4)), "zero", stride=(1, 2), groups=2))


def test_long_kernels_take_no_more_memory_than_their_matrix():
    """Every output of a long folded kernel reads the array in a way of its own."""
    operator = convop.Convolution(array(1500), 1500, boundary="symmetric")
    needed = convop.estimate(operator).bytes
    assert operator.tosparse(max_bytes=needed + 100_000).nnz == convop.estimate(operator).nnz
