"""`Convolution`: a kernel and a geometry, applied by the engine that the plan chose."""

import math
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike

from .apply import plan
from .apply.estimate import count, widest
from .apply.sparse import csr
from .arguments import as_shape, per_axis
from .boundary import canonical_pairs
from .combining import Scalar
from .dtypes import Array, DType, as_coefficients
from .errors import GeometryError
from .geometry import Geometry, mode_padding
from .operator import Operator

Convention = Literal["convolution", "correlation"]


class Convolution(Operator):
    r"""Convolution with a kernel, as an operator.

    With extension `x~` of the signal past its edges, per axis,
    ``z[i] = sum_t kernel[t] * x~[i + c - t * dilation]`` and ``y[i] = z[i * stride]``.

    Parameters
    ----------
    kernel : array_like
        Real or complex, with one axis for each axis of the signal.
    in_shape : int or tuple of int
        Shape of the signal.
    mode : {"same", "full", "valid"}
        "same": as many samples as the signal, `c = center * dilation`. "full": every sample that a
        zero-extended signal reaches, `c = 0`. "valid": only those that read nothing outside.
    boundary : str or tuple
        What lies outside: "zero", "periodic", "symmetric", "mirror", "replicate" or "antireflective";
        one for all axes, or for each axis one or a `(before, after)` pair.
    center : int or tuple of int, optional
        The kernel tap that sits on the output sample in mode "same", `(k - 1) // 2` by default.
    stride, dilation : int or tuple of int
        Step between outputs; spacing of the taps.
    method : {"auto", "direct", "fft", "sparse", "gemm", "separable"}
        How it is applied.

    Raises
    ------
    GeometryError
        If kernel, shape, boundary and the rest make no operator.
    DTypeError
        If the kernel's type is none that convop computes with.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.Convolution([1.0, 2.0, 3.0], 4)
    >>> A([1, 0, 0, 1])
    array([2., 3., 1., 2.])
    >>> A.H([1, 0, 0, 1])
    array([2., 1., 3., 2.])
    """

    def __init__(
        self,
        kernel: ArrayLike,
        in_shape: Any,
        *,
        mode: str = "same",
        boundary: Any = "zero",
        center: Any = None,
        stride: Any = 1,
        dilation: Any = 1,
        method: str = "auto",
    ) -> None:
        values = as_coefficients(kernel, "the kernel")
        spatial = as_shape(in_shape)
        if values.ndim != len(spatial) or values.size == 0:
            raise GeometryError(
                f"the kernel has shape {values.shape} and the signal {spatial}; needed a kernel with one axis, of at "
                f"least one tap, for each axis of the signal (for channels use conv_layer)"
            )
        ndim = len(spatial)
        dilation = per_axis(dilation, ndim, "dilation", 1)
        center = None if center is None else per_axis(center, ndim, "center", 0)
        pairs = canonical_pairs(boundary, ndim)
        geometry = Geometry.make(
            spatial, values.shape, stride=stride, dilation=dilation, boundary=pairs,
            padding=mode_padding(mode, values.shape, dilation, center, pairs),
        )  # fmt: skip
        self._setup(geometry, np.flip(values)[None, None], "convolution", method)

    @classmethod
    def of(
        cls,
        geometry: Geometry,
        weight: Array,
        convention: Convention,
        method: str = "auto",
        history: tuple[Any, ...] = (),
    ) -> Self:
        """A convolution from its geometry and weight `(C_out, C_in/groups, *taps)` in correlation order.

        `history` holds the fusions that it came from.
        """
        self = cls.__new__(cls)
        self._setup(geometry, as_coefficients(weight, "the kernel"), convention, method, history)
        return self

    def _setup(
        self, geometry: Geometry, weight: Array, convention: Convention, method: str, history: tuple[Any, ...] = ()
    ) -> None:
        super().__init__(geometry.in_shape, geometry.out_shape, weight.dtype)
        if weight.shape != geometry.weight_shape:
            raise GeometryError(f"the geometry needs a weight of shape {geometry.weight_shape}, got {weight.shape}")
        self.geometry, self.weight, self._asked = geometry, weight, method
        self.convention: Convention = convention
        self._prepared: dict[DType, Any] = {}
        self.history = history
        plan.require(method, geometry, weight)

    @cached_property
    def method(self) -> str:
        """The name of what applies it; of "auto" the cheapest, which is looked for when it is needed."""
        return plan.choose(self._asked, self.geometry, self.weight)

    @property
    def _engine(self) -> Any:
        return plan.METHODS[self.method].engine

    @cached_property
    def kernel(self) -> Array:
        """The kernel as its door takes it, read-only: convolution order, or a layer's weight."""
        kernel = self.weight if self.geometry.lifted else self.weight[0, 0]
        return self._ordered(kernel)

    def _ordered(self, kernel: Array) -> Array:
        """From correlation order to that of `convention`, or back."""
        taps = tuple(range(-self.geometry.ndim, 0))
        return np.flip(kernel, taps) if self.convention == "convolution" else kernel

    def with_kernel(self, kernel: ArrayLike) -> "Convolution":
        """The same geometry with another kernel of the same shape."""
        values = as_coefficients(kernel, "the kernel")
        if values.shape != self.kernel.shape:
            raise GeometryError(f"with_kernel needs a kernel of shape {self.kernel.shape}, got {values.shape}")
        weight = self._ordered(values).reshape(self.geometry.weight_shape)
        method = plan.kept(self._asked, self.geometry, weight)
        return Convolution.of(self.geometry, weight, self.convention, method)

    def kernel_operator(self, x: ArrayLike) -> Operator:
        """The convolution of a fixed signal as a linear map of the kernel; its adjoint is the weight gradient.

        Parameters
        ----------
        x : array_like
            The signal, of shape `(*batch, *in_shape)`.

        Returns
        -------
        Operator
            `U` with `U(k) == A.with_kernel(k)(x)`, from the shape of `A.kernel` to `(*batch, *out_shape)`.

        Raises
        ------
        ShapeError
            If `x` is no signal, or no batch of signals, for this operator.

        Examples
        --------
        >>> import convop
        >>> U = convop.Convolution([1.0, 2.0, 3.0], 4).kernel_operator([1, 0, 0, 1])
        >>> U([1, 2, 3])
        array([2., 3., 1., 2.])
        >>> U.H([1, 0, 0, 0])
        array([0., 1., 0.])
        """
        from .kernel_side import KernelOperator

        g, kernel_shape = self.geometry, self.kernel.shape
        return KernelOperator.of(g, self.dtype, kernel_shape, self.convention, self._asked, x)

    def using(self, method: str) -> "Convolution":
        """The same operator, applied by `method`."""
        return Convolution.of(self.geometry, self.weight, self.convention, method)

    # Applying.

    def _forward(self, x: Array) -> Array:
        return self._apply("forward", x, self.geometry.channels_in, self.geometry.spatial, self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        return self._apply("adjoint", y, self.geometry.channels_out, self.geometry.out_spatial, self.in_shape)

    def _apply(self, direction: str, x: Array, channels: int, spatial: tuple[int, ...], target: Any) -> Array:
        """Bring `x` to `(batch, channels, *spatial)`, run the engine and bring the result back."""
        batch = x.shape[: x.ndim - len(spatial) - self.geometry.lifted]
        count = math.prod(batch)
        apart = x.dtype.kind == "c" and self.dtype.kind != "c"  # a real operator acts on both parts alike
        if apart:
            x = np.stack([np.real(x), np.imag(x)])
        dtype = np.result_type(self.dtype, x.dtype)
        signal = np.ascontiguousarray(x, dtype).reshape((count * (1 + apart), channels, *spatial))
        y: Array = getattr(self._engine, direction)(self._ready(dtype), signal)
        if apart:
            parts = y.reshape((2, *batch, *target))
            y = np.empty(parts.shape[1:], np.result_type(dtype, np.complex64))
            y.real, y.imag = parts
        return y.reshape(batch + target)

    def _ready(self, dtype: DType) -> Any:
        prepared = self._prepared.get(dtype)
        if prepared is None:
            prepared = self._prepared[dtype] = plan.prepare(self.method, self.geometry, self.weight, dtype)
        return prepared

    # Algebra.

    def _adjoint(self) -> Operator:
        geometry = self.geometry.adjoint()
        if geometry is None:
            return super()._adjoint()
        return Convolution.of(geometry, adjoint_weight(self.weight, self.geometry.groups), self.convention, self._asked)

    def _conjugate(self) -> Operator:
        return Convolution.of(self.geometry, self.weight.conj(), self.convention, self._asked)

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        weight = np.multiply(self.weight, np.asarray(scalar, dtype), dtype=dtype)
        return Convolution.of(self.geometry, weight, self.convention, self._asked)

    # Matrices.

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return csr(self.geometry, self.weight, max_bytes)

    def _count(self) -> tuple[int, bool]:
        return count(self.geometry, self.weight), True

    def _widest(self) -> tuple[int, int]:
        return widest(self.geometry)

    @property
    def vanishes(self) -> bool:
        return not self.weight.any()

    @property
    def work(self) -> int:
        return self.geometry.work

    def _recipe(self) -> tuple[Any, ...]:
        return Convolution.of, self.geometry, self.weight, self.convention, self._asked

    # Telling.

    def _describe(self) -> str:
        taps = "x".join(map(str, self.geometry.kernel))
        return f"Convolution {taps}"

    def __repr__(self) -> str:
        try:
            method = self.method
        except GeometryError:  # constants of this machine that cannot be read are told when it is applied
            method = self._asked
        return f"{super().__repr__()[:-1]}, {method}>"

    def _lines(self) -> list[str]:
        g = self.geometry
        lines = [f"{super()._lines()[0]}, method {self.method}"]
        if g.lifted:
            lines.append(f"  channels {g.channels_in} -> {g.channels_out}, groups {g.groups}")
        lines.append(f"  stride {g.stride}, dilation {g.dilation}, reads outside {g.padding}")
        lines.append(f"  boundary {g.boundary}")
        return lines


def adjoint_weight(weight: Array, groups: int) -> Array:
    """The weight of the adjoint: conjugated, taps reversed, channels swapped within each group."""
    blocks = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    reversed_taps = np.flip(blocks, tuple(range(3, blocks.ndim)))
    return reversed_taps.conj().reshape(-1, blocks.shape[2], *weight.shape[2:])
