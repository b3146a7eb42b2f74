"""The bilinear form b(x, y) = <A x, y> - <x, G y> of an operator A and its claimed adjoint G.

G is the adjoint exactly when b is zero. The test draws x and y; the diagnosis asks b of vectors that it has
masked, mirrored or moved, and so learns where and how it is not zero, without ever forming a matrix.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import Array
from ..operator import Operator
from .rounding import SIGMAS, Noise, measure
from .subject import directions
from .vectors import Gaussian, Integers, inner, norm, wide

REPEATS = 4  # draws that a hypothesis has to survive
Pair = tuple[Array, Array]
Form = Callable[[Array, Array], complex]
Product = tuple[Any, Any]  # real and imaginary part


@dataclass(frozen=True)
class Trial:
    """One dot test: both inner products, their difference, and the norms it is to be measured by."""

    forward: complex
    adjoint: complex
    gap: complex
    forward_norm: float
    adjoint_norm: float
    scale: float

    @property
    def error(self) -> float:
        return abs(self.gap) / self.scale if self.scale > 0 else float(abs(self.gap) > 0)


class Pairing:
    """A and G with their test vectors, and the tolerance for b that their rounding leaves.

    `witnesses` are the pairs that show most of the fault: whatever explains it has to explain them.
    """

    def __init__(self, operator: Operator, vectors: Gaussian):
        self.operator, self.vectors = operator, vectors
        self.A, self.G = directions(operator)
        self.tolerance = math.nan
        self.noise: tuple[Noise, Noise]
        self.witnesses: list[Pair] = []

    @property
    def in_shape(self) -> tuple[int, ...]:
        return self.operator.in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.operator.out_shape

    def x(self) -> Array:
        return self.vectors.draw(self.in_shape)

    def y(self) -> Array:
        return self.vectors.draw(self.out_shape)

    def both(self, left: Pair, right: Pair, conjugated: bool = False) -> tuple[Product, Product]:
        """<A x', y'> and <x, G y> for `left` = (x', y') and `right` = (x, y); G^T in place of G^H if conjugated."""
        (u, v), (x, y) = left, right
        Gy = self.G(y.conj()).conj() if conjugated else self.G(y)
        return inner(self.A(u), v, self.vectors.dot), inner(x, Gy, self.vectors.dot)

    def compare(self, left: Pair, right: Pair, conjugated: bool = False) -> complex:
        """Their difference."""
        return subtract(*self.both(left, right, conjugated))

    def factor(self, both: Callable[[Array, Array], tuple[Product, Product]]) -> complex | None:
        """The one factor from the first to the second of two products, on all `pairs`; None if there is none."""
        products = [tuple(complex(*each) for each in both(*pair)) for pair in self.pairs(REPEATS)]
        largest = max(abs(f) for f, _ in products)
        if largest == 0:
            return None
        # The least-squares factor, in units that cannot overflow.
        weights = [f.conjugate() / largest for f, _ in products]
        total = sum(w * (g / largest) for w, (_, g) in zip(weights, products, strict=True))
        factor = total / sum(abs(w) ** 2 for w in weights)
        allowed = max(self.tolerance, self.weighed(factor))
        return factor if all(abs(g - factor * f) <= allowed for f, g in products) else None

    def gap(self, x: Array, y: Array) -> complex:
        """b(x, y)."""
        return self.compare((x, y), (x, y))

    def trial(self, x: Array, y: Array) -> Trial:
        Ax, Gy = self.A(x), self.G(y)
        if isinstance(self.vectors, Integers):
            self.vectors.require_exact(Ax)
            self.vectors.require_unrounded(Gy)
        forward, adjoint = inner(Ax, y, self.vectors.dot), inner(x, Gy, self.vectors.dot)
        sizes = norm(Ax), norm(Gy)
        scale = sizes[0] * norm(y) + norm(x) * sizes[1]
        return Trial(complex(*forward), complex(*adjoint), subtract(forward, adjoint), *sizes, scale)

    def run(self, rounds: Iterable[object]) -> list[Trial]:
        """A trial in each round; sets the tolerance from what they and a few probes show of the rounding."""
        trials: list[Trial] = []
        gaps: list[tuple[float, Pair]] = []
        for _ in rounds:
            pair = self.x(), self.y()
            trials.append(self.trial(*pair))
            gaps = sorted([*gaps, (abs(trials[-1].gap), pair)], key=lambda item: -item[0])[:REPEATS]
        self.witnesses = [pair for _, pair in gaps]
        self.noise = (
            measure(self.A, self.vectors, tuple(t.forward_norm for t in trials)),
            measure(self.G, self.vectors, tuple(t.adjoint_norm for t in trials)),
        )
        self.tolerance = self._tolerance(max(t.scale for t in trials))
        return trials

    def _tolerance(self, scale: float) -> float:
        if isinstance(self.vectors, Integers):
            return 0.5  # the difference of two Gaussian integers
        accumulation = float(np.finfo(wide(self.operator.dtype)).eps) * math.log2(4 + max(self.operator.shape))
        return self.weighed(1.0) + accumulation * scale

    def weighed(self, factor: complex) -> float:
        """What rounding may leave of <A x, y> factor - <x, G y>.

        The error d of A x depends on x alone and y is independent of it and Gaussian, so <d, y> is Gaussian
        with the standard deviation ||d|| times the spread of y.
        """
        forward, adjoint = self.noise
        return SIGMAS * self.vectors.spread * (abs(factor) * forward.level + adjoint.level)

    def pairs(self, repeats: int) -> Iterator[Pair]:
        """The witnesses, then as many fresh pairs."""
        yield from self.witnesses
        for _ in range(repeats):
            yield self.x(), self.y()

    def vanishes(self, form: Form, restrict: Callable[[Pair], Pair] = lambda pair: pair) -> bool:
        """Whether a form is zero to rounding on all `pairs`, each restricted first."""
        return all(abs(form(*restrict(pair))) <= self.tolerance for pair in self.pairs(REPEATS))


def subtract(u: Product, v: Product) -> complex:
    return complex(float(u[0] - v[0]), float(u[1] - v[1]))


def real_if_close(factor: complex) -> complex | float:
    """A factor without an imaginary part that is rounding."""
    return factor if abs(factor.imag) > 1e-6 * abs(factor) else factor.real
