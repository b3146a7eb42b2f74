"""A diagnosis: the cause, by name, with its explanation and place."""

from dataclasses import dataclass, field

from .report import Where

CAUSES = (
    "none",
    "missing_conjugate",
    "scaled",
    "unflipped_kernel",
    "shifted",
    "boundary",
    "wrong_entries",
    "not_linear",
    "mutates_input",
    "unknown",
)


@dataclass(frozen=True)
class Finding:
    """What is wrong with an adjoint.

    Attributes
    ----------
    cause : str
        One of `CAUSES`.
    text : str
        What was found and what to do, in a sentence or two.
    where : Where
        The place, as far as it can be told.
    factor : complex or float or None
        By what the adjoint is scaled, where that is the fault.
    """

    cause: str
    text: str = ""
    where: Where = field(default_factory=Where)
    factor: complex | float | None = None


NOTHING = Finding("none")
