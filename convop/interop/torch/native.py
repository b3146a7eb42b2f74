"""A convolution by torch's own convolution, with the boundaries, sides and signs of padding that torch lacks.

The adjoint of a convolution of stride 1 is a convolution with the flipped, swapped weight, which torch computes
faster than its transposed convolution. On a CPU a single channel is convop's own trade: `on_host.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.nn import functional

from ...arguments import Shape
from ...convolution import Convolution
from ...errors import GeometryError
from ...geometry import Geometry
from .extending import Extension
from .form import is_plain
from .kernelled import Kernelled, adjoint_weight
from .number_types import numpy_dtype
from .on_host import OnHost
from .options import Options

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
_FEW = 20_480  # samples up to which torch convolves one image by its own loops

Widths = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Step:
    """One of torch's functions of a signal and a weight, with its arguments, and what to pad before and after it."""

    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]
    before: list[int] | None = None
    after: list[int] | None = None

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        x = x if self.before is None else functional.pad(x, self.before)
        y = self.function(x, weight, *self.arguments)
        return y if self.after is None else functional.pad(y, self.after)

    @classmethod
    def convolution(cls, g: Geometry, stride: Shape, widths: Widths) -> "_Step":
        """torch pads as much on both sides of an axis, and nothing negative; all else stands before it."""
        if all(before == after >= 0 for before, after in widths):
            outside, padding = None, tuple(before for before, _ in widths)
        else:
            outside, padding = _flat(widths), (0,) * len(widths)
        return cls(_CONV[g.ndim], (None, stride, padding, g.dilation, g.groups), before=outside)

    @classmethod
    def transposed(cls, g: Geometry, widths: Widths) -> "_Step":
        """Its padding crops; what torch does not crop, or would have to pad, stands after it."""
        padding, extra = tuple(before for before, _ in widths), tuple(before - after for before, after in widths)
        limits, outside = map(max, g.stride, g.dilation), None
        if any(p < 0 or not 0 <= e < limit for p, e, limit in zip(padding, extra, limits, strict=True)):
            outside = [-width for width in _flat(widths)]
            padding = extra = (0,) * g.ndim
        return cls(_TRANSPOSED[g.ndim], (None, g.stride, padding, extra, g.groups, g.dilation), after=outside)


class Native(Kernelled):
    """`conv1d`, `conv2d` or `conv3d` of what the boundary extends."""

    def __init__(self, A: Convolution, options: Options) -> None:
        super().__init__(A, options)
        g = A.geometry
        if g.ndim not in _CONV:
            raise GeometryError(f"method 'conv' serves 1 to 3 axes, this operator has {g.ndim}; use 'fft' or 'sparse'")
        zero = [set(pair) == {"zero"} for pair in g.boundary]
        self.extension = Extension(g, [axis for axis in range(g.ndim) if not zero[axis]], options.device)
        padding: Widths = tuple(p if z else (0, 0) for p, z in zip(g.padding, zero, strict=True))
        self.there, self.dense = _Step.convolution(g, g.stride, padding), all(s == 1 for s in g.stride)
        spans = zip(g.reach, padding, strict=True)
        overhang = tuple((span - 1 - before, span - 1 - after) for span, (before, after) in spans)
        self.back = _Step.convolution(g, g.stride, overhang) if self.dense else _Step.transposed(g, padding)
        self.single = g.channels_in == g.channels_out == 1
        self.alone = g.lifted and not self.extension.axes  # whether a step is all there is to do
        self.lays, self.many = g.ndim > 1 and not self.single, g.groups > 1 or min(g.kernel[-2:]) > 3
        self._asked = A._asked

    @property
    def native(self) -> bool:
        return not self._on_host(self.kernel)

    def _on_host(self, x: Tensor) -> bool:
        return self.single and not self.trains and x.device.type == "cpu"

    def derive(self, numbers: Tensor, adjoint: bool, laid: bool) -> Any:
        """The weight for one direction in one layout, or convop's own engine."""
        if self._on_host(numbers):
            A = Convolution.of(self.geometry, numbers.numpy(), self.convention, self._asked)
            return OnHost(A, numpy_dtype(numbers.dtype), adjoint)
        if adjoint:
            numbers = adjoint_weight(numbers, self.geometry.groups) if self.dense else numbers.conj().resolve_conj()
        return numbers.contiguous(memory_format=_CHANNELS_LAST[self.geometry.ndim]) if laid else numbers

    def _lays(self, x: Tensor) -> bool:
        """Whether torch is fastest with a weight whose channels stand next to each other.

        On a CPU, oneDNN is. Measured with 3 to 32 channels, the loops that torch has for other types, and takes for
        few samples as well, then take up to three times as long.
        """
        return self.lays and x.dtype is torch.float32 and x.is_cpu and (self.many or x.numel() > _FEW or len(x) != 1)

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        laid = not is_compiling() and self._lays(x)  # graphs are laid out by who compiles them
        prepared = self.derived(x.dtype, adjoint, laid)
        if isinstance(prepared, OnHost):
            return prepared(x)
        if self.alone:
            return (self.back if adjoint else self.there)(x, prepared)
        lifted, apply = self.geometry.lifted, self._adjoint if adjoint else self._direct
        return apply(x, prepared) if lifted else apply(x.unsqueeze(1), prepared).squeeze(1)

    def _direct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.there(self.extension.extend(x), weight)

    def _adjoint(self, y: Tensor, weight: Tensor) -> Tensor:
        return self.extension.fold(self.back(y, weight))

    def at_once(self, x: Tensor, adjoint: bool) -> Tensor | None:
        if is_compiling() or type(x) is not Tensor or x.requires_grad or not is_plain():
            return None
        if not self.holds(self._buffers.get("kernel")):
            return None
        if self.single:
            prepared = self._derived.get((x.dtype, adjoint, False))
            return prepared.at_once(x) if isinstance(prepared, OnHost) else None
        shape, source = x.shape, self.shape(not adjoint)
        if not self.alone or shape[1:] != source or not shape[0] or x.layout is not torch.strided:
            return None
        weight = self._derived.get((x.dtype, adjoint, self._lays(x)))
        if weight is None or x.device != weight.device or torch.is_autocast_enabled(x.device.type):
            return None
        return (self.back if adjoint else self.there)(x, weight)


def _flat(widths: Widths) -> list[int]:
    """Widths in the order of `torch.nn.functional.pad`: from the last axis."""
    return [width for pair in reversed(widths) for width in pair]
