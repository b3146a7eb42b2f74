"""Average pooling: a convolution with a group for each channel, weighted where windows leave the array."""

import math
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ....arguments import Shape, per_axis
from ....convolution import Convolution
from ....foreign import as_operator
from ....geometry import Geometry
from ....operator import Operator
from ....selection import Diagonal
from .branch import Branch
from .traced import Call, reads


@reads("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average(
    call: Call, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Branch:  # fmt: skip
    _, *spatial = x.branch.shape
    ndim = len(spatial)
    kernel = _axes(kernel_size, ndim, "kernel_size")
    stride = kernel if stride is None or stride == [] else _axes(stride, ndim, "stride")
    before = _axes(padding, ndim, "padding", least=0)
    # With ceil_mode windows may also end beyond the padding; torch's own sizes say how many there are.
    after = tuple(
        (m - 1) * s + k - p - n
        for m, s, k, p, n in zip(call.out_shape[1:], stride, kernel, before, spatial, strict=True)
    )
    counted = [(p, min(p, q)) if count_include_pad else (0, min(0, q)) for p, q in zip(before, after, strict=True)]
    widths = tuple(zip(before, after, strict=True))
    if divisor_override is not None:
        return x.branch.then(_windows(x.branch.shape, kernel, stride, widths, 1 / divisor_override, call.dtype))
    counts = _counts(tuple(spatial), kernel, stride, widths, counted)
    if np.all(counts == math.prod(kernel)):
        return x.branch.then(_windows(x.branch.shape, kernel, stride, widths, 1 / math.prod(kernel), call.dtype))
    summed = x.branch.then(_windows(x.branch.shape, kernel, stride, widths, 1, call.dtype))
    return summed.then(Diagonal(np.broadcast_to(1 / counts, summed.shape).astype(call.dtype)))


def _axes(value: Any, ndim: int, what: str, least: int = 1) -> Shape:
    single = isinstance(value, (tuple, list)) and len(value) == 1
    return per_axis(value[0] if single else tuple(value) if isinstance(value, list) else value, ndim, what, least)


def _windows(shape: Shape, kernel: Shape, stride: Shape, widths: Any, value: float, dtype: Any) -> Convolution:
    """A convolution that weighs all samples of a window alike, channel by channel."""
    channels, *spatial = shape
    geometry = Geometry.make(
        spatial, kernel, stride=stride, padding=widths, channels=(channels, channels), groups=channels, lifted=True
    )
    return Convolution.of(geometry, np.full(geometry.weight_shape, value, dtype), "correlation")


def _counts(spatial: Shape, kernel: Shape, stride: Shape, widths: Any, counted: list[tuple[int, int]]) -> NDArray[Any]:
    """How many samples of each window count: those in the array, and in the padding where that counts."""
    padded = tuple(n + before + after for n, (before, after) in zip(spatial, counted, strict=True))
    rest = [(width[0] - count[0], width[1] - count[1]) for width, count in zip(widths, counted, strict=True)]
    return _windows((1, *padded), kernel, stride, rest, 1, np.float64)(np.ones((1, *padded)))[0]


@reads("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_average(call: Call, x: Any, output_size: Any) -> Branch:
    """Plain pooling where the sizes divide, else one small matrix for each axis."""
    return adaptive(call, x.branch)


def adaptive(call: Call, branch: Branch) -> Branch:
    (_, *spatial), (_, *wanted) = branch.shape, call.out_shape
    if all(n % m == 0 for n, m in zip(spatial, wanted, strict=True)):
        kernel = tuple(n // m for n, m in zip(spatial, wanted, strict=True))
        return branch.then(_windows(branch.shape, kernel, kernel, 0, 1 / math.prod(kernel), call.dtype))
    return branch.then(by_axis(branch.shape, [_means(n, m) for n, m in zip(spatial, wanted, strict=True)], call.dtype))


def _means(n: int, m: int) -> scipy.sparse.csr_array:
    """Output `i` is the mean of samples `floor(i n / m)` to `ceil((i + 1) n / m)`, as torch has it."""
    matrix = scipy.sparse.lil_array((m, n))
    for i in range(m):
        first, last = i * n // m, -(-(i + 1) * n // m)
        matrix[i, first:last] = 1 / (last - first)
    return matrix.tocsr()


def by_axis(shape: Shape, matrices: list[Any], dtype: Any) -> Operator:
    """One matrix for each spatial axis, the same for all channels: their Kronecker product."""
    whole = reduce(lambda a, b: scipy.sparse.kron(a, b, format="csr"), matrices, scipy.sparse.eye_array(shape[0]))
    sizes = tuple(matrix.shape[0] for matrix in matrices)
    return as_operator(scipy.sparse.csr_array(whole, dtype=dtype), shape, (shape[0], *sizes))
