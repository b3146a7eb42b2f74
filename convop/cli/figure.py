"""The panels that the demo writes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .._optional import require
from ..dtypes import Array

WIDTH = 16.0
TITLE_HEIGHT = 0.35


def save_panels(path: Path, pictures: Sequence[Array], titles: Sequence[str], kernel: Array) -> None:
    """Write pictures `(channels, rows, columns)` side by side, and the kernel as the last panel, as a PNG."""
    rows, columns = pictures[0].shape[1:]
    panels = len(pictures) + 1
    height = WIDTH / panels * rows / columns + TITLE_HEIGHT
    figure = require("matplotlib.figure", "cli").Figure(figsize=(WIDTH, height), dpi=150, layout="constrained")
    axes = figure.subplots(1, panels)
    for ax, picture, title in zip(axes, pictures, titles, strict=False):
        ax.imshow(_displayable(picture), cmap="gray", vmin=0, vmax=1)
        ax.set_title(title)
    axes[-1].imshow(kernel, cmap="magma")
    axes[-1].set_title(f"kernel, {kernel.shape[0]} x {kernel.shape[1]}")
    for ax in axes:
        ax.set_axis_off()
        ax.set_anchor("N")
    figure.savefig(path, format="png")


def _displayable(picture: Array) -> Array:
    """What imshow takes: rows, columns and, for colours, three channels, within full scale."""
    clipped = np.clip(picture, 0, 1)
    return clipped[0] if len(clipped) == 1 else np.moveaxis(clipped, 0, 2)
