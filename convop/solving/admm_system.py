"""The quadratic steps of alternating directions, by the methods that solve normal equations."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..convolution import Convolution
from ..dtypes import Array
from ..geometry import Geometry
from ..operator import Operator
from ..stacking import vstack
from .normal import Answer, ByOperators, Factor, Method, State, array_norms, refined, relative
from .problem import Problem, convolution_in, rows_of
from .table import choose

INNER_STEPS = 500
CLOSER = 0.05  # residual of a quadratic step, relative to what changed on its right since the step before
LOOSEST, ROUNDINGS = 1e-3, 100  # bounds of it, relative to the right-hand side; the lower one in roundings


@dataclass(frozen=True)
class Quadratic:
    """``A^H A + ridge Q^H Q + rho (K^H K + share I)``: one part of it may be missing, or an operator None.

    Attributes
    ----------
    A : Operator
        The operator of the data.
    ridge : float
        Weight of `Q`, a part of the objective.
    Q, K : Operator or None
        None for the identity.
    splits : bool
        Whether `K` is there.
    share : float
        How much of the identity is there beside it.
    method : str or Method
        What solves it: a name as for `solve`, or the method itself.
    """

    A: Operator
    K: Operator | None
    splits: bool
    share: float
    ridge: float = 0.0
    Q: Operator | None = None
    method: str | Method = "auto"
    _states: dict[float, State] = field(default_factory=dict, repr=False)

    def problem(self, rho: float) -> tuple[Problem, float]:
        """The normal equations `A^H A + alpha L^H L` that these are, and their alpha."""
        ridge, identity = self.ridge / rho, self.share
        rows: list[Operator] = []
        if self.splits and self.K is not None:
            rows += rows_of(self.K)
        elif self.splits:
            identity += 1.0
        if ridge and self.Q is not None:
            rows += [math.sqrt(ridge) * row for row in rows_of(self.Q)]
        elif ridge:
            identity += ridge
        if not rows:
            return Problem(self.A), rho * identity
        if identity:
            rows.append(_identity_like(self.A, math.sqrt(identity)))
        return Problem(self.A, vstack(rows)), rho

    @cached_property
    def chosen(self) -> Method:
        problem, alpha = self.problem(1.0)
        return choose(problem, alpha, self.method) if isinstance(self.method, str) else self.method

    def at(self, rho: float) -> "QuadraticFactor":
        """Prepared for one `rho`."""
        problem, alpha = self.problem(rho)
        changes = rho if problem.L is not None and self.ridge else 0.0  # what is prepared holds for every rho otherwise
        if changes not in self._states:
            self._states.clear()
            self._states[changes] = self.chosen.prepare(problem)
        return QuadraticFactor(problem, alpha, self._states[changes].at(alpha))


@dataclass(frozen=True)
class QuadraticFactor:
    """The equations for one `rho`."""

    problem: Problem
    alpha: float
    factor: Factor

    def solve(self, f: Array, tol: float, start: Array | None = None) -> Answer:
        """To about the relative residual `tol`."""
        return self.factor.solve(f, tol, INNER_STEPS, start)

    def solve_well(self, f: Array, tol: float, start: Array | None = None) -> Answer:
        """To the relative residual `tol`, by the operators themselves, or as far as rounding lets it."""
        return refined(ByOperators(self.problem, self.factor, f, self.alpha), tol, INNER_STEPS, start)


def _identity_like(A: Operator, number: float) -> Convolution:
    """A multiple of the identity as a convolution with the axes of those in `A`."""
    found = convolution_in(A)
    dtype = np.finfo(A.dtype).dtype
    if found is None or not found.geometry.lifted:
        return Convolution(np.full((1,) * len(A.in_shape), number, dtype), A.in_shape)
    channels, *spatial = A.in_shape
    geometry = Geometry.make(spatial, 1, channels=(channels, channels), groups=channels, lifted=True)
    return Convolution.of(geometry, np.full(geometry.weight_shape, number, dtype), "correlation")


def closer(f: Array, before: Array) -> float:
    """The relative residual to solve to for `f`, where a solution for `before` is the start."""
    change = CLOSER * relative(array_norms(f - before), array_norms(f))
    return min(max(change, ROUNDINGS * float(np.finfo(f.dtype).eps)), LOOSEST)
