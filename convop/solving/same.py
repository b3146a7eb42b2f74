r"""Zero boundaries that neither write all that a kernel reaches nor read only what is there, nearly direct ("same").

On a torus let `C` be the circulant with the kernel, `R_out` the samples that are not written and `R_in` those that are
pinned to zero. With multipliers `mu` for what is pinned and `z = R_out C x` for what is not written,

``x = P^-1 (f + C^H R_out^H z - R_in^H mu)``,  ``P = C^H C + alpha I``,

is the solution of the normal equations where ``z = R_out C x`` and ``R_in x = 0``: a system on the cross outside the
array that is Hermitian but not definite (quasi-definite: R. J. Vanderbei, "Symmetric Quasidefinite Matrices", SIAM J.
Optim. 5, 1995). GMRES solves it, preconditioned strip by strip; where that stalls, which it does for small alpha and
kernels with zeros in their spectrum, conjugate gradients take over.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ..apply.transforms import fast_length
from ..arguments import Shape
from ..dtypes import Array
from ..operator import Operator
from .arrays import Arrays
from .cross import Cross, too_large
from .frame import complement
from .krylov import KrylovFactor, KrylovState
from .normal import Answer, Factor, Method, State, Watch, array_norms, corrected, divisors
from .problem import Problem, as_plain, rows_of, torn_axis, wraps
from .same_gmres import gmres
from .schwarz import Schwarz
from .torus import Torus, power

STEPS = 40  # as many cost what hundreds of plain conjugate gradients do


def _shortfall(row: Operator) -> str | None:
    """What keeps an operator from being a crop of a circulant of a zero-extended signal."""
    plain = as_plain(row)
    if isinstance(plain, str):
        return plain
    g = plain.geometry
    for axis, pair in enumerate(g.boundary):
        if "periodic" not in pair and pair != ("zero", "zero"):
            return f"it reads outside the array on axis {axis} (boundary {pair})"
    return None


def obstacle(problem: Problem, alpha: float) -> str | None:
    """What keeps the method from serving."""
    if not alpha > 0:
        return "alpha is 0, and the method divides by it"
    if problem.L is not None:
        return "it knows no regulariser but the identity"
    rows = rows_of(problem.A)
    short = next((reason for reason in map(_shortfall, rows) if reason is not None), None)
    return (
        short
        or torn_axis(_geometries(rows), lambda g, axis: any(g.reads_outside(axis)))
        or too_large(_sizes(rows), _kept(rows), problem.dtype)
    )


def _geometries(rows: tuple[Operator, ...]) -> list[Any]:
    return [row.geometry for row in rows]  # pyright: ignore[reportAttributeAccessIssue]


def _kept(rows: tuple[Operator, ...]) -> tuple[Shape, ...]:
    """What each row writes, and the samples that are not pinned."""
    geometries = _geometries(rows)
    return (*(g.out_spatial for g in geometries), geometries[0].spatial)


def _sizes(rows: tuple[Operator, ...]) -> Shape:
    """Fast sizes on which no sample that is read or written wraps onto another; the own ones of periodic axes."""
    sizes, geometries = [], _geometries(rows)
    for axis, n in enumerate(geometries[0].spatial):
        least = max(max(n + max(0, *g.padding[axis]), g.out_spatial[axis]) for g in geometries)
        sizes.append(n if wraps(geometries, axis) else fast_length(least, real=False))
    return tuple(sizes)


class SameState(State):
    """The kernels' spectra on a torus that holds what they reach."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        rows = rows_of(problem.A)
        self.kept, self.spatial = _kept(rows), _kept(rows)[-1]
        self.torus = Torus(_sizes(rows), problem.dtype.kind != "c", Arrays(np.finfo(problem.dtype).dtype))
        self.symbols = [self.torus.symbol(row.geometry, row.weight) for row in rows]  # pyright: ignore[reportAttributeAccessIssue]
        self._fallback: KrylovState | None = None

    def at(self, alpha: float) -> "SameFactor":
        return SameFactor(self, alpha)

    @property
    def fallback(self) -> KrylovState:
        self._fallback = self._fallback or KrylovState(self.problem)
        return self._fallback


