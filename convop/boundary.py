"""What lies outside an axis: the names of the boundaries and, for each, the rule that extends a signal.

A rule says of every coordinate outside `0..n-1` which samples stand there: arrays `index` and `weight`
of shape `(positions, terms)` with `extended = sum over terms of weight * signal[index]`. Weights are integers.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .arguments import is_tuple_or_list
from .errors import GeometryError

Terms = tuple[NDArray[np.intp], NDArray[np.intp]]
Pair = tuple[str, str]


def _zero(position: NDArray[np.intp], n: int) -> Terms:
    return np.zeros((len(position), 1), np.intp), np.zeros((len(position), 1), np.intp)


def _single(index: NDArray[np.intp]) -> Terms:
    return index[:, None], np.ones((len(index), 1), np.intp)


def _periodic(position: NDArray[np.intp], n: int) -> Terms:
    return _single(position % n)


def _symmetric(position: NDArray[np.intp], n: int) -> Terms:
    folded = position % (2 * n)
    return _single(np.where(folded < n, folded, 2 * n - 1 - folded))


def _mirrored(position: NDArray[np.intp], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Whole-sample reflection: period number, the sample mirrored to, and whether it was turned round."""
    turn, folded = np.divmod(position, 2 * (n - 1))
    turned = folded > n - 1
    return turn, np.where(turned, 2 * (n - 1) - folded, folded), turned


def _mirror(position: NDArray[np.intp], n: int) -> Terms:
    return _single(_mirrored(position, n)[1])


def _replicate(position: NDArray[np.intp], n: int) -> Terms:
    return _single(np.clip(position, 0, n - 1))


def _antireflective(position: NDArray[np.intp], n: int) -> Terms:
    """`x[-j] = 2 x[0] - x[j]` on both sides, hence `x[j + P] = x[j] + 2 (x[n-1] - x[0])` with `P = 2 (n - 1)`."""
    turn, sample, turned = _mirrored(position, n)
    index = np.stack([sample, np.zeros_like(sample), np.full_like(sample, n - 1)], axis=1)
    weight = np.stack([np.where(turned, -1, 1), -2 * turn, 2 * (turn + turned)], axis=1)
    return index, weight.astype(np.intp)


RULES: dict[str, Callable[[NDArray[np.intp], int], Terms]] = {
    "zero": _zero,
    "periodic": _periodic,
    "symmetric": _symmetric,
    "mirror": _mirror,
    "replicate": _replicate,
    "antireflective": _antireflective,
}
# Reflections about a sample have nothing to reflect on an axis of length 1.
NEEDS_TWO_SAMPLES = frozenset({"mirror", "antireflective"})

_ALIASES = {
    "numpy:constant": "zero",
    "numpy:wrap": "periodic",
    "numpy:symmetric": "symmetric",
    "numpy:reflect": "mirror",
    "numpy:edge": "replicate",
    "ndimage:constant": "zero",
    "ndimage:grid-constant": "zero",
    "ndimage:wrap": "periodic",
    "ndimage:grid-wrap": "periodic",
    "ndimage:reflect": "symmetric",
    "ndimage:grid-mirror": "symmetric",
    "ndimage:mirror": "mirror",
    "ndimage:nearest": "replicate",
    "scipy:fill": "zero",
    "scipy:wrap": "periodic",
    "scipy:symm": "symmetric",
    "torch:zeros": "zero",
    "torch:constant": "zero",
    "torch:circular": "periodic",
    "torch:reflect": "mirror",
    "torch:replicate": "replicate",
    "matlab:circular": "periodic",
    "matlab:symmetric": "symmetric",
    "matlab:replicate": "replicate",
    "opencv:constant": "zero",
    "opencv:wrap": "periodic",
    "opencv:reflect": "symmetric",
    "opencv:reflect_101": "mirror",
    "opencv:replicate": "replicate",
}
_KNOWN = ", ".join(repr(name) for name in RULES)


def canonical_name(name: object) -> str:
    """The boundary that `name` (one of convop's names, or `"library:name"`) stands for."""
    if not isinstance(name, str):
        raise GeometryError(
            f"a boundary is a name, got {name!r}; use one of {_KNOWN} (a non-zero constant outside "
            f"the array would make an affine map, not a linear one)"
        )
    if name in RULES:
        return name
    if name in _ALIASES:
        return _ALIASES[name]
    if name == "reflect":
        raise GeometryError(
            "boundary 'reflect' has two meanings: numpy and torch repeat no edge sample (convop: 'mirror'), "
            "scipy.ndimage repeats it (convop: 'symmetric'); write 'mirror' or 'symmetric', or "
            "'numpy:reflect', 'torch:reflect' or 'ndimage:reflect'"
        )
    meant = sorted({canonical for alias, canonical in _ALIASES.items() if alias.partition(":")[2] == name})
    hint = f" (did you mean {' or '.join(map(repr, meant))}?)" if meant else ""
    raise GeometryError(f"unknown boundary {name!r}{hint}; use one of {_KNOWN}")


def canonical_pairs(boundary: object, ndim: int) -> tuple[Pair, ...]:
    """One `(before, after)` pair of names for each of `ndim` axes."""
    if not is_tuple_or_list(boundary):
        name = canonical_name(boundary)
        return ((name, name),) * ndim
    if len(boundary) != ndim:
        hint = "; for a (before, after) pair on the only axis write (('mirror', 'zero'),)" if ndim == 1 else ""
        raise GeometryError(
            f"boundary {boundary!r} has {len(boundary)} entries, needed one for each of {ndim} axes{hint}"
        )
    return tuple(_canonical_pair(side, axis) for axis, side in enumerate(boundary))


def _canonical_pair(sides: object, axis: int) -> Pair:
    if not is_tuple_or_list(sides):
        return canonical_name(sides), canonical_name(sides)
    if len(sides) != 2:
        raise GeometryError(f"boundary of axis {axis} is {sides!r}; needed one name or a (before, after) pair of names")
    before, after = canonical_name(sides[0]), canonical_name(sides[1])
    if (before == "periodic") != (after == "periodic"):
        raise GeometryError(
            f"boundary of axis {axis} is {(before, after)!r}: 'periodic' joins both ends of an axis, "
            f"so it must stand on both sides or on neither"
        )
    return before, after
