"""When two convolutions become one, and why not when they do not.

On an endless grid convolution after convolution is always a convolution: tap `a` after tap `b` reads at offset
`s_B d_A a + d_B b`. On a finite array it is one where, on every axis, the samples that the outer operator reads
outside the inner one's output are those that the inner operator would have computed there.
"""

import math
from dataclasses import dataclass
from itertools import product as pairs
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .algebra import Identity, product_rule, sum_rule
from .boundary import Pair
from .composite import Scaled
from .convolution import Convention, Convolution
from .errors import GeometryError
from .geometry import Geometry

# Kernels far apart are cheaper apart: one that holds both may have this many times their taps.
WORTH_UNITING = 2
_EVEN = frozenset({"symmetric", "mirror", "antireflective"})


@dataclass(frozen=True)
class Verdict:
    """Whether outer after inner is exact on an axis, why, and the boundary that the fused operator has there.

    `rows` counts the outputs along the axis, at its start and at its end, that read what keeps the two apart.
    """

    axis: int
    exact: bool
    reason: str
    boundary: Pair
    rows: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        edges = [f"{count} at its {end}" for count, end in zip(self.rows, ("start", "end"), strict=True) if count]
        return f"axis {self.axis}: {self.reason}" + (f" (outputs that may differ: {', '.join(edges)})" if edges else "")


@dataclass(frozen=True)
class Fusion:
    """Two convolutions that became one, and why they could."""

    outer: str
    inner: str
    axes: tuple[Verdict, ...]


