"""The mathematics of the demo: a composed blur, the weight of its inversion, and how near that came."""

import math

import numpy as np

from .. import psf
from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..selection import Select

# The best weight grows with the variance of the noise; the factor was found by trial on the shipped photograph.
WEIGHT_PER_VARIANCE = 50.0
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


def psnr(reference: Array, picture: Array) -> float:
    """Peak signal-to-noise ratio in decibels, for a full scale of 1; inf for equal pictures."""
    error = float(np.mean((reference - picture) ** 2))
    return -10 * math.log10(error) if error else math.inf
