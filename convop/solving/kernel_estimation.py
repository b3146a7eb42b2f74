"""`estimate_kernel`: the blur from a sharp picture and a blurred one."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import Shape, as_sequence, as_shape, per_axis
from ..convolution import Convolution
from ..errors import GeometryError, ShapeError
from .deconvolution import UNKNOWN, as_picture, frame_of
from .door import solve
from .solution import Solution


def estimate_kernel(
    sharp: ArrayLike,
    blurred: ArrayLike,
    size: Any,
    *,
    boundary: Any = "unknown",
    center: Any = None,
    **solve_options: Any,
) -> Solution:
    """The kernel that makes the blurred picture of the sharp one, by least squares.

    Parameters
    ----------
    sharp : array_like
        The scene, `(*batch, *picture)`; several pictures with one kernel in common make it better known.
    blurred : array_like
        The picture of it, of the same shape, or of that which mode "valid" gives.
    size : int or tuple of int
        Shape of the kernel; an int is one for every axis of `sharp`.
    boundary : str or tuple
        "unknown": only what reads nothing outside of `sharp` is compared. Or what a `Convolution` of mode "same" takes.
    center : int or tuple of int, optional
        The kernel tap that sits on the output sample, `(k - 1) // 2` by default.
    **solve_options
        Those of `solve`. `alpha` is 0 by default, plain least squares; with much noise and few details in the scene
        give more. `nonneg=True` suits light.

    Returns
    -------
    Solution
        Its `x`, of shape `size`, is the kernel in the order that `Convolution` and `deconvolve` take.

    Raises
    ------
    ShapeError, GeometryError, DTypeError
        If the shapes do not fit, or an option makes no sense.

    Examples
    --------
    >>> import numpy as np, convop
    >>> scene = np.random.default_rng(0).random((20, 30))
    >>> kernel = np.array([[1.0, 2.0, 0.0], [0.0, 4.0, 1.0]])
    >>> blurred = convop.Convolution(kernel, scene.shape)(scene)
    >>> bool(np.allclose(convop.estimate_kernel(scene, blurred, (2, 3)).x, kernel, atol=1e-4))
    True
    """
    scene, picture = as_picture(sharp, "the sharp picture"), as_picture(blurred, "the blurred picture")
    taps = as_shape(size, "size") if as_sequence(size) is not None else per_axis(size, scene.ndim, "size", 1)
    if len(taps) > scene.ndim:
        raise ShapeError(f"size {taps} has {len(taps)} axes and the sharp picture {scene.ndim}; give as many at most")
    shape = scene.shape[scene.ndim - len(taps) :]
    if any(k > n for k, n in zip(taps, shape, strict=True)):
        raise GeometryError(f"a kernel of size {taps} is larger than the pictures of shape {shape}; give a smaller one")
    blank = np.zeros(taps, np.result_type(scene, picture))
    same = Convolution(blank, shape, boundary="zero" if boundary == UNKNOWN else boundary, center=center)
    whole = Convolution(blank, shape, mode="valid") if boundary == UNKNOWN else same
    U = whole.kernel_operator(scene)
    return solve(U, _compared(picture, scene.shape, U.out_shape, taps, center), **{"alpha": 0, **solve_options})


def _compared(picture: Any, scene: Shape, seen: Shape, taps: Shape, center: Any) -> Any:
    """The samples of the blurred picture that the rows of the operator stand for."""
    if picture.shape == seen:
        return picture
    if picture.shape != scene:
        raise ShapeError(
            f"the blurred picture has shape {picture.shape}, needed {scene} as the sharp one has, or {seen} of what "
            f"reads nothing outside"
        )
    return picture[(..., *frame_of(taps, center, seen[len(seen) - len(taps) :]))]
