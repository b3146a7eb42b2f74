"""Cases for the laws: each is a way to make an operator and the dense matrix that it must be."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import oracle
import pylops
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

import convop


@dataclass(frozen=True)
class Case:
    """An operator, made anew by `make`, the matrix it must be, and its shapes."""

    name: str
    make: Callable
    dense: Callable
    in_shape: tuple
    out_shape: tuple
    assembles: bool = True  # False where a part is known by its action only: no matrix is made by probing

    @cached_property
    def operator(self):
        return self.make()

    @cached_property
    def matrix(self):
        matrix = self.dense()
        assert matrix.shape == (int(np.prod(self.out_shape)), int(np.prod(self.in_shape)))
        return matrix

    def __repr__(self):
        return self.name


CASES = []

# PyProximal 0.13 and PyLops-MPI 0.8 ask for less, and import callbacks that PyLops has from 2.6 on (its request 693).
needs_pylops_26 = pytest.mark.skipif(
    tuple(map(int, pylops.__version__.split(".")[:2])) < (2, 6), reason="PyProximal 0.13, PyLops-MPI 0.8: PyLops 2.6"
)


def case(name, in_shape, out_shape, make, dense, assembles=True):
    CASES.append(Case(name, make, dense, tuple(in_shape), tuple(out_shape), assembles))


def array(shape, dtype="float64", seed=0):
    """Normal values, with an imaginary part where the type has one."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def sparse_array(shape, density, seed=0):
    """A CSR array with about that share of entries; scipy's own asks for its generator by another name since 1.15."""
    kept = np.random.default_rng(seed + 1).random(shape) < density
    return sp.csr_array(array(shape, seed=seed) * kept)


def signal_like(operator, shape, seed=1):
    """A signal of the operator's own type."""
    return array(shape, operator.dtype, seed)


# The signal-processing door


def convolution(name, taps, in_shape, dtype="complex128", method=None, **options):
    kernel = array(taps, dtype, seed=sum(map(ord, name)))
    places = {key: options.get(key, default) for key, default in (("stride", 1), ("dilation", 1))}
    _, out = oracle.convolution_shape(taps, in_shape, options.get("mode", "same"), options.get("center"), **places)

    def make():
        operator = convop.Convolution(kernel, in_shape, **options)
        return operator if method is None else operator.using(method)

    case(name, in_shape, out, make, lambda: oracle.convolution_matrix(kernel, in_shape, **options))


for boundary in oracle.BOUNDARIES:
    convolution(f"{boundary} 1-D even", (4,), (7,), boundary=boundary)
    convolution(f"{boundary} 2-D", (2, 3), (5, 6), boundary=boundary)
    convolution(f"{boundary} longer than the array", (9, 4), (3, 2), "float64", boundary=boundary)
    convolution(f"{boundary} strided, dilated", (3, 4), (7, 8), "complex64", boundary=boundary, stride=3, dilation=2)
convolution("real 2-D", (3, 4), (6, 5), "float64")
convolution("float32 2-D", (3, 2), (6, 5), "float32", boundary="mirror")
convolution("complex64 1-D", (5,), (8,), "complex64", boundary="antireflective")
convolution("full", (3, 2), (4, 6), mode="full")
convolution("full, strided, dilated", (3, 2), (4, 6), mode="full", stride=(2, 3), dilation=(3, 1))
convolution("full 1-D, kernel longer", (6,), (3,), "float32", mode="full")
convolution("valid", (3, 2), (6, 5), mode="valid")
convolution("valid, strided, dilated", (3, 2), (9, 8), mode="valid", stride=(3, 2), dilation=(2, 3))
convolution("valid, one output", (3, 4), (3, 4), "float64", mode="valid")
convolution("centre first", (4, 3), (5, 6), center=0, boundary="symmetric")
convolution("centre last", (4, 3), (5, 6), center=(3, 2), boundary="replicate")
convolution("centre last, dilated", (4, 2), (6, 7), center=(3, 1), dilation=(2, 3), stride=(1, 3))
convolution("per axis", (3, 4, 2), (4, 3, 5), boundary=("periodic", "mirror", "zero"))
convolution("per side", (4, 5), (5, 4), boundary=(("mirror", "zero"), ("antireflective", "symmetric")))
convolution("per side 1-D", (7,), (4,), boundary=(("replicate", "antireflective"),))
convolution("per side, strided", (4, 5), (7, 6), boundary=(("zero", "replicate"), "periodic"), stride=3, dilation=2)
convolution("3-D", (2, 3, 2), (4, 3, 5), boundary="symmetric", stride=(1, 2, 3))
convolution("4-D", (2, 2, 3, 2), (3, 2, 4, 3), boundary=("zero", "periodic", "mirror", "symmetric"))
convolution("4-D full", (2, 1, 2, 2), (2, 3, 1, 2), "float32", mode="full")
convolution("one sample, one tap", (1,), (1,), boundary="mirror")
convolution("one sample", (4,), (1,), boundary="symmetric")
convolution("periodic, stride divides", (3, 4), (6, 9), boundary="periodic", stride=3)
for method in ("direct", "fft", "sparse"):
    convolution(f"{method} zero", (3, 4), (7, 5), method=method)
    convolution(f"{method} periodic", (4, 3), (6, 7), "complex64", method=method, boundary="periodic")
    convolution(f"{method} symmetric real", (4, 3), (6, 7), "float64", method=method, boundary="symmetric")
    convolution(f"{method} full", (4, 2), (3, 7), "float32", method=method, mode="full")
    convolution(f"{method} valid 3-D", (2, 3, 2), (4, 3, 5), method=method, mode="valid")


