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
from ...geometry import Geometry
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
        self.extends = bool(self.extension.axes)
        padding: Widths = tuple(p if z else (0, 0) for p, z in zip(g.padding, zero, strict=True))
        spans = zip(g.reach, padding, strict=True)
        overhang = tuple((span - 1 - before, span - 1 - after) for span, (before, after) in spans)
        self.dense = all(s == 1 for s in g.stride)
        self.there, self.back, self.transposing = _padding(padding), _padding(overhang), _transposing(g, padding)
        self.single = g.channels_in == g.channels_out == 1
        self._asked = A._asked

    @property
    def native(self) -> bool:
        return not self._on_host(self.kernel)

    def _on_host(self, x: Tensor) -> bool:
        return self.single and not self.trains and x.device.type == "cpu"

    def derive(self, numbers: Tensor) -> Any:
        """Weights for both directions, or the operator itself where convop applies it."""
        if self._on_host(numbers):
            return Convolution.of(self.geometry, numbers.numpy(), self.convention, self._asked)
        back = adjoint_weight(numbers, self.geometry.groups) if self.dense else numbers.conj().resolve_conj()
        return self._laid_out(numbers), self._laid_out(back)

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
        if not g.lifted:
            x = x.unsqueeze(1)
        y = self._adjoint(x, prepared[1]) if adjoint else self._direct(x, prepared[0])
        return y if g.lifted else y.squeeze(1)

    def _direct(self, x: Tensor, weight: Tensor) -> Tensor:
        g, (outside, padding) = self.geometry, self.there
        x = self.extension.extend(x) if self.extends else x
        x = x if outside is None else functional.pad(x, outside)
        return _CONV[g.ndim](x, weight, None, g.stride, padding, g.dilation, g.groups)

    def _adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        u = self._convolved_back(y, weight) if self.dense else self._transposed(y, weight)
        return self.extension.fold(u) if self.extends else u

    def _convolved_back(self, y: Tensor, weight: Tensor) -> Tensor:
        g, (outside, padding) = self.geometry, self.back
        y = y if outside is None else functional.pad(y, outside)
        return _CONV[g.ndim](y, weight, None, g.stride, padding, g.dilation, g.groups)

    def _transposed(self, y: Tensor, weight: Tensor) -> Tensor:
        g, (outside, padding, extra) = self.geometry, self.transposing
        u = _TRANSPOSED[g.ndim](y, weight, None, g.stride, padding, extra, g.groups, g.dilation)
        return u if outside is None else functional.pad(u, outside)


def _padding(widths: Widths) -> tuple[list[int] | None, tuple[int, ...]]:
    """What to pad before a convolution, and what it pads itself: as much on both sides of an axis, nothing negative."""
    if any(before != after or before < 0 for before, after in widths):
        return _flat(widths), (0,) * len(widths)
    return None, tuple(before for before, _ in widths)


def _transposing(g: Geometry, widths: Widths) -> tuple[list[int] | None, tuple[int, ...], tuple[int, ...]]:
    """What to pad after a transposed convolution (or to crop), and its own padding and output padding."""
    padding, extra = tuple(before for before, _ in widths), tuple(before - after for before, after in widths)
    limits = map(max, g.stride, g.dilation)
    if any(p < 0 or not 0 <= e < limit for p, e, limit in zip(padding, extra, limits, strict=True)):
        return [-width for width in _flat(widths)], (0,) * g.ndim, (0,) * g.ndim
    return None, padding, extra


def _flat(widths: Widths) -> list[int]:
    """Widths in the order of `torch.nn.functional.pad`: from the last axis."""
    return [width for pair in reversed(widths) for width in pair]


def _through_numpy(A: Convolution, x: Tensor, adjoint: bool) -> Tensor:
    """The same memory seen by numpy, there and back."""
    y: Any = (A._adjoint_forward if adjoint else A._forward)(x.numpy(force=True))
    return torch.from_numpy(np.ascontiguousarray(y))
