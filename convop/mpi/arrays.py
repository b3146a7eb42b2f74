"""Arrays of one process as arrays of many, and back: `scatter`, `gather`."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import require
from ..arguments import Shape
from ..dtypes import Array, working
from ..errors import GeometryError, ShapeError

if TYPE_CHECKING:
    from pylops_mpi import DistributedArray

    from .operator import DistributedConvolution


def spread(own: Array, shapes: tuple[Shape, ...], comm: Any) -> "DistributedArray":
    """The flat distributed array whose parts have these shapes, and whose part on this rank is `own`."""
    sizes = list(map(math.prod, shapes))
    return require("pylops_mpi", "mpi").DistributedArray(
        sum(sizes), base_comm=comm, local_shapes=[(size,) for size in sizes], local_array=own.reshape(-1)
    )


def _require_distributed(D: Any) -> None:
    if not hasattr(D, "local_in_shapes"):
        raise GeometryError(
            f"scatter and gather need an operator of convop.mpi.distribute, which knows how arrays are split, got "
            f"{type(D).__name__}; for a product D1 @ D2 scatter with D2 and gather with D1"
        )


def scatter(D: "DistributedConvolution", x: Any) -> "DistributedArray":
    """An array that every rank can read as one that `D` takes: each rank reads its rows and no others.

    Parameters
    ----------
    D : DistributedConvolution
        From `distribute`. For arrays on the other side of it, `scatter(D.H, y)`.
    x : numpy.memmap or array_like
        Of shape `D.dims`, the same for every rank; anything with a `shape` that is read by slices.

    Returns
    -------
    pylops_mpi.DistributedArray
        Flat; on each rank a copy of its rows.

    Raises
    ------
    ShapeError
        If `x` is not of shape `D.dims`.
    DTypeError
        If its type is none that convop computes with.
    GeometryError
        If `D` is no operator of `distribute`.
    """
    _require_distributed(D)
    array = x if hasattr(x, "shape") and hasattr(x, "dtype") else np.asarray(x)
    if tuple(array.shape) != tuple(D.dims):
        raise ShapeError(f"the operator takes arrays of shape {tuple(D.dims)}, got {tuple(array.shape)}")
    shapes = D.local_in_shapes
    start = sum(shape[D.in_axis] for shape in shapes[: D.rank])
    rows = slice(start, start + shapes[D.rank][D.in_axis])
    dtype = working(np.dtype(array.dtype), np.finfo(D.dtype).dtype, "the array")
    own = np.array(array[(slice(None),) * D.in_axis + (rows,)], dtype, order="C")
    return spread(own, shapes, D.base_comm)


def gather(D: "DistributedConvolution", y: "DistributedArray") -> Array:
    """What `D` gave as one array, on every rank: it has to fit into the memory of each.

    Parameters
    ----------
    D : DistributedConvolution
        From `distribute`. For arrays on the other side of it, `gather(D.H, x)`.
    y : pylops_mpi.DistributedArray
        What `D @ x` is.

    Returns
    -------
    numpy.ndarray
        Of shape `D.dimsd`.

    Raises
    ------
    ShapeError
        If `y` is not split as `D` splits it.
    GeometryError
        If `D` is no operator of `distribute`.
    """
    _require_distributed(D)
    sizes = list(map(math.prod, D.local_out_shapes))
    if not hasattr(y, "local_array"):
        raise ShapeError(f"gather takes a pylops_mpi.DistributedArray, as D @ x is one, got {type(y).__name__}")
    if y.local_array.size != sizes[D.rank]:
        raise ShapeError(
            f"rank {D.rank} has {y.local_array.size} samples, needed {sizes[D.rank]}, those of "
            f"{D.local_out_shapes[D.rank]}; for an array that D takes write gather(D.H, x)"
        )
    parts = np.split(y.asarray(), np.cumsum(sizes)[:-1])
    return np.concatenate(
        [part.reshape(shape) for part, shape in zip(parts, D.local_out_shapes, strict=True)], D.out_axis
    )
