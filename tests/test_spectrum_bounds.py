"""`norm_bounds` holds the norm, whatever the operator; and how wide it is."""

import math

import numpy as np
import oracle
import pytest
from cases import CASES, array
from hypothesis import given, settings
from hypothesis import strategies as st
from spectrum_cases import CLOSED, WITHOUT

import convop
from convop.spectrum.bounds import _symbol_bound, extension_norm

ALL = {**CLOSED, **WITHOUT, **{f"case {case.name}": (case.operator, case.matrix) for case in CASES}}


@pytest.mark.parametrize("name", ALL)
def test_the_norm_lies_within(name):
    A, matrix = ALL[name]
    norm = np.linalg.norm(matrix.astype(np.result_type(matrix.dtype, np.float64)), 2)
    bounds = convop.norm_bounds(A)
    slack = 1e-14 if np.finfo(A.dtype).eps < 1e-10 else 1e-6  # a float32 matrix is rounded itself
    assert bounds.lower * (1 - slack) <= norm <= bounds.upper * (1 + slack)
    assert bounds.width == bounds.upper - bounds.lower
    assert bounds.lower >= (1 - 1e-6) * norm  # small ones are found
    if convop.spectrum.form(A).exact:
        assert bounds.width <= 1e-12 * norm


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("taps", [(3, 3), (4, 7)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_how_wide(boundary, taps, stride):
    """Beyond the closed forms: the extension's norm is what the bound may lose, and the symbol a thousandth."""
    A = convop.Convolution(array(taps, "complex128"), (40, 36), boundary=boundary, stride=stride)
    bounds = convop.norm_bounds(A)
    g = A.geometry
    extension = math.prod(extension_norm(g.extension(axis), g.spatial[axis]) for axis in range(2))
    assert bounds.upper <= 1.1 * extension * bounds.lower
    norm = convop.norm(A)
    assert bounds.lower <= norm * (1 + 1e-12)
    assert norm <= bounds.upper * (1 + 1e-12)


def test_positive_kernels_are_bounded_by_their_sum():
    kernel = convop.psf.motion(15, 30)
    bounds = convop.norm_bounds(convop.Convolution(kernel, (200, 210)))
    assert bounds.upper == pytest.approx(kernel.sum(), rel=1e-12)
    assert bounds.lower > 0.998


@pytest.mark.parametrize("padding", [1, ((1, 0), (2, 2)), "valid"])
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"groups": 2}, {"dilation": 2}, {"stride": (1, 3), "dilation": (2, 1)}]
)
def test_layers(padding, options):
    groups = options.get("groups", 1)
    weight = array((6, 4 // groups, 3, 3), "complex128")
    A = convop.conv_layer(weight, (4, 14, 13), padding=padding, **options)
    bounds = convop.norm_bounds(A)
    norm = np.linalg.norm(A.toarray(), 2)
    assert bounds.lower <= norm <= bounds.upper <= 1.3 * norm


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_symbol_is_bounded_between_the_grid(taps, stride, dilation, seed):
    """Against a grid hundreds of times finer."""
    rng = np.random.default_rng(seed)
    kernel = rng.standard_normal(taps) + 1j * rng.standard_normal(taps)
    A = convop.Convolution(kernel, 40 * stride + (taps - 1) * dilation, mode="valid", stride=stride, dilation=dilation)
    theta = np.linspace(0, 2 * np.pi, 20_001)
    power = 0
    for turn in range(stride):
        shifted = (theta + 2 * np.pi * turn) / stride
        power = power + np.abs(np.exp(-1j * np.multiply.outer(shifted, np.arange(taps) * dilation)) @ kernel) ** 2
    want = np.sqrt(power.max() / stride)
    assert want * (1 - 1e-14) <= _symbol_bound(A) <= 1.001 * want


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 2), (0, 9), (11, 4), (-1, 3)])
def test_norms_of_extensions(boundary, before, after):
    n = 5
    A = convop.Convolution.of(
        convop.Convolution([1.0], n).geometry.make(n, 1, padding=((before, after),), boundary=boundary),
        np.ones((1, 1, 1)),
        "convolution",
    )
    matrix = oracle.extension_matrix(n, max(before, 0), after, boundary, boundary)
    got = extension_norm(A.geometry.extension(0), n)
    assert got == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)


def test_black_boxes_have_no_upper_bound():
    matrix = array((6, 5), "complex128")
    box = {"forward": lambda x: matrix @ x, "in_shape": 5, "out_shape": 6, "dtype": complex}
    for A in (convop.as_operator(**box), convop.as_operator(**box, adjoint=lambda y: matrix.conj().T @ y)):
        bounds = convop.norm_bounds(2 * A)
        assert bounds.upper == math.inf
        assert bounds.lower == pytest.approx(2 * np.linalg.norm(matrix, 2))
        assert convop.norm_bounds(convop.vstack([A, A])).upper == math.inf


def test_a_large_black_box_without_an_adjoint():
    A = convop.as_operator(forward=lambda x: 3 * x, in_shape=50_000, out_shape=50_000)
    bounds = convop.norm_bounds(A)
    assert bounds.lower == pytest.approx(3)
    assert bounds.upper == math.inf


def test_a_large_layer_is_bounded_in_little_memory():
    A = convop.conv_layer(array((64, 64, 3, 3)), (64, 24, 24), padding=1)
    bounds = convop.norm_bounds(A)
    assert bounds.lower < bounds.upper < 1.1 * bounds.lower
