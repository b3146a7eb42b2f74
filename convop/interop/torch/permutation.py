"""The order of samples in which channels stand next to each other."""

from typing import Any

import numpy as np

from ...arguments import as_shape
from ...errors import GeometryError
from ...selection import Select


def channels_last(shape: Any) -> Select:
    """The permutation of arrays `(C, *spatial)` to `(*spatial, C)`, as an operator.

    With it, the matrix of a layer `A` becomes one of dense blocks `C_out x C_in`:
    ``channels_last(A.out_shape) @ A @ channels_last(A.in_shape).T``, which is what `to_torch_sparse` gives as "bsr".

    Parameters
    ----------
    shape : tuple of int
        `(C, *spatial)`.

    Returns
    -------
    Select
        To `(*spatial, C)`; its transpose is its inverse.

    Raises
    ------
    GeometryError
        If there is no spatial axis.

    Examples
    --------
    >>> import convop
    >>> convop.channels_last((2, 3))([[1, 2, 3], [10, 20, 30]])
    array([[ 1., 10.],
           [ 2., 20.],
           [ 3., 30.]], dtype=float32)
    """
    sizes = as_shape(shape, "shape")
    if len(sizes) < 2:
        raise GeometryError(f"channels_last needs a shape (C, *spatial), got {sizes}; put (1, n) for one channel")
    numbers = np.moveaxis(np.arange(np.prod(sizes)).reshape(sizes), 0, -1)
    return Select(sizes, np.unravel_index(numbers, sizes))
