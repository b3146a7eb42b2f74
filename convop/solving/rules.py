"""Rules that choose alpha from the data, one for each item of a batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from .parameter import criteria
from .parameter.criteria import Chosen
from .parameter.curves import Curve, Sampled, Spectral, Truncated
from .parameter.noise import estimate_noise, looks_smooth
from .parameter.repeated import balanced
from .parameter.spectra import require_spectrum, spectrum_of
from .priors import PRIORS
from .task import Task

UNEXPLAINED = 1e2  # units of rounding, relative to the data, up to which what is left over counts for nothing
UNEVEN = 1e-2  # relative to constant data, which an even signal explains, as far as curves are computed
LINEAR = ("tikhonov", "truncated")  # priors under which the estimate is linear in the data, but for a bound


@dataclass(frozen=True)
class Choice:
    """For each item of a task an alpha, and the item itself, with a better start where one was found."""

    items: tuple[Task, ...]
    alphas: tuple[float, ...]
    reason: str


@dataclass(frozen=True)
class Rule:
    """A rule by name; None for what is taken where the user names none."""

    name: str | None
    choose: Callable[[Task, str], Choice]  # of a task and the name of its prior


# What a rule makes of a curve, the noise and the item that the curve is of.
Look = Callable[[Curve, float | None, Task], Chosen]


def _by_curve(name: str | None, title: str, look: Look, noisy: bool, task: Task, prior: str) -> Choice:
    """A rule for estimates that are linear in the data; with a bound, for the problem without it."""
    if prior not in LINEAR or (name == "lcurve" and prior != "tikhonov"):
        raise GeometryError(
            f"alpha={name!r} is no rule for prior {prior!r}, under which the estimate is not a smooth and linear "
            f"function of the data; use alpha='discrepancy', None or a number"
        )
    items = _items(task)
    noises, said = _noises(items) if noisy else ([task.noise] * len(items), "")
    chosen, how = [], ["as if there were no bound" if task.nonneg else "", said]
    for item, noise, curve in zip(items, noises, _curves(task, items, prior), strict=True):
        chosen.append(_of_nothing(curve, item) or look(curve, noise, item))
        how = list(dict.fromkeys([curve.source, *how, curve.remark]))
    reason = ", ".join(filter(None, [f"alpha by {title}", *how, *_remarks(chosen)]))
    return Choice(items, tuple(each.alpha for each in chosen), reason)


def _of_nothing(curve: Curve, item: Task) -> Chosen | None:
    """The largest alpha for data that are zero, or what costs nothing makes, as far as rounding tells."""
    even = bool((item.b == item.b.flat[0]).all())
    share = UNEVEN if even else UNEXPLAINED * float(np.finfo(item.b.dtype).eps)
    if curve.residual(curve.highest) > (share * float(np.linalg.norm(item.b))) ** 2:
        return None
    return Chosen(curve.highest, "even the largest alpha leaves nothing over, so the largest was taken")


def _curves(task: Task, items: tuple[Task, ...], prior: str) -> Iterator[Curve]:
    precision = np.finfo(task.problem.dtype).dtype
    spectrum = require_spectrum(task.problem) if prior == "truncated" else spectrum_of(task.problem)
    for item in items:
        if spectrum is None:
            yield Sampled(item)
        else:
            yield (Truncated if prior == "truncated" else Spectral)(spectrum, item.b[0], precision)


def _plain(criterion: Callable[[Curve, float | None], Chosen]) -> Look:
    return lambda curve, noise, item: criterion(curve, noise)


def _automatic(task: Task, prior: str) -> Choice:
    """For a penalty of differences GCV, or UPRE where the noise is known; for others the discrepancy principle.

    GCV and UPRE look at `A x`. Shrinking `x` itself, they leave much more noise in pictures than is good for these,
    since it lies where `A` has almost no gain; the discrepancy principle does not. Data that are no smoother than
    noise say nothing of their noise, and such signals are what shrinking is right for: there GCV does what is best.
    """
    if prior == "poisson":
        return Choice(_items(task), (0.0,) * len(task.b), "no penalty, as alpha is not given")
    if prior not in LINEAR:
        return _discrepancy(task, prior)
    if task.problem.L is not None:
        return _named("gcv" if task.noise is None else "upre", task, prior)
    smooth = np.array([task.noise is not None or looks_smooth(b, task.problem.A) for b in task.b], bool)
    parts = [(name, np.flatnonzero(smooth == kind)) for name, kind in (("discrepancy", True), ("gcv", False))]
    chosen = [(at, _named(name, _some(task, at), prior)) for name, at in parts if at.size or not smooth.size]
    order = np.argsort(np.concatenate([at for at, _ in chosen]))
    items, alphas = ([each for _, c in chosen for each in getattr(c, of)] for of in ("items", "alphas"))
    reason = "; for others ".join(dict.fromkeys(choice.reason for _, choice in chosen))
    return Choice(tuple(items[i] for i in order), tuple(alphas[i] for i in order), reason)


def _named(name: str, task: Task, prior: str) -> Choice:
    look = _validated if name == "gcv" else _plain(getattr(criteria, name))
    return _by_curve(name, TITLES[name], look, name != "gcv", task, prior)


def _some(task: Task, at: NDArray[np.intp]) -> Task:
    """Some items of a batch."""
    return replace(task, b=task.b[at], start=None if task.start is None else task.start[at])


def _validated(curve: Curve, noise: float | None, item: Task) -> Chosen:
    """GCV; the discrepancy principle where the data are smooth and GCV finds no noise at all in them."""
    found = criteria.gcv(curve, None)
    if found.alpha > curve.lowest or not looks_smooth(item.b[0], item.problem.A):
        return found
    level = estimate_noise(item.b[0], item.problem.A)
    alpha = criteria.discrepancy(curve, level).alpha
    return Chosen(alpha, f"which saw no noise, so that of {level:.3g} in the second differences was taken")


def _discrepancy(task: Task, prior: str) -> Choice:
    if prior in LINEAR and not task.nonneg:
        return _by_curve("discrepancy", TITLES["discrepancy"], _plain(criteria.discrepancy), True, task, prior)
    if prior == "poisson":
        raise GeometryError(
            "alpha='discrepancy' takes noise of one size everywhere, and Poisson's grows with the signal; give a number"
        )
    items = _items(task)
    noises, said = _noises(items)
    found = [
        balanced(item, PRIORS[prior], noise, _first(item, prior, noise))
        for item, noise in zip(items, noises, strict=True)
    ]
    how = [f"alpha by {TITLES['discrepancy']}", "by solving for one alpha after the other", said]
    reason = ", ".join(filter(None, [*how, *_remarks([chosen for chosen, _ in found])]))
    return Choice(tuple(item for _, item in found), tuple(chosen.alpha for chosen, _ in found), reason)


def _first(item: Task, prior: str, noise: float) -> float:
    """Where to begin: at the alpha of the problem without a bound, or at the noise in the units of alpha."""
    if prior in LINEAR:
        return criteria.discrepancy(next(_curves(item, (item,), prior)), noise).alpha
    ones = np.ones(item.problem.A.in_shape, item.problem.dtype)
    gain = float(np.abs(item.problem.A(ones)).max())
    return (noise or float(np.abs(item.b).max()) or 1.0) * (gain or 1.0)


def _items(task: Task) -> tuple[Task, ...]:
    return tuple(task.item(index) for index in range(len(task.b)))


def _noises(items: tuple[Task, ...]) -> tuple[list[float], str]:
    """The noise of each item, given or estimated, and what is to be said of it."""
    if all(item.noise is not None for item in items):
        return [item.noise or 0.0 for item in items], ""
    noises = [estimate_noise(item.b[0], item.problem.A) for item in items]
    least, most = min(noises), max(noises)
    size = f"{least:.3g}" if least == most else f"{least:.3g} to {most:.3g}"
    return noises, f"noise of {size} estimated from the median of the second differences"


def _remarks(chosen: list[Chosen]) -> list[str]:
    """Each thing that has to be said, and of how many of a batch."""
    texts = [each.warning for each in chosen if each.warning]
    of = f" ({{}} of {len(chosen)} items)" if len(chosen) > 1 else ""
    return [text + of.format(texts.count(text)) for text in dict.fromkeys(texts)]


TITLES = {
    "gcv": "generalised cross-validation",
    "lcurve": "the corner of the L-curve",
    "upre": "the unbiased predictive risk",
    "discrepancy": "the discrepancy principle",
}
RULES: tuple[Rule, ...] = (
    Rule("gcv", partial(_by_curve, "gcv", TITLES["gcv"], _plain(criteria.gcv), False)),
    Rule("lcurve", partial(_by_curve, "lcurve", TITLES["lcurve"], _plain(criteria.lcurve), False)),
    Rule("upre", partial(_by_curve, "upre", TITLES["upre"], _plain(criteria.upre), True)),
    Rule("discrepancy", _discrepancy),
    Rule(None, _automatic),
)
