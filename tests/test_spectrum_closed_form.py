"""Closed forms: the operator is its blocks between unitary transforms, and where there is none, none is claimed."""

import itertools

import numpy as np
import oracle
import pytest
from cases import array
from spectrum_cases import CLOSED, WITHOUT, even

import convop
from convop.spectrum import closed_form, gram_spectrum


def apply(form, x):
    return form.synthesise_out((form.blocks @ form.analyse_in(x)[..., None])[..., 0])


def signals(form, shape, operator):
    real = form.basis.halved(form.layout.base) is not None
    return array((2, *shape), np.finfo(operator.dtype).dtype if real else np.result_type(operator.dtype, np.complex64))


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("whole", [False, True])
def test_blocks_between_transforms_are_the_operator(name, whole):
    A, matrix = CLOSED[name]
    form = closed_form(A)
    assert form is not None
    form = form.whole() if whole else form
    x, y = signals(form, A.in_shape, A), signals(form, A.out_shape, A)
    flat = x.reshape(2, -1)
    eps = np.finfo(A.dtype).eps
    assert oracle.error(apply(form, x).reshape(2, -1).T, matrix @ flat.T, matrix, flat.T) < 30 * eps
    assert np.allclose(form.synthesise_in(form.analyse_in(x)), x, atol=30 * eps)
    assert np.allclose(form.synthesise_out(form.analyse_out(y)), y, atol=30 * eps)
    # Unitary: norms are those of the spectrum, each frequency counted as often as it stands.
    norms = np.linalg.norm(np.sqrt(form.weights)[..., None] * form.analyse_in(x[0]))
    assert norms == pytest.approx(np.linalg.norm(x[0]), rel=float(100 * eps))
    assert form.weights.sum() * form.blocks.shape[-1] == A.shape[1]
    assert form.weights.sum() * form.blocks.shape[-2] == A.shape[0]
    assert form.analyse_in(x).dtype.itemsize <= 2 * x.dtype.itemsize


@pytest.mark.parametrize("name", WITHOUT)
def test_none_is_claimed(name):
    assert closed_form(WITHOUT[name][0]) is None


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("real periodic, odd sizes", ("DFT", "DFT")),
        ("symmetric", ("DCT-II", "DCT-II")),
        ("one axis symmetric, one periodic", ("DCT-II", "DFT")),
        ("one axis symmetric, one not read outside", ("DCT-II", "DCT-II")),
        ("one sample on an axis", ("none", "DFT")),
        ("one patch", ("none", "none")),
    ],
)
def test_transforms_have_names(name, names):
    assert closed_form(CLOSED[name][0]).axes_names == names


@pytest.mark.parametrize("names", list(itertools.product(("DFT", "DCT-II"), repeat=2)))
def test_an_axis_with_several_transforms_takes_the_one_asked_for(names):
    A = 2j * convop.Identity((4, 5))
    form = closed_form(A, names)
    assert form.axes_names == names
    x = array((4, 5), "complex128")
    assert np.allclose(apply(form, x), 2j * x)
    assert closed_form(CLOSED["symmetric"][0], ("DCT-II", "DFT")) is None
    with pytest.raises(convop.GeometryError, match="axes_names"):
        closed_form(A, ("DFT", "DST-I"))


