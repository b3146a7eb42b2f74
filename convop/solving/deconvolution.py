"""`deconvolve`: a sharp picture from a blurred one in one call."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import Shape, is_one_of, per_axis
from ..convolution import Convolution
from ..dtypes import Array, as_coefficients, as_signal
from ..errors import GeometryError
from .deconvolution_axes import Axes
from .deconvolution_weight import weight
from .door import WORST_FIRST, as_noise, interrupted, solve
from .elsewhere import or_elsewhere
from .priors import known_prior
from .solution import Solution
from .task import as_callback

# The relative duality gap at which pictures no longer change by what an eye or a PSNR tells.
PICTURE_TOLERANCE = 1e-2
FEW = 10  # steps for a picture after Ctrl-C
UNKNOWN = "unknown"
SPARSE = ("tv", "l1")  # priors under which the estimate is not linear in the data
PROBES = ("gcv", "upre")  # rules that are a matter of probes then
SUM_TOLERANCE = 1e-3  # how far from 1 the sum of a kernel has to be to be worth a word


@or_elsewhere
def deconvolve(
    image: ArrayLike,
    kernel: ArrayLike,
    *,
    boundary: Any = "unknown",
    center: Any = None,
    channel_axis: int | None = None,
    **solve_options: Any,
) -> Solution:
    """Undo a blur: estimate the scene that the kernel made the image of.

    Parameters
    ----------
    image : array_like or torch.Tensor
        A signal, picture or volume, as many axes as the kernel; further axes in front make a stack, whose items are
        restored one by one. Finite.
    kernel : array_like
        The point-spread function. With `channel_axis` it may have a channel axis in the same place, for one kernel
        each channel. It is taken as it is: one that does not sum to 1 changes the brightness, and `reason` says so.
    boundary : str or tuple
        "unknown": the scene goes on past the frame of the image, and is estimated there as well. Or what a
        `Convolution` of mode "same" takes.
    center : int or tuple of int, optional
        The kernel tap that sits on the output sample, `(k - 1) // 2` by default.
    channel_axis : int, optional
        The axis of colours, as in scikit-image; each is restored by itself.
    **solve_options
        Those of `solve`: `alpha`, `prior`, `regularizer`, `nonneg`, `noise`, `tol`, `maxiter`, `callback`, `progress`
        and so on. By default `prior` is "tv"; "tv" and "l1" have a `tol` of 1e-2, and "tikhonov" takes the regularizer
        "gradient". With "tv" and "l1" `alpha` is chosen by "gcv", or by "upre" where `noise` is given, with probes on
        windows of the picture; both may be named, too. They expect white noise: for a JPEG or a picture that was
        smoothed give `noise`, as it was before, or a number for `alpha`. Samples that are saturated belong left out:
        ``convop.solve(convop.Select(A.out_shape, good) @ A, image[good])``.

    Returns
    -------
    Solution
        `x` is the part of the scene that the middle of the kernel passes over, in shape and dtype of the image:
        integers are rounded and clipped to their range, and floats are of the image's precision, which the kernel
        takes too. `scene` is the whole estimate, unrounded. With channels, `alpha` has theirs as its first axis.

    Raises
    ------
    ShapeError, GeometryError, DTypeError
        If image and kernel do not fit, or an option makes no sense.

    Notes
    -----
    That the frame of a picture says nothing of what lies outside, so that a scene larger than the picture has to be
    estimated, is from S. J. Reeves, *IEEE Trans. Image Processing* 14, 1448 (2005).

    Examples
    --------
    >>> import numpy as np, convop
    >>> step = np.repeat([10, 80, 40], 12)
    >>> kernel = np.full(5, 0.2)
    >>> blurred = np.rint(np.convolve(step, kernel, "valid")).astype(np.uint8)
    >>> solution = convop.deconvolve(blurred, kernel, alpha=0.1)
    >>> solution.x.dtype, int(abs(solution.x - step[2:-2]).max()), solution.scene.shape
    (dtype('uint8'), 0, (36,))
    """
    values = as_picture(image, "the image")
    taps = _of_precision(values, as_coefficients(kernel, "the kernel"))
    axes = Axes.of(values.shape, taps.shape, channel_axis)
    values = axes.inside(values)
    shape, (options, said) = values.shape[values.ndim - axes.spatial :], with_defaults(solve_options)
    kernels = list(axes.inside(taps)) if taps.ndim > axes.spatial else [taps]
    blurs = [blur_of(each, shape, boundary, center) for each in kernels]
    unknown = is_one_of(boundary, [UNKNOWN])
    frame = frame_of(kernels[0].shape, center, shape) if unknown else tuple(slice(0, n) for n in shape)
    solution = _solved(blurs, kernels, values, int(axes.channel is not None), options, frame)
    seen = solution.x[(..., *frame)]
    reason = "; ".join(filter(None, [solution.reason, *said, about_the_sum(kernels)]))
    x, scene = _like(np.asarray(image), axes.outside(seen)), axes.outside(solution.x)
    return replace(solution, x=x, scene=scene, reason=reason)


def _solved(
    blurs: list[Convolution], kernels: list[Array], values: Array, channels: int, options: dict[str, Any],
    frame: tuple[slice, ...],
) -> Solution:  # fmt: skip
    """Solve for `values` `(*channels, *stack, *spatial)`, with `channels` the number of channel axes, 0 or 1.

    With one kernel all at once, else channel by channel. Where probes have to choose alpha, item by item of a stack;
    the channels of an item share it.
    """
    if len(blurs) > 1:
        of_each = zip(blurs, kernels, strict=True)
        ways = [partial(_solved, [A], [kernel], channels=0, options=options, frame=frame) for A, kernel in of_each]
        return _one_by_one(ways, values, blurs[0].in_shape, frame)
    if not _probed(options):
        return solve(blurs[0], values, **options)
    if values.ndim > channels + kernels[0].ndim:
        items = np.moveaxis(values, channels, 0)
        way = partial(_solved, blurs, kernels, channels=channels, options=options, frame=frame)
        return _one_by_one([way] * len(items), items, blurs[0].in_shape, frame, channels)
    alpha, said = weight(kernels[0], values if channels else values[None], options)
    hurry = {"maxiter": FEW} if interrupted(said) else {}
    solution = solve(blurs[0], values, **{**options, "alpha": alpha, **hurry})
    status = "max_iterations" if hurry else solution.status
    alphas = np.full(values.shape[:channels], alpha)[()]
    return replace(solution, alpha=alphas, reason=f"{said}; {solution.reason}", status=status)


def _one_by_one(
    ways: list[Callable[..., Solution]], items: Array, scene: Shape, frame: tuple[slice, ...], axis: int = 0
) -> Solution:
    """Each item restored in its way; after Ctrl-C the others as they are, continued by their edges to the scene."""
    found: list[Solution] = []
    for way, item in zip(ways, items, strict=True):
        if not found or not interrupted(found[-1].reason):
            found.append(way(values=item))
            continue
        margins = [(cut.start, n - cut.stop) for cut, n in zip(frame, scene, strict=True)]
        x = np.pad(item, [(0, 0)] * (item.ndim - len(frame)) + margins, mode="edge")
        last, nothing = found[-1], np.full(np.shape(found[-1].alpha), np.nan)[()]
        found.append(replace(last, x=x, iterations=0, alpha=nothing, error_bound=0 * last.error_bound + np.nan))
    return _together(found, axis)


def _probed(options: dict[str, Any]) -> bool:
    """Whether alpha is to be found by probes: for an estimate that is not linear, and that windows are typical of."""
    named = options.get("regularizer") is None or isinstance(options["regularizer"], str)
    rule = options.get("alpha")
    return (rule is None or is_one_of(rule, PROBES)) and options["prior"] in SPARSE and named


def as_picture(image: ArrayLike, what: str) -> Array:
    """Finite numbers of one of the four types; integers become float64."""
    values = as_signal(image, np.dtype(np.float64))
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        raise GeometryError(
            f"{what} holds {bad} samples that are NaN or inf, and a solution would spread them everywhere; replace "
            f"them, or leave them out: convop.solve(convop.Select(A.out_shape, mask) @ A, {what.split()[-1]}[mask])"
        )
    if values.size == 0:
        raise GeometryError(f"{what} of shape {values.shape} is empty; give one with samples")
    return values


def frame_of(kernel: Shape, center: Any, shape: Shape) -> tuple[slice, ...]:
    """Where, in a scene that a kernel of this shape sees in whole, the samples stand that its middle passes over."""
    middle = [(k - 1) // 2 for k in kernel] if center is None else per_axis(center, len(kernel), "center", 0)
    starts = [k - 1 - c for k, c in zip(kernel, middle, strict=True)]
    return tuple(slice(start, start + m) for start, m in zip(starts, shape, strict=True))


def blur_of(kernel: Array, shape: Shape, boundary: Any, center: Any) -> Convolution:
    """From the scene to the picture."""
    if not kernel.any():
        raise GeometryError(f"the kernel of shape {kernel.shape} is zero everywhere; give the blur of a bright point")
    if any(k > n for k, n in zip(kernel.shape, shape, strict=True)):
        raise GeometryError(
            f"the kernel of shape {kernel.shape} is larger than the picture of shape {shape}, so no sample of the "
            f"picture saw less than all of it; cut margins off the kernel where it is next to nothing, or give more "
            f"of the picture"
        )
    if not is_one_of(boundary, [UNKNOWN]):
        return Convolution(kernel, shape, boundary=boundary, center=center)
    Convolution(kernel, shape, center=center)  # refuses a center that is none of the kernel's taps
    return Convolution(kernel, tuple(n + k - 1 for n, k in zip(shape, kernel.shape, strict=True)), mode="valid")


def with_defaults(options: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options of `solve` with what suits pictures where nothing was asked for, and why."""
    asked = {name: value for name, value in options.items() if value is not None}
    as_callback(asked.get("callback"))
    if as_noise(asked.get("noise")) == 0:
        raise GeometryError(
            "noise=0 says that the estimate has to make all of the picture, to the last rounding error, and nothing is "
            "left to choose alpha by; leave noise out, so that it is estimated, or give a number for alpha"
        )
    if "prior" not in asked:
        why = "prior 'tv', since pictures are smooth between edges and it keeps the edges"
        return {"prior": "tv", "tol": PICTURE_TOLERANCE, **asked}, [why]
    if known_prior(asked["prior"]) in SPARSE:
        return {"tol": PICTURE_TOLERANCE, **asked}, []
    if known_prior(asked["prior"]) == "tikhonov" and "regularizer" not in asked:
        return asked | {"regularizer": "gradient"}, ["regularizer 'gradient', so that an even picture costs nothing"]
    return asked, []


