"""check.all: every law an operator can be asked about, a line each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import Array
from ..errors import MemoryBudgetError
from ..operator import Operator
from .dot_test import adjoint
from .equality import compared
from .linearity import linear
from .report import Report, entry
from .subject import describe, functions, subject
from .vectors import Gaussian, generator

SIGNALS = (np.float32, np.float64, np.complex64, np.complex128)
TRIALS = 3


@dataclass(frozen=True)
class Line(Report):
    """A check that is right or wrong without a figure."""

    passed: bool
    text: str
    title: str

    def _lines(self) -> list[str]:
        return entry("because", self.text) if self.text else []


@dataclass(frozen=True)
class AllReport(Report):
    """What check.all found.

    Attributes
    ----------
    reports : dict of str to Report
        Each check by its name; `report["adjoint"]` is short for `report.reports["adjoint"]`.
    passed : bool
        Whether all of them passed.
    """

    reports: dict[str, Report]
    title: str

    @property
    def passed(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> list[Report]:
        """The reports of the checks that failed."""
        return [report for report in self.reports.values() if not report]

    def __getitem__(self, name: str) -> Report:
        return self.reports[name]

    def _lines(self) -> list[str]:
        lines = [f"  {name:<16} {'passed' if report else 'FAILED'}" for name, report in self.reports.items()]
        return [*lines, *(line for report in self.failed for line in str(report).splitlines())]


def all(A: Any, rng: Any = 0) -> AllReport:
    """Every check on one operator: linear, adjoint, transpose, matrix, batches, types.

    Parameters
    ----------
    A : anything `convop.as_operator` takes
    rng : int or numpy.random.Generator

    Returns
    -------
    AllReport
        With `passed` and the `reports` by name; printing it gives a line for each, and the failed ones in full.

    Examples
    --------
    >>> import convop
    >>> report = convop.check.all(convop.Convolution([1.0, 2.0, 4.0], 8, boundary="mirror"))
    >>> report.passed, report["matrix"].passed
    (True, True)
    """
    operator = subject(A)
    rng = generator(rng)
    vectors = Gaussian(rng, operator.dtype)
    reports: dict[str, Report] = {"linear": linear(A, rng=rng), "adjoint": adjoint(A, rng=rng)}
    reports["adjoint linear"] = linear(operator.H, rng=rng)
    reports |= _symmetries(operator, vectors)
    reports |= _matrices(operator, vectors)
    reports["batch"] = _batch(operator, vectors)
    reports["empty batch"] = _empty_batch(operator)
    reports["dtype"] = _dtypes(operator, vectors)
    return AllReport(reports, f"check.all of {describe(operator)}")


def _symmetries(operator: Operator, vectors: Gaussian) -> dict[str, Report]:
    """A^T y = conj(A^H conj(y)) and conj(A) x = conj(A conj(x))."""
    transpose = functions(operator.H, lambda y: operator.H(y.conj()).conj())
    conjugate = functions(operator, lambda x: operator(x.conj()).conj())
    return {
        "transpose": compared(operator.T, transpose, vectors, TRIALS, "A.T y and conj(A.H conj(y))"),
        "conjugate": compared(operator.conj(), conjugate, vectors, TRIALS, "A.conj() x and conj(A conj(x))"),
    }


def _matrices(operator: Operator, vectors: Gaussian) -> dict[str, Report]:
    """The sparse matrix, and its adjoint, against applying; nothing for operators known by their action."""
    if not operator.explicit:
        return {}
    try:
        matrix = operator.tosparse()
    except MemoryBudgetError as refusal:
        return {"matrix": Line(True, f"not built: {refusal}", "A.tosparse() and A(x)")}
    stored = subject(matrix, operator.in_shape, operator.out_shape)
    return {
        "matrix": compared(operator, stored, vectors, TRIALS, "A(x) and A.tosparse() @ x"),
        "matrix adjoint": compared(operator.H, stored.H, vectors, TRIALS, "A.H(y) and A.tosparse().conj().T @ y"),
    }


def _batch(operator: Operator, vectors: Gaussian) -> Report:
    """The second of a batch of two is what it is alone."""

    def batched(x: Array) -> Array:
        return operator(np.stack([vectors.draw(x.shape), x]))[1]

    return compared(operator, functions(operator, batched), vectors, TRIALS, "A(x) alone and in a batch")


def _empty_batch(operator: Operator) -> Report:
    got = operator(np.zeros((0, *operator.in_shape), operator.dtype)).shape
    needed = (0, *operator.out_shape)
    text = "" if got == needed else f"an empty batch comes back as {got}, needed {needed}"
    return Line(got == needed, text, "shape of an empty batch")


def _dtypes(operator: Operator, vectors: Gaussian) -> Report:
    """Answers are of numpy.result_type(A, x), forward and adjoint."""
    wrong = []
    for name, direction in (("A(x)", operator), ("A.H(y)", operator.H)):
        for dtype in SIGNALS:
            got = direction(np.ones(direction.in_shape, dtype)).dtype
            needed = np.result_type(operator.dtype, dtype)
            if got != needed:
                wrong.append(f"{name} of {np.dtype(dtype)} is {got}, needed {needed}")
    return Line(not wrong, "; ".join(wrong), "types of the answers")
