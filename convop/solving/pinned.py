r"""Convolutions that write every sample they reach (zero boundary, "full"), nearly direct.

On a torus as large as the output, `A = C E` with `C` circulant and `E` the embedding of the signal, whose samples
are pinned to zero outside. The normal equations are a principal submatrix of the circulant
``P = C^H C + alpha L^H L``, and a block of an inverse gives (with `R` the samples that are pinned)

``x = E^H P^-1 (f - R^H mu)``,  ``(R P^-1 R^H) mu = R P^-1 f``.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ..apply.transforms import fast_length
from ..arguments import Shape
from ..operator import Operator
from .arrays import Arrays
from .cross import Cross, too_large
from .normal import Method, State
from .on_torus import OnTorus, TorusFactor
from .precision import AsNeeded
from .problem import Problem, as_plain, rows_of, torn_axis, wraps
from .torus import Torus, power


def shortfall(operator: Operator) -> str | None:
    """What keeps an operator from writing all that a zero-extended signal reaches."""
    plain = as_plain(operator)
    if isinstance(plain, str):
        return plain
    g = plain.geometry
    for axis, (pair, width, span) in enumerate(zip(g.boundary, g.padding, g.reach, strict=True)):
        if "periodic" not in pair and (pair != ("zero", "zero") or min(width) < span - 1):
            return f"axis {axis} does not write every sample that the kernel reaches"
    return None


def obstacle(problem: Problem, alpha: float) -> str | None:
    """What keeps the method from serving."""
    if not alpha > 0:
        return "alpha is 0, and the method divides by it"
    rows = (*rows_of(problem.A), *(() if problem.L is None else rows_of(problem.L)))
    reason = next((reason for reason in map(shortfall, rows) if reason is not None), None)
    if reason is not None:
        return reason
    geometries = [_geometry(row) for row in rows]
    return torn_axis(geometries, lambda g, axis: g.reach[axis] > 1) or too_large(
        _sizes(geometries), (geometries[0].spatial,), problem.dtype
    )


class PinnedState(State):
    """The power of the kernels at each frequency of a torus on which nothing wraps."""

    def __init__(self, problem: Problem, arrays: Arrays | None = None) -> None:
        blurs, penalties = rows_of(problem.A), () if problem.L is None else rows_of(problem.L)
        self.spatial = problem.A.in_shape[-len(_geometry(blurs[0]).spatial) :]
        self.torus = Torus(
            _sizes([_geometry(row) for row in (*blurs, *penalties)]),
            problem.dtype.kind != "c",
            arrays or Arrays(np.finfo(problem.dtype).dtype),
        )
        self.blur_power: Any = sum(map(self._power, blurs))
        self.penalty_power: Any = sum(map(self._power, penalties)) if penalties else 1.0

    def _power(self, row: Operator) -> Any:
        return power(self.torus.symbol(_geometry(row), row.weight))  # pyright: ignore[reportAttributeAccessIssue]

    def at(self, alpha: float) -> OnTorus:
        whole: Any = self.blur_power + alpha * self.penalty_power

        def factor(arrays: Arrays) -> PinnedFactor:
            return PinnedFactor(replace(self.torus, arrays=arrays), self.spatial, whole)

        solver = AsNeeded(factor, self.torus.arrays, float(whole.min()), float(whole.max()))
        return OnTorus(self.torus, self.spatial, solver)


def _geometry(row: Operator) -> Any:
    return row.geometry  # pyright: ignore[reportAttributeAccessIssue]


def _sizes(geometries: list[Any]) -> Shape:
    """Fast sizes that hold the signal and the reach of every kernel; the own ones of periodic axes."""
    sizes = []
    for axis, n in enumerate(geometries[0].spatial):
        least = max(n + g.reach[axis] - 1 for g in geometries)
        sizes.append(n if wraps(geometries, axis) else fast_length(least, real=False))
    return tuple(sizes)


class PinnedFactor(TorusFactor):
    """One `alpha`: the diagonal `P`, and its inverse on the cross."""

    def __init__(self, torus: Torus, spatial: Shape, whole: Any) -> None:
        self.torus, self.spatial = torus, spatial
        self.inverse, self.power = map(torus.arrays.working, (1 / whole, whole))
        self.cross = Cross((1 / whole)[None, None], torus, (spatial,))
        self.gain = float(whole.max())

    def _right(self, spectrum: Any) -> Any:
        return self.cross.gather((spectrum * self.inverse)[:, None])

    def _guess(self, spectrum: Any) -> Any:
        return self.cross.distinct(self.cross.gather((-spectrum * self.power)[:, None]))

    def _solution(self, spectrum: Any, z: Any) -> Any:
        return (spectrum - self.cross.spread(z)[:, 0]) * self.inverse

    def _residual(self, rho: Any) -> Any:
        return self.cross.remaining(rho)[:, 0] * self.power


METHOD = Method(
    "pinned",
    "every sample that the kernel reaches is written, so the normal equations are part of a circulant matrix",
    obstacle,
    PinnedState,
)
