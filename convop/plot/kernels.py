"""A kernel, and a row of the matrix as the picture that it is."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import require
from ..arguments import as_int, as_sequence
from ..convolution import Convolution
from ..dtypes import Array
from ..errors import GeometryError, ShapeError
from ..foreign import as_operator
from ..operator import Operator
from .canvas import BLUE, GREY, RED, axes_for, image, sizes, whole_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 2  # samples around what is shown of a row
FEW = 400  # samples of a row on one axis up to which all of it is shown


def kernel(A: Any, ax: "Axes | None" = None, *, channels: tuple[int, int] = (0, 0)) -> "Axes":
    """The taps of a kernel on one or two axes; of more axes the middle of the others.

    Parameters
    ----------
    A : Convolution or array_like
        A convolution, or a kernel.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    channels : (int, int)
        Of a layer, which output and input channel (within its group).

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GeometryError
        If there are no such channels, or no taps.

    Examples
    --------
    >>> import convop, convop.plot
    >>> convop.plot.kernel(convop.psf.motion(9, angle=30)).get_title()
    '9 x 9, sum 1'
    """
    taps = _taps(A, channels)
    if taps.size == 0 or taps.ndim == 0:
        raise GeometryError(f"a kernel has taps along an axis at least, got an array of shape {taps.shape}")
    title = f"{sizes(taps.shape)}, sum {taps.sum():.4g}"
    taps = taps[tuple(n // 2 for n in taps.shape[:-2])]
    ax = axes_for(ax, (4.6, 3.8))
    if taps.ndim == 1:
        _stems(ax, np.arange(len(taps)), taps)
        ax.set_xlabel("tap")
    else:
        image(ax, taps)
        whole_ticks(ax)
    ax.set_title(title, fontsize="medium")
    return ax


def _taps(A: Any, channels: tuple[int, int]) -> Array:
    if not isinstance(A, Convolution):
        if isinstance(A, Operator):
            raise GeometryError(
                f"{A!r} is no one convolution, so it has no one kernel; draw plot.row(A) or plot.spy(A)"
            )
        return np.asarray(A)
    if not A.geometry.lifted:
        return A.kernel
    o, i = (as_int(number, "a channel", 0) for number in channels)
    if o >= A.kernel.shape[0] or i >= A.kernel.shape[1]:
        raise GeometryError(f"the kernel has channels {A.kernel.shape[:2]}, got {channels}")
    return A.kernel[o, i]


def _stems(ax: "Axes", at: Array, values: Array) -> None:
    parts = (np.real(values), np.imag(values)) if np.iscomplexobj(values) else (values,)
    for part, colour, label in zip(parts, (BLUE, RED), ("real part", "imaginary part"), strict=False):
        lines = ax.vlines(at, 0, part, color=colour, linewidth=1)
        ax.plot(at, part, "o", color=colour, markersize=3.5, label=label if len(parts) > 1 else None)
        lines.set_capstyle("butt")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.xaxis.set_major_locator(require("matplotlib.ticker", "plot").MaxNLocator(8, integer=True))
    ax.grid(alpha=0.3)
    if len(parts) > 1:
        ax.legend()


def row(A: Any, index: Any = None, ax: "Axes | None" = None, *, channel: int = 0) -> "Axes":
    """What one output sample reads: a row of the matrix in the shape of the input, around what is not zero.

    Near an edge this is the kernel as the boundary folds it back into the array; the thick line is the array's edge.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.
    index : int or tuple of int, optional
        Of the output sample, as numpy counts; the first one by default, in the corner.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    channel : int
        Of inputs with more than two axes, which of the first axis; of further axes the middle is shown.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ShapeError
        If there is no such sample.

    Examples
    --------
    >>> import convop, convop.plot
    >>> blur = convop.Convolution(convop.psf.disk(3), (40, 50), boundary="symmetric")
    >>> convop.plot.row(blur, (1, 2)).get_title()
    'what output (1, 2) reads, sum 1'
    """
    operator = as_operator(A)
    place = _place(operator, index)
    unit = np.zeros(operator.out_shape, operator.dtype)
    unit[place] = 1
    values = operator.H(unit).conj()
    title = f"what output {place if len(place) != 1 else place[0]} reads, sum {values.sum():.4g}"
    values = values.reshape(1) if values.ndim == 0 else _two_axes(values, channel)
    ax = axes_for(ax, (4.6, 3.8))
    ax.set_title(title, fontsize="medium")
    if values.ndim == 1:
        first, last = _around(values != 0, 0)
        first, last = (0, len(values)) if len(values) <= FEW else (first, last)
        _stems(ax, np.arange(first, last), values[first:last])
        for end, side in ((first == 0, -0.5), (last == len(values), len(values) - 0.5)):
            if end:
                ax.axvline(side, color="black", linewidth=2.5)
        ax.set_xlabel("input sample")
        return ax
    (top, bottom), (left, right) = (_around(values != 0, axis) for axis in (0, 1))
    image(ax, values[top:bottom, left:right], extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5))
    whole_ticks(ax)
    _edges(ax, values.shape, (top, bottom), (left, right))
    if len(place) >= 2 and operator.out_shape[-2:] == operator.in_shape[-2:]:
        ax.plot(place[-1], place[-2], marker="+", color=RED, markersize=10, markeredgewidth=2)
    return ax


def _place(operator: Operator, index: Any) -> tuple[int, ...]:
    shape = operator.out_shape
    given = (0,) * len(shape) if index is None else tuple(as_sequence(index) or (index,))
    needed = f"needed one index for each axis of the output, of shape {shape}, got {index!r}"
    if len(given) != len(shape):
        raise ShapeError(needed)
    place = tuple(as_int(number, "an index", -n) % n for number, n in zip(given, shape, strict=True))
    if any(not isinstance(n, int) or n >= size for n, size in zip(given, shape, strict=True)):
        raise ShapeError(needed)
    return place


def _two_axes(values: Array, channel: int) -> Array:
    if values.ndim < 3:
        return values
    number = as_int(channel, "channel", 0)
    if number >= len(values):
        raise ShapeError(f"the input has {len(values)} channels, got channel {channel}")
    values = values[number]
    return values[tuple(n // 2 for n in values.shape[:-2])]


def _around(support: Array, axis: int) -> tuple[int, int]:
    """From where to where an axis is shown: what is not zero, and a margin."""
    others = tuple(i for i in range(support.ndim) if i != axis)
    at = np.flatnonzero(support.any(axis=others))
    first, last = (int(at[0]), int(at[-1])) if len(at) else (0, 0)
    return max(first - MARGIN, 0), min(last + MARGIN + 1, support.shape[axis])


def _edges(ax: "Axes", shape: tuple[int, ...], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """A thick line where the array ends."""
    line: dict[str, Any] = {"color": "black", "linewidth": 4, "solid_capstyle": "butt", "clip_on": False}
    (top, bottom), (left, right) = ((first - 0.5, last - 0.5) for first, last in (rows, columns))
    for at, end, draw in (
        (top, -0.5, lambda at: ax.plot([left, right], [at, at], **line)),
        (bottom, shape[0] - 0.5, lambda at: ax.plot([left, right], [at, at], **line)),
        (left, -0.5, lambda at: ax.plot([at, at], [top, bottom], **line)),
        (right, shape[1] - 0.5, lambda at: ax.plot([at, at], [top, bottom], **line)),
    ):
        if at == end:
            draw(at)
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
