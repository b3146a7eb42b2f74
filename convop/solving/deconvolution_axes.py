"""What the axes of a picture are: space, channels and stacks, and back again."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import Shape, as_int
from ..dtypes import Array
from ..errors import GeometryError, ShapeError

COLOURS = (3, 4)  # how long an axis of colours is


@dataclass(frozen=True)
class Axes:
    """`channel` is the place of the channel axis in the picture, None where there is none.

    Inside, channels come first, then the axes of a stack, then `spatial` axes of space.
    """

    channel: int | None
    spatial: int

    @classmethod
    def of(cls, image: Shape, kernel: Shape, channel_axis: Any) -> "Axes":
        """From the shapes of picture and kernel; a kernel with as many axes as a picture of channels has its own."""
        channel = None if channel_axis is None else _channel(channel_axis, len(image))
        own = channel is not None and len(kernel) == len(image)
        spatial = len(kernel) - own
        stacked = len(image) - spatial - (channel is not None)
        if spatial < 1 or stacked < 0:
            raise ShapeError(
                f"the picture has shape {image} and the kernel {kernel}; needed a kernel with one axis for each axis "
                f"of space of the picture{'' if channel is None else ', and one more for a kernel of each channel'}"
            )
        if channel is None and stacked and image[-1] <= COLOURS[-1]:
            raise ShapeError(
                f"a picture of shape {image} with a kernel of shape {kernel} would be a stack of pictures "
                f"{image[-1]} wide; for colours give channel_axis=-1"
            )
        if own and channel is not None and kernel[channel] != image[channel]:
            raise ShapeError(
                f"the picture has {image[channel]} channels on axis {channel}, the kernel of shape {kernel} has "
                f"{kernel[channel]}; give one kernel for each channel, or one of {spatial} axes for all"
            )
        return cls(channel, spatial)

    def inside(self, array: Array) -> Array:
        """Channels first."""
        return array if self.channel is None else np.moveaxis(array, self.channel, 0)

    def outside(self, array: Array) -> Array:
        """Channels where the picture has them."""
        return array if self.channel is None else np.moveaxis(array, 0, self.channel)


def _channel(channel_axis: Any, ndim: int) -> int:
    axis = as_int(channel_axis, "channel_axis", -ndim)
    if axis >= ndim:
        raise GeometryError(f"channel_axis {axis} is none of the {ndim} axes of the picture; -1 is the last one")
    return axis % ndim
