"""What random operators may be, and the sizes that keep them small enough to be written out as dense matrices."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import Shape, as_int
from ..boundary import NEEDS_TWO_SAMPLES, RULES, canonical_name, canonical_pairs
from ..dtypes import FLOATING, as_dtype
from ..errors import GeometryError
from .dice import Dice

BOUNDARIES = tuple(RULES)
DTYPES = tuple(dtype.name for dtype in FLOATING)
SAMPLES = {1: 9, 2: 6, 3: 4, 4: 3}  # most samples and taps along an axis, by number of axes
TAPS = {1: 9, 2: 5, 3: 3, 4: 2}


@dataclass(frozen=True)
class Limits:
    """The options that random operators are drawn from."""

    dtypes: tuple[str, ...] = DTYPES
    max_dims: int = 4
    boundaries: tuple[str, ...] = BOUNDARIES
    max_stride: int = 3
    max_dilation: int = 3

    @classmethod
    def of(
        cls, dtypes: Any, max_dims: Any, boundaries: Any, max_stride: Any, max_dilation: Any
    ) -> "Limits":  # fmt: skip
        """Limits from what a user types."""
        if not 1 <= as_int(max_dims, "max_dims", 1) <= max(SAMPLES):
            raise GeometryError(f"max_dims must be 1 to {max(SAMPLES)}, got {max_dims}")
        names = tuple(canonical_name(name) for name in _listed(boundaries, "boundaries"))
        kinds = tuple(as_dtype(dtype).name for dtype in _listed(dtypes, "dtypes"))
        stride, dilation = as_int(max_stride, "max_stride", 1), as_int(max_dilation, "max_dilation", 1)
        return cls(kinds, int(max_dims), names, stride, dilation)

    def dims(self, dice: Dice, weights: tuple[int, ...]) -> int:
        """A number of axes, by its weight among those allowed."""
        return dice.choice([ndim for ndim in weights if ndim <= self.max_dims])

    def names(self, sizes: Iterable[int]) -> tuple[str, ...]:
        """The boundaries that can stand on axes of these sizes; zero where none of those asked for can."""
        if min(sizes) > 1:
            return self.boundaries
        return tuple(name for name in self.boundaries if name not in NEEDS_TWO_SAMPLES) or ("zero",)

    def boundary(self, dice: Dice, ndim: int) -> Any:
        """One name, a name per axis, or a pair of names on some axes."""
        one_sided = [name for name in self.boundaries if name != "periodic"]
        form = dice.integer(0, 2 if one_sided else 1)
        if form == 0:
            return dice.choice(self.boundaries)
        names: list[Any] = []
        for _ in range(ndim):
            if form == 2 and dice.integer(0, 1):
                names.append((dice.choice(one_sided), dice.choice(one_sided)))
            else:
                names.append(dice.choice(self.boundaries))
        return tuple(names)

    def strides(self, dice: Dice, ndim: int, most: int = 3) -> Shape:
        return dice.axes(ndim, 1, min(most, self.max_stride))

    def dilations(self, dice: Dice, ndim: int, most: int = 3) -> Shape:
        return dice.axes(ndim, 1, min(most, self.max_dilation))


def sizes(dice: Dice, ndim: int, boundary: Any, low: Iterable[int] | None = None) -> Shape:
    """Samples per axis: at least `low`, and two where a mirror needs them."""
    least = [1] * ndim if low is None else list(low)
    drawn = []
    for names, needed in zip(canonical_pairs(boundary, ndim), least, strict=True):
        smallest = max(2 if NEEDS_TWO_SAMPLES & set(names) else 1, needed)
        drawn.append(dice.integer(smallest, max(smallest, SAMPLES[ndim])))
    return tuple(drawn)


def _listed(given: Any, what: str) -> tuple[Any, ...]:
    options = (given,) if isinstance(given, str | type | np.dtype) else tuple(given)
    if not options:
        raise GeometryError(f"{what} is empty; name at least one")
    return options
