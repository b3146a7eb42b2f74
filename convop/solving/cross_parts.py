"""The parts of a cross on which it is solved exactly: the strips, one for each axis, and the corner where two meet."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from .slab import Slab

if TYPE_CHECKING:
    from .cross import Cross


class Strip:
    """The samples outside the crop along one axis, whatever their place on the others; solved exactly.

    Parameters
    ----------
    cross : Cross
    axis : int
    before : list of Strip
        Those that come first where strips meet.
    """

    def __init__(self, cross: "Cross", axis: int, before: "list[Strip]") -> None:
        self.cross, self.axis, self.arrays, self.real = cross, axis, cross.arrays, cross.torus.real
        sizes, kept = cross.torus.sizes, cross.kept
        layers = [np.arange(shape[axis], sizes[axis]) for shape in kept]
        layer, component = np.concatenate(layers), np.repeat(np.arange(len(kept)), list(map(len, layers)))
        self.slab, self.thickness = Slab(cross.torus, axis, layers), len(layer)
        self.others = self.slab.others
        along = np.ix_(*(range(1 if other == axis else n) for other, n in enumerate(sizes)))
        first = np.ravel_multi_index(np.broadcast_arrays(*along), sizes).ravel()  # those of the layer 0
        places = first + (layer * math.prod(sizes[axis + 1 :]) + math.prod(sizes) * component)[:, None]
        positions = np.searchsorted(cross.places, places).ravel()
        met = np.zeros(len(cross.places), bool)
        for strip in before:
            met[cross.arrays.host(strip.positions)] = True
        self.positions = cross.arrays.native(positions)
        self.first = cross.arrays.working(cross.arrays.native((~met[positions]).astype(float)))
        self.matrices, self.inverses = self._across(component, layer)

    def _across(self, component: Array, layer: Array) -> tuple[Any, Any]:
        """For each frequency along the strip, the matrix across it and its inverse."""
        arrays, cross = self.arrays, self.cross
        thick, alone = int(layer.max() - layer.min()), len(cross.kept) == 1
        lags = np.arange(0 if alone else -thick, thick + 1) % cross.torus.sizes[self.axis]
        across = cross.between_layers(self.axis, lags)
        if self.others:
            across = arrays.transform(across, tuple(range(3, across.ndim)), self.real)
        if alone:
            columns = across[0, 0]
            return arrays.toeplitz(arrays.working(columns)), arrays.working(arrays.toeplitz_inverses(columns))
        rows, columns = arrays.native(component[:, None]), arrays.native(component[None, :])
        blocks = across[rows, columns, arrays.native(layer[:, None] - layer[None, :] + thick)]
        blocks = arrays.xp.moveaxis(blocks, (0, 1), (-2, -1))
        return arrays.working(blocks), arrays.working(arrays.inverses(blocks))

    def spectra(self, z: Any) -> Any:
        """Values on the strip as spectra `(batch, Q, *frequencies)`."""
        return self.slab.spectra(z.reshape((z.shape[0], self.thickness, *self.others)))

    def values(self, spectra: Any) -> Any:
        """The values on the strip of arrays with these spectra."""
        return self.slab.values(spectra).reshape((spectra.shape[0], -1))

    def explain(self, residual: Any) -> tuple[Any, Any]:
        """A solution on the cross that leaves nothing on the strip, and its product with the cross' matrix."""
        axes = tuple(range(2, 2 + len(self.others)))
        u = residual[:, self.positions].reshape((residual.shape[0], self.thickness, *self.others))
        spectra = self._times(self.inverses, self.arrays.transform(u, axes, self.real) if axes else u)
        z, own = self._signal(spectra, axes), self._signal(self._times(self.matrices, spectra), axes)
        image = self.cross.elsewhere(self, z)
        image[:, self.positions] = own
        return self.cross.placed(self.positions, z), image

    def _times(self, matrices: Any, spectra: Any) -> Any:
        """Small matrices for each frequency; not through BLAS, whose threads would cost more than they save."""
        xp = self.arrays.xp
        return xp.moveaxis(xp.einsum("...ij,b...j->b...i", matrices, xp.moveaxis(spectra, 1, -1)), -1, 1)

    def _signal(self, spectra: Any, axes: tuple[int, ...]) -> Any:
        z = self.arrays.back(spectra, axes, self.others, self.real) if axes else spectra
        return z.reshape((z.shape[0], -1))


@dataclass(frozen=True)
class Corner:
    """The samples near where two strips meet, which is what couples the strips; solved exactly."""

    cross: "Cross"
    positions: Any
    factor: Any

    @classmethod
    def of(cls, cross: "Cross", chosen: Array) -> "Corner | None":
        arrays = cross.arrays
        component, *places = np.unravel_index(cross.places[chosen], (len(cross.kept), *cross.torus.sizes))
        lags = [(at[:, None] - at[None, :]) % n for at, n in zip(places, cross.torus.sizes, strict=True)]
        index = (component[:, None], component[None, :], *lags)
        factor = arrays.cholesky(cross.response[tuple(map(arrays.native, index))])
        return None if factor is None else cls(cross, arrays.native(chosen), arrays.working(factor))

    def explain(self, residual: Any) -> tuple[Any, Any]:
        """A solution on the cross that leaves nothing in the corner, and its product with the cross' matrix."""
        z = self.cross.arrays.cholesky_solve(self.factor, residual[:, self.positions].T).T
        z = self.cross.placed(self.positions, z)
        return z, self.cross.multiply(z)
