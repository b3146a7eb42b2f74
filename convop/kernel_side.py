"""Convolution as a map of its kernel: the signal stands still, and the adjoint is the gradient by the weight.

With the signal extended once, nothing is read outside any more: `y[o, i] = sum over c, t of
weight[o, c, t] * x~[c, i s + t d]`. In that sum outputs `i` and taps `t` play the same part. So the adjoint is
a convolution of the extended signal too, with `y` as its kernel and stride and dilation exchanged.
"""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .apply import plan
from .apply.estimate import Estimate, index_dtype
from .apply.extend import extend
from .arguments import Shape
from .combining import Scalar
from .dtypes import Array, DType, as_signal
from .errors import GeometryError, ShapeError
from .geometry import Geometry
from .memory import require_bytes
from .operator import Operator

_METHODS = ("auto", "direct", "fft")
# Measured on a two-core x86-64 machine, in ns: what a tap costs, and each sample it reads (4 bytes), before it is
# multiplied with anything.
_TAP, _SAMPLE = 5_000.0, 0.15


class KernelOperator(Operator):
    """`k -> A.with_kernel(k)(x)` for a convolution `A` and a fixed signal `x`; made by `A.kernel_operator(x)`.

    `geometry` reads nothing outside `signal`, of shape `(count, C_in, *extended)`; `batch` is what `x` had in front.
    """

    def __init__(
        self,
        geometry: Geometry,
        signal: Array,
        batch: Shape,
        in_shape: Shape,
        out_shape: Shape,
        convention: str,
        method: str,
    ) -> None:
        if method not in _METHODS:
            raise GeometryError(f"method {method!r} cannot serve a kernel operator; use one of {', '.join(_METHODS)}")
        self.geometry, self.signal, self.batch, self.convention = geometry, signal, batch, convention
        self.method, self._output = method, out_shape
        signal.setflags(write=False)
        super().__init__(in_shape, batch + out_shape, signal.dtype)

    @classmethod
    def of(
        cls, g: Geometry, dtype: DType, kernel_shape: Shape, convention: str, asked: str, x: ArrayLike
    ) -> "KernelOperator":
        """For a convolution's geometry, type, kernel shape, convention and method, and `x` `(*batch, *in_shape)`."""
        array = as_signal(x, dtype)
        rank = array.ndim - len(g.in_shape)
        if rank < 0 or array.shape[rank:] != g.in_shape or array.size == 0:
            raise ShapeError(
                f"kernel_operator takes a signal of shape {g.in_shape}, or (*batch, {', '.join(map(str, g.in_shape))}) "
                f"with at least one in the batch, got {array.shape}"
            )
        apart = array.reshape(-1, g.channels_in, *g.spatial).astype(
            np.result_type(dtype, array.dtype)
        )  # a copy: nobody else writes into it
        signal = extend(g, apart)
        valid = Geometry.make(
            g.extended, g.kernel, stride=g.stride, dilation=g.dilation,
            channels=(g.channels_out, g.channels_in), groups=g.groups, lifted=True,
        )  # fmt: skip
        method = asked if asked in _METHODS else "auto"
        return cls(valid, signal, array.shape[:rank], kernel_shape, g.out_shape, convention, method)

    def using(self, method: str) -> "KernelOperator":
        """The same operator, applied by `method`."""
        return self._with(self.signal, method)

    def _with(self, signal: Array, method: str) -> "KernelOperator":
        return KernelOperator(self.geometry, signal, self.batch, self.in_shape, self._output, self.convention, method)

    # Applying. Kernels come in batches too: they are more output channels of one convolution.

    def _forward(self, x: Array) -> Array:
        g, many, dtype = self.geometry, x.shape[: x.ndim - len(self.in_shape)], np.result_type(self.dtype, x.dtype)
        count, signal = math.prod(many), self.signal.astype(dtype, copy=False)
        weight = self._as_weight(x).reshape(count, g.groups, -1, *g.weight_shape[1:]).swapaxes(0, 1)
        wide = replace(g, channels_out=count * g.channels_out)
        weight = np.ascontiguousarray(weight, dtype).reshape(wide.weight_shape)
        plan.require(self.method, wide, weight)
        y = _run(plan.choose(self.method, wide, weight), wide, weight, signal)
        y = y.reshape(len(signal), g.groups, count, -1, *g.out_spatial)
        return np.moveaxis(y, 2, 0).reshape(many + self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        g, many, dtype = self.geometry, y.shape[: y.ndim - len(self.out_shape)], np.result_type(self.dtype, y.dtype)
        count, samples = math.prod(many), len(self.signal)
        y = y.reshape(count, samples, g.groups, -1, *g.out_spatial).astype(dtype, copy=False)
        y = np.ascontiguousarray(np.moveaxis(y, (2, 0, 3), (0, 1, 2)))  # (groups, count, C_out/groups, samples, *out)
        y = y.reshape(g.groups, -1, *y.shape[3:])
        w = self._by_fft(y) if self._transforms(y) else self._by_taps(y)
        w = w.reshape(g.groups, count, -1, *g.weight_shape[1:])
        return self._as_kernel(w.swapaxes(0, 1).reshape(many + g.weight_shape)).reshape(many + self.in_shape)

    def _by_taps(self, y: Array) -> Array:
        """For each tap, what it reads times `y`: a matrix product for each group."""
        g = self.geometry
        x = self._grouped(y.dtype)
        w = np.empty((*y.shape[:2], x.shape[1], *g.kernel), y.dtype)
        rows = y.reshape(*y.shape[:2], -1)
        for t in itertools.product(*map(range, g.kernel)):
            read = x[(..., *g.tap(t))].reshape(*x.shape[:2], -1)
            w[(..., *t)] = rows @ read.conj().swapaxes(1, 2)
        return w

    def _by_fft(self, y: Array) -> Array:
        """The convolution of the signal with `y` as its kernel; signals of a batch are its input channels."""
        geometry, x = self._gradient(y), self._grouped(y.dtype).conj()
        x = np.ascontiguousarray(x.swapaxes(0, 1)).reshape(x.shape[1], geometry.channels_in, *geometry.spatial)
        w = _run("fft", geometry, y.reshape(geometry.weight_shape), x)
        return w.reshape(x.shape[0], *y.shape[:2], *self.geometry.kernel).transpose(1, 2, 0, *range(3, y.ndim))

    def _grouped(self, dtype: DType) -> Array:
        """The signal as `(groups, C_in/groups, samples, *extended)`."""
        g = self.geometry
        grouped = self.signal.reshape(len(self.signal), g.groups, -1, *g.spatial)
        return np.moveaxis(grouped, 0, 2).astype(dtype, copy=False)

    def _gradient(self, y: Array) -> Geometry:
        """The adjoint's geometry for `y` of shape `(groups, outputs, samples, *out)`: taps and outputs exchanged."""
        g, (groups, outputs, samples) = self.geometry, y.shape[:3]
        return Geometry.make(
            g.spatial, g.out_spatial, stride=g.dilation, dilation=g.stride,
            channels=(groups * outputs, groups * samples), groups=groups, lifted=True,
        )  # fmt: skip

    def _transforms(self, y: Array) -> bool:
        """Whether transforms are cheaper than a matrix product for each tap, or asked for."""
        if self.method != "auto":
            return self.method == "fft"
        g, geometry = self.geometry, self._gradient(y)
        costs, items = plan.costs(geometry, y.reshape(geometry.weight_shape)), g.channels_in // g.groups
        read = g.channels_in * len(self.signal) * math.prod(g.out_spatial) * y.itemsize / 4
        return costs["fft"] * items < costs["direct"] * items + g.taps * (_TAP + _SAMPLE * read)

    def _as_weight(self, k: Array) -> Array:
        """Kernels `(..., *in_shape)` as weights in correlation order."""
        return np.flip(k, tuple(range(-self.geometry.ndim, 0))) if self.convention == "convolution" else k

    _as_kernel = _as_weight  # turning round undoes itself

    # Algebra.

    def _conjugate(self) -> Operator:
        return self._with(self.signal.conj(), self.method)

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return self._with(np.multiply(self.signal, np.asarray(scalar, dtype), dtype=dtype), self.method)

    # Matrices.

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        g, width = self.geometry, math.prod(self.geometry.weight_shape[1:])
        entries = self.shape[0] * width
        expected = Estimate.of(self.shape, entries, self.dtype)
        advice = "apply the operator without its matrix, or allow more with max_bytes"
        require_bytes(2 * expected.bytes, f"the matrix of shape {self.shape} with {entries} entries", advice, max_bytes)
        x = self.signal.reshape(len(self.signal), g.groups, 1, -1, *g.spatial)
        data = np.empty((len(x), g.groups, g.channels_out // g.groups, *g.out_spatial, *g.weight_shape[1:]), self.dtype)
        for t in itertools.product(*map(range, g.kernel)):
            place = [k - 1 - i for i, k in zip(t, g.kernel, strict=True)] if self.convention == "convolution" else t
            data[(..., *place)] = np.moveaxis(x[(..., *g.tap(t))], 3, -1)
        index = index_dtype(self.shape, entries)
        first = np.arange(g.channels_out, dtype=index) * width
        starts = np.broadcast_to(first.reshape(-1, *(1,) * g.ndim), (len(x), g.channels_out, *g.out_spatial))
        columns = np.add.outer(starts, np.arange(width, dtype=index))
        rows = np.arange(self.shape[0] + 1, dtype=index) * index.type(width)
        matrix = scipy.sparse.csr_array((data.ravel(), columns.ravel(), rows), shape=self.shape)
        matrix.eliminate_zeros()
        return matrix

    def _count(self) -> tuple[int, bool]:
        g = self.geometry
        reads = sum(
            int(np.count_nonzero(self.signal[(..., *g.tap(t))])) for t in itertools.product(*map(range, g.kernel))
        )
        return reads * (g.channels_out // g.groups), True

    @property
    def work(self) -> int:
        """Multiply-adds for each sample of the larger of input and output."""
        return max(self.geometry.work, -(-self.geometry.work * self.shape[0] // self.shape[1]))

    def _recipe(self) -> tuple[Any, ...]:
        parts = (self.geometry, self.signal, self.batch, self.in_shape, self._output, self.convention, self.method)
        return KernelOperator, *parts

    def _describe(self) -> str:
        return f"Convolution by its kernel {'x'.join(map(str, self.geometry.kernel))}"


def _run(method: str, geometry: Geometry, weight: Array, x: Array) -> Array:
    return plan.METHODS[method].engine.forward(plan.prepare(method, geometry, weight, x.dtype), x)
