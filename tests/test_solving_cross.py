"""The cross outside a crop of a torus: layers by matrices and by transforms, systems and sweeps, against dense ones."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from cases import array

from convop.solving import slab
from convop.solving.arrays import Arrays
from convop.solving.cross import Cross
from convop.solving.dense_systems import Dense
from convop.solving.schwarz import LEAST, SWEEPS, Schwarz, chebyshev_weights
from convop.solving.slab import Slab
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


def way_of(monkeypatch, way):
    monkeypatch.setattr(slab, "WORTH", 100.0 if way == "matrices" else 0.0)


@pytest.mark.parametrize("way", ["matrices", "transforms"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize(("sizes", "real"), TORI)
def test_layers_of_a_torus(sizes, real, kind, way, monkeypatch):
    way_of(monkeypatch, way)
    arrays = arrays_of(kind)
    torus, dtype = Torus(sizes, real, arrays), "float64" if real else "complex128"
    for axis, n in enumerate(sizes):
        layers = [np.array([0, n - 1, 2]), np.arange(0), np.array([n - 2])]
        others = sizes[:axis] + sizes[axis + 1 :]
        values = array((2, *others, 4), dtype, 1)
        whole = np.zeros((2, 3, *sizes), dtype)
        for at, (layer, component) in enumerate(zip(np.concatenate(layers), (0, 0, 0, 2), strict=True)):
            whole[(slice(None), component, *(slice(None),) * axis, layer)] = values[..., at]
        part = Slab(torus, axis, layers)
        along = part.spectrum(arrays.native(values))
        assert tuple(along.shape) == (2, *part.half, 4)
        want = half(np.fft.fftn(whole, axes=range(2, whole.ndim)), real)
        np.testing.assert_allclose(arrays.host(part.lift(along)), want, atol=1e-12)
        signal = array((2, 3, *sizes), dtype, 2)
        spectra = half(np.fft.fftn(signal, axes=range(2, signal.ndim)), real)
        cuts = [np.moveaxis(signal[:, q], 1 + axis, -1)[..., each] for q, each in enumerate(layers)]
        got = arrays.host(part.signal(part.drop(arrays.native(spectra))))
        np.testing.assert_allclose(got, np.concatenate(cuts, -1), atol=1e-12)
        assert got.dtype == signal.dtype


def test_layers_in_the_working_precision():
    single = Arrays(np.dtype("f"))
    values = array((1, 9, 2), "float32", 1)
    for exact, dtype in ((False, "complex64"), (True, "complex128")):
        part = Slab(Torus((8, 9), True, single), 0, [np.arange(2)], exact)
        assert part.lift(part.spectrum(values)).dtype == dtype


def test_few_layers_are_taken_by_matrices_and_many_are_not():
    torus = Torus((512, 512), True, DOUBLE)
    assert Slab(torus, 0, [np.arange(30)]).thin
    assert Slab(torus, 0, [np.arange(30)] * 3).thin  # three arrays would be transformed
    assert not Slab(torus, 0, [np.arange(200)]).thin


class Example:
    """A cross with the definite symbol of its own, its dense matrix, and values on it."""

    def __init__(self, sizes, real, count, arrays, kept=None):
        symbol, self.arrays = definite_symbol(sizes, real, count), arrays
        kept = kept or [tuple(n - 2 for n in sizes), (sizes[0] - 1, *sizes[1:])][:count]
        self.cross = Cross(
            arrays.native(np.ascontiguousarray(half(symbol, real))), Torus(sizes, real, arrays), tuple(kept)
        )
        outside = [
            q * int(np.prod(sizes)) + np.ravel_multi_index(at, sizes)
            for q, shape in enumerate(kept)
            for at in itertools.product(*map(range, sizes))
            if any(i >= n for i, n in zip(at, shape, strict=True))
        ]
        self.inside = np.ones((count, *sizes), bool)
        self.inside.ravel()[outside] = False
        self.matrix, self.real = dense(symbol, sizes), real
        if real:
            assert abs(self.matrix.imag).max() < 1e-10
            self.matrix = self.matrix.real
        self.matrix = self.matrix * ~self.inside.ravel() * ~self.inside.ravel()[:, None]

    def spectra(self, signals):
        return half(np.fft.fftn(signals, axes=range(2, signals.ndim)), self.real)

    def signals(self, z):
        """What the sums of what `z` has on each strip are, on the whole torus."""
        return self.arrays.host(self.cross.torus.signal(self.cross.spread(z)))

    def gathered(self, signals):
        return self.cross.gather(self.arrays.native(self.spectra(signals)))

    def draw(self, seed):
        return array((2, *self.inside.shape), "float64" if self.real else "complex128", seed)

    def product(self, signals):
        flat = signals.reshape(len(signals), -1) @ self.matrix.T
        return flat.reshape(signals.shape)


@pytest.mark.parametrize("way", ["matrices", "transforms"])
@pytest.mark.parametrize(("count", "kind"), [(1, "numpy"), (2, "numpy"), (1, "torch"), (2, "torch")])
@pytest.mark.parametrize(("sizes", "real"), TORI)
def test_the_cross(sizes, real, count, kind, way, monkeypatch):
    way_of(monkeypatch, way)
    case = Example(sizes, real, count, arrays_of(kind))
    cross, signals = case.cross, case.draw(4)
    outside = np.where(case.inside, 0, signals)
    # The sum over the strips is the array outside; each strip alone has all of its own.
    z = cross.distinct(case.gathered(signals))
    np.testing.assert_allclose(case.signals(z), outside, atol=1e-12)
    np.testing.assert_allclose(
        case.arrays.host(case.gathered(outside)), case.arrays.host(case.gathered(signals)), atol=1e-12
    )
    # Gathering is the transpose of spreading, so that products of the values are products of the arrays.
    other = np.asarray(case.arrays.host(case.gathered(case.draw(5))))
    want = np.vdot(outside, np.where(case.inside, 0, case.draw(5)))
    np.testing.assert_allclose(np.vdot(case.arrays.host(z), other), want, rtol=1e-10)
    # The circulant between strips.
    image = np.where(case.inside, 0, case.product(outside))
    got = case.arrays.host(cross.multiply(z))
    np.testing.assert_allclose(got, case.arrays.host(case.gathered(image)), rtol=1e-9, atol=1e-9)
    right = case.gathered(signals)
    for exact in (True, False):
        begin, first = Schwarz(cross).begin(right, exact)
        fresh, second = Schwarz(cross).sweep(right - first, exact)
        for found, made in ((begin, first), (fresh, second)):
            want = case.arrays.host(cross.multiply(found))
            np.testing.assert_allclose(case.arrays.host(made), want, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("count", "kind"), [(1, "numpy"), (2, "numpy"), (2, "torch")])
@pytest.mark.parametrize(("sizes", "real"), TORI)
def test_strips_agree_on_what_they_share(sizes, real, count, kind):
    case = Example(sizes, real, count, arrays_of(kind))
    cross = case.cross
    parts = []
    for strip in cross.strips:  # each with values of its own
        draw = array((2, *strip.slab.others, strip.thickness), "float64" if real else "complex128", strip.axis)
        parts.append(strip.spectrum(case.arrays.native(draw)))
    agreed = cross.joined(cross.agreed(parts), parts[0])
    once = cross.gather(cross.spread(cross.distinct(agreed)))
    np.testing.assert_allclose(case.arrays.host(once), case.arrays.host(agreed), atol=1e-11)
    for strip, before, after in zip(cross.strips, parts, cross.agreed(parts), strict=True):
        kept = [case.arrays.host(strip.signal(each)) * strip.own for each in (before, after)]
        np.testing.assert_allclose(kept[1], kept[0], atol=1e-11)


@pytest.mark.parametrize("sizes", [(7, 10), (5, 4, 6)])
def test_what_remains_after_a_sweep_is_told_apart(sizes):
    """On strips after the first, where two of them meet, a sample counts once."""
    case = Example(sizes, True, 1, DOUBLE)
    right = case.gathered(case.draw(4))
    _, image = Schwarz(case.cross).begin(right)
    rest = right - image
    signals = DOUBLE.host(case.cross.torus.signal(case.cross.remaining(rest)))
    np.testing.assert_allclose(case.gathered(signals), rest, atol=1e-10)
    assert abs(signals[~np.broadcast_to(~case.inside, signals.shape)]).max() < 1e-11


def test_a_sweep_leaves_nothing_on_the_first_strip_and_solves_a_single_one():
    for kept in ((5, 7), (7, 7)):
        case = Example((7, 10), True, 1, DOUBLE, [kept])
        right = case.gathered(case.draw(4))
        first = case.cross.strips[0].place
        for exact in (True, False):
            _, image = Schwarz(case.cross).begin(right, exact)
            np.testing.assert_allclose(image[:, first], right[:, first], rtol=1e-12)
            _, image = Schwarz(case.cross).sweep(right - image, exact)
            np.testing.assert_allclose(image[:, first], 0, atol=1e-11)
            assert len(case.cross.strips) == (2 if kept[0] == 5 else 1)


def test_chebyshev_weights_are_the_best_for_an_interval():
    """Of all polynomials that are 1 at 0, theirs is least on the interval: it alternates (T. J. Rivlin, 1974)."""
    for count, least in ((1, 0.2), (2, 0.1), (3, 1 / 30)):
        at = np.linspace(least, 1, 2001)
        left = np.prod([1 - weight * at for weight in chebyshev_weights(count, least)], axis=0)
        middle = (1 + least) / (1 - least)
        np.testing.assert_allclose(abs(left).max(), 1 / np.cosh(count * np.arccosh(middle)), rtol=1e-5)
        assert (np.diff(left > 0)).sum() == count


@pytest.mark.parametrize(("sizes", "real"), [((7, 10), True), ((6, 9), False), ((5, 4, 6), True)])
def test_several_sweeps_are_the_polynomial_of_one(sizes, real):
    """Where there is no residual on the first strip a sweep is linear; several are its polynomial, and definite."""
    case = Example(sizes, real, 1, DOUBLE)
    schwarz = Schwarz(case.cross)
    right = case.gathered(case.draw(4))
    _, image = schwarz.begin(right)
    residual = right - image
    left = residual
    for weight in chebyshev_weights(SWEEPS, LEAST):
        left = left - weight * schwarz.sweep(left)[1]
    z, image = schwarz.sweeps(residual)
    np.testing.assert_allclose(residual - image, left, atol=1e-10)
    np.testing.assert_allclose(case.cross.multiply(z), image, rtol=1e-8, atol=1e-8)
    other = case.gathered(case.draw(5))
    other = other - schwarz.begin(other)[1]
    both = [[np.vdot(b, schwarz.sweeps(a)[0]) for a in (residual, other)] for b in (residual, other)]
    np.testing.assert_allclose(both, np.conj(both).T, rtol=1e-8, atol=1e-10)
    assert (np.linalg.eigvalsh(both) > 0).all()


def test_only_what_rounding_may_spoil_is_computed_twice():
    """Where a strip's own image would differ from the residual by less than the tolerance, it is taken for it."""
    symbol = np.ones((1, 1, 8, 6))
    assert Cross(symbol, Torus((8, 10), True, DOUBLE), ((7, 9),)).loss < 1e-12
    symbol[..., 0] = 1e-8
    assert Cross(symbol, Torus((8, 10), True, DOUBLE), ((7, 9),)).loss > 1e-9
    assert Cross(definite_symbol((8, 10), True, 2)[..., :6], Torus((8, 10), True, DOUBLE), ((7, 9),) * 2).loss > 1


@pytest.mark.parametrize("dense_ones", [False, True])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_many_small_systems(size, dtype, kind, dense_ones):
    arrays, columns, right = arrays_of(kind), array((3, size), dtype, 1), array((2, 3, size), dtype, 2)
    columns[:, 0] = 2 * size + abs(columns[:, 0])
    matrices = np.stack([scipy.linalg.toeplitz(column) for column in columns])
    systems = (
        Dense(arrays.native(matrices), arrays) if dense_ones else arrays.toeplitz(arrays.native(columns), careful=True)
    )
    found = systems.solve(arrays.native(right))
    want = np.stack([np.linalg.solve(matrix, right[:, k].T).T for k, matrix in enumerate(matrices)], 1)
    np.testing.assert_allclose(arrays.host(found), want, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(arrays.host(systems.multiply(found)), right, rtol=1e-10, atol=1e-10)
