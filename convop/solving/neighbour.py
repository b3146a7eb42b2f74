"""The periodic neighbour of an operator: what it is away from the edges, on a torus, where a spectrum says all of it.

Edges are forgotten, masks become the share of samples that they keep, and weights become their mean power.
"""

import math
from functools import reduce, singledispatch
from typing import Any

import numpy as np

from ..algebra import Identity
from ..arguments import Shape
from ..blocks import Blocks
from ..composite import Adjoint, Conjugate, Product, Scaled, Sum
from ..convolution import Convolution
from ..errors import GeometryError
from ..geometry import Geometry
from ..operator import Operator
from ..selection import Diagonal, Extend, Select
from ..spectrum.kinds import leaves
from ..stacking import vstack
from ..structured.toeplitz import BlockToeplitz


class NoNeighbour(GeometryError):
    """Why nothing periodic is like an operator."""


def convolutions(A: Operator) -> list[Convolution]:
    """The convolutions that `A` is made of."""
    parts = (leaf.convolution if isinstance(leaf, BlockToeplitz) else leaf for leaf in leaves(A))
    return [part for part in parts if isinstance(part, Convolution)]


def grid(A: Operator) -> Shape:
    """The last axes of the input, those that the convolutions in `A` run along."""
    ranks = [part.geometry.ndim for part in convolutions(A)]
    return A.in_shape[-min(ranks, default=len(A.in_shape)) :]


def steps(A: Operator) -> Shape:
    """For each axis of the grid a number that, where it divides the size, makes every stride in `A` fit."""
    ndim = len(grid(A))
    each = [part.geometry.stride[-ndim:] for part in convolutions(A)]
    return tuple(math.prod(axis) for axis in zip(*each, strict=True)) if each else (1,) * ndim


def spans(A: Operator) -> Shape:
    """For each axis of the grid a lag that no entry of `A^H A` exceeds."""
    ndim = len(grid(A))
    lags = [[2 * abs(part.geometry.lags(axis)).max() for axis in range(-ndim, 0)] for part in convolutions(A)]
    return tuple(int(sum(axis)) for axis in zip(*lags, strict=True)) if lags else (0,) * ndim


def mirrors(A: Operator, axis: int) -> bool:
    """Whether what lies beyond both ends of an axis, counted from the last, is reflected about a sample."""
    pairs = {part.geometry.boundary[axis] for part in convolutions(A) if any(part.geometry.reads_outside(axis))}
    return pairs == {("mirror", "mirror")}


@singledispatch
def periodic(A: Operator, sizes: Shape, dense: bool) -> Operator:
    """The neighbour of `A` on a torus of `sizes`; with `dense`, strided outputs become all, in proportion.

    Raises
    ------
    NoNeighbour
        If a part of it is none of a convolution.
    """
    raise NoNeighbour(f"{A!r} is nothing that a spectrum speaks of")


@periodic.register
def _(A: Convolution, sizes: Shape, dense: bool) -> Operator:
    g = A.geometry
    if g.ndim != len(sizes):
        raise NoNeighbour(f"{A!r} runs along other axes than the rest")
    stride = (1,) * g.ndim if dense else g.stride
    if any(n % s for n, s in zip(sizes, stride, strict=True)):
        raise NoNeighbour(f"the torus {sizes} is no multiple of the stride {stride} of {A!r}")
    padding = tuple(
        (before, span - s - before) for (before, _), span, s in zip(g.padding, g.reach, stride, strict=True)
    )
    geometry = Geometry.make(
        sizes, g.kernel, stride=stride, dilation=g.dilation, padding=padding, boundary="periodic",
        channels=(g.channels_out, g.channels_in), groups=g.groups, lifted=g.lifted,
    )  # fmt: skip
    around = Convolution.of(geometry, A.weight, A.convention, "fft")
    return around if stride == g.stride else around * math.prod(g.stride) ** -0.5


@periodic.register
def _(A: BlockToeplitz, sizes: Shape, dense: bool) -> Operator:
    return periodic(A.convolution, sizes, dense)


@periodic.register
def _(A: Identity, sizes: Shape, dense: bool) -> Operator:
    return Identity((*A.in_shape[: -len(sizes)], *sizes), A.dtype)


@periodic.register
def _(A: Diagonal, sizes: Shape, dense: bool) -> Operator:
    size = float(np.sqrt(np.mean(abs(A.array) ** 2)))
    return Identity((*A.in_shape[: -len(sizes)], *sizes), A.dtype) * size


@periodic.register
def _(A: Extend, sizes: Shape, dense: bool) -> Operator:
    return periodic(Convolution.of(A.geometry, A._weight(), "convolution", "direct"), sizes, dense)


@periodic.register
def _(A: Select, sizes: Shape, dense: bool) -> Operator:
    share = math.sqrt(A.shape[0] / A.shape[1])
    return Identity((*A.in_shape[: -len(sizes)], *sizes), A.dtype) * share


@periodic.register
def _(A: Scaled, sizes: Shape, dense: bool) -> Operator:
    return periodic(A.operator, sizes, dense) * A.number


@periodic.register
def _(A: Conjugate, sizes: Shape, dense: bool) -> Operator:
    return periodic(A.operator, sizes, dense).conj()


@periodic.register
def _(A: Adjoint, sizes: Shape, dense: bool) -> Operator:
    inner = steps(A.operator)
    if dense and math.prod(inner) > 1:
        raise NoNeighbour("the adjoint of a strided operator leaves gaps")
    return periodic(A.operator, tuple(n * s for n, s in zip(sizes, inner, strict=True)), dense).H


@periodic.register
def _(A: Sum, sizes: Shape, dense: bool) -> Operator:
    return reduce(lambda a, b: a + b, (periodic(term, sizes, dense) for term in A.terms))


@periodic.register
def _(A: Product, sizes: Shape, dense: bool) -> Operator:
    outer, *inner = A.factors
    if any(isinstance(factor, Select) for factor in inner):
        raise NoNeighbour("a selection before a convolution leaves gaps")
    if dense and any(s > 1 for factor in inner for part in convolutions(factor) for s in part.geometry.stride):
        raise NoNeighbour("a convolution follows a strided one")
    product, ndim = None, len(sizes)
    for factor in reversed([outer, *inner]):
        own = sizes if product is None else product.out_shape[-ndim:]
        next_factor = periodic(factor, own, dense)
        product = next_factor if product is None else next_factor @ product
    assert product is not None  # a product has factors
    return product


@periodic.register
def _(A: Blocks, sizes: Shape, dense: bool) -> Operator:
    if not A.columns.single:
        raise NoNeighbour("it acts on a stack of arrays")
    rows: list[Any] = [periodic(block, sizes, dense) for _, _, block in A.blocks]
    return vstack(rows)
