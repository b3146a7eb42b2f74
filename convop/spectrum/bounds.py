"""`norm_bounds`: an interval that the 2-norm is proven to lie in."""

import math
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from ..blocks import Blocks
from ..composite import Adjoint, Conjugate, Product, Reshaped, Scaled, Sum
from ..convolution import Convolution
from ..errors import GeometryError, MemoryBudgetError
from ..foreign import as_operator
from ..geometry import Extension, Geometry
from ..operator import Operator
from ..structured.lifted import Lifted
from . import lanczos
from .kinds import placed
from .known import known, known_or_none

FINE = 1e-3  # by how much the symbol may exceed its largest value on the grid, if the grid is not too large
STEPS = 20  # of Lanczos, for the bound from below
MOST_ENTRIES = 2**22  # of the symbol on that grid
EPS = float(np.finfo(np.float64).eps)


class NormBounds(NamedTuple):
    """`lower <= norm(A) <= upper`."""

    lower: float
    upper: float

    @property
    def width(self) -> float:
        """`upper - lower`."""
        return self.upper - self.lower


def norm_bounds(A: Any) -> NormBounds:
    r"""An interval that the 2-norm of an operator is proven to lie in.

    Without a closed form, a convolution extends the array and then applies part of an endless convolution. The norm
    of that is the maximum of its symbol over all frequencies, and that is at most its maximum on a grid of `N`
    frequencies divided by `cos(pi d / N)`, on each axis, for taps that span `2 d + 1` samples. Products, sums and
    blocks of operators are bounded by those of their parts. From below, `||A x|| / ||x||` for the `x` that a few
    Lanczos steps find.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.

    Returns
    -------
    NormBounds
        `lower` and `upper`, with `.width`. `upper` is `inf` where part of `A` is known by its action only. Both allow
        for rounding.

    Notes
    -----
    The factor follows from Bernstein's inequality for trigonometric polynomials in the form of Szego,
    `p'(t)^2 + d^2 p(t)^2 <= d^2 max(p)^2` (S. Bernstein 1912; G. Szego 1928; R. J. Duffin and A. C. Schaeffer, "Some
    properties of functions of exponential type", Bull. Amer. Math. Soc. 44, 1938, for `d` that is no integer): near
    its maximum `p` falls no faster than a cosine of frequency `d`, and a point of the grid is no further than `pi / N`
    (H. Ehlich and K. Zeller, "Schwankung von Polynomen zwischen Gitterpunkten", Math. Z. 86, 1964).

    Examples
    --------
    >>> import convop
    >>> bounds = convop.norm_bounds(convop.Convolution([1.0, 2.0, 1.0], 1000))
    >>> round(bounds.lower, 4), round(bounds.upper, 4)
    (4.0, 4.0)
    """
    operator = as_operator(A)
    form = known_or_none(operator)
    if form is not None and form.certain:
        value, rounding = form.largest(), max(form.floor, 16 * EPS)
        return NormBounds(float(value * (1 - rounding)), float(value * (1 + rounding)))
    lower, upper = _rayleigh(operator), _upper(operator) * (1 + EPS * (64 + math.log2(operator.shape[1])))
    return NormBounds(float(min(lower, upper)), float(upper))


def _rayleigh(A: Operator) -> float:
    """`||A x|| / ||x||` for the best `x` at hand, less what may be rounding."""
    x = _trial(A)
    size = float(np.linalg.norm(A.matvec(x)) / np.linalg.norm(x))
    return size * max(0.0, 1 - EPS * (64 + A.work))


def _trial(A: Operator) -> Any:
    if min(A.shape) <= lanczos.DENSE and max(A.shape) <= lanczos.DENSE**2:
        return np.linalg.svd(lanczos.dense_matrix(A, None, "a singular vector"), full_matrices=False)[2][0].conj()
    try:
        return lanczos.trial(A, STEPS)
    except GeometryError:  # it was given without an adjoint
        return lanczos.beginning(A, np.result_type(A.dtype, np.float64))


@singledispatch
def _upper(A: Operator) -> float:
    """By Hoelder, `||A||^2 <= ||A||_1 ||A||_inf`, where there is a matrix; inf where there is none."""
    if not A.explicit:
        return math.inf
    matrix = abs(A.tosparse())
    return math.sqrt(matrix.sum(axis=0).max() * matrix.sum(axis=1).max())


def _of_part(A: Operator) -> float:
    """That of an operator in others, exact where it has a closed form."""
    form = known_or_none(A)
    return _upper(A) if form is None or not form.certain else form.largest() * (1 + max(form.floor, 16 * EPS))


