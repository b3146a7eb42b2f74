"""Operators that are not made of others, in torch."""

import itertools
import math

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ...algebra import Identity, Zero
from ...apply import plan
from ...convolution import Convolution
from ...errors import GeometryError
from ...foreign import Functions, Matrix
from ...operator import Operator
from ...selection import Diagonal, Extend, Select, Unfold
from .extending import Extension
from .form import Form, flat, zeros
from .fourier import Fourier
from .native import Native
from .options import Options
from .stored import Dense, Stored, StoredConvolution
from .table import torch_form

_CONVOLUTIONS = {"conv": Native, "fft": Fourier, "sparse": StoredConvolution}


@torch_form(Convolution, *_CONVOLUTIONS)
def convolution(A: Convolution, options: Options) -> Form:
    """A convolution, by the method asked for or the one that looks fastest."""
    return _CONVOLUTIONS[_fastest(A, options) if options.method == "auto" else options.method](A, options)


# How much faster torch's convolution of channels is than convop's loops, relative to FFT, whose cost is alike.
# Measured on two cores, float32, 3 to 64 channels: FFT overtakes where the loops would take 2 to 4 times as long.
_CHANNELS = 3.0


def _fastest(A: Convolution, options: Options) -> str:
    g = A.geometry
    if g.ndim > 3:
        return "fft"
    if g.channels_in == g.channels_out == 1 and options.device.type == "cpu":
        return "fft" if options.trainable else "conv"  # convop's own plan knows; torch's convolution is slower than FFT
    costs = plan.costs(g, A.weight)
    return "fft" if _CHANNELS * costs["fft"] < costs["direct"] else "conv"


@torch_form(Identity)
class IdentityForm(Form):
    """Nothing is done, to a copy."""

    def direct(self, x: Tensor) -> Tensor:
        return x.clone()

    def adjoint(self, y: Tensor) -> Tensor:
        return y.clone()


@torch_form(Zero)
class ZeroForm(Form):
    """Everything becomes zero."""

    def direct(self, x: Tensor) -> Tensor:
        return zeros(x, self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        return zeros(y, self.in_shape)


@torch_form(Diagonal)
class DiagonalForm(Form):
    """Multiplication sample by sample."""

    array: Tensor

    def __init__(self, A: Diagonal, options: Options) -> None:
        super().__init__(A, options)
        self.register_buffer("array", options.tensor(A.array))

    def direct(self, x: Tensor) -> Tensor:
        return x * self.array

    def adjoint(self, y: Tensor) -> Tensor:
        return y * self.array.conj()


@torch_form(Select)
class SelectForm(Form):
    """Some samples."""

    samples: Tensor

    def __init__(self, A: Select, options: Options) -> None:
        super().__init__(A, options)
        self.register_buffer("samples", torch.tensor(A.samples, device=options.device), persistent=False)

    def direct(self, x: Tensor) -> Tensor:
        return flat(x).index_select(1, self.samples).reshape(-1, *self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        x = y.new_zeros(y.shape[0], math.prod(self.in_shape))
        return x.index_copy(1, self.samples, flat(y)).reshape(-1, *self.in_shape)


@torch_form(Extend)
class ExtendForm(Form):
    """Padding."""

    def __init__(self, A: Extend, options: Options) -> None:
        super().__init__(A, options)
        self.extension = Extension(A.geometry, range(A.geometry.ndim), options.device)

    def direct(self, x: Tensor) -> Tensor:
        return self.extension.extend(x) if self.extension.axes else x.clone()

    def adjoint(self, y: Tensor) -> Tensor:
        return self.extension.fold(y) if self.extension.axes else y.clone()


@torch_form(Unfold)
class UnfoldForm(Form):
    """All patches as columns."""

    samples: Tensor

    def __init__(self, A: Unfold, options: Options) -> None:
        super().__init__(A, options)
        g = self.geometry = A.geometry
        self.extension = Extension(g, range(g.ndim), options.device)
        numbers = np.arange(math.prod(g.extended)).reshape(g.extended)
        read = np.stack([numbers[g.tap(t)] for t in itertools.product(*map(range, g.kernel))])
        self.register_buffer("samples", torch.from_numpy(read.ravel()).to(options.device), persistent=False)

    def direct(self, x: Tensor) -> Tensor:
        return self.extension.extend(x).flatten(2).index_select(2, self.samples).reshape(-1, *self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        g = self.geometry
        extended = y.new_zeros(y.shape[0], g.channels_in, math.prod(g.extended))
        patches = y.reshape(*extended.shape[:2], -1) if len(y) else y.new_zeros(0, g.channels_in, len(self.samples))
        return self.extension.fold(extended.index_add(2, self.samples, patches).unflatten(2, g.extended))


@torch_form(Matrix, "sparse")
def matrix(A: Matrix, options: Options) -> Form:
    """A matrix as it is stored."""
    return Stored(A, options) if scipy.sparse.issparse(A.matrix) else Dense(A, options)


@torch_form(Functions)
def functions(A: Functions, options: Options) -> Form:
    """Refused: what functions of numpy arrays do, torch can neither move nor differentiate."""
    raise GeometryError(
        f"{A!r} holds {A._describe()}, which torch can neither move to a device nor compile; give that part as a "
        f"matrix (as_operator(M)) or as convop operators, or wrap the functions in a torch.autograd.Function"
    )


@torch_form(Operator, "sparse")
def by_matrix(A: Operator, options: Options) -> Form:
    """Kinds that have no form of their own: as their matrix."""
    if not A.explicit:
        raise GeometryError(f"{A!r} is known by its action only, so that torch has no matrix of it; give one")
    return Stored(A, options)
