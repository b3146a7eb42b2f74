"""How a value inside a network hangs together with others: each is one operator away from the value before it.

Values form a tree whose root is the input of the network. Where two of them meet again (a residual sum, a
concatenation), the result hangs from the last value that both are made of, so what came before is applied once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from ....algebra import Identity, product
from ....arguments import Shape
from ....dtypes import DType
from ....operator import Operator


@dataclass(frozen=True)
class Settings:
    """What all values of one network share: the type of its operators, and whether layers may be differentiated."""

    dtype: DType
    linearise: bool


@dataclass(frozen=True, eq=False)
class Branch:
    """The place of a value in the tree: `step` leads to it from `parent`, and `shifts` where that adds an offset."""

    shape: Shape
    settings: Settings
    parent: "Branch | None" = None
    step: Operator | None = None
    shifts: bool = False
    depth: int = 0

    def then(self, step: Operator, shifts: bool = False) -> "Branch":
        """The value that `step` makes of this one; with `shifts`, and adds an offset to."""
        return Branch(step.out_shape, self.settings, self, step, shifts, self.depth + 1)

    def shifted(self) -> "Branch":
        """This value plus an offset."""
        return self.then(self.identity(), shifts=True)

    def identity(self) -> Identity:
        return Identity(self.shape, self.settings.dtype)

    def since(self, ancestor: "Branch") -> tuple[Operator, bool]:
        """The operator that leads here from `ancestor`, and whether an offset is added on the way."""
        steps, shifts, place = [], False, self
        while place is not ancestor:
            assert place.parent is not None  # an ancestor is met on the way to the root
            steps.append(place.step)
            shifts, place = shifts or place.shifts, place.parent
        if not steps:
            return self.identity(), False
        return reduce(lambda so_far, step: product(step, so_far), reversed(steps)), shifts


def meet(branches: Sequence[Branch], combine: Callable[[list[Operator]], Operator], shifts: bool = False) -> Branch:
    """The value that `combine` makes of several, as a step from the last value that all of them are made of."""
    ancestor = reduce(_last_common, branches)
    ways = [branch.since(ancestor) for branch in branches]
    return ancestor.then(combine([way for way, _ in ways]), shifts or any(shifts for _, shifts in ways))


def _last_common(a: Branch, b: Branch) -> Branch:
    while a is not b:
        deeper, other = (a, b) if a.depth >= b.depth else (b, a)
        assert deeper.parent is not None  # the root is common to all
        a, b = deeper.parent, other
    return a
