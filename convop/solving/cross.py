r"""Principal submatrices of circulant matrices: the rows and columns that stand outside a crop of the torus.

The samples outside a crop form a cross of strips, one strip for each axis. Along its strip the submatrix
`R S R^H` of a circulant `S` is circulant itself, so a Fourier transform leaves a small matrix for each frequency,
which is inverted once. Solving on one strip after the other, there and back (the symmetric multiplicative
Schwarz method), preconditions conjugate gradients for the whole cross.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Shape
from ..dtypes import Array, DType
from ..memory import available_bytes, human
from .arrays import Arrays
from .conjugate_gradients import Iterations, Stop, conjugate_gradients
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
    needed = 3 * 16 * entries  # with what is made on the way
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
        self.symbol = self.arrays.working(symbol)
        # S between two samples by their distance, (Q, Q, *lags).
        self.response = torus.signal(symbol)
        total = math.prod(torus.sizes)
        self.places = np.concatenate([q * total + _outside(shape, torus.sizes) for q, shape in enumerate(kept)])
        self._index = self.arrays.native(self.places)
        self._strips = [_Strip(self, axis) for axis in range(len(torus.sizes)) if self._thickness(axis)]

    def _thickness(self, axis: int) -> int:
        return max(self.torus.sizes[axis] - shape[axis] for shape in self.kept)

    def spread(self, z: Any) -> Any:
        """Values `(batch, len(places))` on the cross as spectra `(batch, Q, *frequencies)`."""
        whole = self.arrays.zeros((z.shape[0], len(self.kept) * math.prod(self.torus.sizes)), z)
        whole[:, self._index] = z
        return self.torus.spectrum(whole.reshape((z.shape[0], len(self.kept), *self.torus.sizes)))

    def gather(self, spectra: Any) -> Any:
        """The values on the cross of arrays with these spectra."""
        return self.torus.signal(spectra).reshape((spectra.shape[0], -1))[:, self._index]

    def multiply(self, z: Any) -> Any:
        """`R S R^H z`."""
        spectra = self.spread(z)
        if len(self.kept) == 1:
            spectra *= self.symbol[0, 0]  # in place: writing memory for the first time takes longer than multiplying
            return self.gather(spectra)
        return self.gather(self.arrays.xp.einsum("qr...,br...->bq...", self.symbol, spectra))

    def solve(self, right: Any, stop: Stop, start: Any = None, corner: bool = False) -> Iterations:
        """Conjugate gradients for `R S R^H z = right`; with `corner`, where some steps do not do, through it."""
        begin = self.begin(right if start is None else right - self.multiply(start))
        begin = begin if start is None else start + begin
        if not corner or stop.maxiter <= EASY_STEPS or self._near_corner is None:
            return conjugate_gradients(self.multiply, self.precondition, right, stop, begin, self.arrays)
        easy = replace(stop, maxiter=EASY_STEPS)
        found = conjugate_gradients(self.multiply, self.precondition, right, easy, begin, self.arrays)
        return found if found.status != "max_iterations" else self._through_corner(right, stop, found)

    def _through_corner(self, right: Any, stop: Stop, found: Iterations) -> Iterations:
        """Conjugate gradients, from where they came, with the corner as well."""
        count, watch = len(found.residuals) - 1, stop.watch
        later = replace(
            stop,
            maxiter=stop.maxiter - count,
            watch=None if watch is None else lambda step, z, worst: watch(count + step, z, worst),
        )
        more = conjugate_gradients(
            self.multiply, lambda r: self.precondition(r, self._corner), right, later, found.x, self.arrays
        )
        return replace(more, residuals=(*found.residuals[:-1], *more.residuals))

    def begin(self, right: Any) -> Any:
        """The solution on the first strip alone, after which no residual is left there."""
        return self._strips[0].solve(right) if self._strips else right

    def precondition(self, residual: Any, corner: "_Corner | None" = None) -> Any:
        """An approximate solution where the first strip has no residual: on the others, on the corner, and back.

        It ends on the first strip, so that what is left after a step is again nothing there, and no sweep has to begin
        on it: what S. C. Eisenstat, "Efficient Implementation of a Class of Preconditioned Conjugate Gradient Methods",
        SIAM J. Sci. Stat. Comput. 2, 1981, is to Gauss-Seidel.
        """
        if not self._strips:  # nothing stands outside
            return residual
        stages: list[Any] = [*self._strips, *([] if corner is None else [corner])]
        first, *rest = [*stages[1:], *stages[-2::-1]] or stages
        z = first.solve(residual)
        for stage in rest:
            z = z + stage.solve(residual - self.multiply(z))
        return z

    @cached_property
    def _near_corner(self) -> NDArray[np.intp] | None:
        """The largest corner whose matrix is worth its time, if any is."""
        if len(self._strips) != 2:
            return None  # one strip is solved exactly; three meet along edges, not in a corner
        affordable = min(LARGEST_CORNER, math.isqrt(CORNER_WORK * len(self.kept) * math.prod(self.torus.sizes)))
        corners = (_near_corner(self, share) for share in CORNER_SHARES)
        return next((corner for corner in corners if len(corner) <= max(CHEAP_CORNER, affordable)), None)

    @cached_property
    def _corner(self) -> "_Corner | None":
        """The corner, unless its matrix is not positive definite, as where penalty and data leave something free."""
        return None if self._near_corner is None else _Corner.of(self, self._near_corner)


class _Strip:
    """The samples outside the crop along one axis, whatever their place on the others; solved exactly."""

    def __init__(self, cross: Cross, axis: int) -> None:
        self.arrays, self.real = cross.arrays, cross.torus.real
        sizes = cross.torus.sizes
        component = np.repeat(np.arange(len(cross.kept)), [sizes[axis] - shape[axis] for shape in cross.kept])
        layer = np.concatenate([np.arange(shape[axis], sizes[axis]) for shape in cross.kept])
        self.others = tuple(n for other, n in enumerate(sizes) if other != axis)
        along = np.ix_(*(range(1 if other == axis else n) for other, n in enumerate(sizes)))
        first = np.ravel_multi_index(np.broadcast_arrays(*along), sizes).ravel()  # those of the layer 0
        places = first + (layer * math.prod(sizes[axis + 1 :]) + math.prod(sizes) * component)[:, None]
        self.positions = cross.arrays.native(np.searchsorted(cross.places, places).ravel())
        self.inverses = cross.arrays.working(self._inverses(cross, axis, component, layer))

    def _inverses(self, cross: Cross, axis: int, component: Array, layer: Array) -> Any:
        """For each frequency along the strip, the inverse of the matrix across it."""
        arrays, xp = cross.arrays, cross.arrays.xp
        thick, alone = int(layer.max() - layer.min()), len(cross.kept) == 1
        lags = arrays.native(np.arange(0 if alone else -thick, thick + 1) % cross.torus.sizes[axis])
        across = xp.moveaxis(cross.response, 2 + axis, 2)[:, :, lags]
        if self.others:
            across = arrays.transform(across, tuple(range(3, across.ndim)), self.real)
        if alone:
            return arrays.toeplitz_inverses(across[0, 0])
        rows, columns = arrays.native(component[:, None]), arrays.native(component[None, :])
        blocks = across[rows, columns, arrays.native(layer[:, None] - layer[None, :] + thick)]
        return arrays.inverses(xp.moveaxis(blocks, (0, 1), (-2, -1)))

    def solve(self, residual: Any) -> Any:
        """The values on the strip that explain the residual there; zero elsewhere on the cross."""
        xp, axes = self.arrays.xp, tuple(range(2, 2 + len(self.others)))
        z = residual[:, self.positions].reshape((residual.shape[0], -1, *self.others))
        spectra = self.arrays.transform(z, axes, self.real) if axes else z
        # No product of small matrices goes through BLAS, whose threads would cost more than they save.
        spectra = xp.einsum("...ij,b...j->b...i", self.inverses, xp.moveaxis(spectra, 1, -1))
        spectra = xp.moveaxis(spectra, -1, 1)
        z = self.arrays.back(spectra, axes, self.others, self.real) if axes else spectra
        return _at(self.positions, z.reshape((residual.shape[0], -1)), residual, self.arrays)


@dataclass(frozen=True)
class _Corner:
    """The samples near where two strips meet, which is what couples the strips; solved exactly."""

    arrays: Arrays
    positions: Any
    factor: Any

    @classmethod
    def of(cls, cross: Cross, chosen: Array) -> "_Corner | None":
        arrays = cross.arrays
        component, *places = np.unravel_index(cross.places[chosen], (len(cross.kept), *cross.torus.sizes))
        lags = [(at[:, None] - at[None, :]) % n for at, n in zip(places, cross.torus.sizes, strict=True)]
        index = (component[:, None], component[None, :], *lags)
        factor = arrays.cholesky(cross.response[tuple(map(arrays.native, index))])
        return None if factor is None else cls(arrays, arrays.native(chosen), arrays.working(factor))

    def solve(self, residual: Any) -> Any:
        z = self.arrays.cholesky_solve(self.factor, residual[:, self.positions].T).T
        return _at(self.positions, z, residual, self.arrays)


def _at(positions: Any, z: Any, like: Any, arrays: Any) -> Any:
    """Zeros like `like` with `z` at these positions."""
    whole = arrays.zeros(tuple(like.shape), like)
    whole[:, positions] = z
    return whole


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
