"""What is solved: an operator, what its solutions are penalised by, and the normal equations of both."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..affine import Affine
from ..blocks import Blocks
from ..composite import Product, Scaled
from ..convolution import Convolution
from ..differences import gradient, laplacian
from ..dtypes import Array, DType, as_signal
from ..errors import GeometryError, ShapeError
from ..foreign import as_operator
from ..geometry import Geometry
from ..operator import Operator
from ..stacking import vstack


@dataclass(frozen=True)
class Problem:
    """Minimise `1/2 ||A x - b||^2 + alpha/2 ||L x||^2`; `L` is None for the identity."""

    A: Operator
    L: Operator | None = None

    @cached_property
    def dtype(self) -> DType:
        return self.A.dtype if self.L is None else np.result_type(self.A.dtype, self.L.dtype)

    def penalised(self, x: Array) -> Array:
        """`L x`."""
        return x if self.L is None else self.L(x)

    def gram(self, x: Array) -> Array:
        """`L^H L x`."""
        return x if self.L is None else self.L.H(self.L(x))

    def adjoint(self, y: Array) -> Array:
        """`A^H y`, by what `A` has prepared: `A.H` is an operator of its own, to be prepared anew."""
        batch = y.shape[: y.ndim - len(self.A.out_shape)]
        return self.A.rmatvec(y.reshape((*batch, -1))).reshape((*batch, *self.A.in_shape))

    def normal(self, x: Array, alpha: float) -> Array:
        """`(A^H A + alpha L^H L) x`."""
        image = self.adjoint(self.A(x))
        return image + alpha * self.gram(x) if alpha else image

    def norms(self, x: Array) -> Array:
        """The 2-norm of each array of a batch."""
        return np.linalg.norm(x.reshape((*x.shape[: x.ndim - len(self.A.in_shape)], -1)), axis=-1)


def linear_part(A: Any, b: Any) -> tuple[Operator, Any]:
    """The operator that stands for `A`, and `b` without the offset where `A` is an `Affine`."""
    if isinstance(A, Affine):
        A, b = A.linear, as_signal(b, A.linear.dtype) - A.offset
    return as_operator(A), b


def rows_of(operator: Operator) -> tuple[Operator, ...]:
    """The operators that stand on top of each other in a stack; a single one otherwise."""
    if isinstance(operator, Blocks) and operator.columns.single:
        return tuple(block for _, _, block in sorted(operator.blocks, key=lambda block: block[0]))
    return (operator,)


def parts_of(operator: Operator, y: Array) -> list[Array]:
    """Of data `(*batch, *out_shape)` the part of each of `rows_of`."""
    return operator.rows.split(y) if isinstance(operator, Blocks) and operator.columns.single else [y]


def as_plain(operator: Operator) -> Convolution | str:
    """An operator as one convolution of one channel with stride 1, or what keeps it from being part of a circulant."""
    if not isinstance(operator, Convolution):
        return f"a part of it is no Convolution but {type(operator).__name__}"
    g = operator.geometry
    if (g.channels_out, g.channels_in) != (1, 1):
        return "it mixes channels"
    if any(s != 1 for s in g.stride):
        return f"it has stride {g.stride}"
    for axis, pair in enumerate(g.boundary):
        if "periodic" in pair and g.out_spatial[axis] != g.spatial[axis]:
            return f"axis {axis} is periodic and changes its size"
    return operator


def wraps(geometries: Iterable[Geometry], axis: int) -> bool:
    """Whether any of these rows reads around an axis, which then is a period of their torus."""
    return any("periodic" in g.boundary[axis] for g in geometries)


def torn_axis(geometries: Sequence[Geometry], ends: Callable[[Geometry, int], bool]) -> str | None:
    """The axis around which some rows read, while others, as `ends` says, need the zeros beyond it; None if none is."""
    for axis in range(geometries[0].ndim):
        straight = [g for g in geometries if not wraps([g], axis)]
        if len(straight) < len(geometries) and any(ends(g, axis) for g in straight):
            return f"axis {axis} is periodic for some rows and ends for others"
    return None


def as_regularizer(regularizer: Any, A: Operator) -> Operator | None:
    """`L` from what the user gave: an operator, its name, or None for the identity."""
    if regularizer is None:
        return None
    if isinstance(regularizer, str):
        return _named(regularizer, A)
    L = as_operator(regularizer)
    if L.in_shape != A.in_shape:
        raise ShapeError(
            f"the regularizer acts on arrays of shape {L.in_shape}, and the solution has shape {A.in_shape}; "
            f"give an operator with in_shape={A.in_shape}"
        )
    return L


def convolution_in(A: Operator) -> Convolution | None:
    """The first convolution that is applied to the whole input of `A`, in a stack or before other operators."""
    for row in rows_of(A):
        while isinstance(row, Product | Scaled):
            row = row.factors[-1] if isinstance(row, Product) else row.operator
        if isinstance(row, Blocks) and row is not A:
            row = convolution_in(row)
        if isinstance(row, Convolution) and row.in_shape == A.in_shape:
            return row
    return None


def _named(name: str, A: Operator) -> Operator:
    """A difference operator with the boundary of `A`, on the spatial axes of each channel.

    Where `A` reads nothing outside, the difference across the edge is left out, since nothing is known there.
    """
    if name not in ("gradient", "laplacian"):
        raise GeometryError(f"regularizer must be 'gradient', 'laplacian' or an operator, got {name!r}")
    found = convolution_in(A)
    if found is None:
        raise GeometryError(
            f"regularizer {name!r} takes the boundary of a Convolution, and the operator is {type(A).__name__}; "
            f"build it with convop.{name}(shape, boundary) and pass the operator"
        )
    geometry, dtype = found.geometry, np.finfo(found.dtype).dtype
    pairs = tuple(_known_sides(geometry, axis) for axis in range(geometry.ndim))
    # The symmetric extension makes the difference across an edge zero.
    single = (gradient if name == "gradient" else laplacian)(geometry.spatial, pairs, dtype)
    if not geometry.lifted:
        return single
    rows = [_for_each_channel(row, geometry.channels_in) for row in rows_of(single)]
    return vstack(rows) if name == "gradient" else rows[0]


def _known_sides(geometry: Geometry, axis: int) -> tuple[str, str]:
    """The boundary of an axis, "symmetric" on a side where nothing outside is read."""
    pair = geometry.boundary[axis]
    if "periodic" in pair:
        return pair
    before, after = (
        name if reads else "symmetric" for name, reads in zip(pair, geometry.reads_outside(axis), strict=True)
    )
    return before, after


def _for_each_channel(row: Any, channels: int) -> Convolution:
    """A single-channel convolution on each channel of arrays with a channel axis."""
    geometry = replace(row.geometry, channels_out=channels, channels_in=channels, groups=channels, lifted=True)
    weight = np.broadcast_to(row.weight, (channels, *row.weight.shape[1:]))
    return Convolution.of(geometry, weight, "correlation")
