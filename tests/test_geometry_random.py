"""Random geometries through both doors against the oracle, in every form an operator has."""

import itertools

import numpy as np
import oracle
import pytest
import scipy.signal
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convop

MODEST = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(MODEST, max_examples=60)


def tolerance(dtype):
    return 256 * np.finfo(dtype).eps


def check_every_form(spec, seed, methods=("direct", "fft", "sparse", "gemm", "separable")):
    """Forward, adjoint and matrix of a spec equal the oracle's, by every method that serves it."""
    operator, matrix = spec.build(), spec.matrix()
    tol = tolerance(operator.dtype)
    assert operator.shape == matrix.shape
    assert oracle.error(operator.tosparse().toarray(), matrix) <= tol
    assert convop.estimate(operator).nnz >= operator.tosparse().nnz
    x = strategies.values(seed, (2, *operator.in_shape), operator.dtype)
    y = strategies.values(seed + 1, (2, *operator.out_shape), operator.dtype)
    for pinned in strategies.pinned(operator, methods):
        got, adjoint = pinned(x), pinned.H(y)
        assert got.dtype == adjoint.dtype == operator.dtype
        for i in range(2):
            assert oracle.error(got[i].ravel(), matrix @ x[i].ravel(), matrix, x[i].ravel()) <= tol
            backward = matrix.conj().T
            assert oracle.error(adjoint[i].ravel(), backward @ y[i].ravel(), backward, y[i].ravel()) <= tol


@MODEST
@given(strategies.convolutions(), st.integers(0, 1000))
def test_convolution(spec, seed):
    check_every_form(spec, seed)
    assert convop.estimate(spec.build()).nnz == spec.build().tosparse().nnz


@MODEST
@given(strategies.layers(), st.integers(0, 1000))
def test_layer(spec, seed):
    check_every_form(spec, seed)
    assert convop.estimate(spec.build()).nnz == spec.build().tosparse().nnz


@MODEST
@given(strategies.transpose_layers(), st.integers(0, 1000))
def test_transpose_layer(spec, seed):
    check_every_form(spec, seed)


@FEW
@given(strategies.convolutions(dtypes=("complex128",)), strategies.convolutions(dtypes=("complex128",)))
def test_a_kernel_changes_nothing_but_itself(spec, other):
    kernel = np.resize(other.kernel, spec.kernel.shape)
    again = spec.build().with_kernel(kernel)
    spec.kernel = kernel
    assert np.array_equal(again.kernel, kernel)
    assert oracle.error(again.toarray(), spec.matrix()) <= tolerance("complex128")


@FEW
@given(strategies.convolutions(), st.integers(0, 1000))
def test_linear_in_the_kernel(spec, seed):
    """Two convolutions of one geometry add up to one convolution."""
    operator = spec.build()
    other = operator.with_kernel(strategies.values(seed, spec.kernel.shape, spec.kernel.dtype))
    total = operator - 3 * other
    assert isinstance(total, convop.Convolution)
    want = operator.toarray() - 3 * other.toarray()
    assert oracle.error(total.toarray(), want) <= tolerance(operator.dtype)
    assert total.dtype == operator.dtype


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_every_small_geometry(boundary):
    """One axis, all sizes small, also where all outputs lie outside the array."""
    smallest = 2 if boundary in ("mirror", "antireflective") else 1
    pads = list(itertools.product((0, 2, 3, 5), repeat=2))
    for n, taps, stride, pad in itertools.product(range(smallest, 4), (1, 2), (1, 4), pads):
        if n + sum(pad) < taps:
            continue
        weight = np.arange(1.0, taps + 1)[None, None]
        options = {"stride": stride, "padding": (pad,), "boundary": boundary}
        matrix = oracle.layer_matrix(weight, (1, n), **options)
        operator = convop.conv_layer(weight, (1, n), **options).using("direct")
        rows = len(matrix)
        assert np.array_equal(operator(np.eye(n)[:, None])[:, 0].T, matrix), (n, taps, options)
        assert np.array_equal(operator.H(np.eye(rows)[:, None])[:, 0], matrix), (n, taps, options)
        assert np.array_equal(operator.tosparse().toarray(), matrix), (n, taps, options)


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@FEW
@given(data=st.data())
def test_products_of_random_pairs(dtype, data):
    """A product equals the product of the matrices, whether it became one convolution or not."""
    dice = strategies.HypothesisDice(data.draw)
    inner = strategies.convolution(dice, (dtype,))
    inner_operator = inner.build()
    outer = strategies.convolution_on(dice, inner_operator.out_shape, (dtype,))
    product = outer.build() @ inner_operator
    want = outer.matrix() @ inner.matrix()
    assert (product.in_shape, product.out_shape) == (inner_operator.in_shape, outer.build().out_shape)
    assert oracle.error(product.toarray(), want) <= tolerance(dtype)
    assert oracle.error(product.H.toarray(), want.conj().T) <= tolerance(dtype)
    assert oracle.error(product.tosparse().toarray(), want) <= tolerance(dtype)


