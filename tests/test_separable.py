"""Kernels that are short sums of products: found exactly when they are, applied exactly as they stand."""

import numpy as np
import oracle
import pytest
from strategies import values

import convop
from convop.apply import plan, separable


def sum_of_products(taps, terms, dtype="complex128", seed=0):
    """A kernel of `terms` products of random vectors."""
    total = 0
    for term in range(terms):
        product = np.ones(())
        for axis, k in enumerate(taps):
            product = np.multiply.outer(product, values(seed + 10 * term + axis, (k,), dtype))
        total = total + product
    return total.astype(dtype)


def agrees(operator, matrix):
    """A batch through the pinned operator, forth and back, equals the dense matrix; and so does every derived form."""
    operator = operator.using("separable")
    assert operator.method == "separable"
    tol = 256 * np.finfo(operator.dtype).eps
    x, y = values(5, (2, *operator.in_shape), operator.dtype), values(6, (2, *operator.out_shape), operator.dtype)
    for apply, signal, M in (
        (operator, x, matrix),
        (operator._adjoint_forward, y, matrix.conj().T),
        (operator.H, y, matrix.conj().T),
    ):
        got = apply(signal)
        assert got.dtype == operator.dtype
        for i in range(2):
            assert oracle.error(got[i].ravel(), M @ signal[i].ravel(), M, signal[i].ravel()) <= tol
    assert operator.conj().method == ((2 - 3j) * operator).method == "separable"


PLACES = [
    {},
    {"stride": (2, 3), "dilation": (3, 1)},
    {"mode": "full", "stride": (1, 2)},
    {"mode": "valid", "dilation": (1, 2)},
    {"center": (3, 0), "boundary": ("periodic", "antireflective")},
    {"boundary": (("zero", "mirror"), ("antireflective", "replicate")), "stride": 3},
    *({"boundary": name, "dilation": 2} for name in oracle.BOUNDARIES),
]


@pytest.mark.parametrize("options", PLACES, ids=str)
@pytest.mark.parametrize(("taps", "terms"), [((4, 5), 1), ((6, 7), 2)])
def test_equals_the_matrix(taps, terms, options):
    kernel, shape = sum_of_products(taps, terms), (9, 13)
    agrees(convop.Convolution(kernel, shape, **options), oracle.convolution_matrix(kernel, shape, **options))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_other_dtypes(dtype):
    kernel = sum_of_products((6, 5), 2, dtype)
    agrees(
        convop.Convolution(kernel, (7, 8), boundary="mirror"),
        oracle.convolution_matrix(kernel, (7, 8), "same", "mirror"),
    )


@pytest.mark.parametrize("taps", [(3, 4, 3), (1, 4, 3), (5, 1, 4), (3, 2, 1)])
def test_three_axes(taps):
    kernel, options = sum_of_products(taps, 1), {"boundary": ("mirror", "zero", "periodic"), "stride": (2, 1, 3)}
    agrees(convop.Convolution(kernel, (4, 5, 6), **options), oracle.convolution_matrix(kernel, (4, 5, 6), **options))


def test_kernels_longer_than_the_array():
    kernel = sum_of_products((9, 8), 2)
    agrees(
        convop.Convolution(kernel, (3, 4), boundary="symmetric"),
        oracle.convolution_matrix(kernel, (3, 4), "same", "symmetric"),
    )


def test_channels_of_their_own():
    """Each with another number of terms, one of them none at all."""
    weight = np.stack([sum_of_products((6, 7), terms, seed=terms) * (terms < 3) for terms in (1, 2, 3)])[:, None]
    options = {"groups": 3, "padding": (2, 3), "stride": (1, 2), "boundary": "replicate"}
    agrees(convop.conv_layer(weight, (3, 6, 9), **options), oracle.layer_matrix(weight, (3, 6, 9), **options))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("k", [15, 40, 101])
def test_detection(k, dtype):
    """As few terms as there are, and none for a kernel that differs by more than the rounding of its numbers."""
    eps = np.finfo(dtype).eps
    for terms in (1, 3):
        kernel = sum_of_products((k, k + 2), terms, dtype)
        vectors = separable.factors(kernel[None])
        again = np.einsum("ti,tj->ij", *(v[0].astype("complex128") for v in vectors))
        if dtype in ("float64", "float32"):
            assert vectors[0].shape == (1, terms, k)
        assert np.linalg.norm(again - kernel) <= 12 * eps * np.linalg.norm(kernel)
        noise = values(9, kernel.shape, dtype)
        noise *= 100 * eps * np.linalg.norm(kernel) / np.linalg.norm(noise)
        assert separable.factors((kernel + noise)[None]) is None
    assert separable.factors(values(3, (1, k, k), dtype)) is None


def test_gaussians_of_every_size_are_one_product():
    for k in (3, 15, 31, 63, 101):
        for dtype in ("float32", "float64"):
            kernel = convop.psf.gaussian(k, k / 6).astype(dtype)
            assert separable.factors(kernel[None])[0].shape == (1, 1, k)
    cube = np.multiply.outer(convop.psf.gaussian(9, 2.0), convop.psf.gaussian(9, 1.0)[4])
    assert [v.shape for v in separable.factors(cube[None])] == [(1, 1, 9)] * 3


def test_the_plan_takes_it_where_it_is_cheaper():
    blur = convop.psf.gaussian(15, 3.0)
    assert convop.Convolution(blur, (1024, 1024)).method == "separable"
    assert convop.Convolution(blur + 1e-9 * values(1, (15, 15), "float64"), (1024, 1024)).method != "separable"
    assert convop.Convolution(convop.psf.gaussian(3, 1.0), (1024, 1024)).method == "direct"
    predicted = plan.costs(convop.Convolution(blur, (1024, 1024)).geometry, blur[None, None])
    assert predicted["separable"] < 0.3 * predicted["direct"]


def test_small_kernels_are_not_factored(monkeypatch):
    """Making an operator of a small kernel, or with another method pinned, takes no decomposition."""

    def forbidden(*args):
        raise AssertionError("a kernel was factored")

    monkeypatch.setattr(separable, "factors", forbidden)
    assert convop.Convolution(np.ones((9, 9)), (64, 64)).using("fft").method == "fft"


def test_a_signal_of_more_precision_than_the_kernel():
    """A float32 kernel that is one product to its own rounding is applied to float64 signals as it stands."""
    kernel = convop.psf.gaussian(15, 3.0).astype("float32")
    x = values(1, (30, 40), "float64")
    got = convop.Convolution(kernel, x.shape, method="separable")(x)
    want = convop.Convolution(kernel.astype("float64"), x.shape, method="direct")(x)
    assert got.dtype == "float64"
    assert np.abs(got - want).max() <= 1e-14


@pytest.mark.parametrize(
    "make",
    [
        lambda method: convop.Convolution(np.eye(5), (9, 9), method=method),
        lambda method: convop.Convolution(np.ones(5), 9, method=method),
        lambda method: convop.Convolution(np.ones((1, 5)), (9, 9), method=method),
        lambda method: convop.conv_layer(np.ones((2, 2, 5, 5)), (2, 9, 9), method=method),
    ],
    ids=["full rank", "one axis", "one axis with taps", "channels mixed"],
)
def test_refused_with_the_names_of_those_that_serve(make):
    with pytest.raises(convop.GeometryError, match=r"'separable' cannot serve.*'direct', 'fft', 'sparse', 'gemm'$"):
        make("separable")
    with pytest.raises(convop.GeometryError, match="cannot serve"):
        make("auto").using("separable")
