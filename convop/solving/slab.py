"""A few layers of a torus: their share of a spectrum, and the spectrum's share of them.

A transform of the torus computes everything. Where few layers of an axis hold something, or are asked for, that axis
alone is transformed, by a thin matrix of waves in BLAS or, where the layers are many, by a transform. The other axes
stay in frequency.
"""

import math
from functools import cached_property
from typing import Any

import numpy as np

from ..dtypes import Array
from .torus import Torus

WORTH = 4.0  # layers for each doubling of the torus up to which the matrix is as fast as the transform; measured


class Slab:
    """Layers of one axis of arrays with several components on a torus; `(batch, *half, layers)` in frequency.

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
        self.torus, self.axis, self.arrays, self.size = torus, axis, torus.arrays, torus.sizes[axis]
        self.before, self.after = torus.sizes[:axis], torus.sizes[axis + 1 :]
        self.others = (*self.before, *self.after)
        self.halved = torus.real and not self.after  # whether it is this axis of which spectra hold one half
        last = [n // 2 + 1 if torus.real else n for n in self.others[-1:]]
        self.half = (*self.others[:-1], *last)  # frequencies of the other axes that are not redundant
        stops = np.cumsum([len(each) for each in layers])
        self.parts = [slice(stop - len(each), stop) for each, stop in zip(layers, stops, strict=True)]
        self.layers, self._kind = layers, self.arrays.native if exact else self._working
        self.thin = sum(map(len, layers)) < WORTH * len(layers) * math.log2(math.prod(torus.sizes))

    def _working(self, values: Array) -> Any:
        return self.arrays.working(self.arrays.native(values))

    def lift(self, values: Any) -> Any:
        """The spectra `(batch, Q, *frequencies)` of arrays with these values on the layers and zeros elsewhere."""
        if self.halved:
            values = self._whole(values)
        along = self._by_waves if self.thin else self._by_transform
        found = [along(q, values[..., part]) for q, part in enumerate(self.parts)]
        return found[0][:, None] if len(found) == 1 else self.arrays.xp.stack(found, 1)

    def drop(self, spectra: Any) -> Any:
        """The values `(batch, *half, layers)` on the layers of arrays with these spectra."""
        back = self._by_waves_back if self.thin else self._by_transform_back
        found = [back(q, spectra[:, q]) for q in range(len(self.parts))]
        values = found[0] if len(found) == 1 else self.arrays.xp.concatenate(found, -1)
        if self.halved:
            return self._real_part(values)
        return self._exactly_real(values) if self.torus.real else values

    def signal(self, values: Any) -> Any:
        """From frequencies of the other axes to their places, `(batch, *others, layers)`."""
        axes = tuple(range(1, values.ndim - 1))
        return self.arrays.back(values, axes, self.others, self.torus.real) if axes else values

    def spectrum(self, signal: Any) -> Any:
        """What `signal` undoes."""
        axes = tuple(range(1, signal.ndim - 1))
        return self.arrays.transform(signal, axes, self.torus.real) if axes else signal

    @cached_property
    def _waves(self) -> list[Array]:
        """For each component, what its layers contribute to each frequency of the axis."""
        frequencies = np.arange(self.size // 2 + 1 if self.halved else self.size)
        roots = np.exp(-2j * np.pi / self.size * np.arange(self.size))
        return [roots[np.outer(frequencies, each) % self.size] for each in self.layers]

    @cached_property
    def _shares(self) -> Array:
        """How much each stored frequency of the axis counts: where half are stored, most stand for two."""
        shares = np.full(self.size // 2 + 1 if self.halved else self.size, 1 / self.size)
        if self.halved:
            shares[1 : (self.size + 1) // 2] *= 2
        return shares

    @cached_property
    def _there(self) -> list[Any]:
        return [self._kind(waves if self.after else waves.T) for waves in self._waves]

    @cached_property
    def _back(self) -> list[Any]:
        return [self._kind(waves.conj() * self._shares[:, None]) for waves in self._waves]

    def _by_waves(self, component: int, values: Any) -> Any:
        waves = self._there[component]
        if not self.after:
            return self.arrays.product(values, waves)
        lead, after = tuple(values.shape[: 1 + self.axis]), tuple(values.shape[1 + self.axis : -1])
        lines = values.reshape((*lead, math.prod(after), values.shape[-1])).swapaxes(-1, -2)
        return self.arrays.product(waves, lines).reshape((*lead, self.size, *after))

    def _by_waves_back(self, component: int, spectrum: Any) -> Any:
        waves = self._back[component]
        if not self.after:
            return self.arrays.product(spectrum, waves)
        lead, after = tuple(spectrum.shape[: 1 + self.axis]), tuple(spectrum.shape[2 + self.axis :])
        lines = spectrum.reshape((*lead, self.size, math.prod(after))).swapaxes(-1, -2)
        return self.arrays.product(lines, waves).reshape((*lead, *after, -1))

    def _by_transform(self, component: int, values: Any) -> Any:
        lines = self.arrays.zeros((*values.shape[:-1], self.size), values)
        lines[..., self.arrays.native(self.layers[component])] = values
        spectrum = self.arrays.transform(lines, (lines.ndim - 1,), False)
        spectrum = spectrum[..., : self.size // 2 + 1] if self.halved else spectrum
        return self.arrays.xp.moveaxis(spectrum, -1, 1 + self.axis)

    def _by_transform_back(self, component: int, spectrum: Any) -> Any:
        lines = self.arrays.xp.moveaxis(spectrum, 1 + self.axis, -1)
        if self.halved:  # zeros take the place of the other half
            lines = lines * self._kind(self._shares * self.size)
        signal = self.arrays.back(lines, (lines.ndim - 1,), (self.size,), False)
        return signal[..., self.arrays.native(self.layers[component])]

    @cached_property
    def _opposite(self) -> list[Any]:
        """On the other axes but the last, where the opposite of each frequency stands."""
        return [self.arrays.native(-np.arange(n) % n) for n in self.others[:-1]]

    @cached_property
    def _opposites(self) -> tuple[Any, Any, Any]:
        """On the last other axis: opposites of frequencies that are missing, those stored, and which are their own."""
        n, count = self.others[-1], self.half[-1]
        own = np.array([0, n // 2] if n % 2 == 0 else [0])
        missing, stored = -np.arange(count, n) % n, -np.arange(count) % n
        return self.arrays.native(missing), self.arrays.native(stored), self.arrays.native(own)

    def _mirrored(self, values: Any, last: Any) -> Any:
        """The conjugate at the opposite frequencies of the other axes; of the last at these places."""
        for axis, opposite in enumerate(self._opposite):
            values = self.arrays.xp.moveaxis(self.arrays.xp.moveaxis(values, 1 + axis, 0)[opposite], 0, 1 + axis)
        return values[..., last, :].conj()

    def _whole(self, values: Any) -> Any:
        """From half of the frequencies to all, of values that are real."""
        if not self.others:
            return values
        return self.arrays.xp.concatenate([values, self._mirrored(values, self._opposites[0])], -2)

    def _real_part(self, values: Any) -> Any:
        """Half of the frequencies of the real parts of values given by all their frequencies."""
        if not self.others:
            return values.real
        _, stored, _ = self._opposites
        return (values[..., : self.half[-1], :] + self._mirrored(values, stored)) / 2

    def _exactly_real(self, values: Any) -> Any:
        """Without what rounding adds to frequencies that are their own opposites, which makes no signal real."""
        *_, own = self._opposites
        values[..., own, :] = (values[..., own, :] + self._mirrored(values, own)) / 2
        return values
