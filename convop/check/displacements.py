"""Adjoints that are mirrored or moved: G = T J A^H J with a reflection J of some axes and a shift T."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice, product

import numpy as np

from ..dtypes import Array
from .finding import Finding
from .pairing import Pair, Pairing, Product, real_if_close, subtract
from .report import Where
from .support import Axis, Margins, shared_axes, without_edges
from .vectors import inner, is_complex

REACH = 3  # longest shift looked for along one axis
SHORTEST = 5  # an axis shorter than this has no inside, or is channels
CANDIDATES = 600


@dataclass(frozen=True)
class Displacement:
    """A reflection of the axes `flipped`, then a shift of each axis; of the transpose where `conjugated`."""

    flipped: tuple[Axis, ...]
    shift: tuple[tuple[Axis, int], ...]
    conjugated: bool = False

    @property
    def size(self) -> int:
        return 2 * len(self.flipped) + sum(abs(s) for _, s in self.shift)

    def both(self, pairing: Pairing, x: Array, y: Array) -> tuple[Product, Product]:
        """<x, T J A^H J y> and <x, G y>, with T taken where the grid is finer."""
        by = tuple(s for _, s in self.shift)
        if x.size >= y.size:
            u, v = np.roll(x, tuple(-s for s in by), tuple(a.input for a, _ in self.shift)), y
        else:
            u, v = x, np.roll(y, by, tuple(a.output for a, _ in self.shift))
        u = np.flip(u, tuple(a.input for a in self.flipped))
        v = np.flip(v, tuple(a.output for a in self.flipped))
        return pairing.both((u, v), (x, y), self.conjugated)

    def difference(self, pairing: Pairing, x: Array, y: Array) -> complex:
        """The first of both less the second."""
        return subtract(*self.both(pairing, x, y))


def unflipped(pairing: Pairing) -> Finding | None:
    """The reflections that hold up to the edges, and the forward map in place of its adjoint."""
    if _is_forward_map(pairing):
        return Finding("unflipped_kernel", "the adjoint given is the forward map itself", Where())
    axes = shared_axes(pairing.operator)
    for flipped in _subsets(axes)[1:]:
        for conjugated in _conjugations(pairing):
            candidate = Displacement(flipped, (), conjugated)
            if pairing.vanishes(lambda x, y, c=candidate: c.difference(pairing, x, y)):
                return _finding(candidate)
    return None


def displaced(pairing: Pairing) -> Finding | None:
    """The first of all small displacements that explains the inside, simplest first."""
    axes = tuple(axis for axis in shared_axes(pairing.operator) if min(axis.n_in, axis.n_out) >= SHORTEST)

    def central(pair: Pair) -> Pair:
        return _central(pair, axes)

    if pairing.vanishes(pairing.gap, central):
        return None
    for candidate in islice(_candidates(pairing, axes), CANDIDATES):
        if pairing.vanishes(lambda x, y, c=candidate: c.difference(pairing, x, y), central):
            return _finding(candidate)
    return None


def scaled_too(pairing: Pairing) -> Finding | None:
    """Two faults at once: a conjugate is missing or the kernel is not flipped, and the adjoint is scaled as well."""
    for flipped in _subsets(shared_axes(pairing.operator)):
        for conjugated in _conjugations(pairing):
            candidate = Displacement(flipped, (), conjugated)
            if not flipped and not conjugated:
                continue  # scaled and nothing else has been asked
            factor = pairing.factor(lambda x, y, c=candidate: c.both(pairing, x, y))
            if factor:
                return _scaled_finding(candidate, real_if_close(factor))
    return None


def _scaled_finding(displacement: Displacement, factor: complex | float) -> Finding:
    also = f"and besides, the adjoint seems to be scaled by {factor:.6g}"
    if displacement.flipped:
        found = _finding(displacement)
        return replace(found, text=f"{found.text}; {also}", factor=factor)
    text = "the adjoint given is the transpose A^T, not A^H = conj(A^T): conjugate the kernel or the entries"
    return Finding("missing_conjugate", f"{text}; {also}", factor=factor)


def _is_forward_map(pairing: Pairing) -> bool:
    if pairing.in_shape != pairing.out_shape:
        return False

    def form(x: Array, y: Array) -> complex:
        dot = pairing.vectors.dot
        return subtract(inner(x, pairing.A(y), dot), inner(x, pairing.G(y), dot))

    return pairing.vanishes(form)


def _subsets(axes: tuple[Axis, ...]) -> list[tuple[Axis, ...]]:
    return list(chain.from_iterable(combinations(axes, k) for k in range(len(axes) + 1)))


def _conjugations(pairing: Pairing) -> tuple[bool, ...]:
    return (False, True) if is_complex(pairing.vectors.dtype) else (False,)


def _candidates(pairing: Pairing, axes: tuple[Axis, ...]) -> Iterator[Displacement]:
    every = (
        Displacement(flipped, tuple((a, s) for a, s in zip(axes, shift, strict=True) if s), conjugated)
        for flipped in _subsets(axes)
        for shift in _shifts(axes)
        for conjugated in _conjugations(pairing)
    )
    return iter(sorted((d for d in every if d.flipped or d.shift), key=lambda d: d.size))


def _shifts(axes: tuple[Axis, ...]) -> Iterator[tuple[int, ...]]:
    """One sample along any axes together, or a few along one."""
    yield from product((0, -1, 1), repeat=len(axes))
    for position in range(len(axes)):
        for s in range(2, REACH + 1):
            for step in (-s, s):
                yield tuple(step if k == position else 0 for k in range(len(axes)))


def _central(pair: Pair, axes: tuple[Axis, ...]) -> Pair:
    """y in the middle quarter, so that a local map sees no edge from there; x where a shift cannot wrap it."""
    narrow: dict[int, Margins] = {}
    wide: dict[int, Margins] = {}
    for axis in axes:
        reach, rim = min(REACH, (axis.n_in - 1) // 2), (axis.n_out - max(1, axis.n_out // 4)) // 2
        wide[axis.input], narrow[axis.output] = (reach, reach), (rim, rim)
    return without_edges(pair[0], wide), without_edges(pair[1], narrow)


def _finding(displacement: Displacement) -> Finding:
    flipped = tuple(axis.input for axis in displacement.flipped)
    moved = tuple(axis.input for axis, _ in displacement.shift)
    by = tuple(s for _, s in displacement.shift)
    steps = ", ".join(f"{s:+d} along axis {axis}" for axis, s in zip(moved, by, strict=True))
    conjugate = ", and the kernel is not conjugated either" if displacement.conjugated else ""
    if not flipped:
        text = f"the answers of the adjoint are displaced by {steps}{conjugate}: look at the kernel's centre"
        return Finding("shifted", text, Where(axes=moved, shift=by))
    also = f" and displaced by {steps}" if by else ""
    text = (
        f"the kernel has the wrong orientation in the adjoint along axes {flipped}{also}{conjugate}: the adjoint of "
        "a convolution is a correlation and the other way round"
    )
    return Finding("unflipped_kernel", text, Where(axes=flipped, shift=by))
