"""A convolution as an operator of PyLops-MPI."""

# PyLops-MPI's `_adjoint` says that it returns a private class of its own.
# pyright: reportIncompatibleMethodOverride=false

import math
from collections.abc import Callable
from typing import Any, final

import numpy as np
from pylops_mpi import DistributedArray, MPILinearOperator, Partition

from ..arguments import Shape
from ..dtypes import Array, as_signal
from ..errors import ShapeError
from .arrays import gather, scatter, spread
from .local import LocalConvolution

Shapes = tuple[Shape, ...]


@final
class DistributedConvolution(MPILinearOperator):
    """A convolution of arrays that are split along their first spatial axis; made by `distribute`.

    It takes and gives flat `pylops_mpi.DistributedArray`s whose part on each rank is the rank's rows, flattened. Given
    a numpy vector instead, the whole array and the same on every rank, it gives the whole result to every rank: with
    that, checks and small problems work as if there were one process.

    Attributes
    ----------
    dims, dimsd : tuple of int
        Shapes of the arrays that it maps between, as a whole.
    local_in_shapes, local_out_shapes : tuple of tuple of int
        Shapes of their part on each rank.
    in_axis, out_axis : int
        The axes along which they are split.
    halo_rows : int
        How many rows of others this rank reads for each apply of the convolution, and adds to for each adjoint.
    """

    def __init__(
        self, local: LocalConvolution, dims: Shape, dimsd: Shape, shapes: tuple[Shapes, Shapes], comm: Any,
        adjoint: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(dims=dims, dimsd=dimsd, dtype=local.dtype, base_comm=comm)
        self.local, self._is_adjoint = local, adjoint
        self.local_in_shapes, self.local_out_shapes = shapes
        self.in_axis, self.out_axis = len(dims) + local.axis, len(dimsd) + local.axis
        self.halo_rows = len(local.exchange.mine.halo)
        self._hermitian: DistributedConvolution | None = None

    def matvec(self, x: Any) -> Any:
        """Apply to a distributed array of global shape `(N,)`, or to a numpy vector that every rank has."""
        return self._replicated(x) if isinstance(x, np.ndarray) else super().matvec(x)

    def rmatvec(self, x: Any) -> Any:
        """Apply the adjoint, likewise."""
        return self._adjoint().matvec(x)

    def _matvec(self, x: DistributedArray) -> DistributedArray:
        apply = self.local.adjoint if self._is_adjoint else self.local.forward
        return self._applied(apply, x)

    def _rmatvec(self, x: DistributedArray) -> DistributedArray:
        return self._adjoint()._matvec(x)

    def _adjoint(self) -> "DistributedConvolution":
        if self._hermitian is None:
            shapes = self.local_out_shapes, self.local_in_shapes
            adjoint = DistributedConvolution(
                self.local, self.dimsd, self.dims, shapes, self.base_comm, not self._is_adjoint
            )
            self._hermitian, adjoint._hermitian = adjoint, self
        return self._hermitian

    def _applied(self, apply: Callable[[Array], Array], x: DistributedArray) -> DistributedArray:
        own = self.local_in_shapes[self.rank]
        if x.partition is not Partition.SCATTER or x.local_array.size != math.prod(own):
            raise ShapeError(
                f"rank {self.rank} has {x.local_array.size} samples of the array ({x.partition.value}), needed "
                f"{own}: whole rows; make it with convop.mpi.scatter(D, x), or with local_shapes that follow "
                f"D.local_in_shapes"
            )
        y = apply(as_signal(x.local_array, self.local.dtype).reshape(own))
        return spread(y, self.local_out_shapes, self.base_comm)

    def _replicated(self, x: Array) -> Array:
        if x.size != self.shape[1]:
            raise ShapeError(
                f"an operator of shape {self.shape} takes a vector of length {self.shape[1]}, got {x.shape}"
            )
        whole = gather(self, self.matvec(scatter(self, x.reshape(self.dims))))
        return whole.reshape(self.shape[0], *x.shape[1:])
