"""What a check answers: whether it holds, by what measure, and what is wrong where it does not."""

import textwrap
from dataclasses import dataclass
from typing import Self

from ..errors import CheckFailed

WIDTH = 80
Index = tuple[int, ...]


@dataclass(frozen=True)
class Where:
    """The place of a fault, as far as it can be told; None or empty where it cannot.

    Attributes
    ----------
    output, input : tuple of int or None
        One offending matrix entry: its output and its input index.
    entries : tuple of (output, input)
        All offending entries, where they are few.
    channel : tuple of (int or None, int or None) or None
        Output and input channel.
    axes : tuple of int
        The axes concerned.
    side : str or None
        "before", "after" or "both" ends of these axes.
    shift : tuple of int
        For each of `axes`, by how many samples the answers of the adjoint are displaced.
    """

    output: Index | None = None
    input: Index | None = None
    entries: tuple[tuple[Index, Index], ...] = ()
    channel: tuple[int | None, int | None] | None = None
    axes: tuple[int, ...] = ()
    side: str | None = None
    shift: tuple[int, ...] = ()

    @property
    def axis(self) -> int | None:
        """The axis concerned, if there is exactly one."""
        return self.axes[0] if len(self.axes) == 1 else None

    def __str__(self) -> str:
        named = {
            "output": self.output,
            "input": self.input,
            "channels (out, in)": self.channel,
            "axes": self.axes or None,
            "side": self.side,
            "shift": self.shift or None,
        }
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


class Report:
    """Base of all reports: truth value, text, and an error on demand."""

    passed: bool
    title: str

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return "\n".join([*textwrap.wrap(f"{verdict}: {self.title}", WIDTH), *self._lines()])

    def _lines(self) -> list[str]:
        return []

    def raise_if_failed(self) -> Self:
        """The report itself where the check passed.

        Raises
        ------
        CheckFailed
            With the printed report as its message.
        """
        if not self.passed:
            raise CheckFailed(str(self))
        return self


def entry(name: str, text: str) -> list[str]:
    """A named paragraph of a report."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {name:<8}", subsequent_indent=" " * 10)


def measured(error: float, bound: float, meaning: str) -> list[str]:
    """The two figures that decide, and how they are normalised."""
    return [*entry("error", f"{error:.2e}   {meaning}"), *entry("bound", f"{bound:.2e}")]
