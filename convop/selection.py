"""Operators that pick, weigh and copy samples: `Diagonal`, `Select`, `Extend`, `Unfold`."""

import abc
import itertools
import math
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from .algebra import product_rule, sum_rule
from .apply.estimate import count, widest
from .apply.extend import extend, fold
from .apply.sparse import csr
from .arguments import Shape, as_shape, per_axis, per_side
from .combining import Scalar
from .dtypes import Array, DType, as_coefficients, as_dtype
from .errors import GeometryError
from .geometry import Geometry
from .memory import require_bytes
from .operator import Operator


class Diagonal(Operator):
    """Multiplication by an array, sample by sample.

    Parameters
    ----------
    array : array_like
        The factors; its shape is that of input and output.

    Raises
    ------
    GeometryError
        If the array is empty or holds NaN or inf.

    Examples
    --------
    >>> import convop
    >>> convop.Diagonal([1.0, 2.0]) @ [3, 4]
    array([3., 8.])
    """

    def __init__(self, array: ArrayLike) -> None:
        self.array = as_coefficients(array, "the diagonal")
        shape = as_shape(self.array.shape, "the diagonal's shape")
        super().__init__(shape, shape, self.array.dtype)

    def _forward(self, x: Array) -> Array:
        return self.array * x

    def _adjoint_forward(self, y: Array) -> Array:
        return self.array.conj() * y

    def _adjoint(self) -> Operator:
        return self if self.dtype.kind != "c" else Diagonal(self.array.conj())

    def _conjugate(self) -> Operator:
        return Diagonal(self.array.conj())

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return Diagonal(np.multiply(self.array, np.asarray(scalar, dtype), dtype=dtype))

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(scipy.sparse.diags_array(self.array.ravel()))

    def _count(self) -> tuple[int, bool]:
        return int(np.count_nonzero(self.array)), True

    @property
    def vanishes(self) -> bool:
        return not self.array.any()

    def _widest(self) -> tuple[int, int]:
        return 1, 1

    def _recipe(self) -> tuple[Any, ...]:
        return Diagonal, self.array


@product_rule(Diagonal, Diagonal)
def _multiply(a: Diagonal, b: Diagonal) -> Diagonal:
    return Diagonal(a.array * b.array)


@sum_rule(Diagonal, Diagonal)
def _add(a: Diagonal, b: Diagonal) -> Diagonal:
    return Diagonal(a.array + b.array)


