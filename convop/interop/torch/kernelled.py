"""What forms with numbers of their own share: what is derived from them once; and a kernel, fixed or trained."""

import abc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...convolution import Convention, Convolution
from ...operator import Operator
from .form import Leaf
from .options import Options


class Derived(Leaf):
    """A form that applies something derived from its numbers, once for each type and again after they changed."""

    derive: Callable[..., Any]  # `derive(numbers, *how)`: what applying needs of the numbers, in one way of applying

    def __init__(self, A: Operator, options: Options) -> None:
        super().__init__(A, options)
        self._derived: dict[tuple[Any, ...], Any] = {}
        self._of: tuple[Tensor, int] | None = None  # what it was derived from: which tensor, and how often written to

    @property
    @abc.abstractmethod
    def source(self) -> Tensor:
        """The operator's numbers."""

    @property
    def real(self) -> bool:
        return not self.source.is_complex()

    def numbers(self, dtype: torch.dtype) -> Tensor:
        """The operator's numbers in this type, in the order that `derive` takes."""
        return self.source.to(dtype)

    def derived(self, dtype: torch.dtype, *how: bool) -> Any:
        """What `derive` makes of the numbers in this type, kept unless they are trained.

        A graph of torch.compile derives it at each call, because nothing would tell the graph of new numbers.
        """
        if self.trains or torch.compiler.is_compiling():
            return self.derive(self.numbers(dtype), *how)
        if not self.holds(self.source):
            self._derived, self._of = {}, (self.source, 0 if self.source.is_inference() else self.source._version)
        known = self._derived.get((dtype, *how))
        if known is None:
            with torch.no_grad():
                known = self._derived[dtype, *how] = self.derive(self.numbers(dtype), *how)
        return known

    def holds(self, source: Tensor | None) -> bool:
        """Whether what was derived came from this tensor, as it is now; no one counts what inference tensors become."""
        of = self._of
        return of is not None and of[0] is source and (of[0].is_inference() or of[1] == of[0]._version)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Derived":
        super()._apply(fn, recurse)
        self._derived, self._of = {}, None
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_derived": {}, "_of": None}


class Kernelled(Derived):
    """A convolution; `kernel` has the shape and order of `A.kernel`, and is a parameter where it is trained."""

    kernel: Tensor

    def __init__(self, A: Convolution, options: Options) -> None:
        super().__init__(A, options)
        self.geometry, self.trains = A.geometry, options.trainable
        self.convention: Convention = A.convention
        kernel = options.tensor(A.kernel)
        if self.trains:
            self.kernel = nn.Parameter(kernel)
        else:
            self.register_buffer("kernel", kernel)

    @property
    def source(self) -> Tensor:
        return self.kernel

    def numbers(self, dtype: torch.dtype) -> Tensor:
        """The kernel as `(C_out, C_in/groups, *taps)` in correlation order."""
        kernel = self.kernel.to(dtype)
        if self.convention == "convolution":
            kernel = kernel.flip(tuple(range(-self.geometry.ndim, 0)))
        return kernel.reshape(self.geometry.weight_shape)


def adjoint_weight(weight: Tensor, groups: int) -> Tensor:
    """The weight of the adjoint: conjugated, taps reversed, channels swapped within each group."""
    blocks = weight.unflatten(0, (groups, -1)).transpose(1, 2)
    return blocks.flip(tuple(range(3, blocks.ndim))).conj().resolve_conj().flatten(0, 1).contiguous()
