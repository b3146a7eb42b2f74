"""Where random choices come from: a seeded generator, or hypothesis, which can shrink them."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from ..dtypes import Array

T = TypeVar("T")


class Dice:
    """Choices from a seeded generator. In every choice the first option is the simplest."""

    def __init__(self, seed: Any) -> None:
        self.rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def axes(self, ndim: int, low: int, high: int) -> tuple[int, ...]:
        """An integer for each axis."""
        return tuple(self.integer(low, high) for _ in range(ndim))

    def kernel(self, shape: Any, dtypes: Sequence[Any]) -> Array:
        """Numbers of one of the types."""
        seed = self.integer(0, 2**20)
        return self.numbers(seed, shape, self.choice(dtypes))

    def numbers(self, seed: int, shape: Any, dtype: Any) -> Array:
        return values(seed, shape, dtype)


class HypothesisDice(Dice):
    """The same choices, drawn by hypothesis; they shrink to the first option and the smallest integer."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def numbers(self, seed: int, shape: Any, dtype: Any) -> Array:
        return values(seed, shape, dtype) if seed else counted(shape, dtype)


def values(seed: Any, shape: Any, dtype: Any) -> Array:
    """Normal values, complex where the type is, with an exact zero among them now and then."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        array = array + 1j * rng.standard_normal(shape)
    if rng.random() < 0.2:
        array = np.where(rng.random(shape) < 0.3, 0, array)
    return array.astype(dtype)


def counted(shape: Any, dtype: Any) -> Array:
    """1, 2, 3, ...: values that are easy to read and all different; imaginary parts count down."""
    array = np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape)
    if np.dtype(dtype).kind == "c":
        array = array - 1j * array[(slice(None, None, -1),) * array.ndim]
    return array.astype(dtype)
