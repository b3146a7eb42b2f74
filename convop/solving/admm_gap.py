r"""The duality gap: how far an iterate is at most from the minimum, proven by a point of the dual problem.

``P(x) = 1/2 ||A x - b||^2 + sum g_i(K_i x)`` has the dual (R. T. Rockafellar, "Convex Analysis", 1970, section 31)

``D(u, q) = -1/2 ||u||^2 - Re <u, b> - sum g_i*(q_i)``  subject to  ``A^H u + sum K_i^H q_i = 0``,

and the `g_i*` of norms and bounds are zero on their domains. Of the residuals `u`, `q` that a quadratic step leaves
the sum is zero, but `q` lies outside its domain by a little, most of it in a few samples. Two things mend that:

- projections in turn onto the domain and onto the points of sum zero, with the norm
  ``||u||^2 + ||q||^2 / rho`` (one solve with ``A^H A + rho K^H K`` each; over-relaxed as by H. H. Bauschke and J. M.
  Borwein, "On projection algorithms", SIAM Review 38, 1996), then
- a number `s <= 1`: `s u`, `s q` have sum zero as well (L. El Ghaoui, V. Viallon and T. Rabbani, "Safe feature
  elimination", 2012).

With ``r = A^H u + sum K_i^H q_i``, zero but for rounding and for what the projections left of bounds, the gap is a sum
of terms none of which is negative (Fenchel and Young), so that nothing cancels:

``P(x) - P(x*) <= 1/2 ||A x - b - s u||^2 + sum (g_i(K_i x) - s Re <q_i, K_i x>) + s Re <r, x - x*>``.

The first terms are proven, and so is the inequality. The last term, which `x*` is needed for, is counted as
``s ||r|| ||x||``: as if `x` were as far from `x*` as from zero. Quadratic steps are solved so well that it is small.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ..dtypes import Array
from ..operator import Operator
from .admm_penalty import Gauge
from .admm_splits import Splits
from .admm_system import QuadraticFactor
from .normal import array_norms

OVER = 1.8  # relaxation of the projections
LOOSE = 0.05  # relative residual of the projections' solves but for the last
FEASIBLE = 1e-3  # what is left outside the domain may cost this share of the tolerance


@dataclass(frozen=True)
class Objective:
    """`P`; arrays have one batch axis in front."""

    A: Operator
    b: Array
    penalties: tuple[Gauge, ...]

    def gap(self, x: Array, u: Array, qs: list[Array]) -> tuple[Array, Array]:
        """`P(x)` and the bound on `P(x) - P(x*)` for each item; any `u` and `qs` will do."""
        v = self.A(x) - self.b
        images = [p.image(x) for p in self.penalties]
        values = reduce(np.add, (p.value(image) for p, image in zip(self.penalties, images, strict=True)))
        most = 1 / reduce(np.maximum, (p.strain(q) for p, q in zip(self.penalties, qs, strict=True)))
        qs = [p.nearest(q * _each(most, q)) / _each(most, q) for p, q in zip(self.penalties, qs, strict=True)]
        r = self.A.H(u) + reduce(np.add, (p.back(q) for p, q in zip(self.penalties, qs, strict=True)))
        power = _squares(u)
        along = reduce(np.add, (_inner(q, image) for q, image in zip(qs, images, strict=True)))
        best = np.divide(_inner(u, v) + along, power, where=power > 0, out=np.ones_like(power))
        s = np.clip(best, 0, most)
        left = np.sqrt(_squares(r) * _squares(x))
        return _squares(v) / 2 + values, _squares(v - _each(s, u) * u) / 2 + values - s * along + s * left


def mended(
    objective: Objective, factor: QuadraticFactor, splits: Splits, u: Array, qs: list[Array], steps: int, tol: float
) -> tuple[Array, list[Array]]:
    """`u` and `qs` moved in `steps` projections, after which their sum is zero but for `tol` times `A^H b`."""
    size = array_norms(objective.A.H(objective.b))
    for left in reversed(range(steps)):
        over = OVER if left else 1.0
        qs = [q - over * (q - p.nearest(q)) for p, q in zip(objective.penalties, qs, strict=True)]
        excess = -reduce(np.add, (p.back(q) for p, q in zip(objective.penalties, qs, strict=True)), objective.A.H(u))
        weight = array_norms(excess)
        needed = tol * float(np.divide(size, weight, where=weight > 0, out=np.full_like(size, np.inf)).min())
        if needed > 1 / FEASIBLE:
            break
        h = (factor.solve(excess, LOOSE) if left else factor.solve_well(excess, min(needed, LOOSE))).x
        u = u + objective.A(h)
        parts = zip(objective.penalties, qs, splits.shares, strict=True)
        qs = [q + splits.rho * share * p.image(h) for p, q, share in parts]
    return u, qs


def _squares(u: Array) -> Array:
    return _inner(u, u)


def _inner(a: Array, b: Array) -> Array:
    """The real part of the inner product of each item."""
    flat = (len(a), -1)
    return np.einsum("bi,bi->b", a.reshape(flat).conj(), b.reshape(flat)).real


def _each(numbers: Array, like: Array) -> Any:
    """One number for each item, to be multiplied by arrays like `like`."""
    return numbers.reshape((-1,) + (1,) * (like.ndim - 1))
