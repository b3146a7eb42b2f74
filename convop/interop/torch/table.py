"""The table from kinds of operators to their forms in torch, which the files of the forms fill."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from ...errors import GeometryError
from ...operator import Operator
from .form import Form
from .options import Options

Make = Callable[..., Form]
T = TypeVar("T", bound=Make)


@dataclass(frozen=True)
class Entry:
    """What makes the form of a kind, and the methods that serve it besides "auto"; none where they make no odds."""

    make: Make
    methods: tuple[str, ...]


_FORMS: dict[type, Entry] = {}


def torch_form(kind: type, *methods: str) -> Callable[[T], T]:
    """Register a form, or what makes one of an operator and the options, for a kind of operator."""

    def register(make: T) -> T:
        _FORMS[kind] = Entry(make, methods)
        return make

    return register


def form_of(A: Operator, options: Options) -> Form:
    """The form of a whole operator; its kind must be served by the method that was asked for."""
    entry = _entry(A)
    if options.method != "auto" and entry.methods and options.method not in entry.methods:
        able = " or ".join(map(repr, ("auto", *entry.methods)))
        raise GeometryError(f"method {options.method!r} cannot serve {A!r}; use {able}")
    return entry.make(A, options)


def part_of(A: Operator, options: Options) -> Form:
    """The form of a part of an operator; the method is a matter of those parts that it can serve."""
    methods = _entry(A).methods
    if methods and options.method not in methods:
        options = replace(options, method="auto")
    return _entry(A).make(A, options)


def _entry(A: Operator) -> Entry:
    for kind in type(A).__mro__:
        if kind in _FORMS:
            return _FORMS[kind]
    raise GeometryError(f"{A!r} has no form in torch")  # Operator itself has one
