"""How one kind of operator computes with tensors, and autograd by exchanging forward and adjoint.

A form maps `(batch, *in_shape)` to `(batch, *out_shape)` and back, in the type of the tensor it gets, which is at
least that of the operator. Most forms are made of torch's own differentiable functions. A `Leaf` is not, or has an
adjoint that is faster than what torch would differentiate: the gradient of a linear map is its adjoint, so its
backward is the same function with forward and adjoint exchanged, and double backward comes of itself.
"""

# torch has no types for its functional transforms.
# pyright: reportPrivateImportUsage=false, reportIncompatibleMethodOverride=false

import abc
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from ...arguments import Shape
from ...errors import DTypeError
from ...operator import Operator
from .number_types import FLOATING, torch_dtype
from .opaque import Opaque, applied
from .options import Options


class Form(nn.Module, abc.ABC):
    """One kind of operator in torch; `precision` is an empty tensor of the operator's type, on its device."""

    precision: Tensor

    def __init__(self, A: Operator, options: Options) -> None:
        super().__init__()
        self.in_shape, self.out_shape = A.in_shape, A.out_shape
        empty = torch.empty(0, dtype=torch_dtype(options.dtype(A.dtype)), device=options.device)
        self.register_buffer("precision", empty, persistent=False)

    @abc.abstractmethod
    def direct(self, x: Tensor) -> Tensor:
        """`(batch, *in_shape)` to `(batch, *out_shape)`."""

    @abc.abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """`(batch, *out_shape)` to `(batch, *in_shape)`."""

    def at_once(self, x: Tensor, adjoint: bool) -> Tensor | None:
        """The answer to `(*batch, *shape)`, where `x` is plain data that needs no preparation; None: it may not be."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self.direct(x)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Form":
        before, after = self.precision.dtype, fn(self.precision).dtype
        if after not in FLOATING:
            raise DTypeError(f"an operator cannot be {after}; convop computes with {', '.join(map(str, FLOATING))}")
        if before.is_complex and not after.is_complex:
            raise DTypeError(
                f"a complex operator cannot become {after}, which would drop imaginary parts; use "
                f"{torch.complex64 if after == torch.float32 else torch.complex128}"
            )
        return super()._apply(fn, recurse)


class Leaf(Form, Opaque):
    """A form that computes with plain tensors, `run`, and is differentiated by exchanging forward and adjoint."""

    native = True  # whether `run` is made of torch's functions only, which torch may trace and batch as they are
    costly = False  # whether what it derives from its numbers is too much to be derived in each call of a graph
    trains = False  # whether it has parameters: then `run` is differentiated as it stands

    def __init__(self, A: Operator, options: Options) -> None:
        super().__init__(A, options)
        self.enlist()

    @property
    @abc.abstractmethod
    def real(self) -> bool:
        """Whether its numbers are real."""

    @abc.abstractmethod
    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        """The map or its adjoint, of a tensor of a type that the operator's own numbers can be cast to."""

    def direct(self, x: Tensor) -> Tensor:
        return self._applied(x, False)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._applied(y, True)

    def _applied(self, x: Tensor, adjoint: bool) -> Tensor:
        if self.trains:
            return self.apart(x, adjoint)
        if torch.compiler.is_compiling():
            opaque = self.costly or not self.native
            return applied(x, self, adjoint) if opaque else self.apart(x, adjoint)
        if (x.requires_grad and torch.is_grad_enabled()) or not (self.native or is_plain()):
            return Swap.apply(x, self, adjoint)  # pyright: ignore[reportReturnType]
        return self.apart(x, adjoint)

    def apart(self, x: Tensor, adjoint: bool) -> Tensor:
        """`run`; a real operator acts on both parts of a complex tensor alike."""
        if len(x) == 0:
            return zeros(x, self.shape(adjoint))
        if not (x.is_complex() and self.real):
            return self.run(x, adjoint)
        pairs = torch.view_as_real(x).movedim(-1, 0)
        both = self.run(pairs.flatten(0, 1), adjoint)
        return torch.complex(*both.unflatten(0, (2, x.shape[0])).unbind())

    def shape(self, adjoint: bool) -> Shape:
        """Shape of what `direct` or `adjoint` gives."""
        return self.in_shape if adjoint else self.out_shape

    def result_shape(self, x: Tensor, adjoint: bool) -> Shape:
        return (x.shape[0], *self.shape(adjoint))


class Swap(torch.autograd.Function):
    """A leaf or its adjoint; the backward of the one is the other."""

    @staticmethod
    def forward(x: Tensor, leaf: Leaf, adjoint: bool) -> Tensor:
        return leaf.apart(x, adjoint)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.leaf, ctx.adjoint = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return Swap.apply(gradient, ctx.leaf, not ctx.adjoint), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: Any) -> Any:
        return Swap.apply(tangent, ctx.leaf, ctx.adjoint)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, leaf: Leaf, adjoint: bool) -> Any:
        many = x.movedim(in_dims[0], 0)
        y: Any = Swap.apply(many.flatten(0, 1), leaf, adjoint)
        return y.unflatten(0, many.shape[:2]), 0


def is_plain() -> bool:
    """Whether no transform of torch.func and no forward-mode differentiation is under way.

    torch 2.13 has no public name for either question; these are what `torch.autograd.Function.apply` and
    `forward_ad.make_dual` ask themselves.
    """
    return not torch._C._are_functorch_transforms_active() and forward_ad._current_level < 0


def flat(x: Tensor) -> Tensor:
    """`(batch, ...)` to `(batch, samples)`."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def zeros(x: Tensor, shape: Shape) -> Tensor:
    """Zeros `(batch, *shape)` that autograd still takes for a function of `x`, so that its gradient is zeros too."""
    nothing = flat(x)[:, :0].sum(1)
    return nothing.reshape(-1, *(1,) * len(shape)).expand(-1, *shape).clone()
