"""What forms with numbers of their own share: what is derived from them once; and a kernel, fixed or trained."""

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

    def __init__(self, A: Operator, options: Options) -> None:
        super().__init__(A, options)
        self._derived: dict[torch.dtype, Any] = {}
        self._version = -1

    @property
    def source(self) -> Tensor:
        """The operator's numbers."""
        raise NotImplementedError

    @property
    def real(self) -> bool:
        return not self.source.is_complex()

    def derive(self, numbers: Tensor) -> Any:
        """What applying needs of the numbers."""
        raise NotImplementedError

    def numbers(self, dtype: torch.dtype) -> Tensor:
        """The operator's numbers in this type, in the order that `derive` takes."""
        return self.source.to(dtype)

    def derived(self, dtype: torch.dtype) -> Any:
        """What `derive` makes of the numbers in this type, kept unless they are trained."""
        if self.trains:
            return self.derive(self.numbers(dtype))
        tracing = torch.compiler.is_compiling()
        if not (tracing or self.source.is_inference()) and self.source._version != self._version:
            self._derived, self._version = {}, self.source._version
        known = self._derived.get(dtype)
        if known is None:
            with torch.no_grad():
                known = self.derive(self.numbers(dtype))
            if not tracing:
                self._derived[dtype] = known
        return known

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Derived":
        super()._apply(fn, recurse)
        self._derived = {}
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_derived": {}}


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
