"""Solving on a cross: conjugate gradients, preconditioned strip by strip (the multiplicative Schwarz method)."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

from .conjugate_gradients import Iterations, Stop, conjugate_gradients
from .cross import Cross

CAREFUL = 2e3  # how many times the tolerance a loss by rounding may be where nothing is done about it; measured
EASY_STEPS = 10  # of one sweep each, which most problems do not use up
SWEEPS, LEAST = 3, 1 / 20  # of a later step, and the least eigenvalue that they are best for; measured


def chebyshev_weights(count: int, least: float) -> list[float]:
    """The reciprocal roots of Chebyshev's polynomial of this degree on `[least, 1]`."""
    middle, radius = (1 + least) / 2, (1 - least) / 2
    return [1 / (middle - radius * math.cos(math.pi * (k + 0.5) / count)) for k in range(count)]


class Schwarz:
    """The system ``R S R^H z = right`` of a cross, for values and sums as `Cross` has them."""

    def __init__(self, cross: Cross) -> None:
        self.cross, self.strips = cross, cross.strips

    def solve(self, right: Any, stop: Stop, start: Any = None) -> Iterations:
        """Conjugate gradients; where some steps do not do, with several sweeps each."""
        exact = self.cross.loss > CAREFUL * stop.tolerance
        residual = right if start is None else right - self.cross.multiply(start)
        begin, explained = self.begin(residual, exact)
        begin, residual = begin if start is None else start + begin, residual - explained
        easy = replace(stop, maxiter=min(EASY_STEPS, stop.maxiter))
        found = conjugate_gradients(partial(self.sweep, exact=exact), residual, begin, easy)
        if found.status != "max_iterations" or stop.maxiter == easy.maxiter:
            return found
        return self._by_several(right, stop, found, exact)

    def _by_several(self, right: Any, stop: Stop, found: Iterations, exact: bool) -> Iterations:
        """Conjugate gradients, from where they came, with several sweeps for each step."""
        count, watch = len(found.residuals) - 1, stop.watch
        later = replace(
            stop,
            maxiter=stop.maxiter - count,
            watch=None if watch is None else lambda step, z, worst: watch(count + step, z, worst),
        )
        residual = right - self.cross.multiply(found.x)
        more = conjugate_gradients(partial(self.sweeps, exact=exact), residual, found.x, later)
        return replace(more, residuals=(*found.residuals[:-1], *more.residuals))

    def sweeps(self, residual: Any, exact: bool = True) -> tuple[Any, Any]:
        """What `sweep` gives, closer by as much as their number: Chebyshev's polynomial of the preconditioned system.

        So a step does for three; what stands between sweeps is done once. See O. G. Johnson, C. A. Micchelli and
        G. Paul, "Polynomial Preconditioners for Conjugate Gradient Calculations", SIAM J. Numer. Anal. 20, 1983.
        """
        z, image = 0, 0
        for weight in chebyshev_weights(SWEEPS, LEAST):
            more, its_image = self.sweep(residual - image, exact)
            z, image = z + weight * more, image + weight * its_image
        return z, image

    def begin(self, right: Any, exact: bool = True) -> tuple[Any, Any]:
        """The solution on the first strip alone, and what it explains: all of `right` there."""
        if not self.strips:
            return right, right
        z, images = self._explain(0, self.strips[0].load(right), exact)
        others = [0 * strip.load(right) for strip in self.strips[1:]]
        return self.cross.joined([z, *others], right), self.cross.joined(images, right)

    def sweep(self, residual: Any, exact: bool = True) -> tuple[Any, Any]:
        """An approximate solution `z` where the first strip has no residual, and what it explains.

        That is ``R S R^H z``: with `exact` as precisely as can be, else as the systems across the strips are solved.

        On the other strips, and back. It ends on the first strip, so that what is left after a step is again nothing
        there, and no sweep has to begin on it: what S. C. Eisenstat, "Efficient Implementation of a Class of
        Preconditioned Conjugate Gradient Methods", SIAM J. Sci. Stat. Comput. 2, 1981, is to Gauss-Seidel.
        """
        if not self.strips:  # nothing stands outside
            return residual, residual
        rest = [strip.load(residual) for strip in self.strips]
        rest = self.cross.agreed(rest) if exact else rest
        found: list[Any] = [0] * len(rest)
        count = len(rest)
        for at in (*range(1, count), *range(count - 2, -1, -1)) or (0,):
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
