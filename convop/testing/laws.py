"""Every law, and all of them at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..check import Report
from ..check.report import entry
from ..check.subject import describe, subject
from ..errors import CheckFailed
from . import action_laws, form_laws
from .agreement import NotApplicable

Law = Callable[..., None]

LAWS: list[Law] = [
    action_laws.shapes,
    action_laws.linear,
    action_laws.apply,
    action_laws.apply_to_the_richest_type,
    action_laws.adjoint,
    action_laws.transpose_and_conjugate,
    form_laws.adjoints_undo_each_other,
    form_laws.toarray,
    form_laws.tosparse_is_canonical,
    form_laws.tosparse_of_the_adjoint,
    form_laws.estimate_holds,
    action_laws.batches,
    action_laws.empty_batches,
    action_laws.flat_meaning,
    action_laws.types,
    action_laws.input_is_left_alone,
    action_laws.any_memory_layout,
    form_laws.with_its_own_kernel,
    form_laws.methods_agree,
    form_laws.can_be_read,
    form_laws.copies,
]


@dataclass(frozen=True)
class LawsReport(Report):
    """What became of each law.

    Attributes
    ----------
    held : list of str
        The laws that hold.
    skipped : dict of str to str
        The laws that say nothing about this operator, and why.
    failed : dict of str to str
        The laws that do not hold, and what was found.
    passed : bool
        Whether none failed.
    """

    title: str
    held: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return not self.failed

    def _lines(self) -> list[str]:
        lines = [f"  {name:<26} holds" for name in self.held]
        for verdict, found in (("skipped", self.skipped), ("FAILED", self.failed)):
            for name, text in found.items():
                lines += [f"  {name:<26} {verdict}", *entry("", text)]
        return lines


def check_laws(operator: Any, matrix: Any = None, *, rng: Any = 0, laws: Iterable[Law] | None = None) -> LawsReport:
    """Put an operator to every law that applies to it.

    Parameters
    ----------
    operator : anything `convop.as_operator` takes
        Laws that ask for what only operators of convop have are skipped for others.
    matrix : array or sparse array, optional
        The matrix that it must be; without one its forms are compared with each other.
    rng : int or numpy.random.Generator
    laws : iterable of functions, optional
        `LAWS` by default; add your own: `law(operator, matrix=None, rng=0)` raises AssertionError where it does not
        hold.

    Returns
    -------
    LawsReport
        With `held` and `skipped`; printing it gives a line for each law.

    Raises
    ------
    CheckFailed
        An AssertionError that lists every law that does not hold, and what was found.

    Examples
    --------
    >>> import numpy as np
    >>> import convop
    >>> from convop import testing
    >>> A = convop.Convolution([1.0, 2.0], 3, mode="full")
    >>> report = testing.check_laws(A, [[1, 0, 0], [2, 1, 0], [0, 2, 1], [0, 0, 2]])
    >>> len(report.held), report.skipped
    (21, {})
    >>> wrong = convop.as_operator(forward=np.cumsum, adjoint=np.cumsum, in_shape=5, out_shape=5)
    >>> try:
    ...     testing.check_laws(wrong)
    ... except AssertionError as failure:
    ...     print(str(failure).splitlines()[0])
    FAILED: laws of cumsum (known by its action): 5 -> 5, float64
    """
    report = LawsReport(f"laws of {describe(subject(operator))}")
    first: Exception | None = None
    for law in LAWS if laws is None else laws:
        name = law.__name__
        try:
            law(operator, matrix, rng=rng)
        except NotApplicable as reason:
            report.skipped[name] = str(reason)
        except Exception as error:  # an error of any kind is one way not to hold
            first = first or error
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            report.failed[name] = f"{kind}{error}"
        else:
            report.held.append(name)
    if first is not None:
        raise CheckFailed(str(report)) from first
    return report
