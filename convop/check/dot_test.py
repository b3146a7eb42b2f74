"""check.adjoint: the dot test <A x, y> = <x, A^H y>, with a bound that is earned and a diagnosis."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..arguments import as_flag, as_int
from ..errors import GeometryError
from ..operator import Operator
from .diagnosis import diagnose
from .finding import NOTHING, Finding
from .linearity import complex_signals, explain_law
from .pairing import Pairing, Trial
from .report import Report, Where, entry, measured
from .subject import Misbehaviour, describe, subject
from .vectors import Gaussian, Integers, generator, is_complex

EXACT_METHODS = ("direct", "gemm", "sparse")


@dataclass(frozen=True)
class AdjointReport(Report):
    """What check.adjoint found.

    Attributes
    ----------
    passed : bool
        Also the truth value of the report.
    error : float
        Largest `|<Ax, y> - <x, A^H y>| / (||Ax|| ||y|| + ||x|| ||A^H y||)` measured against its bound.
    bound : float
        What rounding may make of it in the same trial; 0 for exact=True.
    cause : str
        One of `CAUSES`, "none" for a correct adjoint.
    text : str
        The cause in words.
    where : Where
        The place of the fault, as far as it can be told.
    factor : complex or float or None
        By what the adjoint is scaled, where that is the fault.
    """

    passed: bool
    error: float
    bound: float
    cause: str
    text: str
    where: Where
    factor: complex | float | None
    title: str

    def _lines(self) -> list[str]:
        lines = measured(self.error, self.bound, "|<Ax,y> - <x,A^H y>| / (||Ax|| ||y|| + ||x|| ||A^H y||)")
        if not self.passed:
            lines += entry("cause", f"{self.cause}: {self.text}")
            lines += entry("where", str(self.where)) if str(self.where) else []
        return lines


def adjoint(
    A: Any,
    trials: int = 20,
    rng: Any = 0,
    exact: bool = False,
    *,
    in_shape: Any = None,
    out_shape: Any = None,
    dtype: Any = None,
) -> AdjointReport:
    """Whether the adjoint of an operator is its adjoint, and if not, what is wrong with it.

    Each trial compares `<A x, y>` with `<x, A^H y>` for random `x` and `y` and divides by
    `||A x|| ||y|| + ||x|| ||A^H y||`, so that an inner product that happens to be small decides nothing. The bound
    comes from the precision, the work per output sample and the rounding measured in the operator itself.

    Parameters
    ----------
    A : anything `convop.as_operator` takes, or a pair `(forward, adjoint)` of functions
    trials : int
        Number of random pairs.
    rng : int or numpy.random.Generator
    exact : bool
        Use small integers, methods that make no rounding error, integer inner products, and demand equality.
    in_shape, out_shape, dtype
        Of the maps, where `A` does not say; shapes of more than one axis make the diagnosis more telling.

    Returns
    -------
    AdjointReport
        With `passed`, `error`, `bound`, `cause`, `text`, `where`, `factor` and `raise_if_failed()`.

    Raises
    ------
    GeometryError
        If `trials` is below 1, or if exact=True is asked of an operator whose entries are not integers.

    Examples
    --------
    >>> import numpy as np
    >>> from convop import check
    >>> M = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]])
    >>> bool(check.adjoint(M))
    True
    >>> pair = (lambda x: M @ x, lambda y: 2 * M.T @ y)
    >>> report = check.adjoint(pair, in_shape=(3,), out_shape=(2,), dtype=float)
    >>> report.cause, round(report.factor, 6)
    ('scaled', 2.0)
    """
    rounds = range(as_int(trials, "trials", 1))
    operator = subject(A, in_shape, out_shape, dtype)
    return checked(operator, rounds, rng, exact, own=operator is A)


def checked(operator: Operator, rounds: Collection[object], rng: Any, exact: bool, own: bool) -> AdjointReport:
    """The same with a trial in each round, so that these may draw a progress bar; `own` is an operator of convop's."""
    if as_flag(exact, "exact"):
        operator = _exact(operator)
    vectors = (Integers if exact else Gaussian)(generator(rng), operator.dtype)
    pairing = Pairing(operator, vectors)
    title = f"check.adjoint of {describe(operator)}, {len(rounds)} trials{', exact' if exact else ''}"
    try:
        worst, bound = _worst(pairing, rounds)
        finding = diagnose(pairing) if worst.error > bound else _complex_signals(pairing, own)
        return _report(finding, worst.error, bound, title)
    except Misbehaviour as fault:
        return _report(Finding(fault.cause, str(fault)), math.inf, 0.0, title)


def _worst(pairing: Pairing, rounds: Collection[object]) -> tuple[Trial, float]:
    """The trial with the largest gap for its scale, and the bound there."""
    ran = pairing.run(rounds)
    failed = [t for t in ran if abs(t.gap) > pairing.tolerance]
    worst = max(failed or ran, key=lambda t: t.error)
    if isinstance(pairing.vectors, Integers):
        return worst, 0.0
    return worst, pairing.tolerance / worst.scale if worst.scale > 0 else pairing.tolerance


def _report(finding: Finding, error: float, bound: float, title: str) -> AdjointReport:
    passed = finding.cause == "none"
    return AdjointReport(passed, error, bound, finding.cause, finding.text, finding.where, finding.factor, title)


def _complex_signals(pairing: Pairing, own: bool) -> Finding:
    """A real operator of convop's own also has to be right on complex signals."""
    if not own or is_complex(pairing.vectors.dtype):
        return NOTHING
    for direction, noise in zip((pairing.A, pairing.G), pairing.noise, strict=True):
        law = complex_signals(direction, pairing.vectors)
        if not law.holds(noise):
            return Finding("not_linear", explain_law(law, direction.name))
    return NOTHING


def _exact(operator: Operator) -> Operator:
    """The operator with a method pinned that makes no rounding error on integers."""
    refusals = []
    for method in EXACT_METHODS:
        try:
            return operator.using(method)
        except GeometryError as refusal:
            refusals.append(f"{method}: {refusal}")
    raise GeometryError(
        f"exact=True needs one of the methods {EXACT_METHODS}, none of which serves this operator "
        f"({'; '.join(refusals)}). Check it with exact=False"
    )


def assert_adjoint(A: Any, trials: int = 20, rng: Any = 0, exact: bool = False, **shapes: Any) -> None:
    """Raise unless `check.adjoint` passes; the arguments are the same.

    Raises
    ------
    CheckFailed
        An AssertionError whose message is the printed report.

    Examples
    --------
    >>> import numpy as np
    >>> from convop import check
    >>> check.assert_adjoint(np.eye(3), exact=True)
    """
    adjoint(A, trials, rng, exact, **shapes).raise_if_failed()
