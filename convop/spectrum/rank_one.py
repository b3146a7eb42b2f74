"""Kernels that are outer products: one factor for the channels and one for the taps of each axis."""

import numpy as np

from ..dtypes import Array

ROUNDING = 4  # times eps and the largest entry, for each axis: what rounding the products may leave


def factors_of(weight: Array) -> list[Array] | None:
    """A matrix `(C_out, C_in)` and the taps of each axis whose outer product is `weight`; None if there is none.

    They are read from the lines through the largest entry, and multiplied out they must give the weight again, to the
    rounding of its type.
    """
    wide = weight.astype(np.result_type(weight.dtype, np.float64))
    pivot = np.unravel_index(np.argmax(np.abs(wide)), wide.shape)
    largest = wide[pivot]
    if largest == 0:
        return None
    channels = wide[(slice(None), slice(None), *pivot[2:])]
    taps = [
        wide[tuple(slice(None) if each == axis else place for each, place in enumerate(pivot))] / largest
        for axis in range(2, wide.ndim)
    ]
    product = channels
    for each in taps:
        product = np.multiply.outer(product, each)
    tolerance = ROUNDING * wide.ndim * float(np.finfo(weight.dtype).eps) * abs(largest)
    return [channels, *taps] if np.abs(product - wide).max() <= tolerance else None
