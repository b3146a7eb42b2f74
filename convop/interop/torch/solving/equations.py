"""The normal equations on tensors, and the derivative of their solution."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ....dtypes import Array
from ....operator import Operator
from ....solving.normal import Answer, ByOperators, Factor, Watch, changed, refined, units
from ....solving.problem import Problem
from ....solving.tikhonov import error_bound
from .maps import Map


@dataclass(frozen=True)
class Equations:
    """`(A^H A + alpha L^H L) x = f`, as numpy's `Problem`; `L` is None for the identity.

    With `whole`, arrays are complex although the operators are real.
    """

    A: Map
    L: Map | None
    whole: bool

    @property
    def known(self) -> bool:
        """Whether numpy knows the operators."""
        return self.A.operator is not None and (self.L is None or self.L.operator is not None)

    @cached_property
    def problem(self) -> Problem:
        """The same for numpy."""
        operator = cast(Operator, self.A.operator)
        real = operator.dtype.kind != "c"
        return Problem(
            operator * np.complex64(1) if self.whole and real else operator,
            None if self.L is None else self.L.operator,
        )

    @property
    def learns(self) -> bool:
        """Whether gradients are wanted for a kernel."""
        return self.A.learns or (self.L is not None and self.L.learns)

    def dtype(self, data: torch.dtype) -> torch.dtype:
        """The type of the solution for data of a type."""
        penalty = data if self.L is None else self.L.fixed.dtype
        return torch.promote_types(torch.promote_types(data, self.A.fixed.dtype), penalty)

    def normal(self, x: Tensor, alpha: float) -> Tensor:
        """`(A^H A + alpha L^H L) x`."""
        image = self.A.fixed.adjoint(self.A.fixed(x))
        if not alpha:
            return image
        return image + alpha * (x if self.L is None else self.L.fixed.adjoint(self.L.fixed(x)))

    def live(self, x: Tensor, alpha: Any) -> Tensor:
        """The same, through which gradients pass to kernels and to `alpha`."""
        gram = x if self.L is None else self.L.adjoint(self.L.direct(x))
        return self.A.adjoint(self.A.direct(x)) + alpha * gram

    def norms(self, x: Tensor) -> Array:
        """The 2-norm of each array of a batch."""
        return torch.linalg.vector_norm(x.reshape(x.shape[0], -1), dim=1, dtype=_double(x)).numpy(force=True)


def _double(x: Tensor) -> torch.dtype:
    """The type in which squares of such numbers neither overflow nor vanish."""
    return torch.complex128 if x.is_complex() else torch.float64


def _units(f: Tensor) -> Tensor:
    """For each item of a batch what brings it near 1."""
    largest = f.abs().flatten(1).amax(1).numpy(force=True)
    return torch.from_numpy(units(largest)).to(f.device).reshape(-1, *(1,) * (f.ndim - 1))


@dataclass(frozen=True)
class System:
    """Normal equations for one `alpha`, with all that solving them takes."""

    equations: Equations
    factor: Factor
    alpha: float
    weight: Any  # alpha as it was given, a number or a tensor
    tol: float
    maxiter: int

    def solve(self, f: Tensor, start: Tensor | None = None, watch: Watch | None = None) -> tuple[Answer, Array]:
        """Without gradient, and with the bound on the error of each item."""
        with torch.no_grad():
            unit = _units(f)
            problem, right, begin = cast(Any, (self.equations, f / unit, None if start is None else start / unit))
            equations = ByOperators(problem, self.factor, right, self.alpha)
            answer = refined(equations, self.tol, self.maxiter, begin, changed(watch, lambda x: unit * x))
            return replace(answer, x=unit * answer.x), error_bound(problem, answer, self.alpha)

    def tied(self, x: Tensor, f: Tensor) -> Tensor:
        """The solution `x` for `f`, through which gradients pass to whatever `f`, `alpha` and kernels come from."""
        return cast(Tensor, Implicit.apply(f - self.equations.live(x, self.weight), x, self))


class Implicit(torch.autograd.Function):
    r"""The solution as a function of its residual `r`, near zero: ``dx = (A^H A + alpha L^H L)^-1 dr``.

    The implicit function theorem; the residual is differentiable by itself, and what passes back to it is the
    solution of the same Hermitian system for the gradient.
    """

    @staticmethod
    def forward(ctx: Any, residual: Tensor, x: Tensor, system: System) -> Tensor:  # pyright: ignore
        ctx.system = system
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        system: System = ctx.system
        answer, _ = system.solve(gradient.resolve_conj())
        if answer.status == "interrupted":
            raise KeyboardInterrupt
        if answer.status != "converged":
            warnings.warn(
                f"the system of the gradient ended as '{answer.status}' with {answer.residuals[-1]:.2g} left, where "
                f"tol is {system.tol:.2g}; give more steps with maxiter, a larger tol or float64",
                RuntimeWarning,
                stacklevel=2,
            )
        return answer.x, None, None
