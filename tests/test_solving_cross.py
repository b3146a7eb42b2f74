"""The cross outside a crop of a torus: products with thin matrices and through whole transforms, against dense ones."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from cases import array

from convop.solving import slab
from convop.solving.arrays import Arrays
from convop.solving.cross import Cross
from convop.solving.slab import Slab, thin
from convop.solving.torus import Torus

DOUBLE = Arrays(np.dtype(float))
TORI = [((11,), True), ((8,), False), ((7, 10), True), ((10, 7), True), ((6, 9), False), ((5, 4, 6), True)]


def arrays_of(kind):
    if kind == "numpy":
        return DOUBLE
    torch = pytest.importorskip("torch")
    from convop.interop.torch.solving.tensors import Tensors

    return Tensors(np.dtype(float), torch.device("cpu"))


def dense(symbol, sizes):
    """The matrix of a circulant for each pair of components, by the definition of the Fourier transform."""
    count, total = len(symbol), int(np.prod(sizes))
    waves = np.array([[1.0]])
    for n in sizes:
        waves = np.kron(waves, np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n))
    blocks = [
        [waves.conj().T @ np.diag(symbol[q, r].ravel()) @ waves / total for r in range(count)] for q in range(count)
    ]
    return np.block(blocks)


def definite_symbol(sizes, real, count):
    """Hermitian and positive definite at each frequency; of real signals, if asked."""
    draw = array((count, count, *sizes), "float64" if real else "complex128", 3)
    spectra = np.fft.fftn(draw, axes=range(2, 2 + len(sizes)))
    return np.einsum("qr...,sr...->qs...", spectra, spectra.conj()) + 5 * np.eye(count).reshape(
        count, count, *(1,) * len(sizes)
    )


def half(spectra, real):
    return spectra[..., : spectra.shape[-1] // 2 + 1] if real else spectra


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(("sizes", "real"), TORI)
def test_layers_of_a_torus(sizes, real, kind):
    arrays = arrays_of(kind)
    torus, dtype = Torus(sizes, real, arrays), "float64" if real else "complex128"
    for axis, n in enumerate(sizes):
        layers = [np.array([0, n - 1, 2]), np.arange(0), np.array([n - 2])]
        places, others = np.concatenate(layers), sizes[:axis] + sizes[axis + 1 :]
        values = array((2, len(places), *others), dtype, 1)
        whole = np.zeros((2, 3, *sizes), dtype)
        for layer, component, plane in zip(places, (0, 0, 0, 2), np.moveaxis(values, 1, 0), strict=True):
            whole[(slice(None), component, *(slice(None),) * axis, layer)] = plane
        part = Slab(torus, axis, layers)
        want = half(np.fft.fftn(whole, axes=range(2, whole.ndim)), real)
        np.testing.assert_allclose(arrays.host(part.spectra(arrays.native(values))), want, atol=1e-12)
        signal = array((2, 3, *sizes), dtype, 2)
        spectra = half(np.fft.fftn(signal, axes=range(2, signal.ndim)), real)
        cuts = [np.moveaxis(signal[:, q], 1 + axis, 1)[:, each] for q, each in enumerate(layers)]
        got = arrays.host(part.values(arrays.native(spectra)))
        np.testing.assert_allclose(got, np.concatenate(cuts, 1), atol=1e-12)
        assert got.dtype == signal.dtype


def test_layers_in_the_working_precision():
    single = Arrays(np.dtype("f"))
    values = array((1, 2, 9), "float32", 1)
    for exact, dtype in ((False, "complex64"), (True, "complex128")):
        assert Slab(Torus((8, 9), True, single), 0, [np.arange(2)], exact).spectra(values).dtype == dtype


@pytest.mark.parametrize("way", ["matrices", "transforms"])
@pytest.mark.parametrize(("count", "kind"), [(1, "numpy"), (2, "numpy"), (1, "torch"), (2, "torch")])
@pytest.mark.parametrize(("sizes", "real"), TORI)
def test_products_with_the_cross(sizes, real, count, kind, way, monkeypatch):
    monkeypatch.setattr(slab, "WORTH", 100.0 if way == "matrices" else 0.0)
    monkeypatch.setattr(slab, "WIDE", 0)
    arrays = arrays_of(kind)
    torus = Torus(sizes, real, arrays)
    symbol = definite_symbol(sizes, real, count)
    kept = [tuple(n - 2 for n in sizes), (sizes[0] - 1, *sizes[1:])][:count]
    cross = Cross(arrays.native(np.ascontiguousarray(half(symbol, real))), torus, tuple(kept))
    matrix = dense(symbol, sizes)[np.ix_(cross.places, cross.places)]
    outside = [
        q * int(np.prod(sizes)) + np.ravel_multi_index(at, sizes)
        for q, shape in enumerate(kept)
        for at in itertools.product(*map(range, sizes))
        if any(i >= n for i, n in zip(at, shape, strict=True))
    ]
    assert cross.places.tolist() == outside
    z = array((2, len(cross.places)), "float64" if real else "complex128", 4)
    if real:
        assert abs(matrix.imag).max() < 1e-10
        matrix = matrix.real
    want = z @ matrix.T
    np.testing.assert_allclose(arrays.host(cross.multiply(arrays.native(z))), want, rtol=1e-10, atol=1e-9)
    begin, image = map(arrays.host, cross.begin(arrays.native(z)))
    np.testing.assert_allclose(image, begin @ matrix.T, rtol=1e-9, atol=1e-8)
    fresh, image = map(arrays.host, cross.sweep(arrays.native(z - image)))
    np.testing.assert_allclose(image, fresh @ matrix.T, rtol=1e-9, atol=1e-8)


def test_a_sweep_leaves_nothing_on_the_first_strip_and_solves_a_single_one():
    symbol = definite_symbol((7, 10), True, 1)
    for kept in ((5, 7), (7, 7)):
        cross = Cross(np.ascontiguousarray(half(symbol, True)), Torus((7, 10), True, DOUBLE), (kept,))
        right = array((1, len(cross.places)), "float64", 4)
        _, image = cross.begin(right)
        first = np.isin(cross.places, np.arange(50, 70)) if kept[0] == 5 else np.ones(len(cross.places), bool)
        np.testing.assert_allclose(image[:, first], right[:, first], rtol=1e-12)
        _, image = cross.sweep(right - image)
        np.testing.assert_allclose(image[:, first], 0, atol=1e-11)


def test_few_layers_are_taken_alone_and_many_are_not():
    torus = Torus((512, 512), True, DOUBLE)
    assert thin(torus, 16, 1)
    assert not thin(torus, 200, 1)
    assert thin(torus, 100, 2)
    assert not thin(Torus((10_000,), True, DOUBLE), 16, 1)
    assert not thin(Torus((10_000, 20), True, DOUBLE), 16, 1)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_toeplitz_matrices(size, dtype, kind):
    arrays, columns = arrays_of(kind), array((size, 3), dtype, 1)
    got = arrays.host(arrays.toeplitz(arrays.native(columns)))
    for k, column in enumerate(columns.T):
        want = scipy.linalg.toeplitz(column)  # conjugates the row, and leaves the first entry as it is
        np.testing.assert_array_equal(got[k], want)
