"""What is left over and what is penalised, as functions of alpha.

With the influence matrix ``H = A (A^H A + alpha L^H L)^-1 A^H`` the residual is `(I - H) b`, and ``tr(I - H)`` is the
number of degrees of freedom that are left to it.
"""

import abc
from typing import ClassVar

import numpy as np

from ...dtypes import Array, DType
from ..normal import Factor
from ..task import Task
from .spectra import Spectrum

LARGEST = 1e3  # where a search begins, in units of ||A^H A|| / ||L^H L||
SMALLEST = 1e-10  # and where it ends, unless the precision of the numbers ends before
PROBED = 2**15  # random samples, all probes together, by which a trace is estimated
MOST_PROBES = 24
POWER_STEPS = 12
LOOSEST = 1e-5  # relative residual of the solves by which a curve is sampled, where alpha is large


class Curve(abc.ABC):
    """One item of data under every alpha.

    Attributes
    ----------
    rows : int
        Samples of the data.
    lowest, highest : float
        The alphas between which to search.
    step, accuracy : float
        Decades between the samples of the first look, and to which alpha is found.
    patience : int or None
        After how many samples that are no better the first look, from above, ends; None looks at all.
    source, remark : str
        Where the numbers come from, and what is to be said of them.
    """

    rows: int
    lowest: float
    highest: float
    source: str
    remark: str = ""
    step: ClassVar[float]
    accuracy: ClassVar[float]
    patience: ClassVar[int | None]

    @abc.abstractmethod
    def residual(self, alpha: float) -> float:
        """``||A x - b||^2``."""

    @abc.abstractmethod
    def penalty(self, alpha: float) -> float:
        """``||L x||^2``."""

    @abc.abstractmethod
    def slope(self, alpha: float) -> float:
        """The derivative of `penalty`; that of `residual` is ``-alpha`` times it."""

    @abc.abstractmethod
    def freedom(self, alpha: float) -> float:
        """``tr(I - H)``."""

    def _search(self, ratio: float, precision: DType) -> None:
        self.highest = ratio * LARGEST
        self.lowest = ratio * max(SMALLEST, 10 * float(np.finfo(precision).eps))


class Spectral(Curve):
    """In closed form, from the singular values and the data along each direction."""

    step, accuracy, patience, source = 0.5, 1e-4, None, "in closed form"

    def __init__(self, spectrum: Spectrum, b: Array, precision: DType) -> None:
        seen = spectrum.gain > 0
        self.gain, self.cost, self.weight = (a[seen] for a in (spectrum.gain, spectrum.penalty, spectrum.weight))
        self.rows, self.missing = spectrum.rows, spectrum.rows - spectrum.rank
        self.power = self.weight * np.abs(spectrum.analyse(b[None])[0][seen]) ** 2
        # What no direction explains; none where the operator reaches every array.
        unexplained = max(float(np.linalg.norm(b)) ** 2 - float(self.power.sum()), 0.0)
        self.outside = unexplained if self.missing > 0 else 0.0
        self._search((self.gain.max(initial=0) or 1.0) / (self.cost.max(initial=0) or 1.0), precision)

    def _lost(self, alpha: float) -> Array:
        """The eigenvalues of `I - H`."""
        return alpha * self.cost / (self.gain + alpha * self.cost)

    def residual(self, alpha: float) -> float:
        return self.outside + float(self.power @ self._lost(alpha) ** 2)

    def penalty(self, alpha: float) -> float:
        return float(self.power @ (self.gain * self.cost / (self.gain + alpha * self.cost) ** 2))

    def slope(self, alpha: float) -> float:
        return -2 * float(self.power @ (self.gain * self.cost**2 / (self.gain + alpha * self.cost) ** 3))

    def freedom(self, alpha: float) -> float:
        return self.missing + float(self.weight @ self._lost(alpha))


class Truncated(Spectral):
    """The same where directions are kept whole or not at all, those with a gain below alpha times their penalty."""

    step = 0.1

    def _lost(self, alpha: float) -> Array:
        return (self.gain < alpha * self.cost).astype(np.float64)

    def penalty(self, alpha: float) -> float:
        return float((self.power * (1 - self._lost(alpha))) @ (self.cost / self.gain))

    def slope(self, alpha: float) -> float:
        raise AssertionError("a step function has no slope")


class Sampled(Curve):
    """By solving for one alpha after the other, and the trace by solving for random data.

    The estimate is that of M. F. Hutchinson (Communications in Statistics 18, 1989). The probes are the same for every
    alpha, so that the curve is smooth.
    """

    step, accuracy, patience = 1.0, 0.04, 2

    def __init__(self, task: Task) -> None:
        """A `task` of one item."""
        self.task, self.problem = task, task.problem
        self.state, _, _ = task.state(1.0)
        self.rows = task.problem.A.shape[0]
        rng = np.random.default_rng(0)
        self.ratio = self._largest(rng) / (self._largest(rng, penalty=True) or 1.0) or 1.0
        self._search(self.ratio, np.finfo(self.problem.dtype).dtype)
        count = min(-(-PROBED // self.rows), MOST_PROBES)
        self.probes = rng.choice([-1.0, 1.0], (count, *task.problem.A.out_shape)).astype(task.b.dtype)
        self.source = "by solving for one alpha after the other"
        self._starts: dict[str, Array] = {}
        self._factor: Factor | None = None
        self._at = 0.0

    def _largest(self, rng: np.random.Generator, penalty: bool = False) -> float:
        """The largest eigenvalue of `A^H A`, or of `L^H L`, by power iteration: near enough to place a search."""
        problem, value = self.problem, 0.0
        x = rng.standard_normal(problem.A.in_shape).astype(problem.dtype)
        for _ in range(POWER_STEPS):
            x = problem.gram(x) if penalty else problem.normal(x, 0.0)
            value = float(np.linalg.norm(x))
            if value == 0:
                return 0.0
            x = x / value
        return value

    def _solve(self, f: Array, alpha: float, name: str) -> Array:
        """The solution for a right-hand side, from its solution for the alpha before on."""
        if self._factor is None or self._at != alpha:
            self._factor, self._at = self.state.at(alpha), alpha
        least = 50 * float(np.finfo(self.problem.dtype).eps)
        tol = max(LOOSEST * min(1.0, alpha / self.ratio) ** 0.5, least)
        answer = self._factor.solve(f, tol, self.task.maxiter, self._starts.get(name))
        if answer.status != "converged":
            self.remark = "though some of these solves ended before their tolerance"
        self._starts[name] = answer.x
        return answer.x

    def _x(self, alpha: float) -> Array:
        return self._solve(self.task.f, alpha, "data")

    def residual(self, alpha: float) -> float:
        return float(np.linalg.norm(self.problem.A(self._x(alpha)) - self.task.b)) ** 2

    def penalty(self, alpha: float) -> float:
        return float(np.linalg.norm(self.problem.penalised(self._x(alpha)))) ** 2

    def slope(self, alpha: float) -> float:
        """With ``x' = -(A^H A + alpha L^H L)^-1 L^H L x``."""
        rough = self.problem.gram(self._x(alpha))
        return -2 * float(np.vdot(rough, self._solve(rough, alpha, "slope")).real)

    def freedom(self, alpha: float) -> float:
        A, count = self.problem.A, len(self.probes)
        self.source = f"by solving for one alpha after the other, the trace by {count} random probes"
        kept = np.vdot(self.probes, A(self._solve(A.H(self.probes), alpha, "probes"))).real / count
        return max(self.rows - float(kept), np.finfo(np.float64).tiny)
