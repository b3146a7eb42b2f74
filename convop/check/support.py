"""Where test vectors live: the axes that input and output share, and vectors zero near chosen edges."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..dtypes import Array, DType
from ..operator import Operator

Margins = tuple[int, int]  # samples left zero before and after


@dataclass(frozen=True)
class Axis:
    """One axis on which input and output face each other."""

    input: int
    output: int
    n_in: int
    n_out: int

    @property
    def room(self) -> int:
        """The widest margin that leaves at least a third, and two samples, of both sides."""
        return max(0, min(*(min(n // 3, (n - 2) // 2) for n in (self.n_in, self.n_out))))

    def facing(self, margin: int) -> int:
        """The margin in the output that faces one in the input: wider where the output is finer."""
        return min(math.ceil(margin * max(1.0, self.n_out / self.n_in)), (self.n_out - 1) // 2)


def is_lifted(operator: Operator) -> bool:
    """Whether the first axis is channels, as far as the operator says so."""
    return bool(getattr(getattr(operator, "geometry", None), "lifted", False))


def shared_axes(operator: Operator) -> tuple[Axis, ...]:
    """The trailing axes that both shapes have, without channels, those of one sample left out."""
    sizes_in, sizes_out = operator.in_shape, operator.out_shape
    count = min(len(sizes_in), len(sizes_out)) - is_lifted(operator)
    axes = (Axis(len(sizes_in) - k, len(sizes_out) - k, sizes_in[-k], sizes_out[-k]) for k in range(count, 0, -1))
    return tuple(axis for axis in axes if min(axis.n_in, axis.n_out) > 1)


def without_edges(x: Array, margins: Mapping[int, Margins]) -> Array:
    """A copy of x, zero in the margins of the given axes."""
    keep = [slice(None)] * x.ndim
    for axis, (before, after) in margins.items():
        keep[axis] = slice(before, x.shape[axis] - after)
    inside = np.zeros_like(x)
    inside[tuple(keep)] = x[tuple(keep)]
    return inside


def unit(shape: tuple[int, ...], index: int, dtype: DType) -> Array:
    """The basis vector of a flat index."""
    e = np.zeros(shape, dtype)
    e.flat[index] = 1
    return e


def unravel(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(index, shape))
