"""A strip of a cross: what stands outside the crop along one axis, solved exactly."""

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from .dense_systems import Dense
from .slab import Slab

if TYPE_CHECKING:
    from .cross import Cross

SOUND = 1.0  # loss by rounding up to which systems across a strip may be solved in the precision at hand


class Strip:
    """The samples outside the crop along one axis, whatever their place on the others; solved exactly.

    Its values are given by their frequencies along the strip, `(batch, *half, thickness)`, in units in which the sum
    of squares of all real numbers in them is that of the values.

    Parameters
    ----------
    cross : Cross
    axis : int
    before : list of Strip
        Those to which the samples belong that both have.
    """

    def __init__(self, cross: "Cross", axis: int, before: "list[Strip]") -> None:
        self.cross, self.axis, self.before, self.arrays = cross, axis, before, cross.arrays
        layers = [np.arange(shape[axis], cross.torus.sizes[axis]) for shape in cross.kept]
        self.layer, self.component = np.concatenate(layers), np.repeat(np.arange(len(layers)), list(map(len, layers)))
        self.slab, self.thickness = Slab(cross.torus, axis, layers), len(self.layer)
        self.paired = cross.torus.real and len(self.slab.others) > 0  # whether its numbers are pairs of real ones
        shape = (*self.slab.half, self.thickness)
        start = before[-1].place.stop if before else 0
        self.shape, self.place = shape, slice(start, start + math.prod(shape) * (2 if self.paired else 1))
        self.scale = self._scale()
        self.unscale = 1 / self.scale
        self.systems = self._systems()

    def _scale(self) -> Any:
        """For each frequency along the strip the root of its share of the sum of squares (Parseval)."""
        slab = self.slab
        counts = np.full(slab.half[-1:], 1 / math.prod(slab.others))
        if self.paired:
            counts[1 : (slab.others[-1] + 1) // 2] *= 2
        counts = counts[:, None] if slab.others else counts
        return self.arrays.working(self.arrays.native(np.sqrt(counts)))

    def _systems(self) -> Any:
        """The systems across the strip, one for each frequency along it."""
        thick, alone = int(self.layer.max() - self.layer.min()), len(self.cross.kept) == 1
        lags = np.arange(0 if alone else -thick, thick + 1) % self.cross.torus.sizes[self.axis]
        across = self.cross.between_layers(self.axis, lags)
        if alone:
            return self.arrays.toeplitz(across[0, 0], careful=self.cross.loss > SOUND)
        rows, columns = self.component[:, None], self.component[None, :]
        lag = self.layer[:, None] - self.layer[None, :] + thick
        across = self.arrays.xp.moveaxis(across, -1, 2)
        blocks = across[tuple(map(self.arrays.native, (rows, columns, lag)))]
        return Dense(self.arrays.xp.moveaxis(blocks, (0, 1), (-2, -1)), self.arrays)

    def load(self, z: Any) -> Any:
        """Its values among those of the cross."""
        part = z[:, self.place]
        return (self.arrays.complex_of(part) if self.paired else part).reshape((z.shape[0], *self.shape))

    def stored(self, values: Any) -> Any:
        """What `load` undoes, `(batch, numbers)`."""
        flat = values.reshape((values.shape[0], -1))
        return self.arrays.reals_of(flat) if self.paired else flat

    def solve(self, values: Any) -> Any:
        """The solution on the strip alone."""
        return self.systems.solve(values)

    def multiply(self, values: Any) -> Any:
        """What values on the strip make on it."""
        return self.systems.multiply(values)

    def lift(self, values: Any) -> Any:
        """The spectra `(batch, Q, *frequencies)` of these values and zeros elsewhere."""
        return self.slab.lift(values * self.unscale)

    def drop(self, spectra: Any) -> Any:
        """The values on the strip of arrays with these spectra."""
        return self.slab.drop(spectra) * self.scale

    def signal(self, values: Any) -> Any:
        """At places along the strip instead of frequencies, `(batch, *others, thickness)`."""
        return self.slab.signal(values * self.unscale)

    def spectrum(self, signal: Any) -> Any:
        """What `signal` undoes."""
        return self.slab.spectrum(signal) * self.scale

    @cached_property
    def coordinates(self) -> list[Array]:
        """Where the samples `(*others, thickness)` stand: the component, and the place on each axis."""
        grid = np.ix_(*map(np.arange, self.slab.others), self.layer)
        places = [*grid[: self.axis], grid[-1], *grid[self.axis : -1]]
        return list(np.broadcast_arrays(np.broadcast_to(self.component, grid[-1].shape), *places))

    @cached_property
    def own(self) -> Array:
        """Which samples no strip before it has, `(*others, thickness)`."""
        own = np.ones(self.coordinates[0].shape, bool)
        for strip in self.before:
            own &= ~self._in(strip)
        return own

    def _in(self, strip: "Strip") -> Array:
        """Which samples another strip has as well."""
        component, *places = self.coordinates
        return places[strip.axis] >= np.array([shape[strip.axis] for shape in self.cross.kept])[component]

    @cached_property
    def _own(self) -> Any:
        return self.arrays.working(self.arrays.native(self.own.astype(float)))

    def distinct(self, values: Any) -> Any:
        """Zeros in place of what strips before it have as well."""
        return self.spectrum(self.signal(values) * self._own) if self.before else values

    @cached_property
    def shared(self) -> list[tuple[Any, Any]]:
        """For each strip before it, the samples that it is the first to share: which of that strip, and of this."""
        found, taken = [], np.zeros(self.coordinates[0].shape, bool)
        for strip in self.before:
            both = self._in(strip) & ~taken
            taken |= both
            component, *places = (each[both] for each in self.coordinates)
            along = places[: strip.axis] + places[strip.axis + 1 :]
            starts = np.searchsorted(strip.component, component)  # of the component's layers
            firsts = np.array([shape[strip.axis] for shape in self.cross.kept])[component]
            index = (*along, starts + places[strip.axis] - firsts)
            theirs = np.ravel_multi_index(index, (*strip.slab.others, strip.thickness))
            found.append((self.arrays.native(theirs), self.arrays.native(np.flatnonzero(both))))
        return found
