"""`explain`: which outputs keep a product from being one convolution."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._optional import require
from ..arguments import as_int
from ..dtypes import Array
from ..errors import GeometryError
from ..explain import explain as explained
from .canvas import GREY, RED, axes_for, sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WHOLE = 40  # samples of an axis up to which all are drawn
INSIDE = 4  # samples drawn on either side of what is left out
LINE = 62  # letters in a line of the title
SAME, LEFT_OUT = "#d7e8f4", "white"


def explain(A: Any, ax: "Axes | None" = None, *, seam: int = 0, channel: int = 0) -> "Axes":
    """Which output samples one convolution would get wrong, where a product did not become one.

    Long axes are drawn with their middle left out, where nothing differs; the numbers are those of the samples.

    Parameters
    ----------
    A : Operator
        A product, as `A @ B` gives it; or what became of one.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    seam : int
        Which of the pairs that stayed apart, as in `convop.explain(A).seams`.
    channel : int
        Of outputs with more than two axes, which of the first axis; of further axes the first is shown.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GeometryError
        If nothing in it is a pair of convolutions that stayed apart, or there is no such seam or channel.

    Examples
    --------
    >>> import numpy as np, convop, convop.plot
    >>> edges = convop.Convolution([[-1.0, 2.0, -1.0]], (60, 80), boundary="replicate")
    >>> blur = convop.Convolution(convop.psf.motion(7, angle=30), (60, 80), boundary="mirror")
    >>> print(convop.plot.explain(edges @ blur).get_title('left'))
    one kernel would change 120 of 4,800 output samples
    """
    found = explained(A)
    number, seams = as_int(seam, "seam", 0), found.seams
    if number >= len(seams):
        said = "it is one convolution" if found.fused else f"it has {len(seams)} seams"
        raise GeometryError(f"there is no seam {number} in {found.operator}: {said}; convop.explain says more")
    rows = seams[number].rows
    if rows is None:
        raise GeometryError(f"the outputs that differ are not known here: {seams[number].reason}")
    mask = _two_axes(rows, channel)
    down, across = _Axis.of(mask), _Axis.of(mask.T)
    cells = np.where(down.shown[:, None] & across.shown, mask[np.ix_(down.samples, across.samples)], np.nan)
    ax = axes_for(ax, (5.2, 1.9 if len(mask) == 1 else 4.6))
    colours = require("matplotlib.colors", "plot").ListedColormap([SAME, RED]).with_extremes(bad=LEFT_OUT)
    ax.imshow(cells, cmap=colours, vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    _lines(ax, cells.shape)
    across.label(ax.xaxis)
    down.label(ax.yaxis)
    ax.set_xlabel("output sample")
    if len(mask) == 1:
        ax.set_yticks([])
    ax.set_title(textwrap.fill(seams[number].reason, LINE), loc="left", fontsize="medium")
    _legend(ax)
    return ax


def _two_axes(rows: Array, channel: int) -> Array:
    if rows.ndim == 1:
        return rows[None]
    if rows.ndim == 2:
        return rows
    number = as_int(channel, "channel", 0)
    if number >= len(rows):
        raise GeometryError(f"the output has shape {sizes(rows.shape)}, got channel {channel}")
    plane = rows[number]
    return plane[(0,) * (plane.ndim - 2)]


class _Axis:
    """The samples of an axis that are drawn, in order; where `shown` is False, some are left out."""

    def __init__(self, samples: NDArray[np.intp], shown: NDArray[np.bool_]) -> None:
        self.samples, self.shown = samples, shown

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> "_Axis":
        """All rows of a mask that has few; of more, not those in the middle that are all alike."""
        n, middle = len(mask), len(mask) // 2
        other = np.flatnonzero((mask != mask[middle]).any(axis=1))
        first = int(other[other < middle].max(initial=-1)) + 1 + INSIDE
        last = int(other[other > middle].min(initial=n)) - INSIDE
        if n <= WHOLE or last - first < INSIDE:
            return cls(np.arange(n), np.ones(n, bool))
        samples = np.concatenate([np.arange(first), [first, first], np.arange(last, n)])
        shown = np.ones(len(samples), bool)
        shown[first : first + 2] = False
        return cls(samples, shown)

    def label(self, axis: Any) -> None:
        """Numbers at the ends, at what is left out, and in between where there is room."""
        count = len(self.samples)
        if self.shown.all():
            step = max(1, -(-count // 8))
            places = list(range(0, count, step))
        else:
            gap = int(np.flatnonzero(~self.shown)[0])
            places = sorted({0, gap - 1, gap + 2, count - 1})
        axis.set_ticks(places, [f"{self.samples[place]:,}" for place in places])


def _lines(ax: "Axes", shape: tuple[int, ...]) -> None:
    """A thin line around each sample."""
    for count, draw in ((shape[0], ax.axhline), (shape[1], ax.axvline)):
        for place in range(count + 1):
            draw(place - 0.5, color="white", linewidth=0.7)
    for spine in ax.spines.values():
        spine.set_color(GREY)


def _legend(ax: "Axes") -> None:
    patch = require("matplotlib.patches", "plot").Patch
    handles = [patch(color=RED, label="would differ"), patch(color=SAME, label="the same")]
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False)
