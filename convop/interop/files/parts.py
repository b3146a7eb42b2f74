"""Operators as a flat list of parts: each says of what kind it is, and names the parts before it that it is made of.

A list in which a part knows earlier ones only can hold no cycle, needs no recursion to be read, and keeps what is
shared shared.
"""

from collections.abc import Iterable
from typing import Any

from ...affine import Affine
from ...dtypes import Array
from ...errors import GeometryError
from ...operator import Operator
from .archive import Archive, damaged, guarded

MOST_LEVELS = 100  # operators within operators; each takes a few frames of Python's stack when it is applied
MOST_PARTS = 2**22  # with those that are used twice counted twice
Part = Operator | Affine


class Growth:
    """How deep, and how large when written out, every part is."""

    def __init__(self) -> None:
        self._sizes: list[tuple[int, int]] = []

    def add(self, children: Iterable[int]) -> str:
        """Count a part made of others; what is wrong if it is too large."""
        below = [self._sizes[child] for child in children]
        levels, parts = 1 + max((level for level, _ in below), default=0), 1 + sum(count for _, count in below)
        self._sizes.append((levels, parts))
        if levels > MOST_LEVELS:
            return f"it is nested more than {MOST_LEVELS} operators deep"
        return f"it has more than {MOST_PARTS} parts" if parts > MOST_PARTS else ""


class Writer:
    """Collects the parts and arrays of an operator; a part or array that is met again is written once."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.arrays: list[Array] = []
        self._growth = Growth()
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is given out twice
        self._path: list[list[int]] = []  # the children of each part that is being written

    def part(self, part: Part) -> int:
        """The number of a part, written if it is new."""
        if id(part) not in self._known:
            self._known[id(part)] = self._written(part)
            self._kept.append(part)
        if self._path:
            self._path[-1].append(self._known[id(part)])
        return self._known[id(part)]

    def _written(self, part: Part) -> int:
        from .kinds import kind_of

        if len(self._path) >= MOST_LEVELS:
            raise GeometryError(f"no file holds this operator: it is nested more than {MOST_LEVELS} operators deep")
        self._path.append([])
        record = kind_of(part).write(part, self)
        wrong = self._growth.add(self._path.pop())
        if wrong:
            raise GeometryError(f"no file holds this operator: {wrong}")
        self.parts.append(record)
        return len(self.parts) - 1

    def array(self, array: Array) -> int:
        """The number of an array."""
        if id(array) not in self._known:
            self._known[id(array)] = len(self.arrays)
            self._kept.append(array)
            self.arrays.append(array)
        return self._known[id(array)]


class Reader:
    """Makes the parts of a file one after the other."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._made: list[Part] = []
        self._children: list[int] = []

    def read(self, records: Any) -> Part:
        """The last of the parts, which is the whole."""
        from .kinds import KINDS

        if not isinstance(records, list) or not records:
            damaged("it lists no parts")
        growth = Growth()
        for number, record in enumerate(records):
            name = record.get("kind") if isinstance(record, dict) else None
            if not isinstance(name, str) or name not in KINDS:
                damaged(f"part {number} is of no kind that this release of convop knows: {str(name)[:40]!r}")
            self._children = []
            fields = guarded(lambda record=record, name=name: KINDS[name].fields(record, self), f"part {number}")
            wrong = growth.add(self._children)
            if wrong:
                damaged(wrong)
            self._made.append(guarded(lambda name=name, fields=fields: KINDS[name].make(*fields), f"part {number}"))
        return self._made[-1]

    def part(self, number: Any) -> Operator:
        """An operator by the number of its part."""
        if type(number) is not int or not 0 <= number < len(self._made):
            damaged(f"it names part {str(number)[:40]} before there is one")
        made = self._made[number]
        if not isinstance(made, Operator):
            damaged("an affine map stands where only an operator can")
        self._children.append(number)
        return made

    def array(self, number: Any) -> Array:
        """An array by its number."""
        if type(number) is not int or number < 0:
            damaged(f"it names an array by {str(number)[:40]!r}")
        return self.archive.array(number)
