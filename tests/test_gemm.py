"""Channels through matrix products, against dense matrices: every geometry, every way to cut the work into tiles."""

import threading
import tracemalloc

import numpy as np
import oracle
import pytest
import scipy.signal
from strategies import values

import convop
from convop.apply import gemm, threads

# weight shape, input shape, options; rows of 8 outputs and more have windows here, shorter ones are copied
GEOMETRIES = {
    "1-D, even, strided": ((3, 2, 4), (2, 13), {"padding": ((3, 1),), "stride": 3}),
    "1-D, dilated": ((2, 3, 3), (3, 14), {"padding": 5, "dilation": 2}),
    "2-D windows": ((3, 2, 3, 2), (2, 4, 10), {"padding": ((2, 0), (0, 1))}),
    "2-D windows, strided": ((3, 2, 4, 3), (2, 7, 17), {"padding": 1, "stride": 2}),
    "2-D windows, groups": ((4, 3, 2, 3), (6, 3, 9), {"padding": 1, "groups": 2}),
    "2-D short rows": ((3, 4, 3, 2), (4, 5, 6), {"padding": ((1, 2), (2, 0))}),
    "2-D dilated, strided": ((2, 3, 2, 3), (3, 5, 15), {"padding": 2, "stride": (3, 2), "dilation": (2, 3)}),
    "2-D stride beyond the taps": ((3, 2, 2, 1), (2, 7, 11), {"stride": (3, 4), "padding": 1}),
    "pointwise": ((3, 5, 1, 1), (5, 3, 9), {}),
    "depthwise": ((6, 1, 2, 3), (3, 4, 8), {"groups": 3, "padding": ((0, 1), (2, 1))}),
    "3-D": ((2, 3, 2, 3, 2), (3, 3, 3, 10), {"padding": (1, 2, 0), "stride": (2, 1, 1)}),
    "3-D short": ((2, 2, 2, 1, 3), (2, 3, 4, 5), {"padding": (1, 0, 2), "stride": (1, 2, 3)}),
    "4-D": ((2, 2, 2, 1, 2, 2), (2, 2, 2, 2, 9), {"padding": 1, "stride": (1, 2, 1, 1)}),
    "more padding than kernel": ((2, 2, 2, 2), (2, 2, 9), {"padding": 4, "stride": (3, 1)}),
    "nothing read on one side": ((2, 2, 3, 2), (2, 5, 20), {"padding": ((-1, 2), (1, -2)), "stride": (1, 2)}),
}
for name in oracle.BOUNDARIES[1:]:
    GEOMETRIES[name] = (3, 2, 3, 4), (2, 4, 10), {"boundary": name, "padding": ((2, 1), (1, 2))}
    GEOMETRIES[f"{name}, strided"] = (
        (3, 2, 3, 4),
        (2, 5, 17),
        {"boundary": name, "padding": ((2, 0), (0, 3)), "stride": 2},
    )
    GEOMETRIES[f"{name}, longer than the array"] = (
        (2, 2, 9, 5),
        (2, 3, 8),
        {"boundary": name, "padding": ((4, 7), (9, 2))},
    )
GEOMETRIES["per side"] = (
    (2, 2, 3, 3), (2, 4, 10), {"boundary": (("zero", "mirror"), ("antireflective", "replicate")), "padding": 3}
)  # fmt: skip


@pytest.fixture(autouse=True)
def windows_of_short_rows(monkeypatch):
    monkeypatch.setattr(gemm, "SHORT", 8)


def agrees(name, dtype="complex128"):
    """Forward and adjoint of a batch equal those of the dense matrix."""
    weight_shape, in_shape, options = GEOMETRIES[name]
    weight = values(1, weight_shape, dtype)
    negative = any(np.min(p) < 0 for p in np.atleast_1d(options.get("padding", 0)))
    if negative:  # no door of a layer takes it, so as a slice of a layer that reads all
        operator, matrix = cropped(weight, in_shape, options)
    else:
        operator, matrix = (
            convop.conv_layer(weight, in_shape, **options),
            oracle.layer_matrix(weight, in_shape, **options),
        )
    operator = operator.using("gemm")
    x, y = values(2, (3, *operator.in_shape), dtype), values(3, (3, *operator.out_shape), dtype)
    got, back = operator(x), operator._adjoint_forward(y)
    assert got.dtype == back.dtype == dtype
    tol = 256 * np.finfo(dtype).eps
    for i in range(3):
        assert oracle.error(got[i].ravel(), matrix @ x[i].ravel(), matrix, x[i].ravel()) <= tol
        backward = matrix.conj().T
        assert oracle.error(back[i].ravel(), backward @ y[i].ravel(), backward, y[i].ravel()) <= tol


