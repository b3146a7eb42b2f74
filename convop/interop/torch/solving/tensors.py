"""The array functions of the solvers, on torch tensors of one device."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....arguments import Shape
from ....dtypes import Array
from ....solving.arrays import Arrays
from ....solving.dense_systems import Dense
from ....solving.hermitian_toeplitz import DOUBLE, Toeplitz
from ..number_types import torch_dtype


@dataclass(frozen=True)
class Tensors(Arrays):
    """Tensors, transformed by `torch.fft`."""

    device: torch.device
    xp: ClassVar[Any] = torch

    def transform(self, u: Tensor, axes: tuple[int, ...], real: bool) -> Tensor:
        return (torch.fft.rfftn if real else torch.fft.fftn)(u, dim=axes)

    def back(self, spectrum: Tensor, axes: tuple[int, ...], sizes: Shape, real: bool) -> Tensor:
        return (torch.fft.irfftn if real else torch.fft.ifftn)(spectrum, s=sizes, dim=axes)

    def zeros(self, shape: Shape, like: Tensor) -> Tensor:
        return like.new_zeros(shape)

    def placed(self, shape: Shape, places: NDArray[np.intp], values: Array) -> Tensor:
        taps = self.native(values)
        return taps.new_zeros(math.prod(shape)).index_add(0, self.native(places), taps).reshape(shape)

    def native(self, values: Array) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self.device)

    def working(self, values: Tensor) -> Tensor:
        kind = np.result_type(self.precision, np.complex64) if values.is_complex() else self.precision
        return values.to(torch_dtype(np.dtype(kind)))

    def host(self, values: Any) -> Array:
        return values.numpy(force=True) if isinstance(values, Tensor) else np.asarray(values)

    def calm(self) -> AbstractContextManager[None]:
        return nullcontext()  # torch's transforms and products share its threads

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        kind = torch.promote_types(a.dtype, b.dtype)
        return a.to(kind) @ b.to(kind)

    def each_times(self, matrices: Tensor, vectors: Tensor) -> Tensor:
        return self.product(matrices, vectors[..., None])[..., 0]

    def complex_of(self, pairs: Tensor) -> Tensor:
        return torch.view_as_complex(pairs.unflatten(-1, (-1, 2)))

    def reals_of(self, values: Tensor) -> Tensor:
        return torch.view_as_real(values.resolve_conj()).flatten(-2) if values.is_complex() else values

    def inverses(self, matrices: Tensor) -> Tensor:
        return torch.linalg.inv(matrices)

    def toeplitz(self, columns: Tensor, careful: bool) -> "Dense | OnHost":
        if self.device.type == "cpu":
            return OnHost(Toeplitz(columns.resolve_conj().numpy(), DOUBLE if careful else self.precision))
        lags = torch.cat([columns[..., 1:].flip(-1).conj(), columns], -1)
        return Dense(lags.unfold(-1, columns.shape[-1], 1).flip(-1), self)


@dataclass(frozen=True)
class OnHost:
    """Toeplitz systems of tensors in the host's memory, by compiled loops, which need no matrices."""

    systems: Toeplitz

    def solve(self, right: Tensor) -> Tensor:
        return torch.from_numpy(self.systems.solve(right.resolve_conj().numpy()))

    def multiply(self, vectors: Tensor) -> Tensor:
        return torch.from_numpy(self.systems.multiply(vectors.resolve_conj().numpy()))
