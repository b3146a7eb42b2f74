"""The weight of a prior under which the estimate is not linear in the data, by cross-validation with a random probe.

Generalised cross-validation weighs the misfit against the degrees of freedom that the estimate takes, which are the
divergence of `A x(b)` in the data; a second estimate, of data shaken by a little more noise, gives it (S. Ramani, T.
Blu and M. Unser, IEEE Trans. Image Processing 17, 1540, 2008). A few windows of a large picture tell as much as
the whole, and each of them is the frame of a scene that goes on, whatever lies outside the picture.
"""

import itertools
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
from .door import ADVICE, interrupted, solve
from .parameter.noise import estimate_noise

WINDOW = {1: 4096, 2: 128, 3: 40}  # samples along each axis, for so many axes
KERNELS = 4  # a window is at least as long as so many kernels
FIRST = 0.1  # where to begin, in units of the noise
TRIFLE = 1e-3  # of the brightest, in place of noise where there is none
STEP = 2.5
MOST = 14  # alphas tried
APART = 2.0  # how often the variation of the first guess is too much; sharp pictures come to 1.6, found by trial
CLEAR = 10.0  # how often a risk has to have fallen to be believed all the same, as it does where there is no noise
GUESS = "a tenth of the noise was taken"
SEEN = 0.2  # of the picture's deviation, which windows have to show
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
    """The alpha that pictures `(items, *spatial)` share, for these options of `solve`; and how it came about.

    Ctrl-C gives the best of those that were tried, and `reason` says so.
    """
    rule = options.get("alpha")
    probe = Probe.of(kernel, items)
    noise = options.get("noise") if rule != "gcv" else None
    if rule == "upre" and noise is None:
        noise = probe.noise
    first = FIRST * (noise or probe.noise) * float(abs(kernel).sum())  # alpha is in the units of A x
    if (items == items.flat[0]).all():
        return first, "any alpha, since the picture is constant"
    shown = bool(options.get("progress"))
    with require("tqdm", "cli").tqdm(desc="choosing alpha", unit=" tried", ncols=78) if shown else nullcontext() as bar:
        search = Search(probe, noise, options, lambda: None if bar is None else bar.update())
        try:
            alpha, remark = search.best(first)
        except KeyboardInterrupt:
            alpha, remark = min(search.seen, default=(0.0, first))[1], f"; {ADVICE['interrupted']}"
    name = "generalised cross-validation" if noise is None else "the unbiased predictive risk"
    return alpha, f"alpha by {name} with random probes{remark}"


class Search:
    """The risk of one alpha after the other, each estimate from the one before on."""

    def __init__(self, probe: Probe, noise: float | None, options: dict[str, Any], tried: Callable[[], Any]) -> None:
        self.probe, self.noise, self.tried = probe, noise, tried
        self.options = {**options, "progress": False, "callback": None, "tol": LOOSE}
        self.x: Array | None = None
        self.seen: list[tuple[float, float]] = []  # risk and alpha

    def risk(self, alpha: float) -> float:
        solution = solve(self.probe.A, self.probe.b, **{**self.options, "alpha": alpha, "x0": self.x})
        if interrupted(solution.reason):
            raise KeyboardInterrupt
        self.x = solution.x
        self.tried()
        risk = self.probe.risk(solution.x, self.noise)
        self.seen.append((risk, alpha))
        return risk

    def best(self, first: float) -> tuple[float, str]:
        """The alpha of least risk, from the first guess in the direction that falls; and what is to be said of it.

        Risks are estimated for white noise. Where it is not, as in a JPEG or a picture that was smoothed, they may go
        on falling while the estimate fits the noise and comes apart. A sharper picture does not: an edge varies no
        more for being steep.
        """
        alphas = [first, first * STEP]
        risks = [self.risk(alpha) for alpha in reversed(alphas)][::-1]
        risky, varied = risks[0], _variation(self.x)
        while len(alphas) < MOST:
            best = int(np.argmin(risks))
            if best == 0:
                alphas.insert(0, alphas[0] / STEP)
                risks.insert(0, self.risk(alphas[0]))
                if risks[0] < risks[1] and _variation(self.x) > APART * varied:
                    if risks[1] < risky / CLEAR:
                        return alphas[1], "; for less the estimate comes apart"
                    return first, f"; where it is least the estimate comes apart, as if noise were not white: {GUESS}"
            elif best == len(alphas) - 1:
                alphas.append(alphas[-1] * STEP)
                risks.append(self.risk(alphas[-1]))
            else:
                break
        best = int(np.argmin(risks))
        if best in (0, len(alphas) - 1):
            return EAGER * alphas[best], f"; its minimum lies beyond the {len(alphas)} values that were tried"
        return EAGER * _parabola(alphas, risks, best), ""


def _variation(x: Any) -> float:
    """The sum of the moduli of all differences of neighbours."""
    return sum(float(abs(np.diff(x, axis=axis)).sum()) for axis in range(1, x.ndim))


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
        both = [items[0][first], items[0][second]]
        if max(map(np.std, both)) < SEEN * np.std(items[0]):
            both = _fullest(items[0], [cut.stop - cut.start for cut in first])
        return np.stack(both)
    return np.stack([item[(first, second)[index % 2]] for index, item in enumerate(items)])


def _fullest(item: Array, sizes: list[int]) -> list[Array]:
    """The two windows that vary most, of those half a window apart."""
    starts = [
        sorted({*range(0, n - size, max(size // 2, 1)), n - size}) for n, size in zip(item.shape, sizes, strict=True)
    ]
    corners = itertools.product(*starts)
    windows = [item[tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))] for corner in corners]
    return sorted(windows, key=np.std)[-2:]


def _cuts(n: int, window: int) -> tuple[slice, slice]:
    """The middles of both halves of an axis; all of a short one."""
    if 2 * n <= 3 * window:
        return slice(0, n), slice(0, n)
    first = n // 4 - min(window // 2, n // 4)
    return slice(first, first + window), slice(n - window - first, n - first)
