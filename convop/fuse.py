"""Products and sums of convolutions that are one convolution.

A product is one by the rules of `verdict.py`, or because no output sample would differ (`coincidence.py`).
"""

# pyright: reportPrivateUsage=false

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .algebra import Identity, product_rule, sum_rule
from .apply import plan
from .boundary import Pair
from .coincidence import coincides, differing
from .composing import blocks, compose
from .composite import Scaled
from .convolution import Convention, Convolution
from .dtypes import Array
from .errors import GeometryError
from .geometry import Geometry
from .verdict import Verdict, verdicts

# Kernels far apart are cheaper apart: one that holds both may have this many times their taps.
WORTH_UNITING = 2
CANDIDATES = 8  # boundaries tried for a product that no rule makes one; nearly always one or two


@dataclass(frozen=True)
class Fusion:
    """Two convolutions that became one, and why they could."""

    outer: str
    inner: str
    axes: tuple[Verdict, ...]


@product_rule(Convolution, Convolution)
def fuse(outer: Convolution, inner: Convolution) -> Any:
    """`outer @ inner` as one convolution, where that is exact: by the rules, or because no output differs."""
    if not _composable(outer, inner):
        return NotImplemented
    axes = verdicts(outer, inner)
    exact = all(verdict.exact for verdict in axes)
    for pairs in [tuple(verdict.boundary for verdict in axes)] if exact else _candidates(outer, inner, axes):
        try:
            geometry = outer.geometry.after(inner.geometry, pairs)
        except GeometryError:  # taps of value zero would read where a boundary has nothing to give
            continue
        if exact or coincides(outer, inner, geometry):
            found = tuple(each.met(pair) for each, pair in zip(axes, pairs, strict=True))
            history = (*inner.history, *outer.history, Fusion(repr(outer), repr(inner), found))
            return _with_composed_kernel(geometry, outer, inner, history)
    return NotImplemented


def _candidates(outer: Convolution, inner: Convolution, axes: list[Verdict]) -> Iterator[tuple[Pair, ...]]:
    """Boundaries that one convolution might have where the rules name none, a few."""
    options = [_options(outer.geometry, inner.geometry, verdict) for verdict in axes]
    return islice(product(*options), CANDIDATES)


def _options(outer: Geometry, inner: Geometry, verdict: Verdict) -> list[Pair]:
    """What the rules say, the inner operator's, that with the outer's where the inner one reads none; the outer's."""
    own, other = inner.boundary[verdict.axis], outer.boundary[verdict.axis]
    sides = zip(inner.reads_outside(verdict.axis), own, other, strict=True)
    before, after = (mine if reads else theirs for reads, mine, theirs in sides)
    both = own if "periodic" in (before, after) else (before, after)
    return list(dict.fromkeys((verdict.boundary, own, both, other)))


def composed(outer: Convolution, inner: Convolution) -> Convolution | None:
    """The convolution with the composed kernels, exact or not; None where there is none."""
    geometry = _geometry(outer, inner)
    return None if geometry is None else _with_composed_kernel(geometry, outer, inner)


def _geometry(outer: Convolution, inner: Convolution) -> Geometry | None:
    """That of the composed kernel under the inner operator's boundary."""
    if not _composable(outer, inner):
        return None
    try:
        return outer.geometry.after(inner.geometry, inner.geometry.boundary)
    except GeometryError:
        return None


def differing_samples(outer: Convolution, inner: Convolution) -> NDArray[np.bool_] | None:
    """Which output samples composing the kernels gets wrong: a mask of `out_shape`; None where nothing composes.

    Of long kernels, both maps are applied to one Gaussian signal: a sample whose rows differ, by more than rounding,
    shows it with probability one.
    """
    geometry = _geometry(outer, inner)
    if geometry is None:
        return None
    mask = differing(outer, inner, geometry)
    if mask is not None:
        return mask.reshape(outer.out_shape)
    x = np.random.default_rng(0).standard_normal(inner.in_shape)
    right, wrong = outer(inner(x)), _with_composed_kernel(geometry, outer, inner)(x)
    return np.abs(right - wrong) > 1e3 * np.finfo(right.dtype).eps * np.abs(right).max()


def _composable(outer: Convolution, inner: Convolution) -> bool:
    return outer.in_shape == inner.out_shape and outer.geometry.lifted == inner.geometry.lifted


def _with_composed_kernel(
    geometry: Geometry, outer: Convolution, inner: Convolution, history: tuple[Fusion, ...] = ()
) -> Convolution:
    geometry, weight = compose(geometry, outer, inner)
    method = plan.kept(outer._asked, geometry, weight) if outer._asked == inner._asked else "auto"
    return Convolution.of(geometry, weight, outer.convention, method, history)


@sum_rule(Convolution, Convolution)
def add_kernels(a: Convolution, b: Convolution) -> Any:
    """Convolutions add as their kernels do where everything but the taps agrees."""
    geometry = a.geometry.union(b.geometry)
    if geometry is None or geometry.taps > WORTH_UNITING * (a.geometry.taps + b.geometry.taps):
        return NotImplemented
    weight = _embedded(a, geometry) + _embedded(b, geometry)
    method = plan.kept(a._asked, geometry, weight) if a._asked == b._asked else "auto"
    return Convolution.of(geometry, weight, a.convention, method)


def _embedded(a: Convolution, geometry: Geometry) -> Array:
    """The weight of `a` among the taps and groups of a larger geometry."""
    dense = blocks(a.weight, a.geometry.groups, geometry.groups)
    weight = np.zeros((*dense.shape[:3], *geometry.kernel), a.dtype)
    places = (np.searchsorted(geometry.lags(i), a.geometry.lags(i)) for i in range(geometry.ndim))
    weight[np.ix_(*map(np.arange, dense.shape[:3]), *places)] = dense
    return weight.reshape(geometry.weight_shape)


@sum_rule(Convolution, Identity)
def _add_identity(a: Convolution, one: Identity) -> Any:
    return add_kernels(a, _as_convolution(one, a.geometry, a.convention))


@sum_rule(Identity, Convolution)
def _identity_plus(one: Identity, a: Convolution) -> Any:
    return _add_identity(a, one)


@sum_rule(Convolution, Scaled)
def _add_multiple(a: Convolution, scaled: Scaled) -> Any:
    if not isinstance(scaled.operator, Identity):
        return NotImplemented
    one = _as_convolution(Identity(scaled.operator.in_shape, scaled.dtype), a.geometry, a.convention)
    return add_kernels(a, one._scaled(scaled.number, scaled.dtype))


@sum_rule(Scaled, Convolution)
def _multiple_plus(scaled: Scaled, a: Convolution) -> Any:
    return _add_multiple(a, scaled)


def _as_convolution(one: Identity, like: Geometry, convention: Convention) -> Convolution:
    """The identity as a convolution with one tap, each channel in a group of its own."""
    channels = like.channels_in
    geometry = Geometry.make(like.spatial, 1, channels=(channels, channels), groups=channels, lifted=like.lifted)
    return Convolution.of(geometry, np.ones(geometry.weight_shape, one.dtype), convention)
