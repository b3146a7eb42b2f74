"""A few layers of a torus: their share of a spectrum, and they alone of its signal, by products with thin matrices.

A transform of the whole torus computes everything. Where few layers of an axis hold something, or are asked for, a
matrix of their waves transforms that axis with fewer operations, in BLAS; the others are transformed for these layers
only.
"""

import math
from functools import cached_property
from typing import Any

import numpy as np

from ..dtypes import Array
from .torus import Torus

WORTH = 3.0  # layers for each doubling of the torus up to which the matrix is as fast as one transform; measured
WIDE = 32  # samples across the longest axis from which on a matrix is used often enough to be worth making


def thin(torus: Torus, layers: int, transforms: int) -> bool:
    """Whether products with matrices of so many layers take less time than so many transforms of the torus."""
    total = math.prod(torus.sizes)
    return total >= WIDE * max(torus.sizes, default=1) and layers < WORTH * transforms * math.log2(total)


class Slab:
    """Layers of one axis of arrays with several components on a torus.

    Parameters
    ----------
    torus : Torus
    axis : int
    layers : list of arrays of int
        Which places on the axis, for each component.
    exact : bool
        Whether to compute in double precision, in whatever precision is solved.
    """

    def __init__(self, torus: Torus, axis: int, layers: list[Array], exact: bool = False) -> None:
        self.torus, self.axis, self.arrays = torus, axis, torus.arrays
        self.before, self.after = torus.sizes[:axis], torus.sizes[axis + 1 :]
        self.others = (*self.before, *self.after)
        self.halved = torus.real and not self.after  # whether it is this axis of which spectra hold one half
        stops = np.cumsum([len(each) for each in layers])
        self.parts = [slice(stop - len(each), stop) for each, stop in zip(layers, stops, strict=True)]
        self.layers, self._kind = layers, self.arrays.native if exact else self._working

    def _working(self, values: Array) -> Any:
        return self.arrays.working(self.arrays.native(values))

    @cached_property
    def _waves(self) -> list[Array]:
        """For each component, what its layers contribute to each frequency of the axis."""
        n = self.torus.sizes[self.axis]
        frequencies = np.arange(n // 2 + 1 if self.halved else n)
        roots = np.exp(-2j * np.pi / n * np.arange(n))
        return [roots[np.outer(frequencies, each) % n] for each in self.layers]

    @cached_property
    def _there(self) -> list[Any]:
        return [self._kind(waves) for waves in self._waves]

    @cached_property
    def _back(self) -> list[Any]:
        n = self.torus.sizes[self.axis]
        shares = np.full(n // 2 + 1 if self.halved else n, 1 / n)
        if self.halved:
            shares[1 : (n + 1) // 2] *= 2  # each stands for its mirror image as well
        return [self._kind((waves.conj() * shares[:, None]).T) for waves in self._waves]

    def spectra(self, values: Any) -> Any:
        """Values `(batch, layers, *others)` to the spectra `(batch, Q, *frequencies)` of these and zeros elsewhere."""
        axes = self._axes(values)
        if axes:
            values = self.arrays.transform(values, axes, self.torus.real and not self.halved)
        found = [self._along(w, values[:, part]) for w, part in zip(self._there, self.parts, strict=True)]
        return found[0][:, None] if len(found) == 1 else self.arrays.xp.stack(found, 1)

    def _along(self, waves: Any, values: Any) -> Any:
        """From layers `(batch, layers, *others)` to the frequencies of this axis, which then stands in its place."""
        xp, count, after = self.arrays.xp, values.shape[1], tuple(values.shape[1 + self.axis + 1 :])
        values = xp.moveaxis(values, 1, 1 + self.axis)
        if not self.after:
            return self.arrays.product(values, waves.T)
        lead = (values.shape[0], *self.before)
        return self.arrays.product(waves, values.reshape((*lead, count, math.prod(after)))).reshape((*lead, -1, *after))

    def values(self, spectra: Any) -> Any:
        """Spectra `(batch, Q, *frequencies)` of signals to their values `(batch, layers, *others)` on these layers."""
        found = [self._layers(w, spectra[:, q]) for q, w in enumerate(self._back)]
        values = found[0] if len(found) == 1 else self.arrays.xp.concatenate(found, 1)
        axes = self._axes(values)
        if axes:
            values = self.arrays.back(values, axes, self.others, self.torus.real and not self.halved)
        return values.real if self.halved else values

    def _layers(self, waves: Any, spectrum: Any) -> Any:
        """From the frequencies of this axis to layers `(batch, layers, *others)`."""
        xp = self.arrays.xp
        if not self.after:
            return xp.moveaxis(self.arrays.product(spectrum, waves.T), -1, 1)
        lead, after = (spectrum.shape[0], *self.before), tuple(spectrum.shape[2 + self.axis :])
        values = self.arrays.product(waves, spectrum.reshape((*lead, -1, math.prod(after))))
        return xp.moveaxis(values.reshape((*lead, -1, *after)), 1 + self.axis, 1)

    def _axes(self, values: Any) -> tuple[int, ...]:
        return tuple(range(2, values.ndim))