@pytest.mark.parametrize("boundary", ["periodic", "symmetric"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64"])
def test_precision_stays(boundary, dtype):
    kernel = even(array((3, 3), dtype), 0, 1)
    A = convop.Convolution(kernel, (4, 6), boundary=boundary)
    form = closed_form(A)
    x = array(A.in_shape, dtype)
    assert form.blocks.dtype.itemsize == np.dtype(dtype).itemsize * (
        2 if boundary == "periodic" and form.blocks.dtype.kind == "c" and np.dtype(dtype).kind == "f" else 1
    )
    assert apply(form, x).dtype == dtype
    assert np.allclose(apply(form, x), A(x), atol=200 * np.finfo(dtype).eps)


def test_half_a_spectrum_takes_real_arrays_only():
    form = closed_form(CLOSED["layer"][0])
    x = array(form.in_shape, "complex128")
    with pytest.raises(convop.DTypeError, match="whole"):
        form.analyse_in(x)
    with pytest.raises(convop.ShapeError, match="takes arrays"):
        form.analyse_in(x.real[0])
    with pytest.raises(convop.ShapeError, match="takes spectra"):
        form.synthesise_out(np.zeros((3, 3)))
    assert np.allclose(apply(form.whole(), x), CLOSED["layer"][0](x))


# L^H L


def difference(taps, shape, axis, boundary="symmetric", center=None):
    kernel = np.reshape(taps, [-1 if each == axis else 1 for each in range(len(shape))])
    center = [0 if each != axis else (len(taps) - 1 if center is None else center) for each in range(len(shape))]
    return convop.Convolution(kernel, shape, boundary=boundary, center=tuple(center))


LENS = convop.Convolution(even(array((3, 5)), 0, 1), (4, 6), boundary="symmetric")
COSINES = {
    "gradient": convop.gradient((4, 6), dtype="float64"),
    "replicate gradient": convop.gradient((4, 6), boundary="replicate", dtype="float64"),
    "backward": difference([1.0, -1.0], (4, 6), 0, center=0),
    "forward, wide": difference([3.0, 1.0, -1.0, -3.0], (4, 6), 1, center=2),
    "backward, wide": difference([3.0, 1.0, -1.0, -3.0], (4, 6), 1, center=1),
    "central": difference([1.0, 0.0, -1.0], (4, 6), 0, center=1),
    "central, complex": 2j * difference([1j, 3.0, 0.0, -3.0, -1j], (4, 6), 1, center=2),
    "sobel": convop.Convolution(np.outer([1.0, 2, 1], [1, 0, -1]), (4, 6), boundary="symmetric"),
    "both differences": convop.Convolution(np.outer([1.0, -1], [1, -1]), (4, 6), boundary="symmetric", center=(1, 0)),
    "laplacian": convop.laplacian((4, 6), dtype="float64"),
    "gradient of a blur": convop.gradient((4, 6), dtype="float64") @ LENS,
    "weighed stack": convop.vstack([2 * difference([1.0, -1.0], (4, 6), 0), convop.Identity((4, 6)), LENS]),
    "flat": convop.as_operator(convop.gradient((4, 6), dtype="float64"), 24, 48),
}
NOT_COSINES = {
    "even about half a sample": difference([1.0, 1.0], (4, 6), 0),
    "adjoint of forward differences": difference([1.0, -1.0], (4, 6), 0, center=0).H,
    "off centre": convop.Convolution([[1.0], [0.0], [-1.0]], (4, 6), boundary="symmetric", center=(0, 0)),
    "neither": difference([1.0, -2.0], (4, 6), 0),
    "mirror": difference([1.0, -1.0], (4, 6), 0, boundary="mirror"),
    "zero": convop.gradient((4, 6), boundary="zero"),
    "periodic": convop.gradient((4, 6), boundary="periodic"),
    "masked": convop.Diagonal(np.arange(24.0).reshape(4, 6)) @ convop.Identity((4, 6)),
}


def dct_basis(n):
    """Its columns are the cosines of the DCT-II, by their formula."""
    k, i = np.arange(n), np.arange(n)[:, None]
    return np.cos(np.pi * k * (i + 0.5) / n) * np.sqrt(np.where(k == 0, 1, 2) / n)


@pytest.mark.parametrize("name", COSINES)
def test_gram_in_cosines(name):
    L = COSINES[name]
    matrix, basis = L.toarray(), np.kron(dct_basis(4), dct_basis(6))
    gram = basis.T @ (matrix.conj().T @ matrix) @ basis
    spectrum = gram_spectrum(L, ("DCT-II", "DCT-II"))
    assert spectrum.shape == (4, 6)
    assert spectrum.dtype == "float64"
    assert np.allclose(np.diag(spectrum.ravel()), gram, atol=1e-11)


@pytest.mark.parametrize("name", NOT_COSINES)
def test_gram_is_not_claimed(name):
    L = NOT_COSINES[name]
    assert gram_spectrum(L, ("DCT-II", "DCT-II")) is None
    matrix, basis = L.toarray(), np.kron(dct_basis(4), dct_basis(6))
    gram = basis.T @ (matrix.conj().T @ matrix) @ basis
    assert np.abs(gram - np.diag(np.diag(gram))).max() > 0.01  # it would have been wrong


def test_gram_of_the_gradient_is_the_laplacian_s_closed_form():
    k = [2 - 2 * np.cos(np.pi * np.arange(n) / n) for n in (4, 6, 3)]
    want = k[0][:, None, None] + k[1][:, None] + k[2]
    assert np.allclose(gram_spectrum(convop.gradient((4, 6, 3), dtype="float64"), ("DCT-II",) * 3), want, atol=1e-14)


@pytest.mark.parametrize("name", [name for name in CLOSED if closed_form(CLOSED[name][0]).axes_names[0] == "DFT"])
@pytest.mark.parametrize("whole", [False, True])
def test_gram_of_a_closed_form(name, whole):
    L, matrix = CLOSED[name]
    form = closed_form(L)
    form = form.whole() if whole else form
    gram = gram_spectrum(L, form.axes_names, whole=whole)
    gram = gram.reshape(*gram.shape[: len(form.frequencies)], *(form.blocks.shape[-1],) * 2)
    x = signals(form, L.in_shape, L)
    want = (matrix.conj().T @ (matrix @ x.reshape(2, -1).T)).T.reshape(x.shape)
    got = form.synthesise_in((gram @ form.analyse_in(x)[..., None])[..., 0])
    assert np.allclose(
        got, want, atol=1e-4 * np.abs(want).max() if L.dtype.itemsize < 8 else 1e-11 * np.abs(want).max()
    )


def test_gram_on_a_coarser_grid():
    A = CLOSED["real periodic, strided on one axis"][0]
    form, D = closed_form(A), convop.gradient(A.in_shape, boundary="periodic", dtype="float64")
    gram = gram_spectrum(D, form.axes_names, base=form.layout.base)
    x = array(A.in_shape)
    assert np.allclose(form.synthesise_in((gram @ form.analyse_in(x)[..., None])[..., 0]), D.H(D(x)))
    assert gram_spectrum(D, form.axes_names, base=(4, 3)) is None


def test_gram_of_channels_in_cosines():
    """Each output channel is a difference of its own; input channels mix."""
    weight = np.zeros((3, 2, 3, 3))
    weight[0, :, 1] = np.outer([1, 3], [1, 0, -1])
    weight[1, :, :, 1] = np.outer([2, -1], [-1, 0, 1])
    weight[2] = even(array((2, 3, 3)), 1, 2)
    L = convop.conv_layer(weight, (2, 4, 5), padding=1, boundary="symmetric")
    basis = np.kron(np.eye(2), np.kron(dct_basis(4), dct_basis(5)))
    matrix = L.toarray()
    gram = (basis.T @ (matrix.T @ matrix) @ basis).reshape(2, 20, 2, 20)
    spectrum = gram_spectrum(L, ("DCT-II", "DCT-II")).reshape(20, 2, 2)
    assert np.allclose(np.einsum("fab,fg->afbg", spectrum, np.eye(20)), gram, atol=1e-12)
