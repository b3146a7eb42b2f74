"""The weight of a prior under which the estimate is not linear in the data, by cross-validation with a random probe.

Generalised cross-validation weighs the misfit against the degrees of freedom that the estimate takes, which are the
divergence of `A x(b)` in the data; a second estimate, of data shaken by a little more noise, gives it (S. Ramani, T.
Blu and M. Unser, IEEE Trans. Image Processing 17, 1540, 2008). A few windows of a large picture tell as much as
the whole, and each of them is the frame of a scene that goes on, whatever lies outside the picture.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._optional import require
from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..operator import Operator
from .door import ADVICE, solve
from .parameter.noise import estimate_noise

WINDOW = {1: 4096, 2: 128, 3: 40}  # samples along each axis, for so many axes
KERNELS = 4  # a window is at least as long as so many kernels
FIRST = 0.1  # where to begin, in units of the noise
TRIFLE = 1e-3  # of the brightest, in place of noise where there is none
STEP = 2.5
MOST = 14  # alphas tried
SHAKE = 0.3  # of the noise, which detail makes look larger than it is: the less, the truer the degrees of freedom
EAGER = 0.85  # what is seen of the scene is at its best for a larger alpha than the scene itself, found by trial
LOOSE = 0.1  # how well the estimates are solved for; alpha needs no more


@dataclass(frozen=True)
class Probe:
    """Windows of a picture, the same with a little more noise, and what made them of their scenes."""

    A: Operator
    b: Array  # (windows, *shape), then the same shaken
    shake: Array
    noise: float  # as estimated from the windows
    size: float  # of what was added

    @classmethod
    def of(cls, kernel: Array, items: Array) -> "Probe":
        """From `(items, *spatial)`: pictures that share their weight."""
        windows = _windows(items, kernel.shape)
        shape = windows.shape[1:]
        A = Convolution(kernel, tuple(n + k - 1 for n, k in zip(shape, kernel.shape, strict=True)), mode="valid")
        noise = float(np.median([estimate_noise(each, A) for each in windows]))
        noise = noise or TRIFLE * float(abs(windows).max()) or 1.0  # so that there is something to shake by
        size = SHAKE * noise
        rng = np.random.default_rng(0)
        signs = [-1, 1, -1j, 1j] if windows.dtype.kind == "c" else [-1, 1]
        shake = rng.choice(signs, windows.shape).astype(windows.dtype)
        return cls(A, np.concatenate([windows, windows + size * shake]), shake, noise, size)

    def risk(self, x: Array, noise: float | None) -> float:
        """GCV of an estimate of all windows; with the noise known, the unbiased estimate of the predictive risk."""
        count = len(self.shake)
        seen = self.A(x)
        misfit = float(np.linalg.norm(seen[:count] - self.b[:count])) ** 2
        freedom = float(np.vdot(self.shake, seen[count:] - seen[:count]).real) / self.size
        if noise is not None:
            return misfit + 2 * noise**2 * freedom
        left = self.shake.size - freedom
        return misfit / left**2 if left > 0 else math.inf


def weight(kernel: Array, items: Array, options: dict[str, Any]) -> tuple[float, str]:
    """The alpha that pictures `(items, *spatial)` share, for these options of `solve`; and how it came about."""
    noise = options.get("noise")
    probe = Probe.of(kernel, items)
    if (items == items.flat[0]).all():
        return FIRST * probe.noise, "any alpha, since the picture is constant"
    shown = bool(options.get("progress"))
    with require("tqdm", "cli").tqdm(desc="choosing alpha", unit=" tried", ncols=78) if shown else nullcontext() as bar:
        alphas, risks = _searched(probe, noise, options, lambda: None if bar is None else bar.update())
    best = int(np.argmin(risks))
    name = "generalised cross-validation" if noise is None else "the unbiased predictive risk"
    text = f"alpha by {name} with random probes"
    if best in (0, len(alphas) - 1):
        return EAGER * alphas[best], f"{text}; its minimum lies beyond the {len(alphas)} values that were tried"
    return EAGER * _parabola(alphas, risks, best), text


def _searched(
    probe: Probe, noise: float | None, options: dict[str, Any], tried: Callable[[], Any]
) -> tuple[list[float], list[float]]:
    """Alphas a factor apart and their risks, around a minimum: from the first guess in the direction that falls."""
    quiet = {**options, "progress": False, "callback": None, "tol": LOOSE}
    start: Array | None = None

    def risk(alpha: float) -> float:
        nonlocal start
        solution = solve(probe.A, probe.b, **quiet, alpha=alpha, x0=start)
        if ADVICE["interrupted"] in solution.reason:
            raise KeyboardInterrupt
        start = solution.x
        tried()
        return probe.risk(solution.x, noise)

    alphas = [FIRST * (noise or probe.noise) * STEP**k for k in (0, 1)]
    risks = [risk(alpha) for alpha in reversed(alphas)][::-1]
    while len(alphas) < MOST:
        best = int(np.argmin(risks))
        if best == 0:
            alphas.insert(0, alphas[0] / STEP)
            risks.insert(0, risk(alphas[0]))
        elif best == len(alphas) - 1:
            alphas.append(alphas[-1] * STEP)
            risks.append(risk(alphas[-1]))
        else:
            break
    return alphas, risks


def _parabola(alphas: list[float], risks: list[float], best: int) -> float:
    """Where the parabola through the least of equidistant values and its neighbours has its vertex."""
    before, least, after = risks[best - 1 : best + 2]
    bend = before - 2 * least + after
    return alphas[best] * STEP ** (0.5 * (before - after) / bend if bend > 0 else 0.0)


def _windows(items: Array, kernel: Shape) -> Array:
    """A window in one corner and one in the other, in turn where there are many items; small items as they are."""
    shape = items.shape[1:]
    side = WINDOW.get(len(shape), min(WINDOW.values()))
    along = [_cuts(n, max(side, KERNELS * k)) for n, k in zip(shape, kernel, strict=True)]
    first, second = (tuple(cuts[end] for cuts in along) for end in (0, 1))
    if first == second:
        return items
    if len(items) == 1:
        return np.stack([items[0][first], items[0][second]])
    return np.stack([item[(first, second)[index % 2]] for index, item in enumerate(items)])


def _cuts(n: int, window: int) -> tuple[slice, slice]:
    """The middles of both halves of an axis; all of a short one."""
    if 2 * n <= 3 * window:
        return slice(0, n), slice(0, n)
    first = n // 4 - min(window // 2, n // 4)
    return slice(first, first + window), slice(n - window - first, n - first)
