"""Part of a convolution: some of its outputs, computed from the samples that they read and no others."""

# pyright: reportPrivateUsage=false

from collections.abc import Mapping

import numpy as np

from .apply.within import add_back, read
from .composite import Scaled
from .convolution import Convolution
from .dtypes import Array, as_signal
from .errors import GeometryError
from .operator import Operator
from .window import window


class Part:
    """The outputs of a convolution in a run along each of some axes.

    Parameters
    ----------
    A : Convolution
        The whole.
    runs : mapping of int to range
        For spatial axes, which outputs; all of them along other axes.

    Attributes
    ----------
    windows : dict of int to Window
        For these axes, what the outputs read.
    """

    def __init__(self, A: Convolution, runs: Mapping[int, range]) -> None:
        self.windows = {axis: window(A.geometry, axis, outputs) for axis, outputs in runs.items()}
        # The rows of the matrix that belong to these outputs, without columns of zeros: the same kernel.
        left = A.geometry.on_extended({axis: each.length for axis, each in self.windows.items()})
        self.operator = Convolution.of(left, A.weight, A.convention, A._asked)
        self._from_last = A.geometry.ndim

    def forward(self, x: Array) -> Array:
        """The outputs, from `x` that holds along these axes the samples of its windows."""
        x = as_signal(x, self.operator.dtype)
        # What stands outside is made at the operator's precision, as the whole operator makes it.
        x = x.astype(np.result_type(x.dtype, np.finfo(self.operator.dtype).dtype), copy=False)
        for axis, each in self.windows.items():
            x = read(each, x, axis - self._from_last)
        return self.operator(x)

    def adjoint(self, y: Array) -> Array:
        """The adjoint of `forward`: what these outputs give to the samples that they read."""
        x = self.operator.H(y)
        for axis, each in reversed(self.windows.items()):
            x = add_back(each, x, axis - self._from_last)
        return x


def convolution_of(A: Operator, advice: str) -> tuple[Convolution, bool]:
    """The convolution that `A` is, or is the adjoint of, and whether it is the adjoint."""
    for candidate, adjoint in ((A, False), (A.H, True)):
        whole = candidate.spread(candidate.operator) if isinstance(candidate, Scaled) else candidate
        if isinstance(whole, Convolution):
            return whole, adjoint
    raise GeometryError(f"{A!r} is neither a convolution nor the adjoint of one, and only these are cut up; {advice}")
