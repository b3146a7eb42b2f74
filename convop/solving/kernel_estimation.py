"""`estimate_kernel`: the blur from a sharp picture and a blurred one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import Shape, as_sequence, as_shape, is_one_of, per_axis
from ..convolution import Convolution
from ..differences import gradient, laplacian
from ..dtypes import Array
from ..errors import GeometryError, ShapeError
from ..foreign import as_operator
from ..kernel_side import KernelOperator
from ..operator import Operator
from .deconvolution import UNKNOWN, as_picture, frame_of
from .door import solve
from .few_taps import normal_matrix
from .priors import known_prior
from .solution import Solution

DIFFERENCES: dict[str, Callable[..., Operator]] = {"gradient": gradient, "laplacian": laplacian}


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
        give more, or a rule such as "gcv", or `nonneg=True`, which suits light and costs little. The regularizers
        "gradient" and "laplacian" are differences of neighbouring taps, with none across the edges of the kernel.

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
    same = Convolution(blank, shape, boundary="zero" if is_one_of(boundary, [UNKNOWN]) else boundary, center=center)
    whole = Convolution(blank, shape, mode="valid") if is_one_of(boundary, [UNKNOWN]) else same
    U = whole.kernel_operator(scene)
    assert isinstance(U, KernelOperator)
    b = _compared(picture, scene.shape, U.out_shape, taps, center)
    options = {"alpha": 0, "prior": "tikhonov", **solve_options}
    if known_prior(options["prior"]) == "tv" and options.get("regularizer") is None:
        options["regularizer"] = "gradient"
    name = options.get("regularizer")
    if isinstance(name, str) and name in DIFFERENCES:
        options["regularizer"] = DIFFERENCES[name](taps, dtype=np.finfo(blank.dtype).dtype)
    if isinstance(options["alpha"], str) or not (options.get("nonneg") or options["prior"] in ("tv", "l1")):
        return solve(U, b, **options)
    rows, right = _few_rows(U, b)
    return solve(rows, right, **options)


def _few_rows(U: KernelOperator, b: Array) -> tuple[Operator, Array]:
    """A least squares problem of no more rows than the kernel has taps, with the same minimisers.

    With ``U^H U = V diag(w) V^H`` it is ``R = diag(w)^(1/2) V^H`` and ``c = diag(w)^(-1/2) V^H U^H b``, so that
    ``||U k - b||`` and ``||R k - c||`` differ by what no kernel explains. A prior that iterates pays for `R` only.
    """
    powers, vectors = np.linalg.eigh(normal_matrix(U))
    known = powers > powers.max() * len(powers) * np.finfo(powers.dtype).eps
    roots, vectors = np.sqrt(powers[known]), vectors[:, known]
    right = (vectors.conj().T @ U.H(b).ravel()) / roots
    return as_operator(roots[:, None] * vectors.conj().T, in_shape=U.in_shape), right


def _compared(picture: Array, scene: Shape, seen: Shape, taps: Shape, center: Any) -> Array:
    """The samples of the blurred picture that the rows of the operator stand for."""
    if picture.shape == seen:
        return picture
    if picture.shape != scene:
        raise ShapeError(
            f"the blurred picture has shape {picture.shape}, needed {scene} as the sharp one has, or {seen} of what "
            f"reads nothing outside"
        )
    return picture[(..., *frame_of(taps, center, seen[len(seen) - len(taps) :]))]
