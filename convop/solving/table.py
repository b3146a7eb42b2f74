"""Which method solves the normal equations: the first in the table that nothing keeps from it."""

from ..arguments import is_one_of
from ..errors import GeometryError
from . import diagonal, few_taps, frame, krylov, levinson, pinned, same, separable
from .normal import Method
from .problem import Problem

# In the order in which they are tried: exact in one step, nearly direct, then what always works.
METHODS: tuple[Method, ...] = (
    diagonal.METHOD,
    frame.METHOD,
    pinned.METHOD,
    separable.METHOD,
    same.METHOD,
    levinson.METHOD,
    few_taps.METHOD,
    krylov.METHOD,
)


def choose(problem: Problem, alpha: float, name: str = "auto") -> Method:
    """The method for a problem: the one named, or the first that can serve."""
    if is_one_of(name, ["auto"]):
        return next(method for method in METHODS if method.obstacle(problem, alpha) is None)
    named = next((method for method in METHODS if is_one_of(name, [method.name])), None)
    if named is None:
        raise GeometryError(f"unknown method {name!r}; use 'auto' or one of {', '.join(m.name for m in METHODS)}")
    obstacle = named.obstacle(problem, alpha)
    if obstacle is not None:
        able = [m.name for m in METHODS if m.obstacle(problem, alpha) is None]
        raise GeometryError(f"method {name!r} cannot serve here: {obstacle}; those that can: {', '.join(able)}")
    return named
