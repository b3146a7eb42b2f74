"""`as_convolution`: kernels read back from matrices of every geometry, and least squares oracles where noise is."""

import itertools

import numpy as np
import oracle
import pylops
import pytest
import scipy.linalg
import scipy.sparse as sp
import strategies
from cases import array
from oracle import error
from scipy.sparse.linalg import aslinearoperator

import convop

EXACT = 1e-13


def boundary_of(spec):
    return "zero" if getattr(spec, "mode", "") == "full" else spec.boundary


def specs(count, first=0):
    for seed in range(first, first + count):
        dice = strategies.Dice(seed)
        yield strategies.layer(dice) if seed % 3 == 0 else strategies.convolution(dice)


def recognised(spec, M, A, **options):
    return convop.as_convolution(
        M, A.in_shape, A.out_shape, boundary=boundary_of(spec), stride=spec.stride,
        channels=isinstance(spec, strategies.LayerSpec), **options,
    )  # fmt: skip


def test_every_geometry_is_read_back():
    """Both doors, all boundaries, sides, strides, dilations, kernels longer than the array: the same matrix again."""
    for spec in specs(400):
        A = spec.build()
        M = spec.matrix().astype(A.dtype)
        found = recognised(spec, M, A)
        assert found.exact, (spec, found.residual)
        assert found.residual <= 64 * np.finfo(A.dtype).eps
        assert found.operator.dtype == A.dtype
        assert (found.operator.in_shape, found.operator.out_shape) == (A.in_shape, A.out_shape)
        assert np.abs(found.operator.toarray() - M).max() <= 100 * np.finfo(A.dtype).eps * np.abs(M).max(initial=1)
        assert found.structure != "none"


def test_a_given_kernel_shape_finds_its_place():
    """Any geometry with as many taps as it spans; but for kernels that do what others do, whose place is not unique."""
    exact = []
    for spec in specs(150, first=1000):
        A = spec.build()
        found = recognised(spec, spec.matrix().astype(A.dtype), A, kernel_shape=A.geometry.reach)
        assert found.operator.geometry.kernel == A.geometry.reach
        exact.append(found.exact)
    assert np.mean(exact) >= 0.99


@pytest.mark.parametrize("boundary", [*oracle.BOUNDARIES, (("mirror", "zero"), ("replicate", "antireflective"))])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
def test_kernels_come_back_as_they_were(boundary, stride):
    for taps, center in (((3, 2), None), ((2, 4), (0, 3)), ((4, 3), (3, 0)), ((1, 1), None)):
        kernel = array(taps, "complex128")
        M = oracle.convolution_matrix(kernel, (9, 10), "same", boundary, center, stride)
        out = oracle.convolution_shape(taps, (9, 10), "same", center, stride, 1)[1]
        for size in (None, taps):
            found = convop.as_convolution(M, (9, 10), out, boundary=boundary, stride=stride, kernel_shape=size)
            assert found.exact
            assert found.operator.kernel.shape == kernel.shape
            assert error(found.operator.kernel, kernel) <= EXACT


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_full_and_valid(mode):
    kernel = array((3, 4), "complex128")
    M = oracle.convolution_matrix(kernel, (7, 6), mode, stride=(2, 1))
    for found in (
        convop.as_convolution(M, (7, 6), (5, 9) if mode == "full" else (3, 3), stride=(2, 1)),
        convop.as_convolution(M, (7, 6), stride=(2, 1), kernel_shape=(3, 4)),
    ):
        assert found.exact
        assert error(found.operator.kernel, kernel) <= EXACT
        assert found.structure == "convolution"
    toeplitz = convop.as_convolution(oracle.convolution_matrix(kernel, (7, 6), mode), (7, 6), kernel_shape=(3, 4))
    assert toeplitz.structure == "toeplitz"
    one = convop.as_convolution(oracle.convolution_matrix(kernel[0], (6,), mode), 6)
    assert error(one.operator.kernel, kernel[0]) <= EXACT


