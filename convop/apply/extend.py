"""Extension of arrays past their edges, and its adjoint, which adds the copies back."""

from collections.abc import Callable, Sequence

import numpy as np

from ..dtypes import Array
from ..geometry import Extension, Geometry


def extend(geometry: Geometry, x: Array, axes: Sequence[int] | None = None) -> Array:
    """`x` of shape `(..., *spatial)` extended along `axes` (all by default) to `geometry.extended`."""
    for axis in range(geometry.ndim) if axes is None else axes:
        x = _extend_axis(geometry, x, axis)
    return x


def fold(geometry: Geometry, u: Array, axes: Sequence[int] | None = None) -> Array:
    """The adjoint of `extend`: every sample outside is added to the samples it was made from."""
    for axis in reversed(range(geometry.ndim) if axes is None else axes):
        u = _fold_axis(geometry, u, axis)
    return u


def fold_onto(geometry: Geometry, u: Array, axis: int, start: int, x: Array) -> None:
    """Add to `x` what a slab outside of `axis` comes to: it starts there at extended position `start`.

    On the axes before it holds the array's own samples, on those that follow every extended one.
    """
    source = np.moveaxis(fold(geometry, u, range(axis + 1, geometry.ndim)), axis - geometry.ndim, 0)
    target = np.moveaxis(x, axis - geometry.ndim, 0)

    def add(position: int, index: int, weight: int) -> None:
        if 0 <= position - start < len(source):
            target[index] += weighted(source[position - start], weight)

    combine(geometry.extension(axis), add)


def _inside(geometry: Geometry, axis: int) -> tuple[slice, slice]:
    """Where the array's own samples stand: in the extended axis and in the array."""
    before, after = geometry.padding[axis]
    first = max(-before, 0)
    last = max(geometry.spatial[axis] + min(after, 0), first)
    return slice(first + before, last + before), slice(first, last)


def combine(extension: Extension, add: Callable[[int, int, int], None]) -> None:
    """Call `add(position, index, weight)` for every term of every sample outside."""
    for position, indices, weights in zip(extension.position, extension.index, extension.weight, strict=True):
        for index, weight in zip(indices, weights, strict=True):
            if weight:
                add(position, index, weight)


def weighted(x: Array, weight: int) -> Array:
    """`x` times an integer, in its own type."""
    return x if weight == 1 else x * x.dtype.type(weight)


def placed(x: Array, at: int, size: int, ours: slice, theirs: slice, outside: Extension) -> Array:
    """`x` along its axis `at` as an axis of `size`: its own samples `theirs` at `ours`, and what stands outside."""
    result, source, target = _resized(x, at, size)
    target[ours] = source[theirs]

    def add(position: int, index: int, weight: int) -> None:
        target[position] += weighted(source[index], weight)

    combine(outside, add)
    return result


def added_back(u: Array, at: int, size: int, ours: slice, theirs: slice, outside: Extension) -> Array:
    """The adjoint of `placed`, to an axis of `size`."""
    result, source, target = _resized(u, at, size)
    target[theirs] = source[ours]

    def add(position: int, index: int, weight: int) -> None:
        target[index] += weighted(source[position], weight)

    combine(outside, add)
    return result


def upsampled(geometry: Geometry, y: Array) -> Array:
    """`y` of shape `(..., *out_spatial)` with zeros where stride 1 would have outputs between its own."""
    if all(s == 1 for s in geometry.stride):
        return y
    z = np.zeros((*y.shape[: -geometry.ndim], *geometry.dense), y.dtype)
    z[(..., *geometry.samples)] = y
    return z


def _resized(x: Array, at: int, size: int) -> tuple[Array, Array, Array]:
    """Zeros like `x` with `size` samples along axis `at`; and views of `x` and of them with that axis first."""
    shape = list(x.shape)
    shape[at] = size
    result = np.zeros(shape, x.dtype)
    return result, np.moveaxis(x, at, 0), np.moveaxis(result, at, 0)


def _extend_axis(geometry: Geometry, x: Array, axis: int) -> Array:
    if geometry.padding[axis] == (0, 0):
        return x
    at, size = axis - geometry.ndim, geometry.extended[axis]
    return placed(x, at, size, *_inside(geometry, axis), geometry.extension(axis))


def _fold_axis(geometry: Geometry, u: Array, axis: int) -> Array:
    if geometry.padding[axis] == (0, 0):
        return u
    at, size = axis - geometry.ndim, geometry.spatial[axis]
    return added_back(u, at, size, *_inside(geometry, axis), geometry.extension(axis))
