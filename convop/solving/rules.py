"""Rules that choose alpha from the data, one for each item of a batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..errors import GeometryError
from .parameter import criteria
from .parameter.criteria import Chosen
from .parameter.curves import Curve, Sampled, Spectral, Truncated
from .parameter.noise import estimate_noise
from .parameter.repeated import balanced
from .parameter.spectra import require_spectrum, spectrum_of
from .priors import PRIORS
from .task import Task

LINEAR = ("tikhonov", "truncated")  # priors under which the estimate is linear in the data


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


def _by_curve(
    name: str, title: str, choose: Callable[[Curve, float | None], Chosen], noisy: bool, task: Task, prior: str
) -> Choice:
    """A rule for estimates that are linear in the data."""
    if prior not in LINEAR or (name == "lcurve" and prior != "tikhonov"):
        raise GeometryError(
            f"alpha={name!r} is no rule for prior {prior!r}, under which the estimate is not smooth and linear in the "
            f"data; use alpha='discrepancy', None or a number"
        )
    items = _items(task)
    noises, said = _noises(items) if noisy else ([None] * len(items), "")
    curves = list(_curves(task, items, prior))
    chosen = [choose(curve, noise) for curve, noise in zip(curves, noises, strict=True)]
    bounded = "for the problem without the bound of 0" if task.nonneg else ""
    how = next((curve.source for curve in curves), "")
    return Choice(items, tuple(each.alpha for each in chosen), _joined(f"alpha by {title}", how, bounded, said, *_warnings(chosen)))


def _curves(task: Task, items: tuple[Task, ...], prior: str) -> Iterator[Curve]:
    precision = np.finfo(task.problem.dtype).dtype
    spectrum = require_spectrum(task.problem) if prior == "truncated" else spectrum_of(task.problem)
    for item in items:
        if spectrum is None:
            yield Sampled(item)
        else:
            yield (Truncated if prior == "truncated" else Spectral)(spectrum, item.b[0], precision)


def _discrepancy(task: Task, prior: str) -> Choice:
    if prior in LINEAR and not task.nonneg:
        return _by_curve("discrepancy", "the discrepancy principle", criteria.discrepancy, True, task, prior)
    if prior == "poisson":
        raise GeometryError("alpha='discrepancy' knows noise of one size, and Poisson's grows with the signal; give a number")
    items = _items(task)
    noises, said = _noises(items)
    pairs = zip(items, noises, strict=True)
    found = [balanced(item, PRIORS[prior], noise, _first(item, prior, noise)) for item, noise in pairs]
    reason = _joined("alpha by the discrepancy principle", "by solving for one after the other", said, *_warnings([c for c, _ in found]))
    return Choice(tuple(item for _, item in found), tuple(chosen.alpha for chosen, _ in found), reason)


def _automatic(task: Task, prior: str) -> Choice:
    """GCV where the estimate is linear; the discrepancy principle where it is not."""
    if prior == "poisson":
        return Choice(_items(task), (0.0,) * len(task.b), "no penalty, as alpha is not given")
    if prior in LINEAR:
        chosen = rule("gcv" if task.noise is None else "upre")
        assert chosen is not None
        return chosen.choose(task, prior)
    return _discrepancy(task, prior)


def _first(item: Task, prior: str, noise: float) -> float:
    """Where to begin: alpha of the linear problem, or the noise in the units of alpha."""
    if prior in LINEAR:
        return criteria.discrepancy(next(_curves(item, (item,), prior)), noise).alpha
    ones = np.ones(item.problem.A.in_shape, item.problem.dtype)
    gain = float(np.abs(item.problem.A(ones)).max())
    return (noise or float(np.abs(item.b).max()) or 1.0) * (gain or 1.0)


def rule(name: str | None) -> Rule | None:
    """The rule of this name."""
    return next((each for each in RULES if each.name == name), None)


def _items(task: Task) -> tuple[Task, ...]:
    return tuple(task.item(index) for index in range(len(task.b)))


def _noises(items: tuple[Task, ...]) -> tuple[list[float], str]:
    """The noise of each item, as given or as estimated, and what is to be said of it."""
    if all(item.noise is not None for item in items):
        return [item.noise or 0.0 for item in items], ""
    noises = [estimate_noise(item.b[0], item.problem.A) for item in items]
    least, most = min(noises), max(noises)
    size = f"{least:.3g}" if least == most else f"{least:.3g} to {most:.3g}"
    return noises, f"noise of {size} estimated from the median of the second differences"


def _warnings(chosen: list[Chosen]) -> list[str]:
    """Each thing that has to be said, and for how many of a batch."""
    texts = [each.warning for each in chosen if each.warning]
    of = f" ({{}} of {len(chosen)} items)" if len(chosen) > 1 else ""
    return [text + of.format(texts.count(text)) for text in dict.fromkeys(texts)]


def _joined(*texts: str) -> str:
    return ", ".join(filter(None, texts))


RULES: tuple[Rule, ...] = (
    Rule("gcv", partial(_by_curve, "gcv", "generalised cross-validation", criteria.gcv, False)),
    Rule("lcurve", partial(_by_curve, "lcurve", "the corner of the L-curve", criteria.lcurve, False)),
    Rule("upre", partial(_by_curve, "upre", "the unbiased predictive risk", criteria.upre, True)),
    Rule("discrepancy", _discrepancy),
    Rule(None, _automatic),
)
