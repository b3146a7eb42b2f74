"""When two convolutions become one, axis by axis, and why not when they do not.

On an endless grid convolution after convolution is always a convolution: tap `a` after tap `b` reads at offset
`s_B d_A a + d_B b`. On a finite array it is one where, on every axis, the samples that the outer operator reads
outside the inner one's output are those that the inner operator would have computed there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .boundary import Pair
from .convolution import Convolution

_EVEN = frozenset({"symmetric", "mirror", "antireflective"})


@dataclass(frozen=True)
class Verdict:
    """Whether outer after inner is exact on an axis, why, and the boundary that the fused operator has there.

    `rows` counts the outputs along the axis that differ, at its start and at its end, where `explain` counted them.
    """

    axis: int
    exact: bool
    reason: str
    boundary: Pair
    rows: tuple[int, int] = (0, 0)

    def met(self, boundary: Pair) -> "Verdict":
        """As of operators that are one with that boundary."""
        if self.exact:
            return self
        return Verdict(self.axis, True, "no output differs, because of the values in the kernels", boundary)

    def __str__(self) -> str:
        edges = [f"{count} at its {end}" for count, end in zip(self.rows, ("start", "end"), strict=True) if count]
        return f"axis {self.axis}: {self.reason}" + (f" (outputs that differ: {', '.join(edges)})" if edges else "")


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

    def outside(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which outputs read outside the array at its start, and which at its end."""
        start = np.arange(self.m) * self.stride
        return start < self.before, start[::-1] < self.after

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

    def apart(reason: str) -> Verdict:
        return Verdict(axis, False, reason, own)

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
    return apart(_why_not(a, b, sides))


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
    part = inner.weight.take(np.arange(int(taps[0]), int(taps[-1]) + 1), axis + 2) if len(taps) else inner.weight
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
