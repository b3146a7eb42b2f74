"""Which method applies each convolution of an operator, what every method was predicted to take, and why."""

# pyright: reportPrivateUsage=false

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .apply import machine, measuring
from .apply import plan as table
from .arguments import as_flag, is_tuple_or_list
from .convolution import Convolution
from .foreign import as_operator
from .operator import Operator


@dataclass(frozen=True)
class Candidate:
    """A method that could apply a convolution: its name, the seconds it was predicted to take, and what it does."""

    method: str
    seconds: float
    how: str


@dataclass(frozen=True)
class Choice:
    """A convolution as text, its method, whether that was pinned, and all `candidates`, the fastest first."""

    operator: str
    method: str
    pinned: bool
    candidates: tuple[Candidate, ...]

    def __str__(self) -> str:
        lines = [self.operator]
        for each in self.candidates:
            mark = "->" if each.method == self.method else "  "
            lines.append(f"  {mark} {each.method:10s} {_time(each.seconds):>9s}   {each.how}")
        if self.pinned:
            lines.append(f"     {self.method!r} was asked for; using('auto') takes the fastest")
        elif (fastest := self.candidates[0].method) != self.method:
            lines.append(f"     made when other machine constants held; using('auto') takes {fastest!r} now")
        return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """The `choices` for the convolutions of an operator, and where the `machine` constants come from; print it."""

    choices: tuple[Choice, ...]
    machine: str

    def __str__(self) -> str:
        parts = [str(choice) for choice in self.choices] or ["nothing in it is a convolution with a method"]
        return "\n".join([*parts, f"predicted for one array; machine constants: {self.machine}"])


def plan(A: Any, *, measure: bool | None = None) -> Plan:
    """The table of methods with their predicted times, for every convolution in an operator.

    Predictions are cost formulas with a few constants of the machine. The first call measures them, in about a second,
    and keeps them in the user's cache folder; operators made later, here and in other processes, are planned with them.
    The environment variable CONVOP_MACHINE overrides: the path of such a file, or "default" for built-in constants.

    Parameters
    ----------
    A : Operator
        Any operator.
    measure : bool, optional
        True measures the machine anew, False never does; by default it is done if it never was, and CONVOP_MACHINE is
        not set.

    Returns
    -------
    Plan
        Text by `str` or `print`; data by `choices` and their `candidates`.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.Convolution(np.ones((3, 3)), (64, 64))
    >>> choice = convop.plan(A, measure=False).choices[0]
    >>> choice.method, choice.candidates[0].seconds < choice.candidates[-1].seconds
    ('direct', True)
    """
    operator = as_operator(A)
    if measure is None:
        measure = not (machine.is_pinned() or machine.is_measured())
    if as_flag(measure, "measure"):
        machine.keep(measuring.measured())
    return Plan(tuple(map(_choice, _convolutions(operator))), machine.source())


def _choice(operator: Convolution) -> Choice:
    g, weight = operator.geometry, operator.weight
    predicted = table.costs(g, weight)
    candidates = (Candidate(name, ns * 1e-9, table.METHODS[name].how(g, weight)) for name, ns in predicted.items())
    return Choice(repr(operator), operator.method, operator._asked != "auto", tuple(candidates))


def _convolutions(part: Any) -> Iterator[Convolution]:
    """Those an operator is made of, each once, in the order of its formula."""
    seen: dict[int, Convolution] = {}

    def look(part: Any) -> None:
        if isinstance(part, Convolution):
            seen[id(part)] = part
        elif isinstance(part, Operator):
            for inner in part._recipe()[1:]:
                look(inner)
        elif is_tuple_or_list(part):
            for inner in part:
                look(inner)

    look(part)
    return iter(seen.values())


def _time(seconds: float) -> str:
    """A time in a unit that people read."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
