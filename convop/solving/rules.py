"""Rules that choose alpha from the data, one for each item of a batch."""

from collections.abc import Callable
from dataclasses import dataclass

from .task import Task


@dataclass(frozen=True)
class Rule:
    """A rule by name; `choose` takes a task of one item and gives alpha, with a line that says how it came about."""

    name: str
    needs_noise: bool
    choose: Callable[[Task], tuple[float, str]]


RULES: tuple[Rule, ...] = ()
