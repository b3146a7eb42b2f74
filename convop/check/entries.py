"""Wrong entries one at a time: bisection on b(x, y) with masked vectors."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..dtypes import Array
from .finding import Finding
from .pairing import Form, Pair, Pairing
from .report import Where
from .rounding import SIGMAS
from .support import is_lifted, shared_axes, unit, unravel
from .vectors import norm

FEW = 4
MASKS = 16
FOLD = (
    "What the boundary rule copies outside the array, the adjoint has to add back inside: correlating with the same "
    "boundary does not do that"
)
DRAWS = 12  # of which the one that shows most is bisected


@dataclass(frozen=True)
class Entry:
    """One entry (output i, input j), flat, in which A and the adjoint of G differ by `value`."""

    i: int
    j: int
    value: complex

    def form(self, x: Array, y: Array) -> complex:
        """What this entry contributes to b(x, y)."""
        return complex(np.conj(x.flat[self.j]) * self.value * y.flat[self.i])


def offending_entry(pairing: Pairing, form: Form | None = None) -> Entry | None:
    """One entry where b is not zero, found in log2(M) + log2(N) steps; None where rounding hides it."""
    form = form or pairing.gap
    x, y = max(pairing.pairs(DRAWS), key=lambda pair: abs(form(*pair)))
    i = _descend(y, lambda part: form(x, part))
    e_i = unit(pairing.out_shape, i, y.dtype)
    j = _descend(x, lambda part: form(part, e_i))
    e_j = unit(pairing.in_shape, j, x.dtype)
    value = form(e_j, e_i)
    return Entry(i, j, value) if abs(value) > _entry_noise(pairing, e_j, e_i) else None


def _entry_noise(pairing: Pairing, e_j: Array, e_i: Array) -> float:
    forward, adjoint = pairing.noise
    return SIGMAS * (forward.rho * norm(pairing.A(e_j)) + adjoint.rho * norm(pairing.G(e_i)))


def _descend(v: Array, form: Callable[[Array], complex]) -> int:
    """The flat index reached by taking, again and again, the half of v that has more of the form."""
    start, stop, total = 0, v.size, form(v)
    while stop - start > 1:
        middle = (start + stop) // 2
        first = form(_only(v, start, middle))
        rest = total - first  # a form is additive
        if abs(first) >= abs(rest):
            stop, total = middle, first
        else:
            start, total = middle, rest
    return start


def _only(v: Array, start: int, stop: int) -> Array:
    masked = np.zeros_like(v)
    masked.flat[start:stop] = v.flat[start:stop]
    return masked


def _may_be_few(pairing: Pairing) -> bool:
    """Random halves of x and y miss k wrong entries with probability (3/4)^k: once in 16 for k <= 4."""
    rng = pairing.vectors.rng

    def missed(pair: Pair) -> bool:
        x, y = (v * rng.integers(0, 2, v.shape, dtype=np.int8) for v in pair)
        return abs(pairing.gap(x, y)) <= pairing.tolerance

    return any(missed(pair) for pair in pairing.pairs(MASKS))


def few_entries(pairing: Pairing) -> list[Entry]:
    """All wrong entries if there are at most `FEW`, otherwise none."""
    found: list[Entry] = []

    def rest(x: Array, y: Array) -> complex:
        return pairing.gap(x, y) - sum(entry.form(x, y) for entry in found)

    while len(found) < FEW:
        entry = offending_entry(pairing, rest)
        if entry is None:
            return []
        found.append(entry)
        if pairing.vanishes(rest):
            return found
    return []


def where(pairing: Pairing, *entries: Entry) -> Where:
    """Entries as multi-indices, with the channels of the first."""
    pairs = tuple((unravel(e.i, pairing.out_shape), unravel(e.j, pairing.in_shape)) for e in entries)
    if not pairs:
        return Where()
    output, input = pairs[0]
    channel = (output[0], input[0]) if is_lifted(pairing.operator) else None
    return Where(output, input, pairs, channel)


def wrong_entries(pairing: Pairing) -> Finding | None:
    """A handful of entries are wrong, and nothing else."""
    found = few_entries(pairing) if _may_be_few(pairing) else []
    if not found:
        return None
    place = where(pairing, *found)
    listed = "; ".join(f"output {i}, input {j}" for i, j in place.entries)
    sides = [_corner(pairing, i, j) for i, j in place.entries]
    if len(found) > 1 and all(sides):
        axes = tuple(axis.input for axis in shared_axes(pairing.operator))
        side = sides[0] if len(set(sides)) == 1 else "both"
        text = f"the adjoint is wrong at the very ends alone ({listed}). {FOLD}"
        return Finding("boundary", text, replace(place, axes=axes, side=side))
    count = "one entry is" if len(found) == 1 else f"{len(found)} entries are"
    return Finding("wrong_entries", f"{count} not the conjugate of the forward map's: {listed}", place)


def _corner(pairing: Pairing, output: tuple[int, ...], input: tuple[int, ...]) -> str | None:
    """On which side an entry lies if it touches the end of every axis, else None."""
    sides = set()
    for axis in shared_axes(pairing.operator):
        i, j = output[axis.output], input[axis.input]
        if min(i, j) > 0 and i < axis.n_out - 1 and j < axis.n_in - 1:
            return None
        sides.add("before" if 0 in (i, j) else "after")
    return sides.pop() if len(sides) == 1 else "both" if sides else None
