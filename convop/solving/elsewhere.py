"""Where `solve` and `deconvolve` send arrays of other libraries: to doors of the same names, loaded when one comes."""

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# From the name of a package to that of the module which has the doors for its arrays; the top floor fills it.
DOORS: dict[str, str] = {}


def or_elsewhere(door: Callable[P, R]) -> Callable[P, R]:
    """A door that leaves a call with an array of a package in `DOORS` to the function of its name there."""

    @wraps(door)
    def solve(*args: P.args, **options: P.kwargs) -> R:
        module = _elsewhere([*args, *options.values()])
        return (door if module is None else getattr(module, door.__name__))(*args, **options)

    return solve


def _elsewhere(given: list[Any]) -> ModuleType | None:
    known = sys.modules.keys() & DOORS.keys()  # no array comes from a package that nobody has imported
    if known:
        packages = {kind.__module__.partition(".")[0] for each in given for kind in type(each).__mro__}
        for package in sorted(known & packages):
            return import_module(DOORS[package])
    return None
