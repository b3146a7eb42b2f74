"""Operators as torch modules: what is checked at the door, batches, and the adjoint module."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...arguments import Shape
from ...errors import DTypeError, NotLinearError, ShapeError
from .form import Form
from .number_types import FLOATING, REAL

_NARROW = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


class OperatorModule(nn.Module):
    """An operator as a module; `convop.to_torch` makes it.

    Attributes
    ----------
    in_shape, out_shape : tuple of int
        Shapes of the tensors it maps between; leading axes are a batch.
    dtype : torch.dtype
        float32, float64, complex64 or complex128.
    operator : torch.nn.Module
        What computes, with the kernels: `operator.kernel` of a convolution, in the shape and order of `A.kernel`.
    H : OperatorModule
        The adjoint, sharing everything with it; `M.H.H is M`.
    """

    def __init__(self, operator: Form, adjoint: bool = False) -> None:
        super().__init__()
        self.operator, self.is_adjoint = operator, adjoint
        shapes = operator.in_shape, operator.out_shape
        self.in_shape, self.out_shape = reversed(shapes) if adjoint else shapes
        self._hermitian: list[OperatorModule] = []  # in a list, so that torch takes neither for a part of the other

    @property
    def dtype(self) -> torch.dtype:
        """float32, float64, complex64 or complex128."""
        return self.operator.precision.dtype  # pyright: ignore[reportReturnType, reportAttributeAccessIssue]

    @property
    def H(self) -> "OperatorModule":
        """The adjoint as a module; `M.H.H is M`."""
        if not self._hermitian:
            other = OperatorModule(cast(Form, self.operator), not self.is_adjoint)
            other._hermitian.append(self)
            other.train(self.training)
            self._hermitian.append(other)
        return self._hermitian[0]

    def forward(self, x: Tensor) -> Tensor:
        """Apply to `x` of shape `(*batch, *in_shape)`."""
        form: Any = self._modules["operator"]  # `self.operator` would take a microsecond to be found
        y = form.at_once(x, self.is_adjoint)
        return self._general(x, self.is_adjoint, self.in_shape, self.out_shape) if y is None else y

    def adjoint(self, y: Tensor) -> Tensor:
        """Apply the adjoint to `y` of shape `(*batch, *out_shape)`."""
        form: Any = self._modules["operator"]
        x = form.at_once(y, not self.is_adjoint)
        return self._general(y, not self.is_adjoint, self.out_shape, self.in_shape) if x is None else x

    def _general(self, x: Tensor, adjoint: bool, source: Shape, target: Shape) -> Tensor:
        form = cast(Form, self.operator)
        return run(form.adjoint if adjoint else form.direct, x, form.precision, source, target)

    def extra_repr(self) -> str:
        arrow = " -> ".join("x".join(map(str, shape)) for shape in (self.in_shape, self.out_shape))
        return f"{arrow}, {self.dtype}{', adjoint' if self.is_adjoint else ''}"


class AffineModule(nn.Module):
    """The map `x -> A(x) + offset` as a module; `linear` is the module of `A`, and the one that has an adjoint."""

    offset: Tensor

    def __init__(self, linear: OperatorModule, offset: Tensor, trainable: bool) -> None:
        super().__init__()
        self.linear = linear
        self.in_shape, self.out_shape = linear.in_shape, linear.out_shape
        if trainable:
            self.offset = nn.Parameter(offset)
        else:
            self.register_buffer("offset", offset)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the result for a tensor of the linear part's own."""
        return torch.promote_types(self.linear.dtype, self.offset.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to `x` of shape `(*batch, *in_shape)`."""
        offset = self.offset
        if offset.shape != self.out_shape:  # one number for each channel
            offset = offset.reshape(-1, *(1,) * (len(self.out_shape) - 1))
        y = self.linear(checked(x, self.linear.operator.precision, self.in_shape))  # pyright: ignore
        return y + offset

    def adjoint(self, y: Tensor) -> Tensor:
        """Refused: an affine map has none."""
        raise NotLinearError("an affine map has no adjoint; use that of its linear part, .linear.adjoint(y)")

    @property
    def H(self) -> OperatorModule:
        """Refused: an affine map has none."""
        raise NotLinearError("an affine map has no adjoint; use that of its linear part, .linear.H")


def checked(x: Any, precision: Tensor, shape: Shape) -> Tensor:
    """`x` in the type of the result, if it is a tensor for an operator that takes arrays of `shape`."""
    if not isinstance(x, Tensor) or x.layout != torch.strided:
        what = f"a {x.layout} tensor" if isinstance(x, Tensor) else type(x).__name__
        raise DTypeError(f"the module takes dense torch tensors, got {what}; use torch.as_tensor(x), or x.to_dense()")
    rank = x.ndim - len(shape)
    if rank < 0 or x.shape[rank:] != shape:
        raise ShapeError(
            f"the operator takes tensors of shape (*batch, {', '.join(map(str, shape))}), got {tuple(x.shape)}; "
            f"for flat vectors use x.reshape(*batch, {', '.join(map(str, shape))})"
        )
    require_same_device(x, precision)
    own = precision.dtype
    if x.dtype == own:
        return x
    return x.to(torch.promote_types(own, floating(x.dtype, own)))


def require_same_device(x: Tensor, precision: Tensor) -> None:
    """Refuse a tensor on another device than the operator's."""
    if x.device != precision.device:
        raise DTypeError(f"the operator is on {precision.device}, the tensor on {x.device}; move one with .to(device)")


def floating(dtype: torch.dtype, own: torch.dtype) -> torch.dtype:
    """The type that counts for a tensor: integers take the operator's precision, halves are float32."""
    if dtype in FLOATING:
        return dtype
    if dtype in _NARROW:
        return _NARROW[dtype]
    if dtype.is_floating_point or dtype.is_complex:
        raise DTypeError(f"the tensor is {dtype}; convop computes with {', '.join(map(str, FLOATING))}, use .to(...)")
    return REAL[own]


def run(apply: Callable[[Tensor], Tensor], x: Tensor, precision: Tensor, source: Shape, target: Shape) -> Tensor:
    """Apply a function of `(batch, *source)` to a tensor with any number of leading axes."""
    x = checked(x, precision, source)
    if torch.is_autocast_enabled(x.device.type):  # an operator keeps its precision
        with torch.autocast(x.device.type, enabled=False):
            return _batched(apply, x, source, target)
    return _batched(apply, x, source, target)


def _batched(apply: Callable[[Tensor], Tensor], x: Tensor, source: Shape, target: Shape) -> Tensor:
    batch = x.shape[: x.ndim - len(source)]
    if len(batch) == 1:
        return apply(x)
    if not batch:
        return apply(x.unsqueeze(0)).squeeze(0)
    return apply(x.reshape(-1, *source)).reshape(*batch, *target)
