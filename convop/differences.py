"""Differences between neighbouring samples: `gradient` and `laplacian`, made of convolutions."""

from typing import Any

import numpy as np

from .arguments import as_shape
from .convolution import Convolution
from .dtypes import as_dtype
from .operator import Operator
from .stacking import vstack


def gradient(in_shape: Any, boundary: Any = "symmetric", dtype: Any = np.float32) -> Operator:
    """Forward differences `x[i + 1] - x[i]` along each axis.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of the array.
    boundary : str or tuple
        What stands after the last sample of an axis, as for `Convolution`.
    dtype : dtype, optional
        float32 by default, so that it widens nothing.

    Returns
    -------
    Operator
        To `(ndim, *in_shape)`: a `vstack` of one `Convolution` for each axis.

    Raises
    ------
    GeometryError
        If shape and boundary do not fit.

    Examples
    --------
    >>> import convop
    >>> convop.gradient((2, 3))([[1, 2, 4], [0, 0, 0]])
    array([[[-1., -2., -4.],
            [ 0.,  0.,  0.]],
    <BLANKLINE>
           [[ 1.,  2.,  0.],
            [ 0.,  0.,  0.]]], dtype=float32)
    """
    shape = as_shape(in_shape)
    forward = np.array([1, -1], as_dtype(dtype))
    kernels = [forward.reshape(_along(axis, len(shape), 2)) for axis in range(len(shape))]
    return vstack(Convolution(k, shape, boundary=boundary, center=tuple(n - 1 for n in k.shape)) for k in kernels)


def laplacian(in_shape: Any, boundary: Any = "symmetric", dtype: Any = np.float32) -> Convolution:
    """The sum over axes of second differences `x[i - 1] - 2 x[i] + x[i + 1]`.

    Parameters
    ----------
    in_shape : int or tuple of int
        Shape of the array.
    boundary : str or tuple
        What lies outside the array, as for `Convolution`.
    dtype : dtype, optional
        float32 by default, so that it widens nothing.

    Returns
    -------
    Convolution
        From and to `in_shape`, with the stencil of `2 * ndim + 1` taps.

    Raises
    ------
    GeometryError
        If shape and boundary do not fit.

    Examples
    --------
    >>> import convop
    >>> convop.laplacian((2, 3)).kernel
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]], dtype=float32)
    """
    shape = as_shape(in_shape)
    stencil = np.zeros((3,) * len(shape), as_dtype(dtype))
    center = (1,) * len(shape)
    for axis in range(len(shape)):
        second = np.array([1, -2, 1], stencil.dtype)
        stencil[(*center[:axis], slice(None), *center[axis + 1 :])] += second
    return Convolution(stencil, shape, boundary=boundary)


def _along(axis: int, ndim: int, size: int) -> tuple[int, ...]:
    return tuple(size if each == axis else 1 for each in range(ndim))
