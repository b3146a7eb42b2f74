"""How noisy data are, seen from their finest differences."""

import math

import numpy as np

from ...dtypes import Array
from ...errors import GeometryError
from ...operator import Operator
from ...spectrum.kinds import grid_axes

SECOND = np.array([1.0, -2.0, 1.0])
MEDIAN = 0.6744897501960817  # of the size of a standard normal number
ROUGH = 0.3  # the share of the data's deviation from which on fine differences are not taken for noise


def estimate_noise(b: Array, A: Operator) -> float:
    """The standard deviation of white noise in one item of data; of complex noise its root mean square.

    The second differences along every axis at once (J. Immerkaer, "Fast noise variance estimation", Computer Vision
    and Image Understanding 64, 1996) leave little of a smooth picture; their median size leaves out edges (D. L.
    Donoho, "De-noising by soft-thresholding", IEEE Trans. Inf. Theory 41, 1995). Differences that are exactly zero,
    where data are saturated or masked, count for nothing.

    Raises
    ------
    GeometryError
        If no axis has three samples.
    """
    axes = _axes(b, A)
    if not axes:
        raise GeometryError(
            f"data of shape {b.shape} are too few to see their noise; give noise=, or a number for alpha"
        )
    for axis in axes:
        before, middle, after = (b.take(range(k, b.shape[axis] - 2 + k), axis) for k in range(3))
        b = before - 2 * middle + after
    size = float(np.linalg.norm(SECOND)) ** len(axes)
    parts = (np.real(b), np.imag(b)) if b.dtype.kind == "c" else (b,)
    return math.hypot(*(_deviation(part) for part in parts)) / size


def looks_smooth(b: Array, A: Operator) -> bool:
    """Whether one item of data varies much more than its finest differences do."""
    return bool(_axes(b, A)) and estimate_noise(b, A) < ROUGH * float(np.std(b))


def _axes(b: Array, A: Operator) -> list[int]:
    """The axes of the grid that have second differences."""
    return [axis for axis in range(-min(max(grid_axes(A), 1), b.ndim), 0) if b.shape[axis] >= 3]


def _deviation(differences: Array) -> float:
    sizes = np.abs(differences[differences != 0])
    return float(np.median(sizes)) / MEDIAN if sizes.size else 0.0
