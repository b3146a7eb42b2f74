"""Complex convolutions as real ones with twice the channels: `(a + ib) x` is `[[a, -b], [b, a]]` on `(Re x, Im x)`."""

import numpy as np

from ..dtypes import Array, DType


def real_weight(weight: Array) -> Array:
    """`(groups, C_out, C_in, *kernel)` complex to `(groups, 2 C_out, 2 C_in, *kernel)` real."""
    real, imag = np.real(weight), np.imag(weight)
    rows = np.stack([real, -imag], axis=3), np.stack([imag, real], axis=3)
    blocks = np.stack(rows, axis=2)  # (groups, C_out, 2, C_in, 2, *kernel)
    groups, c_out, _, c_in = blocks.shape[:4]
    return blocks.reshape(groups, 2 * c_out, 2 * c_in, *blocks.shape[5:])


def split(x: Array) -> Array:
    """`(batch, C, ...)` complex to `(batch, 2 C, ...)` real; real arrays as they are."""
    if not np.iscomplexobj(x):
        return x
    return np.stack([np.real(x), np.imag(x)], axis=2).reshape(x.shape[0], 2 * x.shape[1], *x.shape[2:])


def join(x: Array, dtype: DType) -> Array:
    """The inverse of `split` for a complex `dtype`."""
    if dtype.kind != "c":
        return x
    pairs = x.reshape(x.shape[0], x.shape[1] // 2, 2, *x.shape[2:])
    joined = np.empty((x.shape[0], x.shape[1] // 2, *x.shape[2:]), dtype)
    joined.real, joined.imag = pairs[:, :, 0], pairs[:, :, 1]
    return joined
