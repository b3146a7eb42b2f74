"""check.linear: additive, homogeneous, zero at zero, the same twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import as_int
from .report import Report, entry, measured
from .rounding import SIGMAS, Noise, measure
from .subject import Direction, Misbehaviour, describe, subject
from .vectors import Gaussian, difference, generator, is_complex, norm


@dataclass(frozen=True)
class Law:
    """One law of linear maps on one draw: by how much it is missed, and how large what is compared is."""

    name: str
    gap: float
    size: float
    exact: bool = False

    def allowed(self, noise: Noise) -> float:
        return 0.0 if self.exact else SIGMAS * noise.level

    def holds(self, noise: Noise) -> bool:
        return self.gap <= self.allowed(noise)


def laws(direction: Direction, vectors: Gaussian) -> Iterator[Law]:
    """The laws, each on fresh vectors.

    x + y, 3 x and i x are exact in the test vectors, so whatever is missed is the map's doing.
    """
    x, y = vectors.draw(direction.in_shape), vectors.draw(direction.in_shape)
    Ax, Ay = direction(x), direction(y)
    size = norm(Ax)
    yield Law("A(0) = 0", norm(direction(np.zeros_like(x))), size, exact=True)
    yield Law("A(x) = A(x), the same twice", difference(direction(x), Ax), size)
    yield Law("A(x + y) = A(x) + A(y)", difference(direction(x + y) - Ax, Ay), size)
    yield Law("A(3 x) = 3 A(x)", difference(direction(3 * x), Ax, 3.0) / 3, size)
    if is_complex(vectors.dtype):
        yield Law("A(i x) = i A(x)", difference(direction(1j * x), Ax, 1j), size)


def complex_signals(direction: Direction, vectors: Gaussian) -> Law:
    """The law of a real map on complex signals: both parts alike."""
    x, y = vectors.draw(direction.in_shape), vectors.draw(direction.in_shape)
    z, Ax = direction(x + 1j * y), direction(x)
    gap = np.hypot(difference(np.real(z), Ax), difference(np.imag(z), direction(y)))
    return Law("A(x + i y) = A(x) + i A(y)", float(gap), norm(Ax))


def broken_law(direction: Direction, vectors: Gaussian, noise: Noise) -> Law | None:
    """The first law that the direction breaks beyond its rounding."""
    return next((law for law in laws(direction, vectors) if not law.holds(noise)), None)


@dataclass(frozen=True)
class LinearReport(Report):
    """What check.linear found.

    Attributes
    ----------
    passed : bool
    error, bound : float
        Largest violation of a law relative to `||A x||`, and what rounding allows there.
    law : str
        The law that `error` belongs to; the broken one where the check failed.
    text : str
        What is wrong, empty where nothing is.
    """

    passed: bool
    error: float
    bound: float
    law: str
    text: str
    title: str

    def _lines(self) -> list[str]:
        return [
            *measured(self.error, self.bound, "relative to ||Ax||"),
            *entry("law", self.law),
            *(entry("because", self.text) if self.text else []),
        ]


def linear(
    A: Any, trials: int = 3, rng: Any = 0, *, in_shape: Any = None, out_shape: Any = None, dtype: Any = None
) -> LinearReport:
    """Whether a map is linear: complex-linear if its dtype is complex.

    Parameters
    ----------
    A : anything `convop.as_operator` takes, or a pair `(forward, adjoint)` of functions
    trials : int
        How many times each law is tried, with fresh Gaussian vectors.
    rng : int or numpy.random.Generator
    in_shape, out_shape, dtype
        Of the maps, where `A` does not say.

    Returns
    -------
    LinearReport
        With `passed`, `error`, `bound`, `law`, `text`; the forward map alone is looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from convop import check
    >>> check.linear(np.array([[1.0, 2.0], [3.0, 4.0]])).passed
    True
    >>> square = (lambda x: x * x, lambda y: y)
    >>> check.linear(square, in_shape=(3,), out_shape=(3,), dtype=float).law
    'A(x + y) = A(x) + A(y)'
    """
    operator = subject(A, in_shape, out_shape, dtype)
    trials = as_int(trials, "trials", 1)
    title = f"check.linear of {describe(operator)}"
    direction = Direction(operator, "forward map")
    vectors = Gaussian(generator(rng), operator.dtype)
    try:
        noise = measure(direction, vectors)
        tried = [law for _ in range(trials) for law in laws(direction, vectors)]
        if operator is A and not is_complex(operator.dtype):
            tried.append(complex_signals(direction, vectors))
    except Misbehaviour as fault:
        return LinearReport(False, np.inf, 0.0, fault.cause, str(fault), title)
    return _judge(tried, noise, title)


def _judge(tried: list[Law], noise: Noise, title: str) -> LinearReport:
    broken = [law for law in tried if not law.holds(noise)]
    worst = broken[0] if broken else max(tried, key=lambda law: (not law.exact, law.gap))
    unit = worst.size or 1.0
    text = explain_law(worst, "map") if broken else ""
    return LinearReport(not broken, worst.gap / unit, worst.allowed(noise) / unit, worst.name, text, title)


def explain_law(law: Law, name: str) -> str:
    """The broken law in words."""
    if law.exact:
        return (
            f"the {name} answers zero with a vector of norm {law.gap:.3g}: it adds a constant. "
            "Take the constant out, or carry it beside the operator as convop.Affine does"
        )
    return f"the {name} misses {law.name} by {law.gap:.3g}, where the norm of an answer is {law.size:.3g}"
