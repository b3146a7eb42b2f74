"""How far rounding may move the answers of a correct operator.

One application of a map with w multiply-adds per output sample commits a rounding error of 2-norm below
`rho ||A x||` with `rho = eps (2 + sqrt(w))`: w independent roundings add up like a random walk, and transforms (FFT,
DCT) do better than that. `||A x||` is taken as the root mean square over all test vectors seen, so that a single
small answer of an operator with one row does not shrink it.

The rounding is also measured: `3 x` is exact in the test vectors, so `A(3 x) - 3 A(x)` is nothing but rounding in a
linear map. Inner cancellation, (A + B) - A for instance, makes errors that the size of the answer does not show; there
the measurement counts. Where thousands of answers were seen it also replaces `rho` by a floor of one `eps`, which
stands for what no measurement shows: entries that the two directions round apart.

A nonlinear map deviates as well, but unlike rounding it does so also for `4 x` and `-x`, where floating point commits
no error at all. Then only what differs between two equal calls (threads that add in any order) counts as
rounding, up to `CANCELLATION` times rho.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..dtypes import Array
from .subject import Direction
from .vectors import Gaussian, difference, norm, precision

SIGMAS = 6.5  # a Gaussian exceeds this once in 1e10
CANCELLATION = 1e3
SAFETY = 2.0  # on a noise measured with a few probes
PROBES = 4
PROBED = 64  # answers looked at, at least: rounding of a single one may well be zero
MANY = 1024  # answers from which the measurement is trusted to be no accident


@dataclass(frozen=True)
class Noise:
    """Rounding of one direction, for test vectors of full length.

    `size` is the root mean square of `||A x||`, `level` the 2-norm that rounding may have in `A x`.
    """

    size: float
    level: float
    rho: float


def measure(direction: Direction, vectors: Gaussian, sizes: tuple[float, ...] = ()) -> Noise:
    """The noise of a direction, from fresh probes and from norms `sizes` of answers already seen."""
    count = max(PROBES, PROBED // max(1, math.prod(direction.out_shape)))
    probes = [vectors.draw(direction.in_shape) for _ in range(count)]
    answers = [direction(x) for x in probes]
    size = _root_mean_square([*sizes, *map(norm, answers)])
    # An operator may claim float64 and answer in float32: then float32 is what it computes in.
    unit = float(max(precision(direction.operator.dtype).eps, precision(answers[0].dtype).eps))
    rho = unit * (2.0 + math.sqrt(direction.operator.work))
    floor = rho if answers[0].size * count < MANY else unit
    measured = _measured(direction, probes, answers, rho * size)
    underflow = float(precision(answers[0].dtype).tiny) * rho * math.sqrt(max(answers[0].size, 1))
    return Noise(size, max(floor * size, SAFETY * measured) + underflow, rho)


def _root_mean_square(norms: list[float]) -> float:
    largest = max(norms)
    return largest * math.sqrt(float(np.mean((np.array(norms) / largest) ** 2))) if largest > 0 else 0.0


def _measured(direction: Direction, probes: list[Array], answers: list[Array], expected: float) -> float:
    """The largest rounding among the probes; that of a nonlinear map is not taken for rounding."""
    x, Ax = max(zip(probes, answers, strict=True), key=lambda pair: _inhomogeneity(direction, *pair))
    measured = _inhomogeneity(direction, x, Ax)
    if measured <= expected or _scales_exactly(direction, x, Ax):
        return measured
    return min(difference(direction(x), Ax), CANCELLATION * expected)


def _inhomogeneity(direction: Direction, x: Array, Ax: Array) -> float:
    return difference(direction(3 * x), Ax, 3.0) / 3.0


def _scales_exactly(direction: Direction, x: Array, Ax: Array) -> bool:
    return np.array_equal(direction(4 * x), 4 * Ax) and np.array_equal(direction(-x), -Ax)
