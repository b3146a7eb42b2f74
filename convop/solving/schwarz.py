"""Solving on a cross: conjugate gradients, preconditioned strip by strip (the multiplicative Schwarz method)."""

import math
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .conjugate_gradients import Iterations, Stop, conjugate_gradients
from .cross import Cross
from .cross_parts import Corner

CAREFUL = 2e3  # how many times the tolerance a loss by rounding may be where nothing is done about it; measured
EASY_STEPS = 5  # that are tried before the corner is factored
# How far a corner reaches past where two strips meet, in thicknesses of the strips: as far as is affordable.
CORNER_SHARES = (4.0, 3.0, 2.0, 1.5, 1.0, 0.75, 0.5, 0.35, 0.25)
CHEAP_CORNER = 1500  # unknowns of a corner whose dense matrix is factored in no time
LARGEST_CORNER = 4000  # 128 MB, a second to factor
CORNER_WORK = 32  # entries of a corner's matrix for each sample of the torus, so that a solve costs what a step does


class Schwarz:
    """The system ``R S R^H z = right`` of a cross, for values and sums as `Cross` has them."""

    def __init__(self, cross: Cross) -> None:
        self.cross, self.strips, self.arrays = cross, cross.strips, cross.arrays

    def solve(self, right: Any, stop: Stop, start: Any = None, corner: bool = False) -> Iterations:
        """Conjugate gradients; with `corner`, where some steps do not do, through it."""
        exact = self.cross.loss > CAREFUL * stop.tolerance
        residual = right if start is None else right - self.cross.multiply(start)
        begin, explained = self.begin(residual, exact)
        begin, residual = begin if start is None else start + begin, residual - explained
        sweep = partial(self.sweep, exact=exact)
        if not corner or stop.maxiter <= EASY_STEPS or self._near_corner is None:
            return conjugate_gradients(sweep, residual, begin, stop, self.arrays)
        easy = replace(stop, maxiter=EASY_STEPS)
        found = conjugate_gradients(sweep, residual, begin, easy, self.arrays)
        return found if found.status != "max_iterations" else self._through_corner(right, stop, found, exact)

    def _through_corner(self, right: Any, stop: Stop, found: Iterations, exact: bool) -> Iterations:
        """Conjugate gradients, from where they came, with the corner as well."""
        count, watch = len(found.residuals) - 1, stop.watch
        later = replace(
            stop,
            maxiter=stop.maxiter - count,
            watch=None if watch is None else lambda step, z, worst: watch(count + step, z, worst),
        )
        sweep = partial(self.sweep, exact=exact, corner=self._corner)
        residual = right - self.cross.multiply(found.x)
        more = conjugate_gradients(sweep, residual, found.x, later, self.arrays)
        return replace(more, residuals=(*found.residuals[:-1], *more.residuals))

    def begin(self, right: Any, exact: bool = True) -> tuple[Any, Any]:
        """The solution on the first strip alone, and what it explains: all of `right` there."""
        if not self.strips:
            return right, right
        z, images = self._explain(0, self.strips[0].load(right), exact)
        others = [0 * strip.load(right) for strip in self.strips[1:]]
        return self.cross.joined([z, *others], right), self.cross.joined(images, right)

    def sweep(self, residual: Any, exact: bool = True, corner: Corner | None = None) -> tuple[Any, Any]:
        """An approximate solution `z` where the first strip has no residual, and what it explains.

        That is ``R S R^H z``: with `exact` as precisely as can be, else as the systems across the strips are solved.

        On the other strips, on the corner, and back. It ends on the first strip, so that what is left after a step is
        again nothing there, and no sweep has to begin on it: what S. C. Eisenstat, "Efficient Implementation of a Class
        of Preconditioned Conjugate Gradient Methods", SIAM J. Sci. Stat. Comput. 2, 1981, is to Gauss-Seidel.
        """
        if not self.strips:  # nothing stands outside
            return residual, residual
        rest = [strip.load(residual) for strip in self.strips]
        rest = self.cross.agreed(rest) if exact else rest
        found: list[Any] = [0] * len(rest)
        back = range(len(rest))
        for at in back[1:]:
            rest, found = self._step(at, rest, found, exact)
        if corner is not None:
            rest, found = self._corner_step(corner, rest, found)
        elif len(back) > 1:
            back = back[:-1]  # the last strip has just been solved
        for at in reversed(back):
            rest, found = self._step(at, rest, found, exact)
        return self.cross.joined(found, residual), residual - self.cross.joined(rest, residual)

    def _step(self, at: int, rest: list[Any], found: list[Any], exact: bool) -> tuple[list[Any], list[Any]]:
        """What is left and what is found after one strip."""
        z, images = self._explain(at, rest[at], exact)
        found = [each + z if i == at else each for i, each in enumerate(found)]
        return [left - image for left, image in zip(rest, images, strict=True)], found

    def _explain(self, at: int, values: Any, exact: bool) -> tuple[Any, list[Any]]:
        """A solution on one strip that leaves nothing of these values there, and what it makes on each strip."""
        strip = self.strips[at]
        z = strip.solve(values)
        own = strip.multiply(z) if exact else values  # which differ by rounding
        if len(self.strips) == 1:
            return z, [own]
        spectra = self.cross.mixed(strip.lift(z))
        return z, [own if each is strip else each.drop(spectra) for each in self.strips]

    def _corner_step(self, corner: Corner, rest: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
        """What is left and what is found after the corner."""
        more = corner.solve(rest)
        first, second = (strip.lift(values) for strip, values in zip(self.strips, more, strict=True))
        first += second
        spectra = self.cross.mixed(first)
        rest = [left - strip.drop(spectra) for strip, left in zip(self.strips, rest, strict=True)]
        return rest, [a + b for a, b in zip(found, more, strict=True)]

    @cached_property
    def _near_corner(self) -> list[NDArray[np.intp]] | None:
        """The samples of the largest corner whose matrix is worth its time, if any is."""
        if len(self.strips) != 2:
            return None  # one strip is solved exactly; three meet along edges, not in a corner
        cross = self.cross
        affordable = min(LARGEST_CORNER, math.isqrt(CORNER_WORK * len(cross.kept) * math.prod(cross.torus.sizes)))
        corners = (_near_corner(cross, share) for share in CORNER_SHARES)
        return next((each for each in corners if sum(map(len, each)) <= max(CHEAP_CORNER, affordable)), None)

    @cached_property
    def _corner(self) -> Corner | None:
        """The corner, unless its matrix is not positive definite, as where penalty and data leave something free."""
        return None if self._near_corner is None else Corner.of(self.cross, self._near_corner)


def _near_corner(cross: Cross, share: float) -> list[NDArray[np.intp]]:
    """Which samples of each strip, and of none before it, stand near the corner that both share."""
    found = []
    for strip in cross.strips:
        _, *places = strip.coordinates
        near = strip.own
        for axis, (at, size) in enumerate(zip(places, cross.torus.sizes, strict=True)):
            first = min(shape[axis] for shape in cross.kept)
            margin = math.ceil(share * (size - first))
            if size > first:
                near = near & ((at >= first - margin) | (at < margin))
        found.append(np.flatnonzero(near))
    return found
