"""The discrepancy principle where the estimate is not linear in the data: a few solves, each from the one before."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..task import Found, Task
from .criteria import TINY, Chosen

LOOSE = 1e-3  # tolerance of the solves on the way
CLOSE = 0.01  # how far the residual may be from the noise, relative to it
WIDEN = 6.0  # the factor from one alpha to the next until the noise lies between two
FLAT = 1e-3  # change of the logarithm of the residual that counts as none
ENOUGH = 3  # steps without a change after which there will be none
MOST_SOLVES = 20


def balanced(item: Task, minimise: Callable[[Task, float], Found], noise: float, first: float) -> tuple[Chosen, Task]:
    """The alpha with ``||A x - b|| = noise sqrt(m)``, and the item started from its solution.

    The residual grows with alpha; its logarithm over that of alpha is followed by the Illinois variant of false
    position (M. Dowell and P. Jarratt, BIT 11, 1971) once two alphas have the noise between them.
    """
    target = math.log(max(noise**2 * item.b.size, TINY)) / 2
    loose = replace(item, watch=None, tol=max(item.tol, LOOSE))

    def excess(log: float) -> float:
        nonlocal loose
        x = minimise(loose, math.exp(log)).x
        loose = replace(loose, start=x)
        left = float(np.linalg.norm(item.problem.A(x) - item.b))
        return math.log(max(left, TINY)) - target

    at = math.log(first)
    value = excess(at)
    low, high = (None, (at, value)) if value > 0 else ((at, value), None)
    flat = 0
    for _ in range(MOST_SOLVES - 1):
        if abs(value) <= CLOSE:
            break
        if low is not None and high is not None:
            at = (low[0] * high[1] - high[0] * low[1]) / (high[1] - low[1])
        else:
            at += -math.log(WIDEN) if low is None else math.log(WIDEN)
        previous, value = value, excess(at)
        flat = flat + 1 if (low is None or high is None) and abs(value - previous) < FLAT else 0
        if flat == ENOUGH:
            break
        if value > 0:
            low = low if low is None or previous <= 0 else (low[0], low[1] / 2)
            high = at, value
        else:
            high = high if high is None or previous > 0 else (high[0], high[1] / 2)
            low = at, value
    side, end = "more" if value > 0 else "less", "whatever alpha" if flat == ENOUGH else "at the last that was tried"
    warning = f"though {side} than the noise is left over, {end}" if abs(value) > CLOSE else ""
    return Chosen(math.exp(at), warning), replace(item, start=loose.start)
