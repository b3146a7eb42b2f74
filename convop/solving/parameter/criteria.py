"""What each rule asks of a curve, and the search for the alpha that answers it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .curves import Curve

Criterion = Callable[[float], float]
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Chosen:
    """An alpha, and what is to be said if the search did not end between two worse ones."""

    alpha: float
    warning: str = ""


def gcv(curve: Curve, noise: float | None) -> Chosen:
    """Least generalised cross-validation ``m ||A x - b||^2 / tr(I - H)^2``.

    G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a good ridge parameter",
    Technometrics 21, 1979.
    """

    def score(alpha: float) -> float:
        return _log(curve.residual(alpha)) - 2 * _log(curve.freedom(alpha))

    return least(curve, score)


def upre(curve: Curve, noise: float | None) -> Chosen:
    """Least unbiased estimate of the predictive risk, ``||A x - b||^2 + 2 noise^2 tr(H) - m noise^2``.

    C. L. Mallows, "Some comments on C_p", Technometrics 15, 1973; C. R. Vogel, "Computational Methods for Inverse
    Problems", SIAM 2002, section 7.1.
    """
    variance = _known(noise) ** 2
    return least(curve, lambda alpha: curve.residual(alpha) - 2 * variance * curve.freedom(alpha))


def lcurve(curve: Curve, noise: float | None) -> Chosen:
    """Greatest curvature of ``(log ||A x - b||, log ||L x||)``.

    P. C. Hansen and D. P. O'Leary, "The use of the L-curve in the regularization of discrete ill-posed problems",
    SIAM J. Sci. Comput. 14, 1993. With `R` and `E` the squares of the norms, ``R' = -alpha E'``, and so the second
    derivatives cancel.
    """

    def curvature(alpha: float) -> float:
        R, E, slope = max(curve.residual(alpha), TINY), max(curve.penalty(alpha), TINY), curve.slope(alpha)
        speed = math.hypot(alpha * slope / R, slope / E)
        turn = slope**2 / (R * E) * (1 + alpha * slope / E + alpha**2 * slope / R)
        return 2 * turn / speed**3 if speed > 0 else 0.0

    return least(curve, lambda alpha: -curvature(alpha), everywhere=True)


def discrepancy(curve: Curve, noise: float | None) -> Chosen:
    """A residual as large as the noise, ``||A x - b|| = noise sqrt(m)``.

    V. A. Morozov, "On the solution of functional equations by the method of regularization", Soviet Math. Dokl. 7,
    1966.
    """
    target = _log(_known(noise) ** 2 * curve.rows)
    return crossing(curve, lambda alpha: _log(curve.residual(alpha)) - target)


def _known(noise: float | None) -> float:
    assert noise is not None
    return noise


def _log(value: float) -> float:
    return math.log(max(value, TINY))


def least(curve: Curve, value: Criterion, everywhere: bool = False) -> Chosen:
    """The alpha of least value: by a look from above in steps, then between the neighbours of the best."""
    from scipy.optimize import minimize_scalar

    logs, values = _steps(curve), []
    for each in logs:
        values.append(value(10**each))
        best = int(np.argmin(values))
        if curve.patience is not None and not everywhere and len(values) - 1 - best >= curve.patience:
            break
    best = int(np.argmin(values))
    if best in (0, len(logs) - 1):
        end = "largest" if best == 0 else "smallest"
        return Chosen(10 ** logs[best], f"the best is the {end} alpha that was tried")
    found = minimize_scalar(
        lambda each: value(10**each), bounds=(logs[best + 1], logs[best - 1]), method="bounded",
        options={"xatol": curve.accuracy},
    )  # fmt: skip
    return Chosen(10 ** float(found.x if found.fun < values[best] else logs[best]))


def crossing(curve: Curve, value: Criterion) -> Chosen:
    """The alpha at which a rising function is zero."""
    from scipy.optimize import brentq

    above = None
    for each in _steps(curve):
        if value(10**each) <= 0:
            if above is None:
                return Chosen(10**each, "the noise is larger than what any alpha leaves over, so the largest was taken")
            return Chosen(10 ** float(brentq(lambda at: value(10**at), each, above, xtol=curve.accuracy / 100)))  # pyright: ignore[reportArgumentType]
        above = each
    return Chosen(curve.lowest, "more is left over than the noise for every alpha, so the smallest was taken")


def _steps(curve: Curve) -> list[float]:
    first, last = math.log10(curve.highest), math.log10(curve.lowest)
    count = math.ceil((first - last) / curve.step) + 1
    return [float(each) for each in np.linspace(first, last, count)]