class SameFactor(Factor):
    """One `alpha`: the diagonal `P`, and the system on the cross; or conjugate gradients once it has stalled."""

    def __init__(self, state: SameState, alpha: float) -> None:
        self.state, self.alpha, self.torus = state, alpha, state.torus
        self.fallback: KrylovFactor | None = None
        powers = [power(s) for s in state.symbols]
        whole: Any = sum(powers) + alpha
        working = self.torus.arrays.working
        self.columns = working(np.stack(state.symbols))
        self.inverse, self.power = working(1 / whole), working(whole)
        data = complement(state.symbols, powers, alpha, whole, np)
        across = np.stack(state.symbols) / whole
        below = np.concatenate([across.conj(), -1 / whole[None]])
        symbol = np.concatenate([np.concatenate([data, across[:, None]], 1), below[None]])
        self.cross = Cross(symbol, self.torus, state.kept)

    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        if self.fallback is not None:
            return self.fallback.solve(f, tol, maxiter, start, watch)
        if start is not None:
            return self._from(f, tol, maxiter, start, watch)
        with self.torus.arrays.calm():
            answer = self._through_cross(f, tol, min(maxiter, STEPS), watch)
        if answer.status != "stalled":
            return answer
        if answer.iterations >= maxiter:
            return replace(answer, status="max_iterations")
        return self._given_up(f, tol, maxiter, answer, watch)

    def _given_up(self, f: Array, tol: float, maxiter: int, answer: Answer, watch: Watch | None) -> Answer:
        """Conjugate gradients, from now on at once; where GMRES came to is no good start, full of high frequencies."""
        self.fallback = self.state.fallback.at(self.alpha)
        self.remark = f"GMRES stalled after {answer.iterations} steps, and conjugate gradients took over"
        rest = self.fallback.solve(f, tol, maxiter - answer.iterations, None, watch)
        return Answer(rest.x, (*answer.residuals[:-1], *rest.residuals), rest.status)

    def _from(self, f: Array, tol: float, maxiter: int, start: Array, watch: Watch | None) -> Answer:
        """What is missing from `start` is solved for."""
        problem = self.state.problem
        rest = f - problem.normal(start, self.alpha)
        scale, left = divisors(array_norms(f)), array_norms(rest)
        share = float((left / scale).max())
        if share <= tol:
            return Answer(start, (share,), "converged")
        more = self.solve(rest, min(0.5, tol / share), maxiter, None, corrected(watch, start, share, 0))
        return Answer(start + more.x, tuple(share * each for each in more.residuals), more.status)

    def _through_cross(self, f: Array, tol: float, steps: int, watch: Watch | None) -> Answer:
        shape = f.shape
        spectrum = self.torus.spectrum(self.torus.embed(f.reshape((-1, *self.state.spatial))))
        size = divisors(array_norms(f))
        rows = self.columns.shape[0]
        right = self.cross.gather(
            np.concatenate([(spectrum * self.inverse)[:, None] * self.columns, -(spectrum * self.inverse)[:, None]], 1)
        )

        def crop(whole: Array) -> Array:
            return self.torus.crop(self.torus.signal(whole), self.state.spatial).reshape(shape)

        def solution(z: Array) -> Array:
            values = self.cross.spread(z)
            return crop((spectrum + (values[:, :rows] * self.columns.conj()).sum(1) - values[:, rows]) * self.inverse)

        def residual(rho: Array) -> Array:
            """Of the normal equations of the cropped solution, from those of both systems on the cross."""
            values = self.cross.remaining(rho)
            pinned = values[:, rows]
            data = values[:, :rows] + self._outside(pinned[:, None] * self.columns)
            return array_norms(crop(pinned * self.power - (data * self.columns.conj()).sum(1))) / size

        def report(step: int, iterate: Any, sizes: Array) -> None:
            if watch is not None:
                watch(step, lambda: solution(first + iterate()), float(sizes.max()))

        schwarz = Schwarz(self.cross)
        first, explained = schwarz.begin(right)
        found = gmres(schwarz.sweep, right - explained, residual, tol, steps, report)
        return Answer(solution(first + found.x), tuple(float(each.max()) for each in found.residuals), found.status)

    def _outside(self, spectra: Array) -> Array:
        """The spectra of what arrays, one for each row, hold outside of what that row writes."""
        u = self.torus.signal(spectra)
        for row, kept in enumerate(self.state.kept[:-1]):
            u[(slice(None), row, *map(slice, kept))] = 0
        return self.torus.spectrum(u)


METHOD = Method(
    "same",
    "zeros lie outside, so all that is not circulant lies on a thin cross outside the array",
    obstacle,
    SameState,
)
