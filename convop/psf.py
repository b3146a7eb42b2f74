"""Point-spread functions: what one bright point looks like through a lens, a shake or the air.

Each is a float64 array that sums to 1 and is symmetric about its middle: the middle sample for an odd size,
the point between the two middle samples for an even one. Which sample of an even kernel sits on the output is
decided by `center` of the convolution that uses it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .arguments import Shape, as_sequence, as_shape
from .errors import GeometryError
from .memory import require_bytes

Kernel = NDArray[np.floating]


def gaussian(size: int | Sequence[int], sigma: float | Sequence[float]) -> Kernel:
    """Gaussian, sampled at the pixel centres and scaled to the sum 1.

    Parameters
    ----------
    size : int or sequence of int
        Samples along each axis, any number of axes; an int is a square picture.
    sigma : float or sequence of float
        Standard deviation in pixels, one for all axes or one per axis.

    Returns
    -------
    ndarray of float64
        The kernel ``exp(-x**2 / (2 * sigma**2))``, a product over the axes.

    Notes
    -----
    The samples of a normal density (Gonzalez and Woods, *Digital Image Processing*, 4th ed., section 3.5). What
    lies outside `size` is cut off: six standard deviations and one keep all but 0.3 % of each axis.

    Examples
    --------
    >>> import convop
    >>> convop.psf.gaussian((3,), 1.0).round(3)
    array([0.274, 0.452, 0.274])
    >>> convop.psf.gaussian(7, sigma=(1.0, 2.0)).shape
    (7, 7)
    """
    shape = _shape(size)
    sigmas = as_sequence(sigma) or (sigma,) * len(shape)
    if len(sigmas) != len(shape):
        raise GeometryError(
            f"sigma has {len(sigmas)} values and size {shape} has {len(shape)} axes; "
            "give one sigma for all axes or one for each"
        )
    squares = np.zeros(shape)
    for squared, deviation in zip(_squared_offsets(shape), sigmas, strict=True):
        width = _positive("sigma", deviation)
        squares = squares + (squared - squared.min()) / width / width
    return _unit_sum(np.exp(-squares / 2))


def moffat(size: int | Sequence[int], fwhm: float, beta: float) -> Kernel:
    """Moffat profile, a star seen through the atmosphere, sampled at the pixel centres.

    Parameters
    ----------
    size : int or sequence of int
        Samples along each axis; an int is a square picture.
    fwhm : float
        Full width at half of the maximum, in pixels.
    beta : float
        Exponent of the wings: small is wide, large tends to a Gaussian; seeing has 2.5 to 5.

    Returns
    -------
    ndarray of float64
        The kernel ``(1 + (r / a)**2) ** -beta`` with ``a = fwhm / (2 * sqrt(2**(1 / beta) - 1))``, scaled to
        the sum 1.

    Notes
    -----
    A. F. J. Moffat, *Astronomy and Astrophysics* 3, 455 (1969).

    Examples
    --------
    >>> import convop
    >>> star = convop.psf.moffat(21, fwhm=4, beta=3)
    >>> float(round(star[10, 12] / star[10, 10], 12))  # half a width from the peak: half of it
    0.5
    """
    shape = _shape(size)
    width, power = _positive("fwhm", fwhm), _positive("beta", beta, 0.01)
    scale = width / (2 * math.sqrt(math.expm1(math.log(2) / power)))
    squared_radius = sum(_squared_offsets(shape))
    return _unit_sum((1 + squared_radius / scale / scale) ** -power)


def disk(radius: float) -> Kernel:
    """Disk of even brightness: a point out of focus, by the exact area of each pixel that it covers.

    Parameters
    ----------
    radius : float
        In pixels. The disk is centred on the middle pixel.

    Returns
    -------
    ndarray of float64
        A square kernel of the smallest odd size that holds the disk.

    Notes
    -----
    The geometric-optics model of defocus (Goodman, *Introduction to Fourier Optics*, section 6.4). The areas are
    integrals of ``sqrt(radius**2 - x**2)`` in closed form, right to rounding.

    Examples
    --------
    >>> import convop
    >>> convop.psf.disk(1).round(3)
    array([[0.025, 0.145, 0.025],
           [0.145, 0.318, 0.145],
           [0.025, 0.145, 0.025]])
    """
    radius = _positive("radius", radius)
    half = _half_size(radius)
    _require_room((2 * half + 1, 2 * half + 1))
    edges = np.concatenate([[0.0], np.arange(half + 1) + 0.5])
    quarter = _quarter_disk(radius, edges[:-1, None], edges[1:, None], edges[None, :-1], edges[None, 1:])
    quarter[0, :] *= 2  # the pixels on an axis reach to both sides of it
    quarter[:, 0] *= 2
    mirrored = np.abs(np.arange(-half, half + 1))
    return _unit_sum((quarter + quarter.T)[np.ix_(mirrored, mirrored)])


def motion(length: float, angle: float) -> Kernel:
    """Straight, even motion during the exposure, by the exact area of each pixel that the track covers.

    Parameters
    ----------
    length : float
        Length of the track in pixels; 1 at angle 0 is no motion at all.
    angle : float
        Direction in degrees, counter-clockwise from the horizontal axis as the picture is seen (row 0 on top).

    Returns
    -------
    ndarray of float64
        A square kernel of the smallest odd size that holds the track.

    Notes
    -----
    The track is a bar, `length` long and one pixel wide, centred on the middle pixel, and a pixel weighs what it
    shares with the bar: unweighted area sampling (Foley, van Dam et al., *Computer Graphics*, section 3.17). At
    0 and 90 degrees an odd `length` gives that many equal pixels. The areas are exact to rounding: between the
    places where the bar's outline crosses the pixel grid they are integrals of straight lines.

    Examples
    --------
    >>> import convop
    >>> convop.psf.motion(3, 90)
    array([[0.        , 0.33333333, 0.        ],
           [0.        , 0.33333333, 0.        ],
           [0.        , 0.33333333, 0.        ]])
    """
    length = _positive("length", length)
    cosine, sine = _direction(angle)
    half = _half_size(max(length * abs(cosine) + abs(sine), length * abs(sine) + abs(cosine)) / 2)
    _require_room((2 * half + 1, 2 * half + 1))
    edges = np.arange(-half, half + 2) - 0.5
    breaks = _bar_breaks(length, cosine, sine, edges)
    middle, width = (breaks[1:] + breaks[:-1]) / 2, np.diff(breaks)
    low, high = _bar_section(length, cosine, sine, middle[:, None])
    covered = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    slices = np.maximum(covered, 0) * width[:, None]
    area = np.zeros((2 * half + 1, 2 * half + 1))
    np.add.at(area, np.searchsorted(edges, middle) - 1, slices)
    upright = area.T[::-1]  # rows run downwards, the angle upwards
    return _unit_sum(upright + upright[::-1, ::-1])


def _direction(angle: float) -> tuple[float, float]:
    """Cosine and sine of an angle in degrees; for a zero a number too small to matter, fit to divide by."""
    turned = math.radians(math.fmod(_number("angle", angle), 360.0))
    cosine, sine = (value if abs(value) > 1e-15 else 1e-100 for value in (math.cos(turned), math.sin(turned)))
    return cosine, sine


def _bar_breaks(length: float, cosine: float, sine: float, edges: Kernel) -> Kernel:
    """Abscissae between which the bar covers each pixel of a column linearly, from edge to edge of the grid."""
    sides = np.array([[-1.0], [1.0]])
    across_ends = (sides * length / 2 - edges * sine) / cosine
    across_flanks = (edges * cosine - sides / 2) / sine
    corners = (sides * length * cosine + sides.T * sine) / 2
    breaks = np.concatenate([edges, across_ends.ravel(), across_flanks.ravel(), corners.ravel()])
    return np.unique(np.clip(breaks, edges[0], edges[-1]))


def _bar_section(length: float, cosine: float, sine: float, x: Kernel) -> tuple[Kernel, Kernel]:
    """Lowest and highest point of the bar over each abscissa; low is above high where the bar is not."""
    ends = (np.array([-length, length]) / 2 - x * cosine) / sine
    flanks = (np.array([-0.5, 0.5]) + x * sine) / cosine
    low = np.maximum(ends.min(axis=1), flanks.min(axis=1))
    high = np.minimum(ends.max(axis=1), flanks.max(axis=1))
    return low[:, None], high[:, None]


def _quarter_disk(radius: float, left: Kernel, right: Kernel, low: Kernel, high: Kernel) -> Kernel:
    """Area that a disk about the origin shares with rectangles of the first quadrant."""

    def primitive(x: Kernel) -> Kernel:
        return (x * np.sqrt(np.maximum(radius**2 - x**2, 0)) + radius**2 * np.arcsin(x / radius)) / 2

    def crossing(y: Kernel) -> Kernel:
        reached = np.sqrt(np.maximum(radius**2 - y**2, 0))
        return np.minimum(np.clip(reached, left, right), radius)

    full, end = crossing(high), crossing(low)
    start = np.minimum(left, radius)
    return (full - start) * (high - low) + primitive(end) - primitive(full) - low * (end - full)


def _half_size(extent: float) -> int:
    """Pixels on each side of the middle one that something reaching `extent` touches, rounding forgiven."""
    return max(0, math.ceil(extent - 0.5 - 1e-9))


def _squared_offsets(shape: Shape) -> list[Kernel]:
    """Squared distance from the middle along each axis, ready to broadcast."""
    middles = [(np.arange(n) - (n - 1) / 2) ** 2 for n in shape]
    return list(np.ix_(*middles))


def _unit_sum(kernel: Kernel) -> Kernel:
    return kernel / kernel.sum()


def _shape(size: int | Sequence[int]) -> Shape:
    """One length for each axis; a lone int is a square."""
    shape = as_shape((size, size) if as_sequence(size) is None else size, "size")
    _require_room(shape)
    return shape


def _require_room(shape: Shape) -> None:
    """Raise MemoryBudgetError unless a kernel of this shape and what it is made of fit into memory."""
    require_bytes(8 * 8 * math.prod(shape), f"a kernel of {shape} pixels", "give the size in pixels of the picture")


def _positive(name: str, value: object, least: float = 1e-9) -> float:
    number = _number(name, value)
    if 0 < number < least:
        raise GeometryError(f"{name} is {value!r}, next to nothing; give at least {least:g}")
    if number <= 0:
        raise GeometryError(f"{name} is {value!r}; it has to be greater than 0; give a positive number of pixels")
    return number


def _number(name: str, value: object) -> float:
    try:
        number = math.nan if value is np.ma.masked else float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise GeometryError(f"{name} is {value!r}; a finite real number is needed; give one")
    return number