@pytest.mark.parametrize("groups", [1, 2])
def test_layers_come_back_with_their_groups(groups):
    weight = array((4, 2 // groups, 3, 2), "complex128")
    options = {"stride": (1, 2), "padding": (1, 2), "groups": groups}
    M = oracle.layer_matrix(weight, (2, 5, 6), **options)
    out = oracle.layer_shape(weight.shape, (2, 5, 6), (1, 2), (1, 2), 1)
    found = convop.as_convolution(M, (2, 5, 6), out, channels=True, stride=(1, 2))
    assert found.exact
    assert found.operator.geometry == convop.conv_layer(weight, (2, 5, 6), **options).geometry
    assert error(found.operator.kernel, weight) <= EXACT
    assert found.operator.convention == "correlation"
    square = oracle.layer_matrix(weight, (2, 5, 6), padding="same", groups=groups)
    assert convop.as_convolution(square, (2, 5, 6), channels=True).operator.out_shape == (4, 5, 6)


def test_whatever_holds_a_matrix():
    kernel = array((3, 3), "float64")
    A = convop.Convolution(kernel, (6, 5), boundary="symmetric")
    M = oracle.convolution_matrix(kernel, (6, 5), boundary="symmetric")
    functions = convop.as_operator(
        forward=lambda x: (M @ x.ravel()).reshape(6, 5), adjoint=lambda y: (M.T @ y.ravel()).reshape(6, 5),
        in_shape=(6, 5), out_shape=(6, 5),
    )  # fmt: skip
    for given in (M, M.tolist(), sp.csr_array(M), sp.coo_matrix(M), A, A.T.T, 2 * A - A, aslinearoperator(M), functions,
                  pylops.MatrixMult(M), convop.as_operator(M)):  # fmt: skip
        found = convop.as_convolution(given, (6, 5), boundary="symmetric")
        assert found.exact
        assert error(found.operator.kernel, kernel) <= EXACT
    whole = convop.as_convolution(np.rint(M * 100).astype(int) * 0 + np.eye(30, dtype=int), (6, 5))
    assert whole.operator.dtype == np.float64
    assert (whole.operator.kernel.shape, whole.structure) == ((1, 1), "circulant")


# Nearest


def tap_columns(geometry):
    """The matrix of every tap as a column, from the oracle: the geometry with one tap set to one after the other."""
    options = {"stride": geometry.stride, "padding": 0, "boundary": "zero"}
    columns, shape = [], (1, 1, *geometry.kernel)
    for tap in itertools.product(*map(range, geometry.kernel)):
        unit = np.zeros(shape)
        unit[(0, 0, *tap)] = 1
        before = [max(p, 0) for p, _ in geometry.padding]
        extended = [
            oracle.extension_matrix(n, b, max(a, 0), *names)[max(-p, 0) : n + b + max(a, 0) - max(-a, 0)]
            for n, (p, a), b, names in zip(geometry.spatial, geometry.padding, before, geometry.boundary, strict=True)
        ]
        extension = extended[0] if len(extended) == 1 else np.kron(extended[0], extended[1])
        sizes = tuple(map(len, extended))
        columns.append((oracle.layer_matrix(unit, (1, *sizes), **options) @ extension).ravel())
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("size", [None, "own"])
def test_perturbed_matrices_against_least_squares(size):
    """Noise on every entry: kernel's matrix and residual are those of numpy's lstsq over the taps of the geometry."""
    count = 0
    for seed in range(80):
        dice = strategies.Dice(seed)
        spec = strategies.convolution(dice, ("complex128", "float64"))
        A = spec.build()
        if A.geometry.ndim > 2 or A.shape[0] * A.shape[1] > 300:
            continue
        M = spec.matrix()
        M = M + 0.05 * array(M.shape, M.dtype, seed)
        found = recognised(spec, M, A, kernel_shape=A.geometry.reach if size else None)
        columns = tap_columns(found.operator.geometry)
        best = columns @ np.linalg.lstsq(columns, M.ravel(), rcond=1e-10)[0]
        assert not found.exact or np.linalg.norm(best - M.ravel()) <= 1e-12 * np.linalg.norm(M)
        assert abs(found.residual - np.linalg.norm(best - M.ravel()) / np.linalg.norm(M)) <= 1e-10
        assert np.abs(found.operator.toarray().ravel() - best).max() <= 1e-9
        count += 1
    assert count > 20


def test_the_nearest_circulant_and_toeplitz_matrices():
    """Averages along the diagonals: Chan's circulant, and the Toeplitz part."""
    M = array((6, 6), "complex128")
    circulant = [np.mean([M[i, (i - k) % 6] for i in range(6)]) for k in range(6)]
    found = convop.as_convolution(M, 6, boundary="periodic")
    assert error(found.operator.toarray(), scipy.linalg.circulant(circulant)) <= EXACT
    assert (found.exact, found.structure) == (False, "none")
    column = [np.diagonal(M, -k).mean() for k in range(6)]
    row = [np.diagonal(M, k).mean() for k in range(6)]
    assert error(convop.as_convolution(M, 6).operator.toarray(), scipy.linalg.toeplitz(column, row)) <= EXACT


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_one_wrong_entry_is_seen(boundary):
    A = convop.Convolution(array((3, 3)), (12, 11), boundary=boundary)
    M = A.toarray()
    for place in ((0, 0), (60, 61), (131, 130), (7, 120)):
        wrong = M.copy()
        wrong[place] += 1e-9
        for kernel_shape in (None, 3):
            found = convop.as_convolution(sp.csr_array(wrong), (12, 11), boundary=boundary, kernel_shape=kernel_shape)
            assert not found.exact
            assert 0 < found.residual < 1e-9


def test_what_is_no_convolution():
    for M in (array((6, 6)), np.diag(np.arange(6.0)), np.tril(array((6, 6)))):
        for boundary in oracle.BOUNDARIES:
            found = convop.as_convolution(M, 6, boundary=boundary)
            assert not found.exact
            assert found.residual > 0.1
            assert found.structure == "none"
    upsampling = convop.conv_transpose_layer(array((1, 1, 3)), (1, 5), stride=2)
    assert not convop.as_convolution(upsampling, (1, 5), upsampling.out_shape, channels=True).exact


def test_structure():
    kernel = array((3, 2), "complex128")
    for boundary, structure in (("zero", "toeplitz"), ("periodic", "circulant"), ("mirror", "convolution")):
        M = oracle.convolution_matrix(kernel, (5, 6), boundary=boundary)
        assert convop.as_convolution(M, (5, 6), boundary=boundary).structure == structure
    circulant = oracle.convolution_matrix(kernel, (5, 6), boundary="periodic")
    assert convop.as_convolution(circulant, (5, 6)).structure == "circulant"
    assert convop.as_convolution(circulant, (5, 6)).exact  # a circulant matrix is Toeplitz
    mixed = oracle.convolution_matrix(kernel, (5, 6), boundary=("periodic", "zero"))
    assert convop.as_convolution(mixed, (5, 6)).structure == "toeplitz"
    reflected = oracle.convolution_matrix(kernel, (5, 6), boundary="symmetric")
    assert convop.as_convolution(reflected, (5, 6)).structure == "none"
    layer = oracle.layer_matrix(array((2, 3, 3)), (3, 6), padding=1, boundary="periodic")
    assert convop.as_convolution(layer, (3, 6), (2, 6), channels=True).structure == "circulant"
    assert "circulant" in str(convop.as_convolution(circulant, (5, 6)))


def test_zeros_stay_zeros():
    """Central differences keep the zero between their taps, and a zero matrix is a zero kernel."""
    for boundary in oracle.BOUNDARIES:
        M = oracle.convolution_matrix(np.array([1.0, 0.0, -1.0]), (7,), boundary=boundary)
        found = convop.as_convolution(M, 7, boundary=boundary)
        assert found.operator.kernel.shape == (3,)
        assert found.operator.kernel[1] == 0
        nothing = convop.as_convolution(np.zeros((7, 7)), 7, boundary=boundary)
        assert (nothing.exact, nothing.residual) == (True, 0.0)
        assert not nothing.operator.kernel.any()


@pytest.mark.parametrize("boundary", ["symmetric", "replicate"])
def test_a_single_sample(boundary):
    """Every tap reads the only sample, so that the rows of a convolution are equal."""
    A = convop.conv_layer(array((1, 1, 3)), (1, 1), padding=3, boundary=boundary)
    for size in (None, 3):
        found = convop.as_convolution(A, (1, 1), A.out_shape, channels=True, boundary=boundary, kernel_shape=size)
        assert found.exact
        assert error(found.operator.toarray(), A.toarray()) <= EXACT
    uneven = convop.as_convolution(np.array([[1.0], [2.0], [3.0]]), 1, 3, boundary=boundary)
    assert (uneven.exact, uneven.structure) == (False, "toeplitz")
    assert abs(uneven.residual - np.sqrt(2 / 14)) <= EXACT


@pytest.mark.parametrize(
    "arguments",
    [
        {"in_shape": 5},
        {"in_shape": (2, 3), "out_shape": 6},
        {"in_shape": (3, 2), "out_shape": (3, 3)},
        {"in_shape": 6, "channels": True},
        {"in_shape": (2, 3), "stride": 2},
        {"in_shape": 6, "boundary": "reflect"},
        {"in_shape": 6, "kernel_shape": 0},
        {"in_shape": 6, "kernel_shape": (2, 2)},
    ],
)
def test_refusals(arguments):
    with pytest.raises(convop.GeometryError):
        convop.as_convolution(np.eye(6), **arguments)


def test_memory():
    M = convop.as_operator(forward=lambda x: x, in_shape=10**6, out_shape=10**6)
    with pytest.raises(convop.MemoryBudgetError):
        convop.as_convolution(M, 10**6)
    with pytest.raises(convop.MemoryBudgetError):
        convop.as_convolution(convop.Convolution(np.ones(9), 1000), 1000, max_bytes=1000)


def test_large_sparse_matrices():
    for boundary in oracle.BOUNDARIES:
        kernel = array((3, 3))
        A = convop.Convolution(kernel, (150, 140), boundary=boundary)
        found = convop.as_convolution(A, (150, 140), boundary=boundary)
        assert found.exact
        assert error(found.operator.kernel, kernel) <= EXACT
    long = convop.Convolution(array(5), 50_000, boundary="periodic")
    assert convop.as_convolution(long, 50_000, boundary="periodic").structure == "circulant"
