"""`spy`: the structure of a matrix, however large."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import require
from ..arguments import as_int
from ..blocks import Blocks
from ..convolution import Convolution
from ..dtypes import Array
from ..foreign import as_operator
from ..operator import Operator
from .canvas import BLUE, GREY, axes_for, image, sizes, whole_ticks
from .sampled_rows import entries, is_probed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKED_AT = 4  # rows behind each line of pixels
MOST_PROBED = 200  # rows, where each costs an application of the adjoint
MOST_LINES = 40  # of the grid of blocks; beyond that the blocks are told and not drawn
FAINTEST = 0.3


def spy(A: Any, ax: "Axes | None" = None, *, values: bool = False, blocks: bool = True, pixels: int = 400) -> "Axes":
    """Where a matrix has entries, and the blocks that it is made of.

    A matrix with more rows or columns than `pixels` is drawn smaller: each pixel stands for many entries, and is the
    darker the more of them there are. Only some rows are looked at then, and the matrix is not assembled.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    values : bool
        Colour entries by their value (complex ones by their modulus); for matrices small enough to be drawn whole.
    blocks : bool
        Draw the grid of blocks: one for each row of a picture, channel, or operator in a stack.
    pixels : int
        Rows and columns of the picture at most.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GeometryError
        If `pixels` is below 1.

    Examples
    --------
    >>> import numpy as np, convop, convop.plot
    >>> ax = convop.plot.spy(convop.Convolution(np.ones((3, 3)), (1000, 1000)))
    >>> ax.get_title()
    '1,000,000 x 1,000,000, 8,988,004 entries\\n1,000 x 1,000 blocks of 1,000 x 1,000'
    """
    operator, most = as_operator(A), as_int(pixels, "pixels", 1)
    ax = axes_for(ax, (4.6, 4.8))
    rows, columns = operator.shape
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    whole = max(rows, columns) <= most
    if values and whole:
        array = operator.toarray()
        image(ax, np.ma.masked_equal(array, 0), extent=extent, aspect="equal")
    else:
        options: dict[str, Any] = {"cmap": _shades(), "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        ax.imshow(_density(operator, most), extent=extent, aspect="equal", **options)
    said = _grid(ax, operator) if blocks else ""
    count, exact = operator._count() if operator.explicit else (0, False)
    entries_said = f", {'' if exact else 'at most '}{count:,} entries" if operator.explicit else ""
    ax.set_title(f"{sizes((rows, columns))}{entries_said}{said}", fontsize="medium")
    whole_ticks(ax, 4)
    ax.set_xlabel("input sample")
    ax.set_ylabel("output sample")
    return ax


def _shades() -> Any:
    """White for nothing, and blues dark enough to be seen for the rest."""
    colours = require("matplotlib.colors", "plot")
    light = tuple(1 - FAINTEST * (1 - part) for part in colours.to_rgb(BLUE))
    return colours.LinearSegmentedColormap.from_list("entries", [light, BLUE, "#002b45"]).with_extremes(bad="white")


def _density(A: Operator, most: int) -> Array:
    """The share of entries behind each pixel relative to the fullest, NaN where there is none."""
    rows, columns = A.shape
    high, wide = min(rows, most), min(columns, most)
    looked = min(LOOKED_AT, -(-rows // high))
    if rows > MOST_PROBED and is_probed(A):
        high, looked = min(high, MOST_PROBED), 1
    # Rows spread over each line of pixels, its first and its last among them.
    edges = np.linspace(0, rows, high + 1).astype(np.int64)
    spread = np.linspace(0, 1, looked)
    wanted = np.unique(edges[:-1, None] + np.rint(spread * (np.diff(edges)[:, None] - 1)).astype(np.int64))
    row, column = entries(A, wanted)
    line = np.searchsorted(edges, wanted, "right") - 1
    place = np.minimum(column * wide // columns, wide - 1)
    counts = np.zeros((high, wide))
    np.add.at(counts, (line[row], place), 1)
    counts[counts == 0] = np.nan
    return np.sqrt(counts / np.nanmax(counts)) if np.isfinite(counts).any() else counts


def _grid(ax: "Axes", A: Operator) -> str:
    """Draw the lines between blocks, if they are few enough, and say what the blocks are."""
    down, across = _bounds(A)
    if len(down) + len(across) == 0:
        return ""
    if max(len(down), len(across)) < MOST_LINES:
        for place in down:
            ax.axhline(place - 0.5, color=GREY, linewidth=0.6)
        for place in across:
            ax.axvline(place - 0.5, color=GREY, linewidth=0.6)
    if isinstance(A, Blocks):
        return f"\n{len(down) + 1} x {len(across) + 1} blocks"
    block = (A.shape[0] // (len(down) + 1), A.shape[1] // (len(across) + 1))
    return f"\n{sizes((len(down) + 1, len(across) + 1))} blocks of {sizes(block)}"


def _bounds(A: Operator) -> tuple[list[int], list[int]]:
    """Where blocks end: those of a stack, channels, or the first axis of arrays with more than one."""
    if isinstance(A, Blocks):
        return list(A.rows.bounds[1:-1]), list(A.columns.bounds[1:-1])
    shapes = (A.out_shape, A.in_shape)
    if isinstance(A, Convolution) and A.geometry.lifted and min(A.geometry.matrix_shape) > 0:
        one = A.geometry.channels_out == A.geometry.channels_in == 1
        shapes = tuple(shape[1:] for shape in shapes) if one else shapes
    down, across = (
        list(range(math.prod(shape[1:]), math.prod(shape), math.prod(shape[1:]))) if len(shape) > 1 else []
        for shape in shapes
    )
    return down, across
