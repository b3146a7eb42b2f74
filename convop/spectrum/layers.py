"""Layers with a bounded spectrum: clipping, and the nearest orthogonal layer. Both speak of the periodic boundary.

H. Sedghi, V. Gupta, P. M. Long, "The Singular Values of Convolutional Layers", ICLR 2019: the singular values of a
periodic layer are those of its symbol. Clipped kernels fill the whole array; alternating projections onto the layers
whose norm is within the bound and onto those with the kernel's support, two convex sets, end in both.
"""

from typing import Any

import numpy as np

from ..arguments import as_int, as_number
from ..convolution import Convolution
from ..dtypes import Array
from ..errors import GeometryError, NotConverged
from ..foreign import as_operator
from ..geometry import Geometry
from ..operator import Operator
from ..structured import inverse, symbol
from ..structured.channels import grouped
from ..structured.circulant import BlockCirculant
from ..structured.circulant_matrix import phase_and_lag
from ..structured.circulant_rules import as_circulant
from ..structured.polyphase import Layout
from . import block_values


def clip(A: Any, bound: float, *, tol: float = 1e-3, maxiter: int = 500) -> Convolution:
    """The layer with its singular values clipped to a bound, and a kernel of the same size.

    The spectrum is that of the layer with a periodic boundary; the answer has the boundary of `A`. Under a zero
    boundary its norm exceeds `bound` by no more than the symbol exceeds its largest value on the grid of the array
    (`norm_bounds` tells), because zero-padded convolution is a part of an endless one.

    Parameters
    ----------
    A : Convolution
        A layer, whose outputs with their stride make one turn of the array if it is taken as periodic ("same" sizes,
        strides that divide them), and a kernel no longer than the array.
    bound : float
        The largest singular value allowed, greater than 0.
    tol : float
        The projections end when the norm is within `1 + tol` of the bound; what is left is scaled away.
    maxiter : int
        The most pairs of projections.

    Returns
    -------
    Convolution
        Of the geometry of `A`, with a periodic norm of at most `bound`, up to rounding.

    Raises
    ------
    GeometryError
        If `A` is no such layer or `bound` is not greater than 0.
    NotConverged
        If `maxiter` was not enough.

    Examples
    --------
    >>> import numpy as np, convop
    >>> weight = np.random.default_rng(0).standard_normal((4, 4, 3, 3))
    >>> layer = convop.conv_layer(weight, (4, 8, 8), padding=1, boundary="periodic")
    >>> clipped = convop.spectrum.clip(layer, 2.0)
    >>> convop.norm(layer) > 10, convop.norm(clipped) < 2 + 1e-12, clipped.kernel.shape
    (True, True, (4, 4, 3, 3))
    """
    layer, most = _layer(A), float(inverse.as_ratio(bound, "bound"))
    if most == 0:
        raise GeometryError("bound must be greater than 0, got 0; 0 * A has norm 0")
    tol = as_number(tol, "tol", 0)
    around, size = periodic(layer), 0.0
    for _ in range(as_int(maxiter, "maxiter", 1)):
        circulant = as_circulant(around)
        size = block_values.largest(inverse.double(circulant.blocks))
        if size <= most * (1 + tol):
            weight = around.weight * min(1.0, most / size) if size else around.weight
            return Convolution.of(layer.geometry, weight.astype(layer.dtype), layer.convention, layer._asked)
        around = _supported(around, _clipped(circulant.blocks, most), circulant.layout)
    raise NotConverged(
        f"after {maxiter} alternating projections the norm is {size:.6g}, wanted {most:.6g} within {tol:g}; allow more "
        f"with maxiter, or a larger tol (the rest is scaled away)"
    )


def nearest_orthogonal(A: Any) -> BlockCirculant:
    """The operator nearest to a periodic one, in the Frobenius norm, of which all singular values are 1.

    It is the polar factor `U V^H` of the block `U S V^H` at each frequency (N. J. Higham, "Functions of Matrices",
    SIAM 2008, theorem 8.4): orthogonal (unitary if complex), or with orthonormal rows or columns if they are fewer.
    Its kernel is as long as the array; `.convolution()` has it.

    Parameters
    ----------
    A : Operator
        Whatever `as_circulant` takes.

    Raises
    ------
    GeometryError
        If `A` is not periodic, or a block is singular, so that there is more than one nearest.

    Examples
    --------
    >>> import numpy as np, convop
    >>> weight = np.random.default_rng(0).standard_normal((3, 3, 3, 3))
    >>> Q = convop.spectrum.nearest_orthogonal(convop.conv_layer(weight, (3, 6, 6), padding=1, boundary="periodic"))
    >>> np.allclose((Q.H @ Q).toarray(), np.eye(Q.shape[1]))
    True
    """
    circulant = as_circulant(A)
    u, s, vh = np.linalg.svd(inverse.double(circulant.blocks), full_matrices=False)
    layout = circulant.layout
    inverse.require_regular(s, inverse.cutoff(np.dtype(np.float64), layout.block, layout.frequencies))
    return BlockCirculant(layout, u @ vh, circulant.dtype)


def periodic(A: Convolution) -> Convolution:
    """The same kernel with a periodic boundary, in double precision."""
    g = A.geometry
    boundary = (("periodic", "periodic"),) * g.ndim
    around = Geometry.make(
        g.spatial, g.kernel, stride=g.stride, dilation=g.dilation, padding=g.padding, boundary=boundary,
        channels=(g.channels_out, g.channels_in), groups=g.groups, lifted=g.lifted,
    )  # fmt: skip
    return Convolution.of(around, A.weight.astype(np.result_type(A.dtype, np.float64)), A.convention, "direct")


def _layer(A: Any) -> Convolution:
    operator: Operator = as_operator(A)
    if not isinstance(operator, Convolution):
        raise GeometryError(f"clip takes a Convolution, got {operator!r}; for operators with a symbol use as_circulant")
    g = operator.geometry
    if any(span > n for span, n in zip(g.reach, g.spatial, strict=True)):
        raise GeometryError(
            f"the kernel spans {g.reach} samples and wraps onto itself in an array of {g.spatial}; take a larger array"
        )
    return operator


def _clipped(blocks: Array, most: float) -> Array:
    u, s, vh = np.linalg.svd(inverse.double(blocks), full_matrices=False)
    return (u * np.minimum(s, most)[..., None, :]) @ vh


def _supported(around: Convolution, blocks: Array, layout: Layout) -> Convolution:
    """The convolution of the geometry of `around` that is nearest to the blocks: its taps are read from them."""
    g = around.geometry
    response = symbol.response_of(blocks, layout.base, around.dtype.kind != "c")
    response = response.reshape(g.channels_out, g.channels_in, *g.stride, *g.out_spatial)
    turns = zip(*(phase_and_lag(g.lags(i), g.stride[i], g.out_spatial[i]) for i in range(g.ndim)), strict=True)
    phases, lags = (np.ix_(*each) for each in turns)
    taps = response[(slice(None), slice(None), *phases, *lags)]
    return Convolution.of(g, grouped(taps, g.groups), around.convention, "direct")