# The deep-learning door


def layer(name, shape, in_shape, dtype="complex128", method=None, **options):
    weight = array(shape, dtype, seed=sum(map(ord, name)))
    places = {key: options.get(key, value) for key, value in (("stride", 1), ("padding", 0), ("dilation", 1))}
    out = oracle.layer_shape(shape, in_shape, **places)

    def make():
        operator = convop.conv_layer(weight, in_shape, **options)
        return operator if method is None else operator.using(method)

    case(name, in_shape, out, make, lambda: oracle.layer_matrix(weight, in_shape, **options))


def transpose_layer(name, shape, in_shape, dtype="complex128", **options):
    weight = array(shape, dtype, seed=sum(map(ord, name)))
    defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
    out = oracle.transpose_layer_shape(shape, in_shape, **{**defaults, **options})
    case(
        name,
        in_shape,
        out,
        lambda: convop.conv_transpose_layer(weight, in_shape, **options),
        lambda: oracle.transpose_layer_matrix(weight, in_shape, **options),
    )


layer("layer", (3, 2, 3, 2), (2, 5, 6))
layer("layer 1-D", (2, 3, 4), (3, 8), padding=2, stride=3)
layer("layer 1-D pair", (2, 3, 4), (3, 8), padding=((3, 0),), stride=2, dilation=2)
layer("layer 3-D", (2, 2, 2, 1, 3), (2, 3, 4, 3), "float32", padding=(1, 0, 2), stride=(1, 2, 1))
layer("layer 4-D", (2, 1, 2, 1, 2, 2), (1, 2, 3, 2, 3), padding=1, stride=2)
layer("layer same, even", (2, 2, 4, 2), (2, 5, 6), padding="same", dilation=(1, 3))
layer("layer valid", (2, 2, 2, 3), (2, 5, 6), "float64", padding="valid", stride=(3, 1))
layer("layer groups", (4, 2, 3, 2), (4, 5, 6), groups=2, padding=1, stride=3, dilation=2)
layer("layer depthwise", (6, 1, 2, 3), (3, 4, 5), "complex64", groups=3, padding=((0, 1), (2, 1)))
layer("layer pointwise", (3, 5, 1, 1), (5, 4, 3))
layer("layer more padding than kernel", (1, 2, 2, 2), (2, 3, 2), padding=4, stride=3)
for boundary in oracle.BOUNDARIES[1:]:
    layer(f"layer {boundary}", (3, 2, 3, 4), (2, 4, 5), boundary=boundary, padding=((2, 1), (0, 4)), stride=(2, 1))
layer("layer per side", (2, 2, 3, 3), (2, 4, 5), boundary=("periodic", ("zero", "mirror")), padding=3)
for method in ("direct", "fft", "sparse"):
    layer(f"layer {method}", (4, 1, 3, 2), (2, 5, 6), method=method, groups=2, padding=1)
    layer(f"layer {method} circular", (3, 2, 4, 3), (2, 5, 4), "float32", method, boundary="periodic", padding="same")
