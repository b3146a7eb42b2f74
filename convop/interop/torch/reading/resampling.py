"""Interpolation: a matrix along each axis, read from torch's own interpolation of unit impulses."""

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch

from ....layers import conv_transpose_layer
from .branch import Branch
from .pooling import adaptive, by_axis
from .traced import Call, as_array, reads

WINDOW = 8  # impulses this far apart do not meet in an output: at most 4 samples (times the reduction) enter one


@reads("interpolate")
def interpolation(
    call: Call, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", *args: Any, **kwargs: Any
) -> Branch:  # fmt: skip
    if mode == "area":
        return adaptive(call, x.branch)
    (channels, *spatial), (_, *wanted) = x.branch.shape, call.out_shape
    options = dict(zip(("align_corners", "recompute_scale_factor", "antialias"), args, strict=False)) | kwargs
    ndim = len(spatial)
    scales = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * ndim
    matrices = [
        _weights(axis, ndim, n, m, None if s is None else float(s), {"mode": mode, **options})
        for axis, (n, m, s) in enumerate(zip(spatial, wanted, scales, strict=True))
    ]
    if all(map(_repeats, matrices)):
        factors = tuple(m // n for n, m in zip(spatial, wanted, strict=True))
        ones = np.ones((channels, 1, *factors), call.dtype)
        return x.branch.then(conv_transpose_layer(ones, x.branch.shape, stride=factors, groups=channels))
    return x.branch.then(by_axis(x.branch.shape, matrices, call.dtype))


def _weights(axis: int, ndim: int, n: int, m: int, scale: float | None, options: dict[str, Any]) -> Any:
    """The matrix `(m, n)` of one axis.

    Combs of impulses, far enough apart, show all weights; a ramp shows near which sample each output stands, and
    so which impulse of a comb it answered to.
    """
    period = min(WINDOW * math.ceil(max(1, n / m)), n)
    residue = np.arange(period)[:, None]
    signals = np.vstack([np.arange(n) % period == residue, np.arange(n)]).astype(np.float64)
    # Two samples along the other axes: antialiasing in torch 2.13 repeats its first output where an axis has one.
    others = [n if each == axis else 1 for each in range(ndim)], [1 if each == axis else 2 for each in range(ndim)]
    combs = torch.from_numpy(np.tile(signals.reshape(-1, 1, *others[0]), (1, 1, *others[1])))
    target: dict[str, Any] = (
        {"size": [m if each == axis else 2 for each in range(ndim)]}
        if scale is None
        else {"scale_factor": [scale if each == axis else 1.0 for each in range(ndim)]}
    )
    answer = as_array(torch.nn.functional.interpolate(combs, **target, **options))
    one_line = tuple(slice(None) if each == axis else 0 for each in range(ndim))
    responses, place = np.split(answer[(slice(None), 0, *one_line)], [period])
    sample = residue + (np.rint((place - residue) / period).astype(int) * period if period < n else 0)
    comb, output = np.nonzero(responses)
    columns = np.broadcast_to(sample, responses.shape)[comb, output]
    return scipy.sparse.csr_array((responses[comb, output], (output, columns)), shape=(m, n))


def _repeats(matrix: Any) -> bool:
    """Whether every sample is repeated equally often."""
    m, n = matrix.shape
    if m % n or matrix.nnz != m:
        return False
    return bool((matrix.indices == np.arange(m) // (m // n)).all() and (matrix.data == 1).all())
