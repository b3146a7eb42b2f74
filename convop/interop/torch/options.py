"""How an operator is to be built in torch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...dtypes import Array, DType
from ...errors import DTypeError

METHODS = ("auto", "sparse", "conv", "fft")


@dataclass(frozen=True)
class Options:
    """What `to_torch` was asked for; `precision` is float32 or float64, for every part of the operator."""

    method: str
    precision: DType
    device: torch.device
    trainable: bool

    def dtype(self, own: DType) -> DType:
        """The type of a part of type `own`: as precise as the whole, complex if it is."""
        return np.result_type(self.precision, np.complex64) if own.kind == "c" else self.precision

    def tensor(self, values: Array) -> Tensor:
        """The numbers of a part as a tensor that nobody else holds."""
        dtype = self.dtype(values.dtype)
        with np.errstate(over="ignore"):
            numbers = np.array(values, dtype, order="C", copy=True)
        if not np.isfinite(numbers).all():
            raise DTypeError(f"the operator holds numbers that {dtype} cannot; keep its own type {values.dtype}")
        return torch.from_numpy(numbers).to(self.device)