def cropped(weight, in_shape, options):
    from convop.geometry import Geometry

    g = Geometry.make(
        in_shape[1:], weight.shape[2:], stride=options["stride"], padding=options["padding"],
        channels=(len(weight), in_shape[0]), lifted=True,
    )  # fmt: skip
    inner = tuple(slice(max(0, -a), n + min(0, b)) for n, (a, b) in zip(in_shape[1:], options["padding"], strict=True))
    keep = np.arange(np.prod(in_shape)).reshape(in_shape)[(slice(None), *inner)]
    padding = tuple((max(a, 0), max(b, 0)) for a, b in options["padding"])
    part = oracle.layer_matrix(weight, keep.shape, stride=options["stride"], padding=padding)
    matrix = np.zeros((len(part), np.prod(in_shape)), part.dtype)
    matrix[:, keep.ravel()] = part
    return convop.Convolution.of(g, weight, "correlation"), matrix


@pytest.mark.parametrize("name", GEOMETRIES)
def test_equals_the_matrix(name):
    agrees(name)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("name", ["2-D windows, strided", "3-D", "mirror"])
def test_other_dtypes(name, dtype):
    agrees(name, dtype)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_small_tiles_in_two_threads(name, monkeypatch):
    """Rows, columns, channels and terms are cut in pieces that do not divide them, and shared out."""
    monkeypatch.setattr(gemm, "BUFFER", 4000)
    monkeypatch.setattr(gemm, "INNER", 7)
    monkeypatch.setattr(gemm, "product_limit", lambda dtype: 200)
    monkeypatch.setattr(threads, "WORTH_SHARING", 0)
    monkeypatch.setattr(threads, "count", lambda: 2)
    agrees(name)


def plain(x, weight):
    """The layer with padding "same" in float64, a correlation for each pair of channels."""
    pads = [(0, 0), *(((k - 1) // 2, k // 2) for k in weight.shape[2:])]
    x, weight = np.pad(x.astype("float64"), pads), weight.astype("float64")
    return np.stack([sum(map(_correlated, x, row)) for row in weight])


def _correlated(signal, kernel):
    return scipy.signal.correlate(signal, kernel, "valid")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("channels", "sizes", "taps"),
    [
        ((3, 16), (130, 257), (3, 4)),
        ((80, 6), (37, 70), (3, 3)),
        ((40, 5), (9, 20, 31), (3, 2, 3)),
        ((9, 8), (20_011,), (7,)),
    ],
)
def test_sizes_at_which_work_is_cut(channels, sizes, taps, dtype):
    weight, x = values(1, (channels[1], channels[0], *taps), dtype), values(2, (channels[0], *sizes), dtype)
    operator = convop.conv_layer(weight, x.shape, padding="same", method="gemm")
    want = plain(x, weight)
    assert np.abs(operator(x) - want).max() <= 64 * np.finfo(dtype).eps * np.abs(want).max()
    assert convop.check.adjoint(operator).passed


def test_nan_and_inf_stay_where_they_are_read():
    operator = convop.conv_layer(values(1, (8, 8, 3, 3), "float64"), (8, 20, 40), padding=1, method="gemm")
    x = values(2, (8, 20, 40), "float64")
    clean = operator(x)
    x[3, 10, 20], x[5, 0, 39] = np.nan, np.inf
    got, touched = operator(x), np.zeros((20, 40), bool)
    touched[9:12, 19:22] = touched[0:2, 38:40] = True
    assert not np.isfinite(got[:, touched]).any()
    assert np.array_equal(got[:, ~touched], clean[:, ~touched])


def test_many_threads_at_once():
    operator = convop.conv_layer(values(1, (16, 16, 3, 3), "float32"), (16, 64, 64), padding=1, method="gemm")
    signals = values(2, (8, 16, 64, 64), "float32")
    want, got = [operator(x) for x in signals], [None] * 8

    def apply(i):
        for _ in range(5):
            got[i] = operator(signals[i])

    workers = [threading.Thread(target=apply, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


def test_memory_beside_the_result():
    operator = convop.conv_layer(values(1, (16, 16, 3, 3), "float64"), (16, 256, 256), padding=1, method="gemm")
    x = values(2, (16, 256, 256), "float64")
    for apply in (operator, operator._adjoint_forward):
        result = apply(x)
        tracemalloc.start()
        apply(x)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= result.nbytes + 2 * threads.count() * gemm.BUFFER


def test_the_plan_takes_it_for_many_channels():
    assert convop.conv_layer(np.ones((64, 64, 3, 3), "float32"), (64, 56, 56), padding=1).method == "gemm"
    assert convop.conv_layer(np.ones((16, 1, 3, 3), "float32"), (16, 56, 56), padding=1, groups=16).method == "direct"
    assert convop.Convolution(np.ones((3, 3)), (512, 512)).method == "direct"
