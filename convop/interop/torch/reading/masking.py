"""Constant masks: samples are kept, set to a constant, or taken from one of two values."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ....selection import Diagonal
from .arithmetic import added, expanded
from .branch import Branch
from .convolving import unbatched
from .traced import BATCH, Call, Traced, as_array, plainly, reads


@reads("where")
def chosen(call: Call, condition: Any, x: Any, other: Any) -> Branch:
    """As a function `where(condition, x, other)`, as a method `x.where(condition, other)`."""
    if call.func is torch.Tensor.where:
        condition, x = x, condition
    mask = np.broadcast_to(unbatched(call, call.constant(condition, "a condition"), call.out_shape), call.out_shape)
    branches, shifts = [], False
    for value, taken in ((x, mask), (other, ~mask)):
        if isinstance(value, Traced):
            branches.append(_kept(call, expanded(value.branch, call.out_shape), taken))
        else:
            shifts |= bool((unbatched(call, value, call.out_shape) * taken).any())
    return added(branches, shifts)


@reads("masked_fill")
def filled(call: Call, x: Any, mask: Any, value: Any) -> Branch:
    taken = np.broadcast_to(unbatched(call, call.constant(mask, "a mask"), call.out_shape), call.out_shape)
    fills = call.constant(value, "a value").any() and taken.any()
    kept = _kept(call, expanded(x.branch, call.out_shape), ~taken)
    return kept.shifted() if fills else kept


@reads("triu", "tril")
def triangle(call: Call, x: Any, diagonal: int = 0) -> Branch:
    ones = torch.ones(BATCH, *x.branch.shape)
    return _kept(call, x.branch, as_array(plainly(call.func, ones, diagonal))[0])


def _kept(call: Call, branch: Branch, mask: NDArray[Any]) -> Branch:
    return branch.then(Diagonal(mask.astype(call.dtype)))