def about_the_sum(kernels: Any) -> str:
    """What to say of kernels that change the brightness."""
    sums = [complex(each.sum()) for each in kernels]
    if all(abs(total - 1) <= SUM_TOLERANCE for total in sums):
        return ""
    said = ", ".join(f"{total.real if total.imag == 0 else total:.4g}" for total in sums)
    return f"the kernel sums to {said}, not 1, so the estimate differs from the image in brightness"


def _of_precision(values: Array, kernel: Array) -> Array:
    """The kernel in the precision of the picture."""
    precision = np.finfo(values.dtype).dtype
    return kernel.astype(np.result_type(precision, np.complex64) if kernel.dtype.kind == "c" else precision)


def _like(image: Array, x: Array) -> Array:
    """An estimate in the dtype of the image, in so far as that can hold it."""
    if image.dtype.kind not in "iuf" or x.dtype.kind == "c":
        return x
    if image.dtype.kind == "f":
        return x.astype(image.dtype.newbyteorder("="), copy=False)
    limits = np.iinfo(image.dtype)
    whole = np.rint(x)
    # The largest int64 is no float64: what reaches it is put there by hand.
    inside = np.where((whole >= limits.min) & (whole < limits.max), whole, 0).astype(image.dtype)
    return np.where(whole >= limits.max, limits.max, np.where(whole < limits.min, limits.min, inside)).astype(
        image.dtype.newbyteorder("=")
    )


def _together(solutions: list[Solution], axis: int = 0) -> Solution:
    """Those of many items as a single one, with the status of the worst."""
    worst = min(solutions, key=lambda each: (not interrupted(each.reason), WORST_FIRST.index(each.status)))

    def stacked(name: str) -> Array:
        return np.stack([np.asarray(getattr(each, name)) for each in solutions], axis)

    steps = max(each.iterations for each in solutions)
    return replace(worst, x=stacked("x"), alpha=stacked("alpha"), iterations=steps, error_bound=stacked("error_bound"))
