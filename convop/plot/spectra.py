"""Symbols and singular values."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..errors import GeometryError
from ..foreign import as_operator
from ..spectrum.basis import DFT
from ..spectrum.closed_form import require_closed_form
from ..spectrum.eigen import symbol as blocks_of
from ..spectrum.values import svdvals
from .canvas import BLUE, GREEN, ORANGE, RED, axes_for, image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9")


def symbol(A: Any, ax: "Axes | None" = None) -> "Axes":
    """The modulus of an operator's symbol over frequency; of several channels, the norm of the block.

    Frequencies are in cycles for each sample. A periodic axis has both signs, with zero in the middle; a symmetric one
    has those of the cosine transform, from zero to a half.

    Parameters
    ----------
    A : Operator
        One with a symbol (see `convop.symbol`), on one or two axes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GeometryError
        If there is no symbol, or it has more than two axes.

    Examples
    --------
    >>> import convop, convop.plot
    >>> blur = convop.Convolution(convop.psf.disk(3), (64, 64), boundary="periodic")
    >>> convop.plot.symbol(blur).get_xlabel()
    'frequency of axis 1, cycles per sample'
    """
    blocks = blocks_of(A)
    kinds = require_closed_form(A).basis.kinds
    ndim = len(kinds)
    if ndim > 2:
        raise GeometryError(f"the symbol has {ndim} axes, and a picture two; draw convop.symbol(A)[..., k]")
    size = np.abs(blocks) if blocks.ndim == ndim else np.linalg.norm(blocks, 2, axis=(-2, -1))
    periodic = [axis for axis, kind in enumerate(kinds) if kind == DFT]
    shifted = np.fft.fftshift(size, periodic)
    ax = axes_for(ax)
    if ndim == 1:
        ax.plot(_frequencies(size.shape[0], 0 in periodic), shifted, color=BLUE)
        ax.set_xlabel("frequency, cycles per sample")
        ax.set_ylabel("modulus of the symbol")
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
        return ax
    first, second = (_edges(n, axis in periodic) for axis, n in enumerate(size.shape))
    image(ax, shifted, extent=(second[0], second[1], first[1], first[0]), aspect="auto")
    ax.set_xlabel("frequency of axis 1, cycles per sample")
    ax.set_ylabel("frequency of axis 0, cycles per sample")
    ax.set_title("modulus of the symbol", fontsize="medium")
    return ax


def _frequencies(n: int, periodic: bool) -> Array:
    """Of the discrete Fourier transform with zero in the middle, or of the cosine transform."""
    return np.fft.fftshift(np.fft.fftfreq(n)) if periodic else np.arange(n) / (2 * n)


def _edges(n: int, periodic: bool) -> tuple[float, float]:
    """Where the first pixel of a picture begins, and the last one ends."""
    at = _frequencies(n, periodic)
    half = 0.5 * (at[1] - at[0]) if n > 1 else 0.5
    return float(at[0] - half), float(at[-1] + half)


def singular_values(*operators: Any, ax: "Axes | None" = None, k: int | None = None, labels: Any = None) -> "Axes":
    """The singular values of operators, from the largest down, on a logarithmic scale.

    Parameters
    ----------
    *operators : Operator
        Anything `as_operator` takes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    k : int, optional
        How many of the largest; by default all, where a closed form or the memory for a dense matrix gives them.
    labels : sequence of str, optional
        Names for the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GeometryError
        If there is no operator, or not as many labels.

    Examples
    --------
    >>> import convop, convop.plot
    >>> blurs = [convop.Convolution([1.0, 2.0, 1.0], 99, boundary=name) for name in ("periodic", "symmetric")]
    >>> ax = convop.plot.singular_values(*blurs, labels=["periodic", "symmetric"])
    >>> len(ax.lines)
    2
    """
    if not operators or (labels is not None and len(labels) != len(operators)):
        raise GeometryError(f"give operators and as many labels, got {len(operators)} and {labels!r}")
    ax = axes_for(ax)
    lowest = np.inf
    for number, A in enumerate(operators):
        operator = as_operator(A)
        values = svdvals(operator, k)
        floor = np.finfo(operator.dtype).eps * max(operator.shape) * values[0]
        lowest = min(lowest, values[values > floor].min(initial=values[0] or 1.0))
        line: dict[str, Any] = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": ("-", "--", ":")[number // len(COLOURS) % 3],
        }
        ax.plot(np.arange(1, len(values) + 1), values, label=None if labels is None else labels[number], **line)
    ax.set_yscale("log", nonpositive="mask")
    ax.set_ylim(bottom=lowest / 3)  # what is below is rounding
    ax.set_xlabel("number")
    ax.set_ylabel("singular value")
    ax.grid(alpha=0.3)
    if labels is not None:
        ax.legend()
    return ax
