"""Two neighbours in a product that stayed two: why, and which outputs one operator would get wrong."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .convolution import Convolution
from .errors import GeometryError, MemoryBudgetError
from .fuse import differing_samples
from .operator import Operator
from .verdict import Support, Verdict, verdicts


@dataclass(frozen=True)
class Seam:
    """Two neighbours in a product that stayed two: why, on each axis where both are convolutions.

    `rows` is a mask of the output samples that one convolution with the composed kernel would get wrong.
    """

    outer: str
    inner: str
    reason: str
    axes: tuple[Verdict, ...]
    rows: NDArray[np.bool_] | None = field(default=None, compare=False)


def seam_between(outer: Operator, inner: Operator) -> Seam:
    """Why `outer @ inner` is not one operator."""
    if outer.in_shape != inner.out_shape:
        return Seam(repr(outer), repr(inner), "one sees the array flat, the other in its shape", ())
    if isinstance(outer, Convolution) and isinstance(inner, Convolution):
        return _of_convolutions(outer, inner)
    from .structured.circulant import BlockCirculant
    from .structured.lifted import Lifted
    from .structured.toeplitz import BlockToeplitz

    if isinstance(outer, BlockCirculant) or isinstance(inner, BlockCirculant):
        return Seam(repr(outer), repr(inner), _why_not_circulant(outer, inner), ())
    if isinstance(outer, Lifted) or isinstance(inner, Lifted):
        return Seam(repr(outer), repr(inner), _why_not_lifted(outer, inner), ())
    first, second = (each.convolution if isinstance(each, BlockToeplitz) else each for each in (outer, inner))
    if isinstance(first, Convolution) and isinstance(second, Convolution):
        return replace(_of_toeplitz(first, second), outer=repr(outer), inner=repr(inner))
    return Seam(repr(outer), repr(inner), "they are not both convolutions", ())


def _of_convolutions(outer: Convolution, inner: Convolution) -> Seam:
    if outer.geometry.lifted != inner.geometry.lifted:
        return Seam(repr(outer), repr(inner), "one has a channel axis, the other sees it as space", ())
    rows, axes = differing_samples(outer, inner), verdicts(outer, inner)
    if rows is None:
        return Seam(repr(outer), repr(inner), "one kernel would change outputs near the edge", tuple(axes))
    reason = f"one kernel would change {rows.sum():,} of {rows.size:,} output samples"
    if not rows.any():
        reason = (
            "no output sample would differ by more than rounding, but no rule says so, and the kernels are too long or "
            "their values too far apart to prove it"
        )
    return Seam(repr(outer), repr(inner), reason, _counted(outer, axes, rows), rows)


def _of_toeplitz(outer: Convolution, inner: Convolution) -> Seam:
    """Of block Toeplitz operators, as the convolutions with zeros outside that they are, and perhaps another one."""
    if isinstance(outer @ inner, Convolution):
        reason = (
            "the product is not known to be Toeplitz, but as convolutions they are one: T.convolution of either does"
        )
        return Seam(repr(outer), repr(inner), reason, ())
    found = _of_convolutions(outer, inner)
    return replace(found, reason=f"the product is not known to be Toeplitz: {found.reason}")


def _why_not_circulant(outer: Operator, inner: Operator) -> str:
    from .structured.circulant_rules import multiplied

    try:
        multiplied(outer, inner)
    except (GeometryError, MemoryBudgetError) as refusal:
        return f"the product is not known to be circulant: {refusal}"
    return "they are circulant, and were put next to each other without being multiplied; as_circulant(A) does that"


def _why_not_lifted(outer: Operator, inner: Operator) -> str:
    from .structured.lifted import Lifted, why_not_one

    problems = filter(None, (why_not_one(each) for each in (outer, inner) if isinstance(each, Lifted)))
    advice = next(problems, "") or "lower(L) makes a grid a convolution, which may become one with its neighbour"
    return f"a product with a grid of channels is not multiplied out; {advice}"


def _counted(outer: Convolution, axes: list[Verdict], rows: NDArray[np.bool_]) -> tuple[Verdict, ...]:
    """The verdicts with the outputs along their axes that differ, away from the edges of other axes if they do there.

    One that reads outside at both ends counts at the nearer.
    """
    mask = np.asarray(rows.any(axis=0)) if outer.geometry.lifted else rows
    apart = [axis for axis, verdict in enumerate(axes) if not verdict.exact]
    ends = [Support.of(outer, axis).outside() for axis in range(len(axes))]
    inside = [np.flatnonzero(~(start | end)) for start, end in ends]
    hits = {axis: _along(mask, axis, {other: inside[other] for other in apart if other != axis}) for axis in apart}
    if not any(hit.any() for hit in hits.values()):
        hits = {axis: _along(mask, axis, {}) for axis in apart}
    counted = list(axes)
    for axis, hit in hits.items():
        start, end = ends[axis]
        nearer = start & (~end | (np.arange(len(hit)) < len(hit) / 2))
        counts = int((hit & nearer).sum()), int((hit & end & ~nearer).sum())
        counted[axis] = replace(axes[axis], rows=counts)
    return tuple(counted)


def _along(mask: NDArray[np.bool_], axis: int, inside: dict[int, NDArray[np.intp]]) -> NDArray[np.bool_]:
    """The outputs along an axis where something differs, of other axes only `inside` where there is such."""
    for other, kept in inside.items():
        mask = mask.take(kept, other) if len(kept) else mask
    return np.asarray(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
