"""A convolution of one channel by convop's own engine, on memory that torch and numpy share."""

import numpy as np
import torch
from torch import Tensor

from ...convolution import Convolution
from ...dtypes import Array, DType


class OnHost:
    """An operator of one channel or its adjoint, prepared for one type of number."""

    def __init__(self, A: Convolution, dtype: DType, adjoint: bool) -> None:
        self.source, self.target = (A.out_shape, A.in_shape) if adjoint else (A.in_shape, A.out_shape)
        if adjoint and isinstance(A.H, Convolution):
            A, adjoint = A.H, False
        engine, g = A._engine, A.geometry
        self.engine, self.prepared = engine.adjoint if adjoint else engine.forward, A._ready(dtype)
        self.signals = (-1, 1, *(g.out_spatial if adjoint else g.spatial))

    def __call__(self, x: Tensor) -> Tensor:
        """`(batch, *source)` to `(batch, *target)`, of a tensor in whatever state."""
        return self._answer(x.numpy(force=True), (len(x), *self.target))

    def at_once(self, x: Tensor) -> Tensor | None:
        """`(*batch, *source)` to `(*batch, *target)` of a tensor that numpy takes as it is; None of any other."""
        try:
            signal = x.numpy()
        except (RuntimeError, TypeError):  # on another device, of another layout, or with a conjugation to come
            return None
        if signal.shape == self.source:
            return self._answer(signal, self.target)
        rank = signal.ndim - len(self.source)
        if signal.shape[rank:] != self.source or not signal.size:
            return None
        return self._answer(signal, signal.shape[:rank] + self.target)

    def _answer(self, signal: Array, shape: tuple[int, ...]) -> Tensor:
        y = self.engine(self.prepared, np.ascontiguousarray(signal).reshape(self.signals))
        return torch.from_numpy(np.ascontiguousarray(y).reshape(shape))
