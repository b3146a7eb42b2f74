"""The mathematics of the demo: a composed blur, and its inversion by regularised least squares."""

import math
import sys

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import cg

from .. import psf
from .._optional import require
from ..arguments import Shape
from ..convolution import Convolution
from ..operator import Operator
from ..selection import Select

TOLERANCE = 2e-4
MOST_STEPS = 200
LAPLACIAN = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
# The best weight grows with the variance of the noise; the factor was found by trial on the shipped photograph.
WEIGHT_PER_VARIANCE = 60.0
LEAST_WEIGHT = 1e-6


def blur_factors(scene_shape: Shape) -> tuple[Convolution, Convolution]:
    """A shaken hand after a soft lens, each computing only what it needs no guess outside the scene for."""
    lens = Convolution(psf.gaussian(7, sigma=1.0), scene_shape, mode="valid")
    shake = Convolution(psf.motion(length=15, angle=30), lens.out_shape, mode="valid")
    return shake, lens


def frame_of(blur: Convolution) -> Select:
    """The part of the scene that the middle of the kernel passes over: what the blurred picture shows."""
    margins = [(n - m) // 2 for n, m in zip(blur.in_shape, blur.out_shape, strict=True)]
    inside = tuple(slice(margin, margin + m) for margin, m in zip(margins, blur.out_shape, strict=True))
    return Select(blur.in_shape, inside)


def regularisation_weight(noise: float) -> float:
    """The weight of the roughness against the misfit, for noise of this standard deviation."""
    return max(WEIGHT_PER_VARIANCE * noise**2, LEAST_WEIGHT)


def deblur(blur: Operator, blurred: NDArray, weight: float, quiet: bool) -> NDArray:
    """Minimise ``||A x - b||^2 + weight ||L x||^2`` for each channel, with `L` the Laplacian."""
    roughness = Convolution(LAPLACIAN, blur.in_shape, boundary="symmetric")
    normal = blur.H @ blur + weight * (roughness.H @ roughness)
    names = ("red", "green", "blue") if len(blurred) == 3 else ("grey",)
    channels = [_solve(normal, blur.H(b), name, quiet) for b, name in zip(blurred, names, strict=True)]
    return np.stack(channels)


def _solve(normal: Operator, right_hand_side: NDArray, name: str, quiet: bool) -> NDArray:
    """scipy's conjugate gradients on one channel, with a progress bar."""
    bar_of = require("tqdm", "cli").tqdm
    with bar_of(total=MOST_STEPS, desc=f"restoring {name:<5}", ncols=78, disable=quiet, file=sys.stderr) as bar:
        solution, _ = cg(
            normal, right_hand_side.ravel(), rtol=TOLERANCE, maxiter=MOST_STEPS, callback=lambda _: bar.update()
        )
        bar.total = bar.n
        bar.refresh()
    return solution.reshape(right_hand_side.shape)


def psnr(reference: NDArray, picture: NDArray) -> float:
    """Peak signal-to-noise ratio in decibels, for a full scale of 1; inf for equal pictures."""
    error = float(np.mean((reference - picture) ** 2))
    return -10 * math.log10(error) if error else math.inf
