"""A convolution as a map of its kernel, in torch: a matrix product for each tap."""

import itertools

import torch
from torch import Tensor

from ...kernel_side import KernelOperator
from .form import Form
from .kernelled import Derived
from .options import Options
from .stored import Stored
from .table import torch_form


@torch_form(KernelOperator, "conv", "sparse")
def kernel_operator(A: KernelOperator, options: Options) -> Form:
    """Tap by tap, or the matrix."""
    return Stored(A, options) if options.method == "sparse" else ByKernel(A, options)


class ByKernel(Derived):
    """`k -> A.with_kernel(k)(x)` for a fixed signal `x`."""

    signal: Tensor

    def __init__(self, A: KernelOperator, options: Options) -> None:
        super().__init__(A, options)
        self.geometry, self.convention = A.geometry, A.convention
        self.taps = [A.geometry.tap(t) for t in itertools.product(*map(range, A.geometry.kernel))]
        self.register_buffer("signal", options.tensor(A.signal))

    @property
    def source(self) -> Tensor:
        return self.signal

    def derive(self, numbers: Tensor) -> Tensor:
        """What each tap reads is cut from `(samples, groups, C_in/groups, *extended)`."""
        return numbers.unflatten(1, (self.geometry.groups, -1))

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        signal = self.derived(x.dtype)
        return self._gradient(x, signal) if adjoint else self._convolved(x, signal)

    def _reads(self, signal: Tensor) -> list[Tensor]:
        """What each tap reads: `(samples, groups, C_in/groups, outputs)`."""
        return [signal[(..., *tap)].flatten(3) for tap in self.taps]

    def _convolved(self, kernels: Tensor, signal: Tensor) -> Tensor:
        g = self.geometry
        weight = self._turned(kernels).reshape(len(kernels), g.groups, -1, g.channels_in // g.groups, g.taps)
        terms = zip(weight.unbind(4), self._reads(signal), strict=True)
        y = sum(torch.einsum("bgoc,sgci->bsgoi", taps, read) for taps, read in terms)
        return y.reshape(len(kernels), *self.out_shape)  # pyright: ignore[reportAttributeAccessIssue]

    def _gradient(self, y: Tensor, signal: Tensor) -> Tensor:
        g = self.geometry
        y = y.reshape(len(y), len(signal), g.groups, g.channels_out // g.groups, -1)
        taps = [torch.einsum("bsgoi,sgci->bgoc", y, read) for read in self._reads(signal.conj())]
        weight = torch.stack(taps, -1).reshape(len(y), g.channels_out, -1, *g.kernel)
        return self._turned(weight.reshape(len(y), *self.in_shape))

    def _turned(self, kernels: Tensor) -> Tensor:
        """Between kernels in the order of the convention and weights in correlation order."""
        return kernels.flip(tuple(range(-self.geometry.ndim, 0))) if self.convention == "convolution" else kernels
