"""Composed kernels: every direct sum, long kernels, and what wraps around a periodic axis more than once."""

import numpy as np
import oracle
import pytest

import convop
from convop import composing


def summed(a, b, step_a, step_b):
    """Tap by tap: offsets add, channel matrices multiply."""
    taps = [(k - 1) * s + (n - 1) * t + 1 for k, s, n, t in zip(a.shape[3:], step_a, b.shape[3:], step_b, strict=True)]
    total = np.zeros((a.shape[0], a.shape[1], b.shape[2], *taps), np.result_type(a, b))
    for t in np.ndindex(*a.shape[3:]):
        for u in np.ndindex(*b.shape[3:]):
            place = tuple(p * s + q * r for p, s, q, r in zip(t, step_a, u, step_b, strict=True))
            total[(..., *place)] += np.einsum("goc,gci->goi", a[(..., *t)], b[(..., *u)])
    return total


@pytest.mark.parametrize("compose", [composing._looped, composing._compiled])
def test_sums_of_products(compose):
    rng = np.random.default_rng(0)
    for _ in range(60):
        ndim, (groups, rows, inside, columns) = int(rng.integers(1, 4)), rng.integers(1, 4, 4)
        shapes = rng.integers(1, 5, (2, ndim))
        steps = [
            tuple(int(s) if k > 1 else 1 for s, k in zip(rng.integers(1, 4, ndim), ks, strict=True)) for ks in shapes
        ]
        a = rng.integers(-4, 5, (groups, rows, inside, *shapes[0])) * (1 + 2j)
        b = rng.integers(-4, 5, (groups, inside, columns, *shapes[1])).astype(float)
        assert np.array_equal(compose(a, b, *steps), summed(a, b, *steps))


@pytest.mark.parametrize(("taps", "shape"), [((6001,), (7001,)), ((71, 90), (81, 95))])
def test_long_kernels_of_integers_compose_exactly(taps, shape):
    """Beyond the length where the compiled engine takes over: integers stay integers, zeros zeros."""
    rng = np.random.default_rng(1)
    first, second = (rng.integers(-9, 10, taps) * (rng.random(taps) < 0.5).astype(float) for _ in range(2))
    inner = convop.Convolution(first, shape, mode="full")
    product = convop.Convolution(second, inner.out_shape, mode="full") @ inner
    assert isinstance(product, convop.Convolution)
    want = np.rint(np.fft.irfftn(*transformed(first, second)))  # exact: integers below 2**53 by far
    assert np.array_equal(product.kernel, want)


def transformed(first, second):
    shape = [m + n - 1 for m, n in zip(first.shape, second.shape, strict=True)]
    axes = range(first.ndim)
    return np.fft.rfftn(first, shape, axes) * np.fft.rfftn(second, shape, axes), shape, axes


def test_small_taps_of_long_kernels_keep_their_digits():
    rng = np.random.default_rng(2)
    small, large = 1e-14 * rng.standard_normal(4000), rng.standard_normal(4000)
    first, second = np.concatenate([small, np.zeros(4000), large]), np.array([1.0, *np.zeros(4999), 2.0])
    inner = convop.Convolution(first, 20_000, mode="full")
    product = convop.Convolution(second, inner.out_shape, mode="full") @ inner
    assert np.array_equal(product.kernel[:4000], small)
    assert not product.kernel[4000:5000].any()


# Periodic axes


@pytest.mark.parametrize("exponent", [2, 5, 50])
def test_powers_stay_as_long_as_the_period(exponent):
    kernel = np.array([[1.0, -2.0], [1.0j, 0.5], [0.25, 0.0]])
    around = convop.Convolution(kernel / 4, (5, 6), boundary="periodic")
    power = around**exponent
    assert all(k <= n for k, n in zip(power.kernel.shape, (5, 6), strict=True))
    matrix = oracle.convolution_matrix(kernel / 4, (5, 6), boundary="periodic")
    assert oracle.error(power.toarray(), np.linalg.matrix_power(matrix, exponent)) < 1e-13
    assert np.array_equal(power.with_kernel(power.kernel).toarray(), power.toarray())
    assert oracle.error(power.H.toarray(), power.toarray().conj().T) == 0


def test_products_round_a_period_with_strides_and_dilations():
    """Only what a product makes is folded: kernels that a user gives stay as they are, also longer than the array."""
    rng = np.random.default_rng(3)
    folded = 0
    for _ in range(60):
        ndim = int(rng.integers(1, 3))
        stride = tuple(int(v) for v in rng.integers(1, 4, ndim))
        size = tuple(int(m) * s for m, s in zip(rng.integers(1, 5, ndim), stride, strict=True))
        made = []
        for _ in range(2):
            taps = tuple(int(k) for k in rng.integers(1, 8, ndim))
            options = {
                "dilation": tuple(int(d) for d in rng.integers(1, 5, ndim)),
                "center": tuple(int(rng.integers(k)) for k in taps),
                "boundary": "periodic",
            }
            made.append((rng.integers(-4, 5, taps) + 1j * rng.integers(-4, 5, taps), options))
        (h, own), (g, other) = made
        inner = convop.Convolution(h, size, stride=stride, **own)
        assert inner.kernel.shape == h.shape
        outer = convop.Convolution(g, inner.out_shape, **other)
        product = outer @ inner
        want = oracle.convolution_matrix(g, inner.out_shape, **other)
        want = want @ oracle.convolution_matrix(h, size, stride=stride, **own)
        assert isinstance(product, convop.Convolution)
        assert all(k <= n for k, n in zip(product.kernel.shape, size, strict=True))
        assert np.array_equal(product.toarray(), want)
        assert np.array_equal(product.with_kernel(product.kernel).toarray(), want)
        assert np.array_equal(product.H.toarray(), want.conj().T)
        folded += any(k < p + q - 1 for k, p, q in zip(product.kernel.shape, g.shape, h.shape, strict=True))
    assert folded > 20


def test_layers_fold_with_their_groups():
    rng = np.random.default_rng(4)
    layers = [
        convop.conv_layer(
            rng.integers(1, 5, (4, 2, 3, 4)), (4, 3, 4), padding=((1, 1), (2, 1)), groups=2, boundary="periodic"
        )
        for _ in range(2)
    ]
    product = layers[0] @ layers[1]
    assert product.kernel.shape == (4, 2, 3, 4)
    assert np.array_equal(product.toarray(), layers[0].toarray() @ layers[1].toarray())
