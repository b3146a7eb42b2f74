"""A convolution by torch's own convolution, with the boundaries, sides and signs of padding that torch lacks.

The adjoint of a convolution of stride 1 is a convolution with the flipped, swapped weight, which torch computes
faster than its transposed convolution. On a CPU a single channel is convop's own trade.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...convolution import Convolution
from ...errors import GeometryError
from .extending import Extension
from .kernelled import Kernelled, adjoint_weight
from .options import Options

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}

Widths = tuple[tuple[int, int], ...]


class Native(Kernelled):
    """`conv1d`, `conv2d` or `conv3d` of what the boundary extends."""

    def __init__(self, A: Convolution, options: Options) -> None:
        super().__init__(A, options)
        g = A.geometry
        if g.ndim not in _CONV:
            raise GeometryError(f"method 'conv' serves 1 to 3 axes, this operator has {g.ndim}; use 'fft' or 'sparse'")
        zero = [set(pair) == {"zero"} for pair in g.boundary]
        self.extension = Extension(g, [axis for axis in range(g.ndim) if not zero[axis]], options.device)
        self.padding: Widths = tuple(p if z else (0, 0) for p, z in zip(g.padding, zero, strict=True))
        # What the adjoint reads outside.
        self.overhang: Widths = tuple(
            (span - 1 - before, span - 1 - after) for span, (before, after) in zip(g.reach, self.padding, strict=True)
        )
        self.dense = all(s == 1 for s in g.stride)
        self.single = g.channels_in == g.channels_out == 1
        self._asked = A._asked

    @property
    def native(self) -> bool:
        return not self._on_host(self.kernel)

    def _on_host(self, x: Tensor) -> bool:
        return self.single and not self.trains and x.device.type == "cpu"

    def derive(self, weight: Tensor) -> Any:
        if self._on_host(weight):
            return Convolution.of(self.geometry, weight.numpy(), self.convention, self._asked)
        back = adjoint_weight(weight, self.geometry.groups) if self.dense else weight.conj().resolve_conj()
        return self._laid_out(weight), self._laid_out(back)

    def _laid_out(self, weight: Tensor) -> Tensor:
        """The weight in the layout that torch's CPU convolution is fastest with."""
        layout = _CHANNELS_LAST.get(self.geometry.ndim)
        if layout is None or weight.is_complex() or weight.device.type != "cpu":
            return weight
        return weight.contiguous(memory_format=layout)

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        prepared = self.derived(x.dtype)
        if isinstance(prepared, Convolution):
            return _through_numpy(prepared, x, adjoint)
        g = self.geometry
        signal = x.reshape(x.shape[0], *((g.channels_out, *g.out_spatial) if adjoint else (g.channels_in, *g.spatial)))
        y = self._back(signal, prepared[1]) if adjoint else self._there(signal, prepared[0])
        return y if g.lifted else y.squeeze(1)

    def _there(self, x: Tensor, weight: Tensor) -> Tensor:
        g = self.geometry
        return self._convolve(self.extension.extend(x), weight, self.padding, g.stride)

    def _back(self, y: Tensor, weight: Tensor) -> Tensor:
        g = self.geometry
        u = self._convolve(y, weight, self.overhang, g.stride) if self.dense else self._transpose(y, weight)
        return self.extension.fold(u)

    def _convolve(self, x: Tensor, weight: Tensor, widths: Widths, stride: tuple[int, ...]) -> Tensor:
        g = self.geometry
        padding = tuple(before for before, _ in widths)
        if any(before != after or before < 0 for before, after in widths):
            x, padding = functional.pad(x, _flat(widths)), (0,) * g.ndim
        return _CONV[g.ndim](x, weight, None, stride, padding, g.dilation, g.groups)

    def _transpose(self, y: Tensor, weight: Tensor) -> Tensor:
        g, widths = self.geometry, self.padding
        padding = tuple(before for before, _ in widths)
        extra = tuple(before - after for before, after in widths)
        limits = map(max, g.stride, g.dilation)
        crops = any(p < 0 or not 0 <= e < limit for p, e, limit in zip(padding, extra, limits, strict=True))
        if crops:
            padding = extra = (0,) * g.ndim
        x = _TRANSPOSED[g.ndim](y, weight, None, g.stride, padding, extra, g.groups, g.dilation)
        return functional.pad(x, [-width for width in _flat(widths)]) if crops else x


def _flat(widths: Widths) -> list[int]:
    """Widths in the order of `torch.nn.functional.pad`: from the last axis."""
    return [width for pair in reversed(widths) for width in pair]


def _through_numpy(A: Convolution, x: Tensor, adjoint: bool) -> Tensor:
    """The same memory seen by numpy, there and back."""
    array = x.detach().resolve_conj().resolve_neg().numpy()
    y: Any = (A._adjoint_forward if adjoint else A._forward)(array)
    return torch.from_numpy(np.ascontiguousarray(y))