@_upper.register
def _(A: Product) -> float:
    return math.prod(_of_part(factor) for factor in A.factors)


@_upper.register
def _(A: Sum) -> float:
    return sum(_of_part(term) for term in A.terms)


@_upper.register(Adjoint)
@_upper.register(Conjugate)
@_upper.register(Reshaped)
def _(A: Any) -> float:
    return _of_part(A.operator)


@_upper.register
def _(A: Scaled) -> float:
    return float(abs(A.number)) * _of_part(A.operator)


@_upper.register(Blocks)
@_upper.register(Lifted)
def _(A: Any) -> float:
    """The norm of the matrix of the blocks' norms."""
    entries = placed(A)
    sizes = np.zeros((max(row for row, _, _ in entries) + 1, max(column for _, column, _ in entries) + 1))
    for row, column, block in entries:
        sizes[row, column] = _of_part(block)
    return float(np.linalg.norm(sizes, 2)) if np.isfinite(sizes).all() else math.inf


@_upper.register
def _(A: Convolution) -> float:
    extension = math.prod(
        extension_norm(A.geometry.extension(i), A.geometry.spatial[i]) for i in range(A.geometry.ndim)
    )
    return min(_symbol_bound(A), _tap_bound(A)) * extension


def extension_norm(extension: Extension, n: int) -> float:
    """The 2-norm of extending an axis: `sqrt(1 + ||O||^2)` for the rows `O` of what stands outside."""
    places, terms = extension.index.shape
    if places == 0:
        return 1.0
    rows = np.repeat(np.arange(places), terms)
    outside = scipy.sparse.csr_array(
        (extension.weight.ravel().astype(np.float64), (rows, extension.index.ravel())), shape=(places, n)
    )
    if terms == 1:  # copies: every row has one entry, and the columns are orthogonal
        return math.sqrt(1 + float((outside.multiply(outside)).sum(axis=0).max()))
    return math.sqrt(1 + float(np.linalg.eigvalsh((outside @ outside.T).toarray())[-1]))


def _tap_bound(A: Convolution) -> float:
    """The sum over taps of the norms of their channel matrices; exact for positive kernels of one channel."""
    g = A.geometry
    grouped = A.weight.reshape(g.groups, -1, *A.weight.shape[1:]).astype(np.result_type(A.dtype, np.float64))
    blocks = np.moveaxis(grouped.reshape(*grouped.shape[:3], -1), -1, 0)
    return float(np.linalg.norm(blocks, 2, axis=(-2, -1)).max(axis=1).sum())


def _symbol_bound(A: Convolution) -> float:
    """The maximum of the symbol over all frequencies, from that on a grid; inf if even a coarse one is too large."""
    g = A.geometry
    dilation = tuple(
        d if s > 1 else 1 for d, s in zip(g.dilation, g.stride, strict=True)
    )  # at stride 1 it only repeats
    spans = [_span(k, d, s) for k, d, s in zip(g.kernel, dilation, g.stride, strict=True)]
    entries = A.weight[0].size // g.taps * g.channels_out * math.prod(g.stride)
    sizes = _sizes(spans, entries)
    torus = Geometry.make(
        tuple(m * s for m, s in zip(sizes, g.stride, strict=True)), g.kernel, stride=g.stride, dilation=dilation,
        padding=tuple((0, (k - 1) * d + 1 - s) for k, d, s in zip(g.kernel, dilation, g.stride, strict=True)),
        boundary="periodic", channels=(g.channels_out, g.channels_in), groups=g.groups, lifted=True,
    )  # fmt: skip
    factor = math.prod(math.cos(math.pi * span / 2 / m) for span, m in zip(spans, sizes, strict=True))
    try:
        return known(Convolution.of(torus, A.weight, "correlation", "direct")).largest() / factor
    except MemoryBudgetError:
        return math.inf


def _span(taps: int, dilation: int, stride: int) -> int:
    """The distance of the first and the last sample that is read, counted in strides."""
    return (taps - 1) * dilation // stride


def _sizes(spans: list[int], entries: int) -> tuple[int, ...]:
    """How many frequencies to look at on each axis: enough for `FINE`, or as many as `MOST_ENTRIES` allows."""
    wanted = [math.pi * span / 2 * math.sqrt(len(spans) / (2 * FINE)) for span in spans]
    total = math.prod(max(1.0, size) for size in wanted) * entries
    active = max(1, sum(span > 0 for span in spans))
    shrink = min(1.0, (MOST_ENTRIES / total) ** (1 / active))
    return tuple(max(2 * span + 1, math.ceil(size * shrink)) for span, size in zip(spans, wanted, strict=True))
