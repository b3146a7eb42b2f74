"""Sums, means, running sums and differences along axes."""

import math
from functools import reduce
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ....arguments import Shape
from ....convolution import Convolution
from ....errors import NotLinearError
from ....foreign import as_operator
from ....geometry import Geometry
from .arranging import numbers
from .branch import Branch
from .traced import Call, reads


@reads("sum", "mean")
def total(call: Call, x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Branch:
    shape, rank = x.branch.shape, x.dim()
    axes = range(rank) if dim is None else [d % rank for d in (dim if isinstance(dim, (tuple, list)) else [dim])]
    if 0 in axes:
        raise NotLinearError(f"{call.name} over the batch axis mixes the arrays of a batch; name the other axes in dim")
    if not call.out_shape:
        raise NotLinearError(f"{call.name} leaves no axis but that of the batch; keep one with keepdim=True")
    kept = [1 if axis + 1 in axes else n for axis, n in enumerate(shape)]
    rows = np.broadcast_to(numbers(tuple(kept)), shape).ravel()
    count = rows.size // math.prod(kept)
    values = np.full(rows.size, 1 / count if call.name == "mean" else 1, call.dtype)
    matrix = scipy.sparse.csr_array((values, (rows, np.arange(rows.size))), shape=(math.prod(kept), rows.size))
    return x.branch.then(as_operator(matrix, shape, call.out_shape))


@reads("cumsum")
def running_sum(call: Call, x: Any, dim: int, dtype: Any = None) -> Branch:
    """A convolution with ones, as many as there are samples, that reads backwards."""
    axis = _of_array(call, dim, x.dim())
    n = x.branch.shape[axis]
    return x.branch.then(_along(x.branch.shape, axis, np.ones(n, call.dtype), n - 1))


@reads("diff")
def difference(call: Call, x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Branch:
    """A convolution with `(-1, 1)`, or with what `n` of them make."""
    if prepend is not None or append is not None:
        raise NotLinearError(f"{call.name} is read without prepend and append; put them there by torch.cat")
    taps = reduce(np.convolve, [np.array([-1.0, 1.0])] * n, np.ones(1))
    axis = _of_array(call, dim, x.dim())
    return x.branch.then(_along(x.branch.shape, axis, taps.astype(call.dtype), 0))


def _of_array(call: Call, dim: int, rank: int) -> int:
    """The axis of one array that an axis of the batch is."""
    if dim % rank == 0:
        raise NotLinearError(f"{call.name} along the batch axis mixes the arrays of a batch; name another dim")
    return dim % rank - 1


def _along(shape: Shape, axis: int, taps: NDArray[Any], before: int) -> Convolution:
    """A correlation along one axis that reads zeros `before` the array; by channel, where it is not along them."""
    lifted = axis > 0
    spatial = shape[1:] if lifted else shape
    channels = {"channels": (shape[0], shape[0]), "groups": shape[0], "lifted": True} if lifted else {}
    at = [each == axis - lifted for each in range(len(spatial))]
    geometry = Geometry.make(
        spatial, tuple(len(taps) if here else 1 for here in at),
        padding=tuple((before, 0) if here else (0, 0) for here in at), **channels,
    )  # fmt: skip
    weight = taps.reshape([-1 if here else 1 for here in at])
    return Convolution.of(geometry, np.broadcast_to(weight, geometry.weight_shape), "correlation")
