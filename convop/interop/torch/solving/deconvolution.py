"""`deconvolve` for tensors."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....arguments import Shape
from ....dtypes import Array, as_coefficients
from ....errors import DTypeError, GeometryError
from ....solving import deconvolution as numpy_door
from ....solving.deconvolution import UNKNOWN, about_the_sum, blur_of, frame_of, with_defaults
from ....solving.deconvolution_axes import Axes
from ....solving.solution import Solution
from ..module import floating
from .call import together
from .door import runs_in_torch, solve
from .maps import Map, as_map, with_kernel
from .through_numpy import through_numpy


def deconvolve(
    image: Any,
    kernel: Any,
    *,
    boundary: Any = UNKNOWN,
    center: Any = None,
    channel_axis: int | None = None,
    **solve_options: Any,
) -> Solution:
    """`convop.deconvolve` for a tensor `image`; the kernel may be a tensor, through which gradients pass."""
    if not isinstance(image, Tensor):
        raise DTypeError(f"with a torch tensor, the image must be a tensor as well, got {type(image).__name__}")
    options, said = with_defaults(solve_options)
    places = {"boundary": boundary, "center": center, "channel_axis": channel_axis}
    if not runs_in_torch(options["prior"], options.get("nonneg", False), options.get("method", "auto")):
        return through_numpy(numpy_door.deconvolve, image, kernel, {**places, **solve_options})
    values = _as_picture(image)
    blurs = _Blurs.of(values, kernel, channel_axis)
    axes = blurs.axes
    values = _moved(values, axes.channel, 0)
    shape = tuple(values.shape[values.ndim - axes.spatial :])
    maps = blurs.maps(shape, boundary, center, values.device)
    solution = _solved(maps, values, options)
    frame = frame_of(blurs.taps[0].shape, center, shape)
    seen = solution.x[(..., *frame)] if boundary == UNKNOWN else solution.x
    reason = "; ".join(filter(None, [solution.reason, *said, about_the_sum(blurs.taps)]))
    x = _like(image, _moved(seen, 0, axes.channel))
    return replace(solution, x=x, scene=_moved(solution.x, 0, axes.channel), reason=reason)


@dataclass(frozen=True)
class _Blurs:
    """The kernels, one for all or one for each channel, in the precision of the picture."""

    axes: Axes
    taps: list[Array]
    tensors: list[Tensor] | None  # the same, where gradients are wanted

    @classmethod
    def of(cls, values: Tensor, kernel: Any, channel_axis: int | None) -> "_Blurs":
        given = kernel if isinstance(kernel, Tensor) else torch.from_numpy(as_coefficients(kernel, "the kernel").copy())
        taps, real = _floating(given, torch.float64), values.real.dtype
        taps = taps.to(values.device, torch.promote_types(real, torch.complex64) if taps.is_complex() else real)
        axes = Axes.of(tuple(values.shape), tuple(taps.shape), channel_axis)
        own = taps.ndim > axes.spatial
        each: list[Tensor] = list(_moved(taps, axes.channel, 0)) if own else [taps]
        host = [as_coefficients(one.numpy(force=True), "the kernel") for one in each]
        return cls(axes, host, each if taps.requires_grad and torch.is_grad_enabled() else None)

    def maps(self, shape: Shape, boundary: Any, center: Any, device: torch.device) -> list[Map]:
        """From scenes to the picture."""
        blurs = [blur_of(taps, shape, boundary, center) for taps in self.taps]
        if self.tensors is None:
            return [as_map(blur, device) for blur in blurs]
        return [with_kernel(*pair, device) for pair in zip(blurs, self.tensors, strict=True)]


def _solved(maps: list[Map], values: Tensor, options: dict[str, Any]) -> Solution:
    """All at once with one kernel, else channel by channel."""
    if len(maps) == 1:
        return solve(maps[0], values, **options)
    found = [solve(A, channel, **options) for A, channel in zip(maps, values, strict=True)]
    alpha = torch.stack([torch.as_tensor(each.alpha, device=values.device) for each in found])
    return together(found, (len(found),), alpha, "")


def _as_picture(image: Tensor) -> Tensor:
    """Finite numbers of one of the four types; integers become float64."""
    values = _floating(image, torch.float64)
    bad = int((~torch.isfinite(values.detach())).sum())
    if bad or values.numel() == 0:
        what = f"holds {bad} samples that are NaN or inf" if bad else f"of shape {tuple(image.shape)} is empty"
        raise GeometryError(f"the image {what}; give one of finite samples")
    return values


def _floating(values: Tensor, own: torch.dtype) -> Tensor:
    return values.to(floating(values.dtype, own))


def _moved(array: Tensor, source: int | None, target: int | None) -> Tensor:
    """The channel axis in its other place, where there is one."""
    return array if source is None or target is None else array.movedim(source, target)


def _like(image: Tensor, x: Tensor) -> Tensor:
    """An estimate in the dtype of the image, in so far as that can hold it."""
    if x.is_complex() or image.is_complex() or image.dtype == torch.bool:
        return x
    if image.dtype.is_floating_point:
        return x.to(image.dtype)
    limits, whole = torch.iinfo(image.dtype), x.detach().round()
    # The largest int64 is no float64: what reaches it is put there by hand.
    inside = torch.where((whole >= limits.min) & (whole < limits.max), whole, 0).to(image.dtype)
    inside = torch.where(whole >= limits.max, torch.full_like(inside, limits.max), inside)
    return torch.where(whole < limits.min, torch.full_like(inside, limits.min), inside)
