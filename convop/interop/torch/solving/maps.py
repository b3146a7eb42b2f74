"""Operators as `solve` needs them in torch: fixed for solving, live for gradients, and known to numpy for set-up."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call  # pyright: ignore[reportPrivateImportUsage]

from ....arguments import Shape
from ....convolution import Convolution
from ....errors import GeometryError
from ....foreign import as_operator
from ....operator import Operator
from ....stacking import vstack
from ..composites import BlocksForm, ScaledForm
from ..doors import to_torch
from ..form import Form
from ..kernelled import Kernelled
from ..module import OperatorModule


@dataclass(frozen=True)
class Map:
    """A linear map. Batches of arrays have one axis in front.

    Attributes
    ----------
    fixed : OperatorModule
        Applied while solving.
    live : OperatorModule
        The same, through whose parameters gradients pass.
    operator : Operator, optional
        The same for numpy, where its structure is known.
    kernel : Tensor, optional
        In place of the kernel of `live`.
    """

    fixed: OperatorModule
    live: OperatorModule
    operator: Operator | None
    kernel: Tensor | None = None

    @property
    def in_shape(self) -> Shape:
        return self.fixed.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.fixed.out_shape

    @property
    def learns(self) -> bool:
        """Whether gradients are wanted for a kernel."""
        if self.kernel is not None:
            return self.kernel.requires_grad
        return any(parameter.requires_grad for parameter in self.live.parameters())

    def direct(self, x: Tensor) -> Tensor:
        return self._called(self.live, x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._called(self.live.H, y)

    def _called(self, module: OperatorModule, x: Tensor) -> Tensor:
        return module(x) if self.kernel is None else functional_call(module, {"operator.kernel": self.kernel}, (x,))


def as_map(A: Any, device: torch.device) -> Map:
    """A map from an operator, or from a module that `to_torch` made."""
    if isinstance(A, Map):
        return A
    if isinstance(A, OperatorModule):
        return _of_module(A)
    if isinstance(A, torch.nn.Module):
        raise GeometryError(
            f"{type(A).__name__} is no module that convop.to_torch made; read it as an operator with "
            f"convop.from_torch(module, in_shape)"
        )
    operator = as_operator(A)
    module = to_torch(operator, device=device)
    assert isinstance(module, OperatorModule)
    return Map(module, module, operator)


def with_kernel(A: Convolution, kernel: Tensor, device: torch.device) -> Map:
    """The map of a convolution whose kernel has come from this tensor."""
    fixed, live = to_torch(A, device=device), to_torch(A, device=device, trainable=True)
    assert isinstance(fixed, OperatorModule)
    assert isinstance(live, OperatorModule)
    return Map(fixed, live, A, kernel)


def _of_module(module: OperatorModule) -> Map:
    form: Any = module.operator
    operator = operator_of(form)
    if operator is None:
        return Map(module, module, None)
    operator = operator.H if module.is_adjoint else operator
    if not any(True for _ in module.parameters()):
        return Map(module, module, operator)
    # What is solved with stays as it is, also while a kernel is trained on, and keeps what it derives from it.
    fixed = to_torch(operator, device=form.precision.device)
    assert isinstance(fixed, OperatorModule)
    return Map(fixed, module, operator)


def operator_of(form: Form) -> Operator | None:
    """The operator that a form now is, for those that direct methods serve: convolutions, multiples and stacks."""
    if isinstance(form, Kernelled):
        kernel = form.kernel.detach()
        weight = form.numbers(kernel.dtype).detach().resolve_conj().numpy(force=True)
        return Convolution.of(form.geometry, weight, form.convention)
    if isinstance(form, ScaledForm):
        part = operator_of(form.part)
        return None if part is None else form.number * part
    if isinstance(form, BlocksForm) and len(form.columns.sizes) == 1:
        by_row = sorted(zip(form.places, form.forms, strict=True), key=lambda each: each[0])
        parts = [operator_of(part) for _, part in by_row]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts) == len(form.rows.sizes):
            stack = vstack(known)
            return stack if stack.out_shape == form.out_shape else None
    return None
