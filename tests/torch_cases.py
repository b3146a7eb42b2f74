"""What the torch tests share: operators of every kind with their dense matrices, and tensors."""

import numpy as np
import oracle
import torch
from cases import CASES, Case, array

import convop

METHODS = ("auto", "conv", "fft", "sparse")
SERVED = {
    "Matrix": ("auto", "sparse"),
    "BlockCirculant": ("auto", "fft", "sparse"),
    "KernelOperator": ("auto", "conv", "sparse"),
}
DOUBLE, SINGLE = 1e-11, 2e-5
# Said by torch itself of complex modules, and by its forward mode.
COMPLEX = "ignore:Complex modules are a new feature:UserWarning"
FORWARD = "ignore:.torch.jit.*is deprecated:DeprecationWarning"


def tolerance(*dtypes):
    return SINGLE if any(np.dtype(dtype) in (np.float32, np.complex64) for dtype in dtypes) else DOUBLE


def tensor(shape, dtype="float64", seed=1):
    return torch.from_numpy(array(shape, dtype, seed))


def methods_of(operator):
    """The methods that serve an operator."""
    if isinstance(operator, convop.Convolution) and operator.geometry.ndim > 3:
        return ("auto", "fft", "sparse")
    return SERVED.get(type(operator).__name__, METHODS)


GRID = (4, 5)
KERNELS = [array((3, 2), "complex128", seed) for seed in (50, 51)]
RING = array((3,), "complex128", 52)
LAYERS = [array((2, 3, 2, 3), "complex128", seed) for seed in (54, 55)]
SIGNAL = array((2, *GRID), "complex128", 53)
EXTRA = []


def make(number, boundary, **options):
    return convop.Convolution(KERNELS[number], GRID, boundary=boundary, **options)


def dense(number, boundary, **options):
    return oracle.convolution_matrix(KERNELS[number], GRID, boundary=boundary, **options)


def extra(name, operator, matrix, in_shape, out_shape):
    EXTRA.append(Case(name, operator, lambda: matrix, in_shape, out_shape))


def columns(function, shape):
    """The matrix of a linear map of arrays of a shape."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([np.ravel(function(unit)) for unit in units], axis=1)


def differences(x):
    return np.stack([np.diff(x, axis=axis, append=x.take([-1], axis)) for axis in range(x.ndim)])


def by_kernel(kernel):
    return np.stack([oracle.convolution_matrix(kernel, GRID, boundary="mirror") @ x.ravel() for x in SIGNAL])


def several():
    """A layer as a grid, one of its blocks another operator."""
    grid = convop.lift(convop.conv_layer(LAYERS[0], (3, *GRID), padding=1))
    return grid.replace(1, 2, convop.Extend(GRID, ((1, 0), (0, 0)), "mirror"))


M, R = dense(0, "mirror"), dense(1, "replicate")
NOTHING = np.zeros_like(M)
S = dense(0, "symmetric", stride=2)
W, W2 = (oracle.convolution_matrix(RING, 6, boundary="periodic", stride=s) for s in (1, 2))
L = [oracle.layer_matrix(weight, (3, *GRID), padding=1) for weight in LAYERS]
SEVERAL = L[0].copy()
SEVERAL[25:, 40:] = oracle.extend_matrix(GRID, ((1, 0), (0, 0)), "mirror")
extra("vstack", lambda: convop.vstack([make(0, "mirror"), make(1, "replicate")]), np.vstack([M, R]), GRID, (2, *GRID))
extra("hstack", lambda: convop.hstack([make(0, "mirror"), make(1, "replicate")]), np.hstack([M, R]), (2, *GRID), GRID)
extra(
    "blocks",
    lambda: convop.block([[make(0, "mirror"), make(1, "replicate")], [None, 2j * make(0, "mirror")]]),
    np.block([[M, R], [NOTHING, 2j * M]]),
    (2, *GRID),
    (2, *GRID),
)
extra(
    "unequal blocks",
    lambda: convop.block_diag([make(0, "mirror"), convop.Select(3, [2, 0])]),
    np.block([[M, np.zeros((20, 3))], [np.zeros((2, 20)), np.eye(3)[[2, 0]]]]),
    (23,),
    (22,),
)
extra("gradient", lambda: convop.gradient((3, 4)), columns(differences, (3, 4)), (3, 4), (2, 3, 4))
extra("zero", lambda: 0 * convop.Select(5, [3, 1]), np.zeros((2, 5)), (5,), (2,))
extra("reshaped", lambda: convop.as_operator(make(0, "mirror"), 20, (2, 10)), M, (20,), (2, 10))
extra("conjugate of a matrix", lambda: convop.as_operator(M, GRID, GRID).conj(), M.conj(), GRID, GRID)
extra("conjugate of an adjoint", lambda: make(0, "symmetric", stride=2).T.H, S.conj(), GRID, (2, 3))
extra("real scale", lambda: -0.5 * make(0, "mirror").H, -0.5 * M.conj().T, GRID, GRID)
extra("circulant", lambda: convop.as_circulant(convop.Convolution(RING, 6, boundary="periodic")), W, (6,), (6,))
extra(
    "strided circulant, real",
    lambda: convop.as_circulant(convop.Convolution(RING.real, 6, boundary="periodic", stride=2)),
    W2.real,
    (6,),
    (3,),
)
extra(
    "inverse circulant",
    lambda: convop.as_circulant(convop.Convolution(RING, 6, boundary="periodic")).inv(),
    np.linalg.inv(W),
    (6,),
    (6,),
)
extra("toeplitz", lambda: convop.as_toeplitz(make(0, "zero")), dense(0, "zero"), GRID, GRID)
extra(
    "grid of one geometry", lambda: convop.lift(convop.conv_layer(LAYERS[0], (3, *GRID), padding=1)), L[0], (3, *GRID),
    (2, 5, 5),
)  # fmt: skip
extra("grid of several", several, SEVERAL, (3, *GRID), (2, 5, 5))
extra(
    "of its kernel", lambda: make(0, "mirror").kernel_operator(SIGNAL), columns(by_kernel, (3, 2)), (3, 2), (2, *GRID)
)
ALL = [case for case in CASES if case.assembles] + EXTRA
