"""What every picture starts from: axes, colours that the colour-blind tell apart, and words for them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import require
from ..dtypes import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# M. Okabe and K. Ito, "Color universal design", 2008.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"


def axes_for(ax: "Axes | None", size: tuple[float, float] = (5.0, 4.0)) -> "Axes":
    """`ax`, or that of a new figure."""
    if ax is not None:
        return ax
    return require("matplotlib.pyplot", "plot").subplots(figsize=size, layout="constrained")[1]


def whole_ticks(ax: "Axes", most: int = 6) -> None:
    """Ticks on both axes at whole numbers only."""
    ticker = require("matplotlib.ticker", "plot")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(most, integer=True))
        axis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def image(ax: "Axes", values: Array, bar: bool = True, **options: Any) -> Any:
    """Real numbers as colours, zero white where there are both signs; complex numbers by their modulus."""
    shown = np.ma.asarray(np.abs(values) if np.iscomplexobj(values) else values)
    largest = (float(np.abs(shown).max()) if shown.count() else 0.0) or 1.0
    signed = bool((shown < 0).any())
    scale = {"cmap": DIVERGING, "vmin": -largest, "vmax": largest} if signed else {"cmap": SEQUENTIAL, "vmin": 0}
    drawn = ax.imshow(shown, **{"interpolation": "nearest", **scale, **options})
    if bar:
        ax.figure.colorbar(drawn, ax=ax, shrink=0.9)
    return drawn


def sizes(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    return " x ".join(f"{n:,}" for n in shape)
