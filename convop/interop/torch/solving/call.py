"""One call of `solve` on tensors with its arguments made canonical, and its solution."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....arguments import Shape
from ....errors import GeometryError
from ....solving.door import ADVICE, WORST_FIRST
from ....solving.normal import Answer, Method, State, Watch
from ....solving.solution import Solution
from ....solving.table import METHODS, choose
from ..number_types import numpy_dtype
from .equations import Equations, System
from .methods import TENSOR_METHODS
from .tensors import Tensors


@dataclass(frozen=True)
class Call:
    """What is solved; `data` has one batch axis in front, and `batch` are the axes that the result gets back."""

    equations: Equations
    data: Tensor
    batch: Shape
    method: str
    tol: float
    maxiter: int
    states: dict[str, State] = field(default_factory=dict)  # what has been prepared, by the method's name

    @property
    def graded(self) -> bool:
        """Whether gradients are wanted for data or kernels."""
        return torch.is_grad_enabled() and (self.data.requires_grad or self.equations.learns)

    def item(self, index: int) -> "Call":
        """One item of the batch, which shares what has been prepared."""
        return replace(self, data=self.data[index : index + 1], batch=())

    def solved(self, weight: Any, start: Tensor | None, watch: Watch | None) -> Solution:
        """For one alpha, a number or a tensor through which gradients pass."""
        equations, alpha = self.equations, float(weight.detach() if isinstance(weight, Tensor) else weight)
        method = self._chosen(alpha)
        if method.name not in self.states:
            arrays = Tensors(np.finfo(numpy_dtype(self.data.dtype)).dtype, self.data.device)
            self.states[method.name] = TENSOR_METHODS[method.name](equations, arrays)
        system = System(equations, self.states[method.name].at(alpha), alpha, weight, self.tol, self.maxiter)
        graded = self.graded or (torch.is_grad_enabled() and getattr(weight, "requires_grad", False))
        blur = equations.A
        f = (blur.adjoint if graded else blur.fixed.adjoint)(self.data)
        answer, bound = system.solve(f.detach(), start, watch)
        x: Any = answer.x
        x = system.tied(x, f) if graded else x
        return self._solution(x, answer, weight, bound, method, system.factor.remark)

    def _chosen(self, alpha: float) -> Method:
        """The first method that can serve, or the one asked for."""
        if not self.equations.known:
            if self.method not in ("auto", "krylov"):
                raise GeometryError(
                    f"method {self.method!r} cannot serve here: nothing but its products is known of the module; "
                    f"give the operator itself, or take method 'krylov'"
                )
            return next(method for method in METHODS if method.name == "krylov")
        problem = self.equations.problem
        if self.method != "auto":
            return choose(problem, alpha, self.method)
        able = (method for method in METHODS if method.name in TENSOR_METHODS)
        return next(method for method in able if method.obstacle(problem, alpha) is None)

    def _solution(self, x: Tensor, answer: Answer, alpha: Any, bound: Any, method: Method, remark: str) -> Solution:
        status = "max_iterations" if answer.status == "interrupted" else answer.status
        reason = method.reason if self.equations.known else "nothing but products is known of the module"
        said = "; ".join(filter(None, (reason, remark, ADVICE.get(answer.status, ""))))
        bounds = torch.from_numpy(bound).to(x.device).reshape(self.batch) if self.batch else float(bound[0])
        shaped = x.reshape(*self.batch, *self.equations.A.in_shape)
        return Solution(shaped, alpha, status, method.name, said, answer.iterations, answer.residuals, bounds)


def together(solutions: Sequence[Solution], batch: Shape, alpha: Any, said: str) -> Solution:
    """Those of the items of a batch as a single one, with the status of the worst."""
    worst = min(solutions, key=lambda each: (WORST_FIRST.index(each.status), -each.residual_norms[-1]))
    x = torch.stack([each.x for each in solutions])
    bounds: Any = torch.stack([torch.as_tensor(each.error_bound, device=x.device) for each in solutions])
    return replace(
        worst, x=x.reshape(*batch, *x.shape[1:]), alpha=alpha, reason="; ".join(filter(None, (said, worst.reason))),
        iterations=max(each.iterations for each in solutions),
        error_bound=bounds.reshape(*batch, *bounds.shape[1:]) if batch else solutions[0].error_bound,
    )  # fmt: skip
