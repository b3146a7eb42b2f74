"""An adjoint whose channels are not swapped: every block is right, and stands where its mirror image belongs."""

from itertools import product

import numpy as np

from ..dtypes import Array
from .finding import Finding
from .pairing import Pairing
from .report import Where
from .vectors import is_complex

MOST = 16  # channels: each block is asked for


def channels_swapped(pairing: Pairing) -> Finding | None:
    """<x, G y> = <A u, v> where x is alone in channel o and y in channel i, u is x in channel i and v is y in o."""
    source, target = pairing.in_shape, pairing.out_shape
    if min(len(source), len(target)) < 2 or source[0] != target[0] or not 2 <= source[0] <= MOST:
        return None
    for conjugated in (False, True)[: 1 + is_complex(pairing.vectors.dtype)]:
        if all(_swapped(pairing, o, i, conjugated) for o, i in product(range(source[0]), repeat=2)):
            also = ", and the kernel is not conjugated either" if conjugated else ""
            text = (
                "the channels look swapped: what leads from channel i to channel o has its adjoint stand from i to o, "
                f"not from o to i{also}. Swap the two channel axes of the kernel in the adjoint"
            )
            return Finding("wrong_entries", text, Where(axes=(0,)))
    return None


def _swapped(pairing: Pairing, o: int, i: int, conjugated: bool) -> bool:
    x, y = pairing.x(), pairing.y()
    left, right = (_alone(x[o], i, x), _alone(y[i], o, y)), (_alone(x[o], o, x), _alone(y[i], i, y))
    return abs(pairing.compare(left, right, conjugated)) <= pairing.tolerance


def _alone(part: Array, channel: int, like: Array) -> Array:
    """An array that is zero but for one channel."""
    alone = np.zeros_like(like)
    alone[channel] = part
    return alone