@dataclass(frozen=True)
class Support:
    """An axis of a convolution with the taps at its ends that are zero left out."""

    n: int
    m: int
    stride: int
    dilation: int
    before: int
    after: int
    reach: int
    boundary: Pair

    def rows(self, before: bool = True, after: bool = True) -> tuple[int, int]:
        """How many outputs read outside the array at either end."""
        counts = [min(max(-(-width // self.stride), 0), self.m) for width in (self.before, self.after)]
        return counts[0] * before, counts[1] * after

    @classmethod
    def of(cls, convolution: Convolution, axis: int) -> "Support":
        g = convolution.geometry
        others = tuple(i for i in range(g.ndim + 2) if i != axis + 2)
        taps = np.flatnonzero((convolution.weight != 0).any(axis=others))
        first, last = (taps[0], taps[-1]) if len(taps) else (0, 0)
        d, (before, after) = g.dilation[axis], g.padding[axis]
        return cls(
            g.spatial[axis], g.out_spatial[axis], g.stride[axis], d, int(before - first * d),
            int(after - (g.kernel[axis] - 1 - last) * d), int((last - first) * d + 1), g.boundary[axis],
        )  # fmt: skip


def judge(outer: Convolution, inner: Convolution, axis: int) -> Verdict:
    """Whether `outer @ inner` is a convolution as far as `axis` is concerned."""
    a, b = Support.of(outer, axis), Support.of(inner, axis)
    own = inner.geometry.boundary[axis]

    def exact(reason: str, boundary: Pair = own) -> Verdict:
        return Verdict(axis, True, reason, boundary)

    def apart(reason: str, sides: tuple[bool, bool] = (True, True)) -> Verdict:
        return Verdict(axis, False, reason, own, a.rows(*sides))

    if a.before <= 0 and a.after <= 0:
        return exact("the outer operator reads nothing outside the inner one's output")
    if b.reach == 1 and b.stride == 1 and b.before == 0 and b.m == b.n:
        return exact("the inner operator is pointwise, so extension commutes with it", outer.geometry.boundary[axis])
    if "periodic" in a.boundary:
        if b.m * b.stride == b.n and inner.geometry.is_periodic(axis):
            return exact("both are periodic, and the inner one's output has its period", a.boundary)
        return apart("the outer operator is periodic, and the inner one's output is not of that period")
    read = {name for name, width in zip(a.boundary, (a.before, a.after), strict=True) if width > 0}
    if read <= _EVEN and len(read) == 1 and set(b.boundary) == read:
        problem = _why_not_even(inner, axis, b)
        return apart(problem) if problem else exact(f"boundary {own[0]!r} on both, and the inner kernel is symmetric")
    sides = _differing_sides(a, b)
    if not any(sides):
        return exact("both extend alike, and the inner operator computes all that its extension does not give")
    return apart(_why_not(a, b, sides), sides)


def _why_not_even(inner: Convolution, axis: int, b: Support) -> str:
    if b.stride != 1 or b.m != b.n:
        return f"boundary {b.boundary[0]!r}, and the inner operator changes the size"
    if b.before * 2 != b.reach - 1 or not _flips(inner, axis):
        return f"boundary {b.boundary[0]!r}, and the inner kernel is not symmetric about its centre"
    return ""


def _flips(inner: Convolution, axis: int) -> bool:
    """Whether the kernel equals its reverse along `axis`, zero taps at its ends left out."""
    others = tuple(i for i in range(inner.weight.ndim) if i != axis + 2)
    taps = np.flatnonzero((inner.weight != 0).any(axis=others))
    part = inner.weight.take(np.arange(taps[0], taps[-1] + 1), axis + 2) if len(taps) else inner.weight
    return np.array_equal(part, np.flip(part, axis + 2))


def _differing_sides(a: Support, b: Support) -> tuple[bool, bool]:
    """For each side, whether the outer operator reads something there that its extension does not give."""
    first = b.reach - 1 - b.before  # the last sample that the first inner output reads
    last = (b.m - 1) * b.stride - b.before  # the first sample that the last inner output reads
    # Zeros follow once the inner operator would read nothing but zeros, copies once it reads nothing but copies.
    before = {"zero": first - b.stride < 0, "replicate": first <= 0}
    after = {"zero": last + b.stride >= b.n, "replicate": last >= b.n - 1}
    given = [
        own == other and rule.get(own, False)
        for own, other, rule in zip(a.boundary, b.boundary, (before, after), strict=True)
    ]
    return a.before > 0 and not given[0], a.after > 0 and not given[1]


def _why_not(a: Support, b: Support, sides: tuple[bool, bool]) -> str:
    names = {pair[side] for pair in (a.boundary, b.boundary) for side in (0, 1) if sides[side]}
    if names == {"zero"}:
        return "the outer operator takes zeros outside the inner one's output, where the inner one would have values"
    return f"extension by {' and '.join(map(repr, sorted(names)))} does not commute with the inner operator"


def verdicts(outer: Convolution, inner: Convolution) -> list[Verdict]:
    """One verdict for each axis."""
    return [judge(outer, inner, axis) for axis in range(inner.geometry.ndim)]


@product_rule(Convolution, Convolution)
def fuse(outer: Convolution, inner: Convolution) -> Any:
    """`outer @ inner` as one convolution, where that is exact."""
    if not _composable(outer, inner):
        return NotImplemented
    axes = verdicts(outer, inner)
    if not all(verdict.exact for verdict in axes):
        return NotImplemented
    try:
        geometry = outer.geometry.after(inner.geometry, tuple(verdict.boundary for verdict in axes))
    except GeometryError:  # taps of value zero would read where a boundary has nothing to give
        return NotImplemented
    history = (*inner.history, *outer.history, Fusion(repr(outer), repr(inner), tuple(axes)))
    return _with_composed_kernel(geometry, outer, inner, history)


def composed(outer: Convolution, inner: Convolution) -> Convolution | None:
    """The convolution with the composed kernels, exact or not; None where there is none."""
    if not (isinstance(outer, Convolution) and isinstance(inner, Convolution) and _composable(outer, inner)):
        return None
    try:
        geometry = outer.geometry.after(inner.geometry, inner.geometry.boundary)
    except GeometryError:
        return None
    return _with_composed_kernel(geometry, outer, inner)


def differing_samples(outer: Convolution, inner: Convolution) -> NDArray[np.bool_] | None:
    """Which output samples composing the kernels gets wrong: a mask of `out_shape`; None where nothing composes.

    Both maps are applied to one Gaussian signal: a sample whose rows differ shows it with probability one.
    """
    one = composed(outer, inner)
    if one is None:
        return None
    x = np.random.default_rng(0).standard_normal(inner.in_shape)
    right, wrong = outer(inner(x)), one(x)
    return np.abs(right - wrong) > 1e3 * np.finfo(right.dtype).eps * np.abs(right).max()


def _composable(outer: Convolution, inner: Convolution) -> bool:
    return outer.in_shape == inner.out_shape and outer.geometry.lifted == inner.geometry.lifted


def _with_composed_kernel(
    geometry: Geometry, outer: Convolution, inner: Convolution, history: tuple[Fusion, ...] = ()
) -> Convolution:
    weight = compose_weights(geometry, outer, inner)
    method = outer._asked if outer._asked == inner._asked else "auto"
    return Convolution.of(geometry, weight, outer.convention, method, history)


def compose_weights(geometry: Geometry, outer: Convolution, inner: Convolution) -> NDArray:
    """The weight of the composition: channel matrices multiply, offsets add."""
    groups = geometry.groups
    dtype = np.result_type(outer.dtype, inner.dtype)
    double = np.result_type(dtype, np.float64)  # summed in double, rounded once
    a = _blocks(outer.weight.astype(double), outer.geometry.groups, groups)
    b = _blocks(inner.weight.astype(double), inner.geometry.groups, groups)
    step = [s * d for s, d in zip(inner.geometry.stride, outer.geometry.dilation, strict=True)]
    total = np.zeros((groups, a.shape[1], b.shape[2], *geometry.kernel), double)
    places_a = [np.arange(k) * s // d for k, s, d in zip(a.shape[3:], step, geometry.dilation, strict=True)]
    places_b = [
        np.arange(k) * own // d
        for k, own, d in zip(b.shape[3:], inner.geometry.dilation, geometry.dilation, strict=True)
    ]
    # Over the taps of the smaller kernel, each time with all taps of the other.
    swap = math.prod(b.shape[3:]) < math.prod(a.shape[3:])
    few, many, at, block = (b, a, places_b, places_a) if swap else (a, b, places_a, places_b)
    for tap in pairs(*map(range, few.shape[3:])):
        places = (start[t] + steps for start, t, steps in zip(at, tap, block, strict=True))
        left, right = (many, few[(..., *tap)]) if swap else (few[(..., *tap)], many)
        subscripts = "goc...,gci->goi..." if swap else "goc,gci...->goi..."
        total[np.ix_(*map(np.arange, total.shape[:3]), *places)] += np.einsum(subscripts, left, right)
    return total.reshape(geometry.channels_out, -1, *geometry.kernel).astype(dtype)


def _blocks(weight: NDArray, groups: int, coarse: int) -> NDArray:
    """`(C_out, C_in/groups, *k)` as `coarse` dense blocks `(coarse, C_out/coarse, C_in/coarse, *k)`."""
    fine = groups // coarse
    blocks = weight.reshape(coarse, fine, -1, *weight.shape[1:])
    dense = np.zeros((coarse, fine, blocks.shape[2], fine, *blocks.shape[3:]), weight.dtype)
    for group in range(fine):
        dense[:, group, :, group] = blocks[:, group]
    return dense.reshape(coarse, fine * blocks.shape[2], -1, *weight.shape[2:])


@sum_rule(Convolution, Convolution)
def add_kernels(a: Convolution, b: Convolution) -> Any:
    """Convolutions add as their kernels do where everything but the taps agrees."""
    geometry = a.geometry.union(b.geometry)
    if geometry is None or geometry.taps > WORTH_UNITING * (a.geometry.taps + b.geometry.taps):
        return NotImplemented
    weight = _embedded(a, geometry) + _embedded(b, geometry)
    method = a._asked if a._asked == b._asked else "auto"
    return Convolution.of(geometry, weight, a.convention, method)


def _embedded(a: Convolution, geometry: Geometry) -> NDArray:
    """The weight of `a` among the taps and groups of a larger geometry."""
    blocks = _blocks(a.weight, a.geometry.groups, geometry.groups)
    weight = np.zeros((*blocks.shape[:3], *geometry.kernel), a.dtype)
    places = (np.searchsorted(geometry.lags(i), a.geometry.lags(i)) for i in range(geometry.ndim))
    weight[np.ix_(*map(np.arange, blocks.shape[:3]), *places)] = blocks
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
