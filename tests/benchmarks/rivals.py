"""The convolutions of other libraries, as functions of no arguments: `rivals(case)` gives those that can run it.

All compute a convolution with zero boundary and as many outputs as samples. What a library can prepare (spectra,
flipped kernels, matrices) is prepared before it is timed. Who lacks a dimension, or would take gigabytes or minutes, is
left out, with the reason.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np

GIGABYTE = 2**30


@dataclass(frozen=True)
class Case:
    """A picture, signal or volume and a kernel of `taps` along each axis."""

    shape: tuple[int, ...]
    taps: int
    dtype: str

    @property
    def samples(self) -> int:
        return int(np.prod(self.shape))

    @property
    def work(self) -> float:
        """Multiply-adds of the definition."""
        return float(self.samples) * self.taps ** len(self.shape)

    @cached_property
    def kernel(self) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((self.taps,) * len(self.shape)).astype(self.dtype)

    @cached_property
    def x(self) -> np.ndarray:
        return np.random.default_rng(0).standard_normal(self.shape).astype(self.dtype)

    def __str__(self) -> str:
        ndim = len(self.shape)
        size = f"{self.shape[0]}^{ndim}" if ndim > 1 else f"{self.shape[0]:,}"
        kernel = f"{self.taps}^{ndim}" if ndim > 1 else f"{self.taps:,}"
        return f"{size}, {kernel}, {self.dtype}"


def reference(case: Case) -> np.ndarray:
    """The answer in float64 (or complex128), by scipy."""
    from scipy.signal import fftconvolve

    wide = np.result_type(case.dtype, np.float64)
    return fftconvolve(case.x.astype(wide), case.kernel.astype(wide), mode="same")


def rivals(case: Case) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Functions by library, and the reasons why others are missing."""
    running, missing = {}, {}
    for name, needed, make in RIVALS:
        if find_spec(needed) is None:
            missing[name] = "not installed"
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                made = make(case)
            except Exception as error:  # a benchmark tells of what fails and goes on
                made = f"{type(error).__name__}: {error}".splitlines()[0][:80]
        if isinstance(made, str):
            missing[name] = made
        else:
            running[name] = made
    return running, missing


def scipy_fftconvolve(case: Case) -> Any:
    import scipy.fft
    from scipy.signal import fftconvolve

    def run() -> Any:
        with scipy.fft.set_workers(2):
            return fftconvolve(case.x, case.kernel, mode="same")

    return run


def scipy_oaconvolve(case: Case) -> Any:
    from scipy.signal import oaconvolve

    return lambda: oaconvolve(case.x, case.kernel, mode="same")


def ndimage_correlate(case: Case) -> Any:
    from scipy import ndimage

    if case.work > 1e9:
        return "minutes"
    flipped = np.ascontiguousarray(np.flip(case.kernel))
    return lambda: ndimage.correlate(case.x, flipped, mode="constant")


def opencv(case: Case) -> Any:
    import cv2

    if len(case.shape) > 2:
        return "no volumes"
    if len(case.shape) == 1 and (case.taps > 2001 or case.samples > 2**31 - 1):
        return "minutes"
    kernel = np.ascontiguousarray(np.flip(case.kernel)).reshape(-1 if len(case.shape) > 1 else 1, case.taps)
    x = case.x.reshape(-1, case.shape[-1])
    depth = cv2.CV_32F if case.dtype == "float32" else cv2.CV_64F
    anchor = tuple(k - 1 - (k - 1) // 2 for k in reversed(kernel.shape))
    return lambda: cv2.filter2D(x, depth, kernel, anchor=anchor, borderType=cv2.BORDER_CONSTANT)


def torch_convolution(case: Case) -> Any:
    import torch
    from torch.nn import functional

    ndim = len(case.shape)
    if case.dtype == "float64" or ndim == 3:
        unfolded = case.work * np.dtype(case.dtype).itemsize
        if unfolded > 3 * GIGABYTE:
            return f"{unfolded / GIGABYTE:.0f} GB of memory"
    if case.work > 3e9:
        return "minutes"
    if case.taps % 2 == 0:
        return "no even kernels"
    convolution = (functional.conv1d, functional.conv2d, functional.conv3d)[ndim - 1]
    x = torch.from_numpy(case.x)[None, None]
    weight = torch.from_numpy(np.ascontiguousarray(np.flip(case.kernel)))[None, None]

    def run() -> Any:
        with torch.no_grad():
            return convolution(x, weight, padding=case.taps // 2)

    return run


def pylops_convolution(case: Case) -> Any:
    import pylops

    center = tuple((k - 1) // 2 for k in case.kernel.shape)
    if len(case.shape) == 1:
        operator = pylops.signalprocessing.Convolve1D(case.shape[0], case.kernel, offset=center[0], dtype=case.dtype)
    else:
        operator = pylops.signalprocessing.ConvolveND(case.shape, case.kernel, offset=center, dtype=case.dtype)
    flat = case.x.ravel()
    return lambda: operator.matvec(flat)


def sparse_convolution_matrix(case: Case) -> Any:
    from sparse_convolution import Toeplitz_convolution2d

    if len(case.shape) != 2:
        return "pictures only"
    if case.work > 1e8:
        return "gigabytes of matrix"
    matrix = Toeplitz_convolution2d(case.shape, case.kernel, mode="same", dtype=case.x.dtype, method="precomputed")
    flat = case.x.reshape(1, -1)
    return lambda: matrix(flat, batching=True)


def lazylinop_convolution(case: Case) -> Any:
    import lazylinop.signal
    import lazylinop.signal2d

    if case.work > 2e8:
        return "minutes"
    flat = case.x.ravel(order="F")
    if len(case.shape) == 1:
        operator = lazylinop.signal.convolve(case.shape[0], case.kernel, mode="same")
    elif len(case.shape) == 2:
        operator = lazylinop.signal2d.convolve2d(case.shape, case.kernel, mode="same")
    else:
        return "no volumes"
    return lambda: (operator @ flat).reshape(case.shape, order="F")


RIVALS = (
    ("fftconvolve", "scipy", scipy_fftconvolve),
    ("oaconvolve", "scipy", scipy_oaconvolve),
    ("ndimage", "scipy", ndimage_correlate),
    ("OpenCV", "cv2", opencv),
    ("torch", "torch", torch_convolution),
    ("PyLops", "pylops", pylops_convolution),
    ("sparse_convolution", "sparse_convolution", sparse_convolution_matrix),
    ("lazylinop", "lazylinop", lazylinop_convolution),
)