@MODEST
@given(data=st.data())
def test_products_of_random_layers(data):
    dice = strategies.HypothesisDice(data.draw)
    inner = strategies.layer(dice, ("complex128",))
    outer = strategies.layer_on(dice, inner.build().out_shape, ("complex128",))
    product, want = outer.build() @ inner.build(), outer.matrix() @ inner.matrix()
    assert oracle.error(product.toarray(), want) <= tolerance("complex128")
    assert oracle.error(product.H.tosparse().toarray(), want.conj().T) <= tolerance("complex128")
    if isinstance(product, convop.Convolution):
        assert np.array_equal(product.with_kernel(product.kernel).toarray(), product.toarray())


@pytest.mark.parametrize("dtypes", [("float64", "complex128"), strategies.DTYPES], ids=["double", "all"])
@FEW
@given(data=st.data())
def test_random_expressions(dtypes, data):
    """Sums, products, powers, scalars, adjoints of all kinds of operators, nested, of one precision and of two."""
    dice = strategies.HypothesisDice(data.draw)
    grid = data.draw(st.sampled_from([(5,), (2, 3), (4, 3), (3, 2, 2)]))
    operator, matrix, dtype = strategies.expression(dice, grid, 3, dtypes)
    tol = 16 * tolerance(dtypes[0])
    assert operator.dtype == operator.tosparse().dtype == dtype
    assert oracle.error(operator.toarray(), matrix) <= tol
    assert oracle.error(operator.H.toarray(), matrix.conj().T) <= tol
    x = strategies.values(1, grid, dtype)
    assert operator(x).dtype == operator.H(x).dtype == dtype
    assert operator.H.H is operator


@pytest.mark.parametrize("boundary", ["zero", "mirror", "periodic"])
@pytest.mark.parametrize("shape", [(300_001,), (600, 501), (50, 61, 73)], ids=str)
def test_large_arrays(shape, boundary):
    """Sizes at which methods split their work: numpy pads, scipy convolves, and the adjoint is its inner product."""
    taps = (5, 4, 2)[: len(shape)]
    kernel, x = strategies.values(1, taps, "complex64"), strategies.values(2, (2, *shape), "complex64")
    widths = [(k - 1 - (k - 1) // 2, (k - 1) // 2) for k in taps]
    operator = convop.Convolution(kernel, shape, boundary=boundary)
    want = []
    for item in x.astype("complex128"):
        want.append(scipy.signal.fftconvolve(np.pad(item, widths, **oracle.PAD_MODE[boundary]), kernel, "valid"))
    y = strategies.values(3, (2, *shape), "complex64")
    for pinned in strategies.pinned(operator, ("direct", "fft", "gemm")):
        got = pinned(x)
        assert oracle.error(got, want) <= tolerance("complex64")
        left, right = np.vdot(y, got), np.vdot(pinned.H(y), x)
        assert abs(left - right) <= tolerance("complex64") * np.linalg.norm(got) * np.linalg.norm(y)
