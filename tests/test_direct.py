"""The direct engine against dense matrices and plain sums of shifted arrays, in blocks of every shape."""

import itertools
import tracemalloc

import numpy as np
import oracle
import pytest
from cases import array

import convop
from convop.apply import blocking

KERNELS = [(1, 1), (2, 3), (4, 3), (5, 6), (6, 3), (7, 4), (9, 2), (8, 10)]


def pinned(kernel, shape, **options):
    return convop.Convolution(kernel, shape, method="direct", **options)


def agrees(operator, matrix, batch=(2,), factor=20):
    """Both directions of the engine, on a batch."""
    eps = np.finfo(operator.dtype).eps
    x, y = (array((*batch, *shape), operator.dtype, 3) for shape in (operator.in_shape, operator.out_shape))
    count = int(np.prod(batch))
    want = (x.reshape(count, -1) @ matrix.T).reshape(y.shape)
    back = (y.reshape(count, -1) @ matrix.conj()).reshape(x.shape)
    got = operator._adjoint_forward(y)  # of the engine itself, also where the adjoint is a convolution
    assert operator(x).dtype == got.dtype == operator.dtype
    assert oracle.error(operator(x), want) <= factor * eps
    assert oracle.error(got, back) <= factor * eps


@pytest.fixture(params=["whole", "small"])
def blocks(request, monkeypatch):
    """Blocks as they are, and so small that every array here has many, with a rest on both axes."""
    if request.param == "small":
        monkeypatch.setattr(blocking, "LINE", 40)
        monkeypatch.setattr(blocking, "ROWS", 6)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", ["complex128", "float32"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_kernels_of_every_shape(kernel, dtype):
    taps, shape = array(kernel, dtype), (11, 14)
    for mode in ("same", "full", "valid"):
        agrees(pinned(taps, shape, mode=mode), oracle.convolution_matrix(taps, shape, mode))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("stride", "dilation"), [((1, 3), (1, 1)), (3, 1), ((2, 1), (2, 3)), (2, 2), (3, 2), ((5, 4), 1)]
)
@pytest.mark.parametrize("kernel", [(6, 4), (3, 2)], ids=str)
def test_strides_and_dilations(kernel, stride, dilation):
    taps, shape = array(kernel, "complex64"), (17, 13)
    for boundary in ("zero", ("antireflective", ("mirror", "replicate"))):
        options = {"stride": stride, "dilation": dilation, "boundary": boundary}
        agrees(pinned(taps, shape, **options), oracle.convolution_matrix(taps, shape, **options))


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kernel", [(7, 5), (2, 4), (9, 11)], ids=str)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_boundaries_shorter_and_longer_than_the_array(boundary, kernel):
    taps = array(kernel)
    for shape, center in (((11, 12), None), ((4, 5), tuple(k - 1 for k in kernel))):
        matrix = oracle.convolution_matrix(taps, shape, "same", boundary, center)
        agrees(pinned(taps, shape, boundary=boundary, center=center), matrix, factor=60)


@pytest.mark.usefixtures("blocks")
def test_another_boundary_on_every_side():
    taps, sides = array((7, 3, 4), "complex128"), ["zero", "symmetric", "mirror", "replicate", "antireflective"]
    for number, pairs in enumerate(_triples(sides)):
        shape = (8, 3 + number % 3, 5)
        agrees(pinned(taps, shape, boundary=pairs), oracle.convolution_matrix(taps, shape, "same", pairs))


def _triples(sides):
    pairs = list(itertools.permutations(sides, 2))
    return [tuple(pairs[first : first + 3]) for first in range(0, len(pairs) - 2, 3)]


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("shape", [(40,), (7, 6, 9), (3, 7, 2, 6)], ids=str)
def test_any_number_of_axes(shape):
    for taps, options in (((5, 7, 2, 4), {}), ((2, 6, 3, 5), {"stride": 2}), ((3, 2, 2, 3), {"dilation": 2})):
        kernel = array(taps[: len(shape)], "complex128")
        for boundary in ("zero", "periodic"):
            matrix = oracle.convolution_matrix(kernel, shape, boundary=boundary, **options)
            agrees(pinned(kernel, shape, boundary=boundary, **options), matrix)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "options", [{}, {"stride": (2, 1), "padding": (1, 3)}, {"padding": ((2, 0), (0, 1)), "dilation": 2}]
)
def test_channels_and_groups(groups, options):
    for kernel in ((3, 2), (6, 3)):
        weight = array((6, 4 // groups, *kernel), "complex128")
        layer = convop.conv_layer(weight, (4, 9, 7), groups=groups, method="direct", **options)
        agrees(layer, oracle.layer_matrix(weight, (4, 9, 7), groups=groups, **options), batch=(3, 2))


def shifted_sum(x, kernel, boundary):
    """Mode "same" by one addition of the whole array for each tap; `numpy.pad` says what lies outside."""
    widths = [(k - 1 - (k - 1) // 2, (k - 1) // 2) for k in kernel.shape]
    padded = np.pad(x.astype(np.result_type(x, np.float64)), widths, **oracle.PAD_MODE[boundary])
    total = 0
    for tap in itertools.product(*map(range, kernel.shape)):
        window = tuple(slice(k - 1 - t, k - 1 - t + n) for k, t, n in zip(kernel.shape, tap, x.shape, strict=True))
        total = total + kernel[tap] * padded[window]
    return total


@pytest.mark.parametrize("dtype", ["complex64", "float64", "float32"])
@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((70, 1500), (3, 4)), ((131, 1100), (8, 5)), ((1300, 3), (7, 3)), ((70_001,), (31,)), ((37, 41, 130), (3, 2, 3))],
    ids=str,
)
def test_arrays_of_many_blocks(shape, kernel, dtype):
    taps, x, y = array(kernel, dtype), array(shape, dtype, 1), array(shape, dtype, 2)
    for boundary in ("zero", "symmetric"):
        operator = pinned(taps, shape, boundary=boundary)
        got, back = operator(x), operator._adjoint_forward(y)
        assert oracle.error(got, shifted_sum(x, taps, boundary)) <= 20 * np.finfo(dtype).eps
        left, right = np.vdot(y.astype("complex128"), got), np.vdot(back.astype("complex128"), x)
        assert abs(left - right) <= 20 * np.finfo(dtype).eps * np.linalg.norm(got) * np.linalg.norm(y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 7), (9, 11), (6, 4), (2, 1)], ids=str)
@pytest.mark.usefixtures("blocks")
def test_nan_and_inf_reach_what_reads_them_only(kernel, bad):
    shape = (13, 15)
    operator = pinned(np.abs(array(kernel)) + 1, shape, boundary="mirror")
    reads = oracle.convolution_matrix(np.ones(kernel), shape, boundary="mirror") != 0
    for place in ((0, 0), (6, 7), (12, 14), (5, 0)):
        x = np.ones(shape)
        x[place] = bad
        hit = reads[:, np.ravel_multi_index(place, shape)].reshape(shape)
        assert np.array_equal(np.isfinite(operator(x)), ~hit)
        assert not np.isnan(operator(x)).any() or np.isnan(bad)


@pytest.mark.parametrize("boundary", ["zero", "mirror"])
def test_memory(boundary):
    """Neither an extended copy nor anything else of the array's size: the result, and blocks."""
    x = np.ones((1500, 1400), np.float32)
    operator = pinned(np.ones((7, 5), np.float32), x.shape, boundary=boundary)
    for apply in (operator, operator._adjoint_forward):
        apply(x)
        tracemalloc.start()
        apply(x)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= 1.1 * x.nbytes
