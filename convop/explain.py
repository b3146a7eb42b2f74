"""What became of a product: which convolutions are one, which are not, and why."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .composite import Product
from .convolution import Convolution
from .foreign import as_operator
from .fuse import Fusion
from .seams import Seam, seam_between


@dataclass(frozen=True)
class Explanation:
    """How an operator came about; `str()` of it is for reading.

    Attributes
    ----------
    operator : str
        What it is.
    fused : bool
        Whether it is one convolution.
    fusions : tuple of Fusion
        Pairs that became one: `outer`, `inner` and a verdict for each of their `axes`.
    seams : tuple of Seam
        Pairs that did not: `outer`, `inner`, `reason`, a verdict for each of their `axes`, and the `rows`
        (a mask of output samples) that one convolution would get wrong.
    """

    operator: str
    fused: bool
    fusions: tuple[Fusion, ...]
    seams: tuple[Seam, ...]

    def __str__(self) -> str:
        lines = [self.operator]
        for fusion in self.fusions:
            lines += ["  made one, because", *(f"    {verdict}" for verdict in fusion.axes)]
            lines += [f"      outer {fusion.outer}", f"      inner {fusion.inner}"]
        for seam in self.seams:
            lines.append(f"  kept apart: {seam.reason}")
            lines += [f"    {verdict}" for verdict in seam.axes]
            lines += [f"      outer {seam.outer}", f"      inner {seam.inner}"]
        if not self.fusions and not self.seams:
            lines.append("  nothing in it is a product of convolutions")
        return "\n".join(lines)


def explain(A: Any) -> Explanation:
    """Say which convolutions in `A` were made one and which were not, and why.

    Parameters
    ----------
    A : Operator
        Any operator; products are looked into.

    Returns
    -------
    Explanation
        Text by `str` or `print`, data by its attributes.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.Convolution([1.0, 2.0, 3.0], 8, boundary="periodic")
    >>> print(convop.explain(A @ A))
    <Convolution 5: 8 -> 8, float64, direct>
      made one, because
        axis 0: both are periodic, and the inner one's output has its period
          outer <Convolution 3: 8 -> 8, float64, direct>
          inner <Convolution 3: 8 -> 8, float64, direct>
    """
    operator = as_operator(A)
    factors = operator.factors if isinstance(operator, Product) else (operator,)
    fusions = tuple(f for factor in factors if isinstance(factor, Convolution) for f in factor.history)
    seams = tuple(seam_between(outer, inner) for outer, inner in pairwise(factors))
    return Explanation(repr(operator), isinstance(operator, Convolution), fusions, seams)