transpose_layer("transpose layer", (3, 2, 3, 2), (3, 4, 5))
transpose_layer("transpose layer 1-D", (2, 3, 4), (2, 5), stride=3, padding=2, output_padding=2)
transpose_layer(
    "transpose layer, dilated", (2, 2, 3, 2), (2, 3, 4), "complex64", stride=2, dilation=3, output_padding=2
)
transpose_layer("transpose layer, groups", (4, 3, 2, 3), (4, 3, 2), groups=2, stride=(3, 1), padding=(1, 0))
transpose_layer("transpose layer 3-D", (2, 1, 2, 3, 2), (2, 2, 3, 2), "float32", stride=2, padding=(0, 1, 1))


# Selections, diagonals, extensions, unfoldings

mask = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1]], bool)
weights = array((3, 4), "complex128", 3)


def select(name, in_shape, index):
    out = np.empty(in_shape)[index].shape
    case(
        f"select {name}",
        in_shape,
        out,
        lambda: convop.Select(in_shape, index),
        lambda: oracle.select_matrix(in_shape, index),
    )


select("slices", (6, 7), (slice(1, 5, 3), slice(None, None, -2)))
select("mask", (3, 4), mask)
select("integers", (5, 6), ([4, 0, 2], [1, 5, 1]))
select("mixed", (4, 5, 3), (slice(1, None), None, [3, 0]))
select("one row", (4, 5), 2)
case("identity", (3, 4), (3, 4), lambda: convop.Identity((3, 4)), lambda: np.eye(12))
case("diagonal", (3, 4), (3, 4), lambda: convop.Diagonal(weights), lambda: np.diag(weights.ravel()))
for boundary in oracle.BOUNDARIES:
    case(
        f"extend {boundary}",
        (3, 4),
        (7, 10),
        lambda boundary=boundary: convop.Extend((3, 4), ((3, 1), (0, 6)), boundary),
        lambda boundary=boundary: oracle.extend_matrix((3, 4), ((3, 1), (0, 6)), boundary),
    )


