"""check.associative: operators always associate; composed kernels describe the product only away from edges."""

from dataclasses import dataclass
from typing import Any

from ..convolution import Convolution
from ..fuse import composed
from ..operator import Operator
from .equality import EqualReport, compared
from .report import Report, entry
from .subject import describe, subject
from .vectors import Gaussian, generator


@dataclass(frozen=True)
class AssociativeReport(Report):
    """What check.associative found.

    Attributes
    ----------
    operators : EqualReport
        Does `(A @ B) @ C` equal `A @ (B @ C)`, to rounding?
    kernels : EqualReport or None
        Does the one convolution whose kernel is the three composed equal the product? `kernels.rows` are the output
        samples where it does not. None where A, B and C are not all convolutions that can be composed.
    passed : bool
        That of `operators`.
    """

    operators: EqualReport
    kernels: EqualReport | None
    title: str

    @property
    def passed(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether both orders give the same map; kernels may differ, and are told of."""
        return self.operators.passed

    def _lines(self) -> list[str]:
        verdict = "(A @ B) @ C equals A @ (B @ C)" if self.passed else f"they differ: {self.operators.text}"
        figures = f"error {self.operators.error:.2e}, bound {self.operators.bound:.2e}"
        return [*entry("maps", f"{verdict}; {figures}"), *entry("kernels", self._kernels())]

    def _kernels(self) -> str:
        if self.kernels is None:
            return "not convolutions (or of geometries whose kernels do not compose)"
        if self.kernels.passed:
            return "the composed kernel gives the same map everywhere"
        return f"the composed kernel gives another map: {self.kernels.text}"


def associative(A: Any, B: Any, C: Any, rng: Any = 0) -> AssociativeReport:
    """Whether a product of three associates, as operators and as kernels.

    As operators it must. As kernels it need not: under most boundaries the composition of the kernels is another
    map near the edges, which is why `A @ B` stays a lazy product there.

    Parameters
    ----------
    A, B, C : anything `convop.as_operator` takes
        With shapes that make `A @ B @ C`.
    rng : int or numpy.random.Generator

    Returns
    -------
    AssociativeReport
        With `operators`, `kernels`, `passed`.

    Raises
    ------
    ShapeError
        If the shapes do not match.

    Examples
    --------
    >>> import convop
    >>> h = [1.0, 2.0, 4.0]
    >>> A = convop.Convolution(h, 8)
    >>> report = convop.check.associative(A, A, A)
    >>> report.passed, report.kernels.passed
    (True, False)
    """
    a, b, c = subject(A), subject(B), subject(C)
    left, right = (a @ b) @ c, a @ (b @ c)
    vectors = Gaussian(generator(rng), left.dtype)
    title = f"check.associative of {describe(a)}, {describe(b)} and {describe(c)}"
    one = _composed(a, b, c)
    kernels = None if one is None else compared(left, one, vectors, 5, "composed kernel and product")
    return AssociativeReport(compared(left, right, vectors, 5, "(A @ B) @ C and A @ (B @ C)"), kernels, title)


def _composed(a: Operator, b: Operator, c: Operator) -> Operator | None:
    """The convolution with all three kernels composed, if there is one of the product's shapes."""
    if not (isinstance(a, Convolution) and isinstance(b, Convolution) and isinstance(c, Convolution)):
        return None
    first = composed(a, b)
    one = None if first is None else composed(first, c)
    return one if one is not None and one.out_shape == a.out_shape else None