class Select(Operator):
    """Some samples of an array: a crop, a mask, a subsampling; `x[index]` without repeats.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of the array.
    index : slice, array, mask, or a tuple of them
        What numpy takes as an index; every sample at most once.
    dtype : dtype, optional
        float32 by default, so that it widens nothing.

    Raises
    ------
    GeometryError
        If numpy refuses the index, it selects nothing, or a sample twice.

    Examples
    --------
    >>> import convop
    >>> every_other = convop.Select(5, slice(None, None, 2))
    >>> every_other([1.0, 2.0, 3.0, 4.0, 5.0])
    array([1., 3., 5.])
    >>> every_other.H([1.0, 2.0, 3.0])
    array([1., 0., 2., 0., 3.])
    """

    def __init__(self, in_shape: Any, index: Any, dtype: Any = np.float32) -> None:
        shape = as_shape(in_shape)
        require_bytes(8 * math.prod(shape), f"the numbers of {shape} samples", "take a smaller in_shape")
        numbers = np.arange(math.prod(shape)).reshape(shape)
        try:
            chosen = np.asarray(numbers[index])
        except (IndexError, OverflowError, TypeError, ValueError) as error:
            raise GeometryError(f"index {index!r} does not fit an array of shape {shape}: {error}") from None
        if chosen.size == 0:
            raise GeometryError(f"index {index!r} selects nothing from an array of shape {shape}; select some sample")
        if len(np.unique(chosen)) < chosen.size:
            raise GeometryError(f"index {index!r} selects a sample twice; name each sample at most once")
        self._setup(shape, chosen, as_dtype(dtype))

    @classmethod
    def of(cls, in_shape: Shape, samples: NDArray[np.intp], dtype: DType) -> Self:
        """From the numbers of the samples in the flat array, in the shape of the output."""
        self = cls.__new__(cls)
        self._setup(in_shape, samples, dtype)
        return self

    def _setup(self, in_shape: Shape, samples: NDArray[np.intp], dtype: DType) -> None:
        self.samples = samples.ravel()
        self.samples.setflags(write=False)
        super().__init__(in_shape, samples.shape, dtype)

    def _forward(self, x: Array) -> Array:
        batch = x.shape[: x.ndim - len(self.in_shape)]
        chosen = x.reshape((*batch, self.shape[1]))[..., self.samples]
        return chosen.astype(np.result_type(self.dtype, x.dtype), copy=False).reshape(batch + self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        batch = y.shape[: y.ndim - len(self.out_shape)]
        x = np.zeros((*batch, self.shape[1]), np.result_type(self.dtype, y.dtype))
        x[..., self.samples] = y.reshape((*batch, self.shape[0]))
        return x.reshape(batch + self.in_shape)

    def _conjugate(self) -> Operator:
        return self

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        rows = np.arange(self.shape[0] + 1)
        ones = np.ones(self.shape[0], self.dtype)
        return scipy.sparse.csr_array((ones, self.samples.copy(), rows), shape=self.shape)

    def _count(self) -> tuple[int, bool]:
        return self.shape[0], True

    def _widest(self) -> tuple[int, int]:
        return 1, 1

    def _recipe(self) -> tuple[Any, ...]:
        return Select.of, self.in_shape, self.samples.reshape(self.out_shape), self.dtype


class _Copies(Operator):
    """Samples copied to where a geometry reads them: its matrix is that of a convolution with a weight of ones."""

    geometry: Geometry

    @abc.abstractmethod
    def _weight(self) -> Array:
        """The weight with which the geometry makes the same matrix."""

    def _conjugate(self) -> Operator:
        return self

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return csr(self.geometry, self._weight(), max_bytes)

    def _count(self) -> tuple[int, bool]:
        return count(self.geometry, self._weight()), True

    def _widest(self) -> tuple[int, int]:
        return widest(self.geometry)


class Extend(_Copies):
    """Padding as an operator; its adjoint adds what was copied back to where it came from.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of the array.
    widths : int, tuple of int or tuple of pairs
        Samples to add: on every side, for each axis, or `(before, after)` for each axis.
    boundary : str or tuple
        What is added, as for `Convolution`.
    dtype : dtype, optional
        float32 by default, so that it widens nothing.

    Raises
    ------
    GeometryError
        If widths or boundary do not fit.

    Examples
    --------
    >>> import convop
    >>> convop.Extend(3, 2, "mirror")([1.0, 2.0, 3.0])
    array([3., 2., 1., 2., 3., 2., 1.])
    """

    def __init__(self, in_shape: Any, widths: Any, boundary: Any = "zero", dtype: Any = np.float32) -> None:
        shape = as_shape(in_shape)
        self.geometry = Geometry.make(shape, 1, padding=per_side(widths, len(shape), "widths"), boundary=boundary)
        super().__init__(shape, self.geometry.extended, as_dtype(dtype))

    def _forward(self, x: Array) -> Array:
        return extend(self.geometry, x.astype(np.result_type(self.dtype, x.dtype)))

    def _adjoint_forward(self, y: Array) -> Array:
        return fold(self.geometry, y.astype(np.result_type(self.dtype, y.dtype)))

    def _weight(self) -> Array:
        return np.ones(self.geometry.weight_shape, self.dtype)

    def _recipe(self) -> tuple[Any, ...]:
        return Extend, self.geometry.spatial, self.geometry.padding, self.geometry.boundary, self.dtype


class Unfold(_Copies):
    """All patches of an array as columns (im2col), in torch's layout; its adjoint is fold.

    Parameters
    ----------
    in_shape : tuple of int
        `(C, *spatial)`.
    kernel_size : int or tuple of int
        Size of a patch.
    stride, padding, dilation : int or tuple of int
        Step between patches, zeros around the array, spacing inside a patch.
    dtype : dtype, optional
        float32 by default, so that it widens nothing.

    Returns
    -------
    Operator
        From `(C, *spatial)` to `(C * prod(kernel_size), number of patches)`.

    Raises
    ------
    GeometryError
        If no patch fits.

    Examples
    --------
    >>> import numpy as np, convop
    >>> convop.Unfold((1, 4), 2)(np.arange(4.0)[None])
    array([[0., 1., 2.],
           [1., 2., 3.]])
    """

    def __init__(
        self, in_shape: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        dtype: Any = np.float32,
    ) -> None:  # fmt: skip
        shape = as_shape(in_shape)
        if len(shape) < 2:
            raise GeometryError(
                f"Unfold needs in_shape (C, *spatial), got {shape}; put (1, n) for one channel of n samples"
            )
        ndim = len(shape) - 1
        kernel = per_axis(kernel_size, ndim, "kernel_size", 1)
        self.geometry = Geometry.make(
            shape[1:], kernel, stride=stride, dilation=dilation, padding=per_side(padding, ndim, "padding"),
            channels=(shape[0] * math.prod(kernel), shape[0]), groups=shape[0], lifted=True,
        )  # fmt: skip
        out = (self.geometry.channels_out, math.prod(self.geometry.out_spatial))
        super().__init__(shape, out, as_dtype(dtype))

    def _taps(self) -> list[tuple[Any, ...]]:
        return [self.geometry.tap(t) for t in itertools.product(*map(range, self.geometry.kernel))]

    def _forward(self, x: Array) -> Array:
        g = self.geometry
        extended = extend(g, x.astype(np.result_type(self.dtype, x.dtype), copy=False))
        patches = np.stack([extended[(..., *tap)] for tap in self._taps()], axis=-g.ndim - 1)
        return patches.reshape(x.shape[: -g.ndim - 1] + self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        g, batch = self.geometry, y.shape[:-2]
        patches = y.reshape((*batch, g.channels_in, g.taps, *g.out_spatial))
        extended = np.zeros((*batch, g.channels_in, *g.extended), np.result_type(self.dtype, y.dtype))
        for number, tap in enumerate(self._taps()):
            extended[(..., *tap)] += patches[(..., number, *(slice(None),) * g.ndim)]
        return fold(g, extended)

    def _weight(self) -> Array:
        """One filter for each sample of a patch: the unit arrays."""
        g = self.geometry
        units = np.eye(g.taps, dtype=self.dtype).reshape(g.taps, 1, *g.kernel)
        return np.tile(units, (g.channels_in, *(1,) * (g.ndim + 1)))

    def _recipe(self) -> tuple[Any, ...]:
        g = self.geometry
        # What is read at the end may be less than what was padded: patches that did not fit were dropped.
        return _unfold, g, self.dtype


def _unfold(geometry: Geometry, dtype: DType) -> Unfold:
    padding = tuple((before, max(after, 0)) for before, after in geometry.padding)
    return Unfold(geometry.in_shape, geometry.kernel, geometry.stride, padding, geometry.dilation, dtype)