def unfold(name, in_shape, *arguments):
    matrix = oracle.unfold_matrix(in_shape, *arguments)
    rows = in_shape[0] * int(np.prod(oracle.per_axis(arguments[0], len(in_shape) - 1)))
    out = (rows, matrix.shape[0] // rows)
    case(f"unfold {name}", in_shape, out, lambda: convop.Unfold(in_shape, *arguments), lambda: matrix)


unfold("2-D", (2, 5, 6), (3, 2))
unfold("strided, padded, dilated", (2, 7, 6), (2, 3), (3, 2), (1, 2), (2, 1))
unfold("1-D", (3, 8), 3, 2, 1)


# Algebra

GRID = (5, 4)
kernels = [array(taps, "complex128", seed) for seed, taps in enumerate(((3, 2), (2, 4), (3, 2)), 10)]
table = array((20, 20), "complex128", 13)
table[np.abs(table) < 1] = 0
flat = array(20, "complex128", 14)


def mirrored(number=0):
    return convop.Convolution(kernels[number], GRID, boundary="mirror")


def replicated():
    return convop.Convolution(kernels[1], GRID, boundary="replicate")


def strided():
    return convop.Convolution(kernels[0], GRID, boundary="symmetric", stride=(2, 3))


def full(number=1, grid=GRID):
    return convop.Convolution(kernels[number], grid, mode="full")


def times_table(x):
    return (table @ x.ravel()).reshape(GRID)


def times_table_adjoint(y):
    return (table.conj().T @ y.ravel()).reshape(GRID)


def valid_after_extend():
    valid = convop.Convolution(kernels[1], (7, 7), mode="valid")
    return valid @ convop.Extend(GRID, ((1, 1), (0, 3)), "symmetric")


def wrapped_functions():
    functions = {"forward": times_table, "adjoint": times_table_adjoint}
    return convop.as_operator(**functions, in_shape=GRID, out_shape=GRID, dtype="complex128")


M = oracle.convolution_matrix(kernels[0], GRID, boundary="mirror")
M2 = oracle.convolution_matrix(kernels[2], GRID, boundary="mirror")
R = oracle.convolution_matrix(kernels[1], GRID, boundary="replicate")
S = oracle.convolution_matrix(kernels[0], GRID, boundary="symmetric", stride=(2, 3))
F = oracle.convolution_matrix(kernels[1], GRID, "full")
FF = oracle.convolution_matrix(kernels[2], (6, 7), "full") @ F
D = np.diag(flat)
crop = (slice(1, None, 2), [3, 0])
C = oracle.select_matrix(GRID, crop)
E = oracle.extend_matrix(GRID, ((1, 1), (0, 3)), "symmetric")
V = oracle.convolution_matrix(kernels[1], (7, 7), "valid")

BY_ACTION = {
    "scipy operator on the right",
    "pylops on the right",
    "pylops wrapped",
    "functions wrapped",
    "wrapped on the left",
    "wrapped adjoint",
}

for name, out_shape, make, dense, in_shape in (
    ("product", GRID, lambda: mirrored() @ replicated(), M @ R, GRID),
    ("strided after mirrored", (3, 2), lambda: strided() @ mirrored(), S @ M, GRID),
    ("full after full", (8, 8), lambda: full(2, (6, 7)) @ full(), FF, GRID),
    ("three factors", (3, 2), lambda: strided() @ replicated() @ mirrored(), S @ R @ M, GRID),
    ("full adjoint", GRID, lambda: full().H, F.conj().T, (6, 7)),
    ("adjoint", GRID, lambda: strided().H, S.conj().T, (3, 2)),
    ("transpose", GRID, lambda: strided().T, S.T, (3, 2)),
    ("conjugate", (3, 2), lambda: strided().conj(), S.conj(), GRID),
    ("adjoint of a product", GRID, lambda: (strided() @ replicated()).H, (S @ R).conj().T, (3, 2)),
    ("normal", GRID, lambda: strided().H @ strided(), S.conj().T @ S, GRID),
    ("normal of full", GRID, lambda: full().H @ full(), F.conj().T @ F, GRID),
    ("sum", GRID, lambda: mirrored() + replicated(), M + R, GRID),
    ("difference", GRID, lambda: mirrored() - mirrored().H, M - M.conj().T, GRID),
    ("sum of one geometry", GRID, lambda: mirrored() + mirrored(2) / 2j, M + M2 / 2j, GRID),
    ("scaled", GRID, lambda: (2 - 3j) * mirrored(), (2 - 3j) * M, GRID),
    ("scaled adjoint", GRID, lambda: ((2 - 3j) * strided()).H, (2 + 3j) * S.conj().T, (3, 2)),
    ("negated product", (3, 2), lambda: -(strided() @ mirrored()), -S @ M, GRID),
    ("power", GRID, lambda: replicated() ** 3, R @ R @ R, GRID),
    ("diagonal after", GRID, lambda: convop.Diagonal(flat.reshape(GRID)) @ mirrored(), D @ M, GRID),
    ("masked", (2, 2), lambda: convop.Select(GRID, crop) @ mirrored(), C @ M, GRID),
    ("valid after extend", (6, 4), valid_after_extend, V @ E, GRID),
    ("sparse on the right", GRID, lambda: mirrored() @ sp.csr_array(table), M @ table, (20,)),
    ("sparse on the left", (20,), lambda: sp.csr_array(table) @ mirrored(), table @ M, GRID),
    ("sparse added", GRID, lambda: mirrored() + sp.csc_array(table), M + table, GRID),
    ("scipy operator on the right", GRID, lambda: mirrored() @ aslinearoperator(table), M @ table, (20,)),
    ("pylops on the right", (3, 2), lambda: strided() @ pylops.MatrixMult(table, dtype="complex128"), S @ table, (20,)),
    ("dense wrapped", GRID, lambda: convop.as_operator(table, GRID, GRID), table, GRID),
    ("sparse wrapped", GRID, lambda: convop.as_operator(sp.csr_array(table), GRID, GRID), table, GRID),
    (
        "pylops wrapped",
        GRID,
        lambda: convop.as_operator(pylops.MatrixMult(table, dtype="complex128"), GRID, GRID),
        table,
        GRID,
    ),
    ("functions wrapped", GRID, wrapped_functions, table, GRID),
    ("wrapped on the left", GRID, lambda: wrapped_functions() @ replicated(), table @ R, GRID),
    ("wrapped adjoint", GRID, lambda: wrapped_functions().H, table.conj().T, GRID),
):
    case(name, in_shape, out_shape, make, lambda dense=dense: dense, name not in BY_ACTION)
