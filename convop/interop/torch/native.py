"""A convolution by torch's own convolution, with the boundaries, sides and signs of padding that torch lacks.

The adjoint of a convolution of stride 1 is a convolution with the flipped, swapped weight, which torch computes
faster than its transposed convolution. On a CPU a single channel is convop's own trade: `on_host.py`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.nn import functional

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
        if x.dtype is not torch.float32 or not x.is_cpu or is_compiling():
            return False  # graphs are laid out by who compiles them
        return self.many or x.numel() > _FEW or x.shape[:1] != (1,)

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        prepared = self.derived(x.dtype, adjoint, self.lays and self._lays(x))
        if isinstance(prepared, OnHost):
            return prepared(x)
        return self._convolved(x, prepared, adjoint)

    def at_once(self, x: Tensor, adjoint: bool) -> Tensor | None:
        if is_compiling() or type(x) is not Tensor or x.requires_grad or not is_plain():
            return None
        kernel = self._buffers.get("kernel")
        if not self.holds(kernel):
            return None
        prepared = self._derived.get((x.dtype, adjoint, self.lays and self._lays(x)))
        if isinstance(prepared, Tensor):
            return self._convolved(x, prepared, adjoint) if self._fits(x, prepared, adjoint) else None
        return None if prepared is None else prepared.at_once(x)

    def _fits(self, x: Tensor, weight: Tensor, adjoint: bool) -> bool:
        """Whether torch's convolution takes `x` as it is, and in its own type."""
        shape, kind = x.shape, "cpu" if x.is_cpu else x.device.type
        return (
            shape[1:] == self.shape(not adjoint) and shape[0] > 0
            and x.layout is torch.strided and x.device == weight.device and not torch.is_autocast_enabled(kind)
        )  # fmt: skip

    def _convolved(self, x: Tensor, weight: Tensor, adjoint: bool) -> Tensor:
        apply, lifted = self._adjoint if adjoint else self._direct, self.geometry.lifted
        return apply(x, weight) if lifted else apply(x.unsqueeze(1), weight).squeeze(1)

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
