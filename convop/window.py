"""What some outputs of a convolution read: a run of outputs along an axis, and the samples that it needs.

A part of a convolution is a convolution itself: on the samples that its outputs read, extended where they stand
outside the array, it reads nothing outside. What stands there is asked of `Geometry.extension`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .geometry import Extension, Geometry


@dataclass(frozen=True)
class Window:
    """The neighbouring positions of an extended axis that a run of outputs reads.

    Attributes
    ----------
    outputs : range
        The outputs.
    length : int
        How many positions they read.
    samples : numpy.ndarray
        The samples of the array from which these are made, ascending.
    places, numbers : slice
        Where the array's own samples stand in the window, and which of `samples` they are.
    outside : Extension
        The others that are not zero: `position` in the window, `index` in `samples`.
    """

    outputs: range
    length: int
    samples: NDArray[np.intp]
    places: slice
    numbers: slice
    outside: Extension

    @cached_property
    def is_inside(self) -> bool:
        """Whether the window is a stretch of the array as it stands."""
        return len(self.samples) == self.length == self.places.stop - self.places.start


def window(geometry: Geometry, axis: int, outputs: range) -> Window:
    """What the outputs `outputs`, at least one and without gaps, read along `axis`."""
    n, before, step = geometry.spatial[axis], geometry.padding[axis][0], geometry.stride[axis]
    first, last = outputs.start * step, (outputs.stop - 1) * step + geometry.reach[axis]
    low, high = (min(max(position - before, 0), n) for position in (first, last))
    own = np.arange(low, high)
    extension = geometry.extension(axis)
    met = slice(*np.searchsorted(extension.position, (first, last)))
    index, weight = extension.index[met], extension.weight[met]
    samples = np.union1d(own, index[weight != 0])
    numbers = np.where(weight != 0, np.searchsorted(samples, index), 0)
    start, place = int(np.searchsorted(samples, low)), max(low + before - first, 0)
    return Window(
        outputs, last - first, samples, slice(place, place + len(own)), slice(start, start + len(own)),
        Extension(extension.position[met] - first, numbers, weight),
    )  # fmt: skip


def outputs_inside(geometry: Geometry, axis: int, samples: range, outputs: range) -> range:
    """Those of `outputs` that read nothing but `samples`, as they stand in the array; it may be empty."""
    before, step = geometry.padding[axis][0], geometry.stride[axis]
    first = -(-(samples.start + before) // step)
    last = (samples.stop + before - geometry.reach[axis]) // step
    start = min(max(first, outputs.start), outputs.stop)
    return range(start, max(min(last + 1, outputs.stop), start))
