r"""The prior "poisson": maximum likelihood for counts, by Richardson and Lucy's iteration.

Minimises ``sum(A x - b log(A x))`` over `x >= 0` by ``x <- x * A^H(b / A x) / (A^H 1)`` (W. H. Richardson, 1972; L. B.
Lucy, 1974). The adjoint is the true one, so that samples which few data see have a small weight `A^H 1` and no edge is
bright. Each iteration starts ahead of the last iterate (D. S. C. Biggs and M. Andrews, "Acceleration of iterative image
restoration algorithms", 1997), unless the likelihood is worse there, so that it never falls.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..dtypes import Array
from ..errors import GeometryError
from ..operator import Operator
from . import poisson_variation
from .normal import array_norms, relative
from .poisson_sign import negative_part
from .task import Found, Task
from .total_variation import differences


@dataclass(frozen=True)
class Likelihood:
    """The negative log-likelihood, without what does not depend on `x`; each item has its own."""

    A: Operator
    b: Array
    weight: Array  # A^H 1

    def image(self, x: Array) -> Array:
        """`A x`, kept positive where rounding, as that of an FFT, would have it zero or less."""
        image = self.A(x)
        floor = np.finfo(image.dtype).eps * image.reshape((len(image), -1)).max(-1)
        return np.maximum(image, _each(np.maximum(floor, np.finfo(image.dtype).tiny), image))

    def value(self, image: Array) -> Array:
        return (image - self.b * np.log(image)).reshape((len(image), -1)).sum(-1, dtype=np.float64)

    def next(self, x: Array, image: Array) -> Array:
        """One iteration; samples that no data see stay as they are."""
        fit = np.maximum(self.A.H(self.b / image), 0)
        return x * np.divide(fit, self.weight, where=self.weight > 0, out=np.ones_like(x))


def minimise(task: Task, alpha: float) -> Found:
    """``min sum(A x - b log(A x)) + alpha sum |L x|`` over `x >= 0`, the second sum the total variation.

    The solution for a multiple of the data is that multiple of the solution.
    """
    _require_counts(task)
    if task.start is not None and (task.start < 0).any():
        raise GeometryError(
            "x0 has negative samples, and x is a mean of counts; give np.maximum(x0, 0), or leave it out"
        )
    near, unit = task.near_one()
    found = _minimise(near, alpha)
    return found if unit is None else replace(found, x=unit * found.x)


def _minimise(task: Task, alpha: float) -> Found:
    """The same for data near 1."""
    level = _level(task)
    if alpha:
        return poisson_variation.minimise(task, alpha, differences(task.problem), level)
    A, count = task.problem.A, len(task.b)
    weight = np.broadcast_to(np.maximum(A.H(np.ones((1, *A.out_shape), task.b.dtype)), 0), (count, *A.in_shape))
    start = np.broadcast_to(_each(level, weight), weight.shape) if task.start is None else task.start
    return _iterate(task, Likelihood(A, task.b, weight), start.astype(task.b.dtype))


def _iterate(task: Task, likelihood: Likelihood, x: Array) -> Found:
    ahead, move, history, status = x, None, [], "max_iterations"
    image = likelihood.image(x)
    value = likelihood.value(image)
    try:
        while len(history) < task.maxiter:
            new = likelihood.next(ahead, image)
            last_move, move = move, new - ahead
            history.append(relative(array_norms(move), array_norms(new)))
            previous, x = x, new
            if task.watch is not None:
                task.watch(len(history), partial(np.array, x), history[-1])
            if history[-1] <= task.tol:
                status = "converged"
                break
            ahead = _ahead(x, x - previous, move, last_move)
            image = likelihood.image(ahead)
            now = likelihood.value(image)
            if (worse := now > value).any():
                ahead = np.where(_each(worse, x), x, ahead)
                image = likelihood.image(ahead)
                now = likelihood.value(image)
            value = now
    except KeyboardInterrupt:
        status = "interrupted"
    said = "Richardson-Lucy, accelerated; noise grows with the steps: end it early with maxiter, or give alpha"
    nan, residuals = np.full(len(x), np.nan), tuple(history) or (float("inf"),)
    return Found(x, 0.0, status, "richardson-lucy", said, len(history), residuals, nan)


def _ahead(x: Array, way: Array, move: Array, last_move: Array | None) -> Array:
    """A point further along the `way` from the iterate before; it leaves no sample at zero, where it would stay."""
    if last_move is None:
        return x
    flat = (len(x), -1)
    now, before = move.reshape(flat), last_move.reshape(flat)
    power = (before**2).sum(-1)
    along = np.divide((now * before).sum(-1), power, where=power > 0, out=np.zeros_like(power))
    return np.maximum(x + _each(np.clip(along, 0, 1), x) * way, x / 10)


def _level(task: Task) -> Array:
    """The flat `x` of each item that has as many counts as the data."""
    A = task.problem.A
    ones = np.ones((1, *A.in_shape), task.b.dtype)
    seen = np.broadcast_to(A(ones), task.b.shape)
    if (seen < -1e-3 * abs(seen).max()).any():
        raise GeometryError(
            "the operator makes negative data of x = 1, so it has negative entries, and a mean of counts has none; "
            "take prior 'tv', 'l1' or 'tikhonov'"
        )
    unseen = (seen <= np.finfo(seen.dtype).eps * seen.max()) & (task.b > 0)
    if unseen.any():
        raise GeometryError(
            f"{int(unseen.sum())} samples of b are positive where A x is zero for every x, so that no x explains them; "
            f"leave them out with convop.Select(A.out_shape, mask) @ A"
        )
    axes = tuple(range(1, task.b.ndim))
    total = seen.mean(axes, dtype=np.float64)
    return np.divide(task.b.mean(axes, dtype=np.float64), total, where=total > 0, out=np.zeros_like(total))


def _require_counts(task: Task) -> None:
    if task.problem.dtype.kind == "c" or task.b.dtype.kind == "c":
        raise GeometryError("prior 'poisson' is for counts, and the operator or the data is complex; give real ones")
    least = task.b.min(initial=0)
    if least < 0:
        raise GeometryError(
            f"prior 'poisson' is for counts, and b has {int((task.b < 0).sum())} negative samples, down to "
            f"{least:.3g}; subtract less background, take np.maximum(b, 0), or another prior with nonneg=True"
        )
    reason = negative_part(task.problem.A)
    if reason is not None:
        raise GeometryError(f"prior 'poisson' needs an operator without negative entries: {reason}")


def _each(numbers: Array, like: Array) -> Array:
    """One number for each item, to be combined with arrays like `like`."""
    return numbers.reshape((-1,) + (1,) * (like.ndim - 1))
