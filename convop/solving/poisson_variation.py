r"""Counts with total variation: ``min sum(A x - b log(A x)) + alpha sum |L x|`` over `x >= 0`.

The objective is that of N. Dey et al., "Richardson-Lucy algorithm with total variation regularization for 3D confocal
microscope deconvolution", 2006. Their iteration divides by ``A^H 1 + alpha L^H(L x / |L x|)``, which must not come near
zero: it creeps for large `alpha` and at edges that few data see. This one splits off `A x`, `L x` and `x` (M. A. T.
Figueiredo and J. M. Bioucas-Dias, "Restoration of Poissonian images using alternating direction optimization", 2010),
with the same quadratic step throughout, solved directly.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from ..dtypes import Array
from ..operator import Operator
from .admm import FIRST_BALANCE
from .admm_penalty import Nonnegative, Norm, Penalty
from .admm_splits import Splits
from .admm_system import Quadratic, closer
from .task import Found, Task

THRESHOLD = 0.1  # of the differences in a step, relative to the level
BOUND_SHARE = 0.1  # of the weight of the counts


@dataclass(frozen=True)
class Counts(Penalty):
    """``sum(K x - b log(K x))``."""

    b: Array

    def nearest(self, q: Array, radius: float = 1.0) -> Array:
        """What is left of `q` beside its proximal point, the positive root of ``z^2 + (radius - q) z = radius b``."""
        half = (q - radius) / 2
        root = np.sqrt(half**2 + radius * self.b)
        # For negative halves the other root is large, and dividing by it loses no digits.
        positive = np.where(half > 0, half + root, radius * self.b / np.maximum(root - half, np.finfo(q.dtype).tiny))
        return q - positive


def minimise(task: Task, alpha: float, L: Operator, level: Array) -> Found:
    """`level` is the mean of each item; the problem is the same for all multiples of `b` and `x`."""
    A, dtype = task.problem.A, task.b.dtype
    unit = np.where(level > 0, level, 1).astype(dtype).reshape((-1,) + (1,) * len(A.in_shape))
    counts = task.b / unit.reshape((-1,) + (1,) * len(A.out_shape))
    shares = (1.0, alpha / THRESHOLD, BOUND_SHARE)
    quadratic = Quadratic(A, L, True, shares[2] / shares[1], method=task.method)
    factor = quadratic.at(shares[1])
    flat = np.broadcast_to(np.reshape(level > 0, unit.shape), (len(task.b), *A.in_shape))
    x = flat.astype(dtype) if task.start is None else task.start / unit
    penalties = (Counts(A, counts), Norm(L, alpha, grouped=True), Nonnegative(None))
    splits = Splits.at(x, penalties, shares, 1.0)
    right, history, status = np.zeros_like(x), [], "max_iterations"
    try:
        while len(history) < task.maxiter and status == "max_iterations":
            f = splits.pull()
            answer = factor.solve(f, closer(f, right), x)
            x, right = answer.x, f
            splits.advance(x)
            history.append(splits.change)
            if task.watch is not None:
                task.watch(len(history), partial(np.multiply, splits.zs[-1], unit), history[-1])
            if answer.status == "interrupted" or history[-1] <= task.tol:
                status = "interrupted" if answer.status == "interrupted" else "converged"
            if (step := len(history)) & (step - 1) == 0 and step > FIRST_BALANCE:
                splits.balance()
    except KeyboardInterrupt:
        status = "interrupted"
    method = quadratic.chosen
    reason = f"counts with total variation, by alternating directions solved by '{method.name}': {method.reason}"
    nan = np.full(len(x), np.nan)
    return Found(splits.zs[-1] * unit, alpha, status, "admm", reason, len(history), tuple(history) or (np.inf,), nan)
