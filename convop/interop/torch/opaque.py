"""Linear maps that a graph of torch.compile sees as one function, which finds them by number.

What torch has no code for has to be one, and so has what is costly to prepare, and what torch compiles wrongly.
"""

# torch has no types for its functional transforms.
# pyright: reportPrivateImportUsage=false

import abc
import itertools
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from ...arguments import Shape

_NUMBERS = itertools.count()
_KNOWN: "WeakValueDictionary[int, Opaque]" = WeakValueDictionary()


class Opaque(nn.Module, abc.ABC):
    """A linear map and its adjoint, of tensors with any axes in front, and its number."""

    handle: int

    def enlist(self) -> None:
        """Take a number."""
        self.handle = next(_NUMBERS)
        _KNOWN[self.handle] = self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.enlist()  # a copy is another map

    @abc.abstractmethod
    def apart(self, x: Tensor, adjoint: bool) -> Tensor:
        """The map or its adjoint, at once."""

    @abc.abstractmethod
    def result_shape(self, x: Tensor, adjoint: bool) -> Shape:
        """The shape of what `apart` gives."""


def numbered(handle: int) -> Opaque:
    """The map of a number."""
    return _KNOWN[handle]


def applied(x: Tensor, by: Opaque, adjoint: bool) -> Tensor:
    """`by.apart(x, adjoint)` as one function of a graph, and backward the other way round."""
    return torch.ops.convop.applied(x, by.handle, adjoint)


@torch.library.custom_op("convop::applied", mutates_args=())
def _applied(x: Tensor, handle: int, adjoint: bool) -> Tensor:
    return _KNOWN[handle].apart(x, adjoint).contiguous()


@_applied.register_fake
def _(x: Tensor, handle: int, adjoint: bool) -> Tensor:
    return x.new_empty(_KNOWN[handle].result_shape(x, adjoint))


def _backward(ctx: Any, gradient: Tensor) -> Any:
    return torch.ops.convop.applied(gradient, ctx.handle, not ctx.adjoint), None, None


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, ctx.handle, ctx.adjoint = inputs


_applied.register_autograd(_backward, setup_context=_remember)


@_applied.register_vmap
def _(info: Any, in_dims: Any, x: Tensor, handle: int, adjoint: bool) -> Any:
    many = x.movedim(in_dims[0], 0)
    y = torch.ops.convop.applied(many.flatten(0, 1), handle, adjoint)
    return y.unflatten(0, many.shape[:2]), 0
