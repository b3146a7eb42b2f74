"""Reading a window of an extended axis, and its adjoint, which adds what stands outside back."""

import numpy as np
from numpy.typing import NDArray

from ..window import Window
from .extend import combine, weighted


def read(window: Window, x: NDArray, at: int) -> NDArray:
    """What stands in the window, from `x` that holds `window.samples` along its axis `at`."""
    if window.is_inside:
        return x
    result, source, target = _like(x, at, window.length)
    target[window.places] = source[window.numbers]

    def add(position: int, index: int, weight: int) -> None:
        target[position] += weighted(source[index], weight)

    combine(window.outside, add)
    return result


def add_back(window: Window, u: NDArray, at: int) -> NDArray:
    """The adjoint of `read`: from what stands in the window to the samples it was made from."""
    if window.is_inside:
        return u
    result, source, target = _like(u, at, len(window.samples))
    target[window.numbers] = source[window.places]

    def add(position: int, index: int, weight: int) -> None:
        target[index] += weighted(source[position], weight)

    combine(window.outside, add)
    return result


def _like(x: NDArray, at: int, size: int) -> tuple[NDArray, NDArray, NDArray]:
    """Zeros like `x` with `size` samples along axis `at`; and views of `x` and of them with that axis first."""
    shape = list(x.shape)
    shape[at] = size
    result = np.zeros(shape, x.dtype)
    return result, np.moveaxis(x, at, 0), np.moveaxis(result, at, 0)
