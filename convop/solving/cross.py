r"""Principal submatrices of circulant matrices: the rows and columns that stand outside a crop of the torus.

The samples outside a crop form a cross of strips, one strip for each axis. Along its strip the submatrix
`R S R^H` of a circulant `S` is circulant itself, so a Fourier transform leaves a small matrix for each frequency,
which is inverted once. Solving on one strip after the other, there and back (the symmetric multiplicative
Schwarz method), preconditions conjugate gradients for the whole cross.
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
from .slab import Slab, thin
from .torus import Torus

EASY_STEPS = 5  # that are tried before the corner is factored
# How far a corner reaches past where two strips meet, in thicknesses of the strips: as far as is affordable.
CORNER_SHARES = (4.0, 3.0, 2.0, 1.5, 1.0, 0.75, 0.5, 0.35, 0.25)
CHEAP_CORNER = 1500  # unknowns of a corner whose dense matrix is factored in no time
LARGEST_CORNER = 4000  # 128 MB, a second to factor
CORNER_WORK = 32  # entries of a corner's matrix for each sample of the torus, so that a solve costs what a step does


def too_large(sizes: Shape, kept: tuple[Shape, ...], dtype: DType) -> str | None:
    """Whether a cross is so thick that the inverses along its strips do not fit into memory, and how large they are."""
    total = math.prod(sizes)
    entries = sum(
        sum(n - shape[axis] for shape in kept) ** 2 * (total // n // (1 if dtype.kind == "c" else 2) + 1)
        for axis, n in enumerate(sizes)
    )
    needed = 4 * 16 * entries  # with what is made on the way
    if needed <= available_bytes():
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
        self.symbol = self.arrays.working(symbol)
        total = math.prod(torus.sizes)
        self.places = np.concatenate([q * total + _outside(shape, torus.sizes) for q, shape in enumerate(kept)])
        self._index = self.arrays.native(self.places)
        self._strips: list[Strip] = []
        with self.arrays.calm():
            for axis in range(len(torus.sizes)):
                if any(torus.sizes[axis] > shape[axis] for shape in kept):
                    self._strips.append(Strip(self, axis, self._strips))

    def _thin(self, transforms: int) -> bool:
        """Whether going through each strip's layers takes less time than so many transforms of each component."""
        layers = sum(strip.thickness for strip in self._strips) // len(self.kept)
        return bool(self._strips) and thin(self.torus, layers, transforms)

    @cached_property
    def response(self) -> Any:
        """`S` between two samples by their distance, `(Q, Q, *lags)`."""
        return self.torus.signal(self._prepared)

    def between_layers(self, axis: int, lags: Array) -> Any:
        """The response at these lags along one axis, `(Q, Q, lags, *others)`."""
        if thin(self.torus, len(lags), 1):
            pairs = self._prepared.reshape((-1, 1, *self._prepared.shape[2:])) * complex(1)
            found = Slab(self.torus, axis, [lags], exact=True).values(pairs)
            return found.reshape((len(self.kept), len(self.kept), *found.shape[1:]))
        return self.arrays.xp.moveaxis(self.response, 2 + axis, 2)[:, :, self.arrays.native(lags)]

    def spread(self, z: Any) -> Any:
        """Values `(batch, len(places))` on the cross as spectra `(batch, Q, *frequencies)`."""
        if self._thin(1):
            return sum(strip.spectra(z[:, strip.positions] * strip.first) for strip in self._strips)
        whole = self.arrays.zeros((z.shape[0], len(self.kept) * math.prod(self.torus.sizes)), z)
        whole[:, self._index] = z
        return self.torus.spectrum(whole.reshape((z.shape[0], len(self.kept), *self.torus.sizes)))

    def gather(self, spectra: Any) -> Any:
        """The values on the cross of arrays with these spectra."""
        if self._thin(1):
            return self._gathered(spectra, self._strips)
        return self.torus.signal(spectra).reshape((spectra.shape[0], -1))[:, self._index]

    def _gathered(self, spectra: Any, strips: list[Strip]) -> Any:
        """The values on these strips; zeros elsewhere."""
        first, *rest = strips
        z = self.placed(first.positions, first.values(spectra))
        for strip in rest:
            z[:, strip.positions] = strip.values(spectra)
        return z

    def multiply(self, z: Any) -> Any:
        """`R S R^H z`."""
        return self.gather(self._mixed(self.spread(z)))

    def _mixed(self, spectra: Any) -> Any:
        """`S` in frequency; `spectra` are spent."""
        if len(self.kept) == 1:
            spectra *= self.symbol[0, 0]  # in place: writing memory for the first time takes longer than multiplying
            return spectra
        return self.arrays.xp.einsum("qr...,br...->bq...", self.symbol, spectra)

    def elsewhere(self, strip: Strip, z: Any) -> Any:
        """`R S R^H` of values on one strip, at the places that other strips have, and perhaps some more."""
        others = [other for other in self._strips if other is not strip]
        if not others:
            return self.placed(strip.positions, 0 * z)
        if not self._thin(2):
            return self.multiply(self.placed(strip.positions, z))
        return self._gathered(self._mixed(strip.spectra(z)), others)

    def placed(self, positions: Any, z: Any) -> Any:
        """Values at these positions of the cross, zeros elsewhere."""
        whole = self.arrays.zeros((z.shape[0], len(self.places)), z)
        whole[:, positions] = z
        return whole

    def solve(self, right: Any, stop: Stop, start: Any = None, corner: bool = False) -> Iterations:
        """Conjugate gradients for `R S R^H z = right`; with `corner`, where some steps do not do, through it."""
        residual = right if start is None else right - self.multiply(start)
        begin, explained = self.begin(residual)
        begin, residual = begin if start is None else start + begin, residual - explained
        if not corner or stop.maxiter <= EASY_STEPS or self._near_corner is None:
            return conjugate_gradients(self.sweep, residual, begin, stop, self.arrays)
        easy = replace(stop, maxiter=EASY_STEPS)
        found = conjugate_gradients(self.sweep, residual, begin, easy, self.arrays)
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
        more = conjugate_gradients(lambda r: self.sweep(r, self._corner), residual, found.x, later, self.arrays)
        return replace(more, residuals=(*found.residuals[:-1], *more.residuals))

    def begin(self, right: Any) -> tuple[Any, Any]:
        """The solution on the first strip alone, and what it explains: all of `right` there."""
        return self._strips[0].explain(right) if self._strips else (right, right)

    def sweep(self, residual: Any, corner: Corner | None = None) -> tuple[Any, Any]:
        """An approximate solution `z` where the first strip has no residual, and `R S R^H z`.

        On the other strips, on the corner, and back. It ends on the first strip, so that what is left after a step is
        again nothing there, and no sweep has to begin on it: what S. C. Eisenstat, "Efficient Implementation of a Class
        of Preconditioned Conjugate Gradient Methods", SIAM J. Sci. Stat. Comput. 2, 1981, is to Gauss-Seidel.
        """
        if not self._strips:  # nothing stands outside
            return residual, residual
        stages: list[Any] = [*self._strips, *([] if corner is None else [corner])]
        first, *rest = [*stages[1:], *stages[-2::-1]] or stages
        z, explained = first.explain(residual)
        for stage in rest:
            more, image = stage.explain(residual - explained)
            z, explained = z + more, explained + image
        return z, explained

    @cached_property
    def _near_corner(self) -> NDArray[np.intp] | None:
        """The largest corner whose matrix is worth its time, if any is."""
        if len(self._strips) != 2:
            return None  # one strip is solved exactly; three meet along edges, not in a corner
        affordable = min(LARGEST_CORNER, math.isqrt(CORNER_WORK * len(self.kept) * math.prod(self.torus.sizes)))
        corners = (_near_corner(self, share) for share in CORNER_SHARES)
        return next((corner for corner in corners if len(corner) <= max(CHEAP_CORNER, affordable)), None)

    @cached_property
    def _corner(self) -> Corner | None:
        """The corner, unless its matrix is not positive definite, as where penalty and data leave something free."""
        return None if self._near_corner is None else Corner.of(self, self._near_corner)


def _outside(kept: Shape, sizes: Shape) -> NDArray[np.intp]:
    """Flat positions on the torus outside the crop `kept`, ascending."""
    if not sizes:
        return np.zeros(0, np.intp)
    # No mask of the torus, which is so much larger than the cross.
    inner = math.prod(sizes[1:])
    beside = np.arange(kept[0])[:, None] * inner + _outside(kept[1:], sizes[1:])
    return np.concatenate([beside.ravel(), np.arange(kept[0] * inner, sizes[0] * inner)])


def _near_corner(cross: Cross, share: float) -> NDArray[np.intp]:
    """Which samples of the cross stand near the corner that both strips share."""
    _, *places = np.unravel_index(cross.places, (len(cross.kept), *cross.torus.sizes))
    near = np.ones(len(cross.places), bool)
    for axis, (at, size) in enumerate(zip(places, cross.torus.sizes, strict=True)):
        first = min(shape[axis] for shape in cross.kept)
        margin = math.ceil(share * (size - first))
        if size > first:
            near &= (at >= first - margin) | (at < margin)
    return np.flatnonzero(near)
