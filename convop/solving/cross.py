r"""Principal submatrices of circulant matrices: the rows and columns that stand outside a crop of the torus.

The samples outside a crop form a cross of strips, one strip for each axis. Along its strip the submatrix
`R S R^H` of a circulant `S` is circulant itself, so a Fourier transform leaves a small system for each frequency,
prepared once. Solving on one strip after the other, there and back (the symmetric multiplicative Schwarz method),
preconditions conjugate gradients for the whole cross.

Values stand on the cross as each strip has them, in frequency along it. So the samples that strips share are there more
than once: what `gather` gives has their value each time, and what `spread` takes means the sum. One is the transpose
of the other, and between the two stand the products with `S`.
"""

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Shape
from ..dtypes import Array, DType
from ..memory import available_bytes, human
from .conjugate_gradients import Iterations, Stop, conjugate_gradients
from .cross_parts import Corner, Strip
from .slab import Slab
from .torus import Torus

NEVER_LARGE = 2**26  # bytes for which nobody is asked how much memory is free, which takes as long as a small transform
EASY_STEPS = 5  # that are tried before the corner is factored
# How far a corner reaches past where two strips meet, in thicknesses of the strips: as far as is affordable.
CORNER_SHARES = (4.0, 3.0, 2.0, 1.5, 1.0, 0.75, 0.5, 0.35, 0.25)
CHEAP_CORNER = 1500  # unknowns of a corner whose dense matrix is factored in no time
LARGEST_CORNER = 4000  # 128 MB, a second to factor
CAREFUL = 1e-2  # how much smaller than the tolerance the loss by rounding is to be where nothing is done about it
CORNER_WORK = 32  # entries of a corner's matrix for each sample of the torus, so that a solve costs what a step does


def too_large(sizes: Shape, kept: tuple[Shape, ...], dtype: DType) -> str | None:
    """Whether a cross is so thick that the systems across its strips do not fit into memory, and how large they are."""
    numbers = 0
    for axis, n in enumerate(sizes):
        thickness = sum(n - shape[axis] for shape in kept)
        along = math.prod(sizes) // n // (1 if dtype.kind == "c" else 2) + 1
        numbers += thickness * along * (thickness if len(kept) > 1 else 1)  # of one component, columns tell all
    needed = 4 * 16 * numbers  # with what is made on the way
    if needed < NEVER_LARGE or needed <= available_bytes():
        return None
    return f"its kernel is so long that the cross outside the array would need {human(needed)}"


