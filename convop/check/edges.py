"""An adjoint that is right inside and wrong near the edges: on which axes, which sides, how deep."""

from collections.abc import Iterable
from dataclasses import replace

from .entries import FOLD, offending_entry, where
from .finding import Finding
from .pairing import Pair, Pairing
from .report import Where
from .support import Axis, Margins, shared_axes, without_edges

BEFORE, AFTER, BOTH = "before", "after", "both"
Guilt = dict[int, str]


def boundary(pairing: Pairing) -> Finding | None:
    """b vanishes for x and y supported away from the edges."""
    axes = shared_axes(pairing.operator)
    depth = _depth(pairing, axes)
    if depth is None:
        return None
    guilt = _guilt(pairing, axes, depth)
    entry = offending_entry(pairing)
    place = where(pairing, entry) if entry else Where()
    sides = set(guilt.values())
    place = replace(place, axes=tuple(guilt), side=sides.pop() if len(sides) == 1 else None)
    return Finding("boundary", _text(guilt, depth), place)


def _text(guilt: Guilt, depth: int) -> str:
    place = "; ".join(f"axis {axis}, {_ends(side)}" for axis, side in guilt.items())
    return (
        f"inside the adjoint is right; within {depth} sample{'s' * (depth > 1)} of the edge it is not "
        f"({place or 'only where edges of several axes meet'}). {FOLD}"
    )


def _ends(side: str) -> str:
    return {BEFORE: "first end", AFTER: "last end", BOTH: "both ends"}[side]


def _depth(pairing: Pairing, axes: tuple[Axis, ...]) -> int | None:
    """The smallest margin within which b vanishes, if there is one that leaves an inside."""
    low, high = 0, max((axis.room for axis in axes), default=0)
    if high == 0 or not _vanishes(pairing, axes, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _vanishes(pairing, axes, middle) else (middle, high)
    return high


def _guilt(pairing: Pairing, axes: tuple[Axis, ...], depth: int) -> Guilt:
    """The sides which, opened alone, bring the fault back; both at once where only wrapping around does."""
    guilt: Guilt = {}
    for axis in axes:
        sides = [side for side in (BEFORE, AFTER) if not _vanishes(pairing, axes, depth, (axis, side))]
        if len(sides) == 1:
            guilt[axis.input] = sides[0]
        elif sides or not _vanishes(pairing, axes, depth, (axis, BOTH)):
            guilt[axis.input] = BOTH
    return guilt


def _vanishes(pairing: Pairing, axes: Iterable[Axis], depth: int, opened: tuple[Axis, str] | None = None) -> bool:
    x_margins: dict[int, Margins] = {}
    y_margins: dict[int, Margins] = {}
    for axis in axes:
        side = opened[1] if opened and opened[0] is axis else ""
        margin = min(depth, axis.room)
        x_margins[axis.input] = _margins(margin, side)
        y_margins[axis.output] = _margins(axis.facing(margin), side)

    def inside(pair: Pair) -> Pair:
        return without_edges(pair[0], x_margins), without_edges(pair[1], y_margins)

    return pairing.vanishes(pairing.gap, inside)


def _margins(margin: int, opened: str) -> Margins:
    return 0 if opened in (BEFORE, BOTH) else margin, 0 if opened in (AFTER, BOTH) else margin
