"""Eigenvalues and symbols."""

import numpy as np
import oracle
import pytest
from cases import array
from scipy.optimize import linear_sum_assignment
from spectrum_cases import CLOSED, WITHOUT, conv, even

import convop


def distance(got, want):
    """How far two multisets of numbers are apart, at most, when they are paired as well as can be."""
    apart = np.abs(np.asarray(got)[:, None] - np.asarray(want))
    return apart[linear_sum_assignment(apart)].max()


K = even(array((3, 5), "complex128"), 0, 1)
REAL = even(array((3, 5)), 0, 1)
WEIGHT = even(array((2, 2, 3, 3), "complex128"), 2, 3)
MIXED = ("mirror", "antireflective")
SIMILAR = {
    "mirror": conv(K, (4, 6), boundary="mirror"),
    "real mirror": conv(REAL, (4, 6), boundary="mirror"),
    "mirror, longer than the array": conv(even(array((9,), "complex128"), 0), 3, boundary="mirror"),
    "mirror, dilated": conv(even(array((3,)), 0), 8, boundary="mirror", dilation=3),
    "antireflective": conv(K, (4, 6), boundary="antireflective"),
    "antireflective, longer than the array": conv(even(array((9,)), 0), 4, boundary="antireflective"),
    "two samples": conv(even(array((5,)), 0), 2, boundary="antireflective"),
    "mixed": conv(K, (5, 4), boundary=MIXED),
    "mirror and periodic": conv(even(array((3, 4)), 0), (5, 4), boundary=("mirror", "periodic")),
    "mirror and symmetric": conv(K, (5, 4), boundary=("mirror", "symmetric")),
    "mirror layer": (
        convop.conv_layer(WEIGHT, (2, 4, 5), padding=1, boundary="mirror"),
        oracle.layer_matrix(WEIGHT, (2, 4, 5), padding=1, boundary="mirror"),
    ),
}
SIMILAR["adjoint of mirror"] = (SIMILAR["mirror"][0].H, SIMILAR["mirror"][1].conj().T)
SIMILAR["normal of mirror"] = (
    convop.Product((SIMILAR["mirror"][0].H, SIMILAR["mirror"][0])),
    SIMILAR["mirror"][1].conj().T @ SIMILAR["mirror"][1],
)
SIMILAR["polynomial of mirror"] = (
    convop.Product((SIMILAR["mirror"][0],) * 2) + 2j * convop.Identity((4, 6)),
    SIMILAR["mirror"][1] @ SIMILAR["mirror"][1] + 2j * np.eye(24),
)
SQUARE = {name: pair for name, pair in {**CLOSED, **WITHOUT}.items() if pair[0].shape[0] == pair[0].shape[1]}


@pytest.mark.parametrize("name", [*SQUARE, *SIMILAR])
def test_eigenvalues_against_the_dense_ones(name):
    A, matrix = {**SQUARE, **SIMILAR}[name]
    want, got = np.linalg.eigvals(matrix), convop.eigvals(A)
    assert got.shape == want.shape
    scale = np.linalg.norm(matrix, 2)
    assert distance(got, want) <= 1e-7 * scale  # defective matrices: their eigenvalues lose half the digits
    assert got.sum() == pytest.approx(np.trace(matrix), abs=1e-10 * scale * len(want))


@pytest.mark.parametrize("name", [name for name in SIMILAR if "adjoint" not in name and "normal" not in name])
def test_eigenvalues_need_no_matrix(name):
    A = SIMILAR[name][0]
    assert np.array_equal(convop.eigvals(A, max_bytes=1), convop.eigvals(A))


def test_the_kernel_of_mirrors():
    """DCT-I gives the eigenvalues, the largest 11; the largest singular value is 11.149."""
    A = convop.Convolution([1, 2, 5, 2, 1], 9, boundary="mirror")
    values = convop.eigvals(A)
    assert values.dtype == np.float64
    theta = np.pi * np.arange(9) / 8
    assert np.allclose(values, 5 + 4 * np.cos(theta) + 2 * np.cos(2 * theta))
    assert round(values.max(), 2) == 11.00
    assert round(convop.svdvals(A, 1)[0], 3) == 11.149


def test_eigenvalues_are_real_where_they_are_seen_to_be():
    assert convop.eigvals(CLOSED["real symmetric"][0]).dtype == np.float64
    assert convop.eigvals(convop.Identity(4)).dtype == np.float32
    assert convop.eigvals(CLOSED["real periodic, odd sizes"][0]).dtype == np.complex128


def test_other_shapes_have_none():
    with pytest.raises(convop.ShapeError, match="svdvals"):
        convop.eigvals(CLOSED["layer"][0])
    A = convop.Convolution(array((3, 3)), (40, 40))
    with pytest.raises(convop.MemoryBudgetError, match="eigenvalues"):
        convop.eigvals(A, max_bytes=1000)


def test_input_and_output_in_different_channels():
    """As many outputs as inputs, and square blocks, but frequency and channel are other samples on both sides."""
    haar = array((4, 1, 2, 2))
    A = convop.conv_layer(haar, (1, 4, 6), stride=2)
    assert A.shape[0] == A.shape[1]
    assert distance(convop.eigvals(A), np.linalg.eigvals(A.toarray())) < 1e-9


# Symbols


def test_symbols_are_what_numpy_transforms():
    kernel = array((3, 4), "complex128")
    torus = np.zeros((6, 8), complex)
    torus[:3, :4] = kernel
    A = convop.Convolution(kernel, (6, 8), boundary="periodic", center=(0, 0))
    assert np.allclose(convop.symbol(A), np.fft.fft2(torus))
    assert np.allclose(convop.symbol(A), convop.as_circulant(A).symbol)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("real periodic, odd sizes", (4, 7)),
        ("layer", (6, 8, 3, 2)),
        ("periodic, strided", (3, 2, 1, 8)),
        ("layer with groups and stride", (3, 4, 6, 16)),
        ("real symmetric", (4, 6)),
        ("real, one axis symmetric, one periodic and strided", (5, 3, 1, 2)),
    ],
)
def test_shapes_of_symbols(name, shape):
    assert convop.symbol(CLOSED[name][0]).shape == shape


@pytest.mark.parametrize("name", ["layer", "periodic, strided", "layer with groups and stride", "patches"])
def test_symbols_of_layers_are_those_of_block_circulants(name):
    A = CLOSED[name][0]
    assert np.allclose(convop.symbol(A), convop.as_circulant(A).symbol, atol=1e-12)


def test_symbols_of_cosines():
    A, matrix = CLOSED["real symmetric"]
    values = convop.symbol(A)
    assert values.dtype == np.float64
    assert distance(values.ravel(), np.linalg.eigvalsh(matrix)) < 1e-12


@pytest.mark.parametrize("name", ["zero boundary", "mirror", "matrix"])
def test_no_symbol_without_a_closed_form(name):
    with pytest.raises(convop.GeometryError, match="no symbol"):
        convop.symbol(WITHOUT[name][0])
