"""What stands for each `prior` of `solve`."""

from collections.abc import Callable
from typing import Any

from ..arguments import is_one_of
from ..errors import GeometryError
from . import nonnegative, poisson, sparse_prior, tikhonov, total_variation, truncated
from .task import Found, Task


def _tikhonov(task: Task, alpha: float) -> Found:
    return (nonnegative if task.nonneg else tikhonov).minimise(task, alpha)


def _truncated(task: Task, alpha: float) -> Found:
    if task.nonneg:
        raise GeometryError(
            "prior 'truncated' leaves out singular values and minimises nothing that a bound could be added to; "
            "take prior 'tikhonov', 'l1' or 'tv' with nonneg=True"
        )
    return truncated.minimise(task, alpha)


# Each minimises for one alpha, a whole batch at once.
PRIORS: dict[str, Callable[[Task, float], Found]] = {
    "tikhonov": _tikhonov,
    "tv": total_variation.minimise,
    "l1": sparse_prior.minimise,
    "poisson": poisson.minimise,
    "truncated": _truncated,
}


def known_prior(name: Any) -> str:
    """The name of a prior; GeometryError for any other."""
    if not is_one_of(name, PRIORS):
        raise GeometryError(f"unknown prior {name!r}; use one of {', '.join(map(repr, PRIORS))}")
    return name
