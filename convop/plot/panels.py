"""Pictures next to each other, in one scale."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..dtypes import Array
from ..errors import ShapeError
from .canvas import axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (3, 4)
GAP = 0.04  # between pictures, of the width of the first
LONGEST = 11.0  # inches


def panels(
    pictures: Mapping[str, ArrayLike], ax: "Axes | None" = None, *, vmin: float | None = None, vmax: float | None = None
) -> "Axes":
    """Pictures next to each other under one scale of brightness, before and after.

    Parameters
    ----------
    pictures : mapping of str to array_like
        A title and a picture each: `(rows, columns)`, or `(rows, columns, colours)` with three or four colours.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    vmin, vmax : float, optional
        What is drawn black and white (of colours: nothing and full); by default the least and greatest sample of the
        first picture, so that others show where they go beyond it.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ShapeError
        If there is no picture, or an array is none.

    Examples
    --------
    >>> import numpy as np, convop, convop.plot
    >>> scene = np.random.default_rng(0).random((40, 50))
    >>> blur = convop.Convolution(convop.psf.disk(3), (40, 50), boundary="symmetric")
    >>> ax = convop.plot.panels({"sharp": scene, "blurred": blur(scene)})
    >>> [text.get_text() for text in ax.texts]
    ['sharp', 'blurred']
    """
    shown = {str(title): _picture(title, picture) for title, picture in dict(pictures).items()}
    if not shown:
        raise ShapeError("panels takes a picture at least, got none; give a dict of titles and pictures")
    first = next(iter(shown.values()))
    low = float(np.nanmin(first)) if vmin is None else vmin
    high = float(np.nanmax(first)) if vmax is None else vmax
    high = high if high > low else low + 1.0
    height, gap = first.shape[0], GAP * first.shape[1]
    widths = [picture.shape[1] * height / picture.shape[0] for picture in shown.values()]  # all of one height
    total = sum(widths) + gap * (len(widths) - 1)
    ax = axes_for(ax, (LONGEST, max(1.2, LONGEST * height / total) + 0.4))
    left = 0.0
    for (title, picture), width in zip(shown.items(), widths, strict=True):
        scaled = np.clip((picture - low) / (high - low), 0, 1)
        extent = (left, left + width, height, 0)
        ax.imshow(scaled, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="antialiased", aspect="equal")
        ax.annotate(
            title, (left + width / 2, 0), (0, 4), textcoords="offset points", ha="center", va="bottom",
            annotation_clip=False,
        )  # fmt: skip
        left += width + gap
    ax.set_xlim(0, total)
    ax.set_ylim(height, 0)
    ax.set_axis_off()
    return ax


def _picture(title: str, values: ArrayLike) -> Array:
    picture = np.asarray(values)
    flat = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in COLOURS)
    if not flat or picture.size == 0 or picture.dtype.kind not in "biuf":
        raise ShapeError(
            f"panel {title!r} has shape {picture.shape} of {picture.dtype}, needed a real picture (rows, columns), or "
            f"(rows, columns, 3)"
        )
    return picture.astype(np.float64)
