"""Convex functions of `K x` that are no squares: what alternating directions need to know of each."""

import abc
from dataclasses import dataclass

import numpy as np

from ..dtypes import Array
from ..operator import Operator


@dataclass(frozen=True)
class Penalty(abc.ABC):
    """`g(K x)`; `K` is None for the identity."""

    K: Operator | None

    def image(self, x: Array) -> Array:
        """`K x`."""
        return x if self.K is None else self.K(x)

    def back(self, q: Array) -> Array:
        """`K^H q`."""
        return q if self.K is None else self.K.H(q)

    @abc.abstractmethod
    def nearest(self, q: Array, radius: float = 1.0) -> Array:
        """`q` less the proximal point of `radius * g` at `q`."""


class Gauge(Penalty):
    """A penalty whose conjugate is zero on its domain, in which a dual variable `q` has to lie.

    `nearest` is the nearest point of that domain made `radius` times as large.
    """

    @abc.abstractmethod
    def value(self, image: Array) -> Array:
        """`g` for each array of a batch; where `g` is infinite or 0 it is 0."""

    def strain(self, q: Array) -> Array:
        """For each array of a batch by how much `q` has to be divided to lie in the dual domain; at least 1."""
        return np.ones(len(q))


@dataclass(frozen=True)
class Norm(Gauge):
    """`weight` times the sum of moduli; of vectors along the first axis where `grouped`; `signed` for `x >= 0`.

    The dual domain holds moduli up to `weight`; where `x >= 0` it goes on without end below.
    """

    weight: float
    grouped: bool = False
    signed: bool = False

    def _modulus(self, image: Array) -> Array:
        if self.signed:
            return image
        return np.linalg.norm(image, axis=1, keepdims=True) if self.grouped else abs(image)

    def nearest(self, q: Array, radius: float = 1.0) -> Array:
        bound = self.weight * radius
        if self.signed:
            return np.minimum(q, bound)
        modulus = self._modulus(q)
        return q * np.divide(bound, modulus, where=modulus > bound, out=np.ones_like(modulus))

    def value(self, image: Array) -> Array:
        return self.weight * self._modulus(image).reshape((len(image), -1)).sum(-1)

    def strain(self, q: Array) -> Array:
        largest = self._modulus(q).reshape((len(q), -1)).max(-1)
        return np.maximum(largest / self.weight, 1.0)


@dataclass(frozen=True)
class Partial(Gauge):
    """A norm of the entries that are `seen`, 1 there and 0 elsewhere; the dual domain holds zeros elsewhere."""

    norm: Norm
    seen: Array

    def nearest(self, q: Array, radius: float = 1.0) -> Array:
        return self.norm.nearest(q * self.seen, radius)

    def value(self, image: Array) -> Array:
        return self.norm.value(image * self.seen)

    def strain(self, q: Array) -> Array:
        return self.norm.strain(q * self.seen)


@dataclass(frozen=True)
class Nonnegative(Gauge):
    """Infinite where a sample is negative; the dual domain holds what is not positive."""

    def nearest(self, q: Array, radius: float = 1.0) -> Array:
        return np.minimum(q, 0)

    def value(self, image: Array) -> Array:
        return np.zeros(len(image))
