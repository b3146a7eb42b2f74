"""Reading a window of an extended axis, and its adjoint, which adds what stands outside back."""

from ..dtypes import Array
from ..window import Window
from .extend import added_back, placed


def read(window: Window, x: Array, at: int) -> Array:
    """What stands in the window, from `x` that holds `window.samples` along its axis `at`."""
    if window.is_inside:
        return x
    return placed(x, at, window.length, window.places, window.numbers, window.outside)


def add_back(window: Window, u: Array, at: int) -> Array:
    """The adjoint of `read`: from what stands in the window to the samples it was made from."""
    if window.is_inside:
        return u
    return added_back(u, at, len(window.samples), window.places, window.numbers, window.outside)
