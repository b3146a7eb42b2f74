"""Channels of a weight: groups written out as a dense block matrix, and found again in one."""

import math

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array


def ungrouped(weight: Array, groups: int) -> Array:
    """`(C_out, C_in/groups, ...)` as `(C_out, C_in, ...)` with zeros where groups do not mix."""
    if groups == 1:
        return weight
    rows, columns = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], columns * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        own = slice(group * rows, (group + 1) * rows)
        dense[own, group * columns : (group + 1) * columns] = weight[own]
    return dense


def grouped(dense: Array, groups: int) -> Array:
    """The inverse of `ungrouped`: the blocks on the diagonal, `(C_out, C_in/groups, ...)`."""
    rows, columns = dense.shape[0] // groups, dense.shape[1] // groups
    blocks = [
        dense[group * rows : (group + 1) * rows, group * columns : (group + 1) * columns] for group in range(groups)
    ]
    return np.concatenate(blocks)


def respects(mask: NDArray[np.bool_], groups: int) -> bool:
    """Whether nothing of a `(C_out, C_in)` mask stands outside the diagonal blocks of `groups`."""
    return bool(np.array_equal(ungrouped(grouped(mask, groups), groups), mask))


def finest_groups(mask: NDArray[np.bool_]) -> int:
    """The most groups that a `(C_out, C_in)` mask of blocks that are not zero leaves apart; 1 if all are zero."""
    if not mask.any():
        return 1
    most = math.gcd(*mask.shape)
    return next(g for g in range(most, 0, -1) if most % g == 0 and respects(mask, g))
