"""Solving normal equations: what every method offers, and the refinement that makes its answers exact."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..dtypes import Array
from .problem import Problem

Watch = Callable[[int, Callable[[], Any], float], None]  # step, how to get the iterate, largest relative residual
REFINEMENTS = 4
ATTAINABLE = 1e3  # units of rounding, relative to its right-hand side, down to which a correction may be asked for
FAR = 1e6  # a modulus beyond which, and beyond whose reciprocal, data are brought near 1


@dataclass(frozen=True)
class Answer:
    """An approximate solution of the normal equations, and how it was found."""

    x: Array
    residuals: tuple[float, ...]  # relative to the right-hand side, the largest of the batch, after each step
    status: str  # "converged", "stalled", "max_iterations" or "interrupted"
    left: Any = None  # the norm of each item's residual, where `refined` has computed it anew

    @property
    def iterations(self) -> int:
        return len(self.residuals) - 1


@dataclass(frozen=True)
class Data:
    """A problem and data for it."""

    problem: Problem
    b: Array  # (batch, *out_shape)

    @cached_property
    def f(self) -> Array:
        """`A^H b`."""
        return self.problem.adjoint(self.b)


class Factor(abc.ABC):
    """`A^H A + alpha L^H L` for one `alpha`, prepared for any number of right-hand sides."""

    remark: str = ""  # what there is to say beyond the method's reason, such as what it fell back to

    @abc.abstractmethod
    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        """Solve for `f` of shape `(batch, *in_shape)` to the relative residual `tol`, from `start` on."""

    def equations_for(self, data: Data, alpha: float) -> "NormalEquations":
        """The normal equations that belong to data."""
        return ByOperators(data.problem, self, data.f, alpha)


class NormalEquations(abc.ABC):
    """Normal equations for some data; right-hand sides are what their method makes of them, signals or spectra."""

    right: Any

    @abc.abstractmethod
    def solve(self, right: Any, tol: float, maxiter: int, watch: Watch | None = None) -> Answer:
        """Signals `x` of shape `(batch, *in_shape)`, as `Factor.solve` gives them."""

    @abc.abstractmethod
    def residual(self, x: Array) -> Any:
        """What `x` leaves of the right-hand side of the data, to be solved for again."""

    @abc.abstractmethod
    def norms(self, right: Any) -> Array:
        """The 2-norm of each right-hand side of a batch."""


@dataclass(frozen=True)
class ByOperators(NormalEquations):
    """`(A^H A + alpha L^H L) x = right`, with residuals computed by the operators themselves."""

    problem: Problem
    factor: Factor
    right: Array
    alpha: float

    def solve(self, right: Array, tol: float, maxiter: int, watch: Watch | None = None) -> Answer:
        return self.factor.solve(right, tol, maxiter, None, watch)

    def residual(self, x: Array) -> Array:
        return self.right - self.problem.normal(x, self.alpha)

    def norms(self, right: Array) -> Array:
        return self.problem.norms(right)


class State(abc.ABC):
    """A problem prepared for every `alpha`."""

    @abc.abstractmethod
    def at(self, alpha: float) -> Factor: ...


@dataclass(frozen=True)
class Method:
    """A way to solve the normal equations. `obstacle` says what keeps it from serving a problem, or None."""

    name: str
    reason: str
    obstacle: Callable[[Problem, float], str | None]
    prepare: Callable[[Problem], State]


def refined(
    equations: NormalEquations, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
) -> Answer:
    """The solution, with its residual computed anew: what rounding or a loose inner bound left is solved for again.

    So is what a start leaves, however far it is from the solution.
    """
    scale = equations.norms(equations.right)
    if start is None:
        answer = equations.solve(equations.right, tol, maxiter, watch)
        x, status, steps = answer.x, answer.status, answer.residuals[:-1]
    else:
        x, status, steps = start, "converged", ()
    residual = equations.residual(x)
    norms = equations.norms(residual)
    left = relative(norms, scale)
    history, attainable = (*steps, left), ATTAINABLE * float(np.finfo(str(x.dtype).removeprefix("torch.")).eps)
    for _ in range(REFINEMENTS):
        if left <= tol or status in ("interrupted", "max_iterations"):
            break
        done = len(history) - 1
        seen = corrected(watch, x, left, done)
        more = equations.solve(residual, min(0.5, max(tol / left, attainable)), maxiter - done, seen)
        remaining = equations.residual(x + more.x)
        norms_after = equations.norms(remaining)
        after = relative(norms_after, scale)
        status = "stalled" if more.status == "converged" and not after < left / 2 else more.status
        history = (*history[:-1], *(left * r for r in more.residuals[:-1]), min(left, after))  # steps in vain count
        if after < left:
            x, residual, norms, left = x + more.x, remaining, norms_after, after
        if status == "stalled":
            break
    if left <= tol:
        status = "converged"
    elif status == "converged":
        status = "stalled"
    return Answer(x, history, status, norms)


def corrected(watch: Watch | None, x: Array, left: float, steps: int) -> Watch | None:
    """Show the iterates of a correction to `x`, which leaves `left`, as iterates of the whole."""
    if watch is None:
        return None
    return lambda step, iterate, worst: watch(steps + step, lambda: x + iterate(), left * worst)


def changed(watch: Watch | None, change: Callable[[Any], Any]) -> Watch | None:
    """Show what `change` makes of each iterate."""
    return None if watch is None else lambda step, iterate, worst: watch(step, lambda: change(iterate()), worst)


def units(largest: Array) -> Array:
    """What to divide data by whose moduli come up to these, so that their squares stay within the exponents.

    Powers of two, which round nothing; 1 where data are near 1 as they are, or all zero.
    """
    far = (largest > FAR) | ((largest < 1 / FAR) & (largest > 0))
    _, exponents = np.frexp(largest)
    return np.ldexp(np.ones_like(largest), np.where(far, exponents - 1, 0))


def relative(norms: Any, scale: Any) -> float:
    """The largest ratio of a batch; zero to zero is zero."""
    return float(np.max(np.asarray(norms) / divisors(np.asarray(scale)), initial=0.0))


def array_norms(u: Any) -> Any:
    """The 2-norm of each array of a batch."""
    return (u.conj() * u).real.reshape((u.shape[0], -1)).sum(-1) ** 0.5


def divisors(norms: Any) -> Any:
    """Norms to divide by: 1 in place of 0."""
    return norms + (norms == 0)