class Cross:
    """`R S R^H`, with `S` circulant on a torus and `R` the samples that are not kept.

    Parameters
    ----------
    symbol : array
        Of shape `(Q, Q, *frequencies)`: the block of `S` between `Q` components at each frequency, Hermitian and
        positive definite; in double precision.
    torus : Torus
        Where `S` is circulant.
    kept : tuple of shapes
        For each component, the crop of the torus that does not belong to the cross.
    """

    def __init__(self, symbol: Any, torus: Torus, kept: tuple[Shape, ...]) -> None:
        self.torus, self.kept, self.arrays = torus, kept, torus.arrays
        self._prepared = symbol
        self._loss = self.arrays.epsilon * _condition(symbol)
        self.symbol = self.arrays.working(symbol)
        self.strips: list[Strip] = []
        with self.arrays.calm():
            for axis in range(len(torus.sizes)):
                if any(torus.sizes[axis] > shape[axis] for shape in kept):
                    self.strips.append(Strip(self, axis, self.strips[:]))

    @cached_property
    def response(self) -> Any:
        """`S` between two samples by their distance, `(Q, Q, *lags)`."""
        return self.torus.signal(self._prepared)

    def between_layers(self, axis: int, lags: Array) -> Any:
        """The response at these lags along one axis, at the frequencies of the others: `(Q, Q, *half, lags)`."""
        pairs = self._prepared.reshape((-1, 1, *self._prepared.shape[2:])) * complex(1)
        found = Slab(self.torus, axis, [lags], exact=True).drop(pairs)
        return found.reshape((len(self.kept), len(self.kept), *found.shape[1:]))

    def gather(self, spectra: Any) -> Any:
        """The values on each strip of arrays with these spectra `(batch, Q, *frequencies)`."""
        return self._joined([strip.drop(spectra) for strip in self.strips], spectra)

    def spread(self, z: Any) -> Any:
        """The spectra of the sums of what `z` has on each strip."""
        parts = [(strip, strip.load(z)) for strip in self.strips]
        lifted = [strip.lift(values) for strip, values in parts if bool((values != 0).any())]
        return self._sum(lifted) if lifted else self._zeros(z)

    def distinct(self, z: Any) -> Any:
        """From the values of an array on each strip to such whose sum is that array: each sample on one strip only."""
        return self._joined([strip.distinct(strip.load(z)) for strip in self.strips], z)

    def remaining(self, rho: Any) -> Any:
        """The spectra of arrays with the values that `sweep` leaves, which are none on the first strip."""
        return self.spread(self.distinct(rho) if len(self.strips) > 2 else rho)

    def multiply(self, z: Any) -> Any:
        """What the sum of what `z` has on each strip makes on each."""
        return self.gather(self._mixed(self.spread(z)))

    def _joined(self, parts: list[Any], like: Any) -> Any:
        """Values on each strip as an array `(batch, numbers)` of the type of `like`."""
        flat = [strip.stored(values) for strip, values in zip(self.strips, parts, strict=True)]
        return self.arrays.xp.concatenate(flat, 1) if flat else self.arrays.zeros((like.shape[0], 0), like)

    def _sum(self, spectra: list[Any]) -> Any:
        """Their sum; they are spent."""
        first, *rest = spectra
        for each in rest:
            first += each
        return first

    def _zeros(self, z: Any) -> Any:
        shape = (z.shape[0], len(self.kept), *self.symbol.shape[2:])
        return self.arrays.zeros(shape, z) * complex(1)

    def _mixed(self, spectra: Any) -> Any:
        """`S` in frequency; `spectra` are spent."""
        if len(self.kept) == 1:
            spectra *= self.symbol[0, 0]  # in place: writing memory for the first time takes longer than multiplying
            return spectra
        return self.arrays.xp.einsum("qr...,br...->bq...", self.symbol, spectra)

    def _explain(self, at: int, values: Any, exact: bool) -> tuple[Any, list[Any]]:
        """A solution on one strip that leaves nothing of these values there, and what it makes on each strip."""
        strip = self.strips[at]
        z = strip.solve(values)
        own = strip.multiply(z) if exact else values  # which differ by rounding
        if len(self.strips) == 1:
            return z, [own]
        spectra = self._mixed(strip.lift(z))
        return z, [own if each is strip else each.drop(spectra) for each in self.strips]

    def solve(self, right: Any, stop: Stop, start: Any = None, corner: bool = False) -> Iterations:
        """Conjugate gradients for `R S R^H z = right`; with `corner`, where some steps do not do, through it."""
        residual = right if start is None else right - self.multiply(start)
        exact = self._loss > CAREFUL * stop.tolerance
        begin, explained = self.begin(residual, exact)
        begin, residual = begin if start is None else start + begin, residual - explained

        def sweep(r: Any) -> tuple[Any, Any]:
            return self.sweep(r, exact)

        if not corner or stop.maxiter <= EASY_STEPS or self._near_corner is None:
            return conjugate_gradients(sweep, residual, begin, stop, self.arrays)
        easy = replace(stop, maxiter=EASY_STEPS)
        found = conjugate_gradients(sweep, residual, begin, easy, self.arrays)
        return found if found.status != "max_iterations" else self._through_corner(right, stop, found)

    def _through_corner(self, right: Any, stop: Stop, found: Iterations) -> Iterations:
        """Conjugate gradients, from where they came, with the corner as well."""
        count, watch = len(found.residuals) - 1, stop.watch
        later = replace(
            stop,
            maxiter=stop.maxiter - count,
            watch=None if watch is None else lambda step, z, worst: watch(count + step, z, worst),
        )
        residual = right - self.multiply(found.x)
        more = conjugate_gradients(lambda r: self.sweep(r, corner=self._corner), residual, found.x, later, self.arrays)
        return replace(more, residuals=(*found.residuals[:-1], *more.residuals))

    def begin(self, right: Any, exact: bool = True) -> tuple[Any, Any]:
        """The solution on the first strip alone, and what it explains: all of `right` there."""
        if not self.strips:
            return right, right
        z, images = self._explain(0, self.strips[0].load(right), exact)
        others = [0 * strip.load(right) for strip in self.strips[1:]]
        return self._joined([z, *others], right), self._joined(images, right)

    def sweep(self, residual: Any, exact: bool = True, corner: Corner | None = None) -> tuple[Any, Any]:
        """An approximate solution `z` where the first strip has no residual, and what it explains.

        That is `R S R^H z`; as exactly as precision allows, or as the systems across the strips are solved.

        On the other strips, on the corner, and back. It ends on the first strip, so that what is left after a step is
        again nothing there, and no sweep has to begin on it: what S. C. Eisenstat, "Efficient Implementation of a Class
        of Preconditioned Conjugate Gradient Methods", SIAM J. Sci. Stat. Comput. 2, 1981, is to Gauss-Seidel.
        """
        if not self.strips:  # nothing stands outside
            return residual, residual
        rest = [strip.load(residual) for strip in self.strips]
        rest = self._consistent(rest) if exact else rest
        found: list[Any] = [0] * len(rest)
        there = [*range(len(rest))]
        for at in there[1:]:
            rest, found = self._step(at, rest, found, exact)
        if corner is not None:
            rest, found = self._corner_step(corner, rest, found)
            there.append(len(rest))
        for at in there[-2::-1] or there:
            rest, found = self._step(at, rest, found, exact)
        z = self._joined(found, residual)
        return z, residual - self._joined(rest, residual)

    def _consistent(self, parts: list[Any]) -> list[Any]:
        """The same values for each strip that has a sample: rounding makes them differ, which no solution explains."""
        signals = [strip.signal(values) for strip, values in zip(self.strips, parts, strict=True)]
        flat = [each.reshape((each.shape[0], -1)) for each in signals]
        for strip, values in zip(self.strips, flat, strict=True):
            for before, (theirs, ours) in zip(flat, strip.shared, strict=False):
                values[:, ours] = before[:, theirs]
        later = zip(self.strips[1:], signals[1:], flat[1:], strict=True)
        return [parts[0], *(strip.spectrum(values.reshape(signal.shape)) for strip, signal, values in later)]

    def _step(self, at: int, rest: list[Any], found: list[Any], exact: bool) -> tuple[list[Any], list[Any]]:
        """What is left and what is found after one strip."""
        z, images = self._explain(at, rest[at], exact)
        found = [each + z if i == at else each for i, each in enumerate(found)]
        return [left - image for left, image in zip(rest, images, strict=True)], found

    def _corner_step(self, corner: Corner, rest: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
        """What is left and what is found after the corner."""
        more = corner.solve(rest)
        spectra = self._mixed(self._sum([strip.lift(values) for strip, values in zip(self.strips, more, strict=True)]))
        rest = [left - strip.drop(spectra) for strip, left in zip(self.strips, rest, strict=True)]
        return rest, [a + b for a, b in zip(found, more, strict=True)]

    @cached_property
    def _near_corner(self) -> list[NDArray[np.intp]] | None:
        """The samples of the largest corner whose matrix is worth its time, if any is."""
        if len(self.strips) != 2:
            return None  # one strip is solved exactly; three meet along edges, not in a corner
        affordable = min(LARGEST_CORNER, math.isqrt(CORNER_WORK * len(self.kept) * math.prod(self.torus.sizes)))
        corners = (_near_corner(self, share) for share in CORNER_SHARES)
        return next((each for each in corners if sum(map(len, each)) <= max(CHEAP_CORNER, affordable)), None)

    @cached_property
    def _corner(self) -> Corner | None:
        """The corner, unless its matrix is not positive definite, as where penalty and data leave something free."""
        return None if self._near_corner is None else Corner.of(self, self._near_corner)


def _condition(symbol: Any) -> float:
    """The ratio of the largest to the least eigenvalue, as far as it is known at once."""
    if symbol.shape[0] > 1:
        return math.inf
    sizes = abs(symbol)
    least = float(sizes.min())
    return float(sizes.max()) / least if least > 0 else math.inf


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
