"""Products, sums, multiples, adjoints: lazy, and simplified by the rules of two tables.

The tables are declared here, empty, and filled by the modules that know when two operators become one.
A rule is exact or answers NotImplemented; then the lazy product or sum stands.
"""

# pyright: reportPrivateUsage=false

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import scipy.sparse

from .arguments import Shape, as_int, as_shape
from .combining import Scalar, combines, joined
from .composite import Product, Scaled, Sum
from .dtypes import Array, DType, as_dtype, working
from .errors import GeometryError
from .operator import Operator

MOST_FACTORS = 512  # of a power that stays a product

Rule = Callable[[Any, Any], Any]
_PRODUCT_RULES: dict[tuple[type, type], Rule] = {}
_SUM_RULES: dict[tuple[type, type], Rule] = {}


def product_rule(left: type, right: type) -> Callable[[Rule], Rule]:
    """Register `rule(a, b)`, the operator that `a @ b` is for a `left` and a `right`, or NotImplemented."""

    def register(rule: Rule) -> Rule:
        _PRODUCT_RULES[left, right] = rule
        return rule

    return register


def sum_rule(left: type, right: type) -> Callable[[Rule], Rule]:
    """Register `rule(a, b)`, the operator that `a + b` is for a `left` and a `right`, or NotImplemented."""

    def register(rule: Rule) -> Rule:
        _SUM_RULES[left, right] = rule
        return rule

    return register


def _combined(rules: dict[tuple[type, type], Rule], a: Operator, b: Operator) -> Any:
    """The answer of the first rule for the classes of `a` and `b` or their ancestors."""
    if not rules:
        return NotImplemented
    for left in type(a).__mro__:
        for right in type(b).__mro__:
            rule = rules.get((left, right))
            answer = NotImplemented if rule is None else rule(a, b)
            if answer is not NotImplemented:
                return answer
    return NotImplemented


@combines("product")
def product(a: Operator, b: Operator) -> Operator:
    """`a @ b`: scalars in front, adjacent factors fused where a rule says so."""
    joined(a.in_shape, b.out_shape, f"A @ B: A takes arrays of shape {a.in_shape}, B gives {b.out_shape}")
    if isinstance(a, Scaled):
        return a.spread(product(a.operator, b))
    if isinstance(b, Scaled):
        return b.spread(product(a, b.operator))
    factors = list(_factors(a))
    for factor in _factors(b):
        fused = factor
        while factors and factors[-1].in_shape == fused.out_shape:
            answer = _combined(_PRODUCT_RULES, factors[-1], fused)
            if answer is NotImplemented:
                break
            factors.pop()
            fused = answer
        factors.append(fused)
    if len(factors) == 1:
        return factors[0]
    whole = Product(tuple(factors))
    return Zero(whole.in_shape, whole.out_shape, whole.dtype) if whole.vanishes else whole


def _factors(a: Operator) -> tuple[Operator, ...]:
    return a.factors if isinstance(a, Product) else (a,)


@combines("sum")
def add(a: Operator, b: Operator) -> Operator:
    """`a + b`: terms that a rule makes one are one."""
    for side, first, second in (("take", a.in_shape, b.in_shape), ("give", a.out_shape, b.out_shape)):
        joined(first, second, f"A + B: they {side} arrays of shape {first} and {second}")
    dtype = np.result_type(a.dtype, b.dtype)
    terms: list[Operator] = []
    for term in (*_terms(a), *_terms(b)):
        _add_term(terms, term.widened(dtype) if isinstance(term, Scaled) else term)
    terms = _without_zeros(terms)
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _without_zeros(terms: list[Operator]) -> list[Operator]:
    """The terms that do not vanish, where they say the type and the shapes of the sum as well."""
    kept = [term for term in terms if not term.vanishes]
    if not kept or len(kept) == len(terms):
        return terms
    whole, rest = Sum(tuple(terms)), Sum(tuple(kept))
    alike = (whole.dtype, whole.in_shape, whole.out_shape) == (rest.dtype, rest.in_shape, rest.out_shape)
    return kept if alike else terms


def _terms(a: Operator) -> tuple[Operator, ...]:
    return a.terms if isinstance(a, Sum) else (a,)


def _add_term(terms: list[Operator], term: Operator) -> None:
    for place, other in enumerate(terms):
        same = other.in_shape == term.in_shape and other.out_shape == term.out_shape
        answer = _combined(_SUM_RULES, other, term) if same else NotImplemented
        if answer is not NotImplemented:
            terms[place] = answer
            return
    terms.append(term)


@combines("multiple")
def scale(a: Operator, scalar: Any) -> Operator:
    """`scalar * a`; Python numbers leave the precision as it is, numpy's count as numpy counts them."""
    number = cast(Any, scalar[()] if isinstance(scalar, np.ndarray) else scalar)
    if np.asarray(number).dtype.kind not in "fc":  # ints and fractions are as weak as Python's floats
        try:
            number = float(number)
        except OverflowError:
            raise GeometryError("an operator cannot be multiplied by an int that no float holds") from None
    if isinstance(number, np.generic):
        working(number.dtype, a.dtype, "the number")  # refuses what convop does not compute with
    dtype = np.result_type(np.empty(0, a.dtype), number)
    with np.errstate(over="ignore"):
        rounded = np.asarray(number, np.result_type(dtype, np.complex64))
    if not np.isfinite(rounded):
        raise GeometryError(f"an operator of {dtype} cannot be multiplied by {number!r}; use a finite number")
    if number == 1 and dtype == a.dtype:
        return a
    scaled = a._scaled(cast(Scalar, number), dtype)
    return Zero(a.in_shape, a.out_shape, dtype) if number == 0 and isinstance(scaled, Scaled) else scaled


@combines("power")
def power(a: Operator, exponent: object) -> Operator:
    """`a @ a @ ... @ a`."""
    times = as_int(exponent, "the exponent of an operator", 0)
    joined(a.in_shape, a.out_shape, f"A ** n: A maps {a.in_shape} to {a.out_shape}")
    if times < 2:
        return a if times else Identity(a.in_shape, a.dtype)
    half = power(a, times // 2)
    if isinstance(half, Product) and len(half.factors) > MOST_FACTORS:
        raise GeometryError(
            f"A ** {times} stays a product of {times} operators that no rule makes one, which is more than convop "
            f"keeps; apply A in a loop, or take a boundary under which powers are convolutions, as 'periodic'"
        )
    square = product(half, half)
    return product(square, a) if times % 2 else square


class Identity(Operator):
    """The identity on arrays of a shape.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of its input and output.
    dtype : dtype, optional
        float32 by default, so that it widens nothing.

    Examples
    --------
    >>> import convop
    >>> convop.Identity(3) @ [1.0, 2.0, 3.0]
    array([1., 2., 3.])
    """

    def __init__(self, shape: Any, dtype: Any = np.float32) -> None:
        shape = as_shape(shape, "shape")
        super().__init__(shape, shape, as_dtype(dtype))

    def _forward(self, x: Array) -> Array:
        return x.astype(np.result_type(self.dtype, x.dtype))

    def _adjoint_forward(self, y: Array) -> Array:
        return self._forward(y)

    def _adjoint(self) -> Operator:
        return self

    def _conjugate(self) -> Operator:
        return self

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        ones, places = np.ones(self.shape[0], self.dtype), np.arange(self.shape[0] + 1)
        return scipy.sparse.csr_array((ones, places[:-1], places), shape=self.shape)

    def _count(self) -> tuple[int, bool]:
        return self.shape[0], True

    def _widest(self) -> tuple[int, int]:
        return 1, 1

    def _recipe(self) -> tuple[Any, ...]:
        return Identity, self.in_shape, self.dtype


class Zero(Operator):
    """The operator that maps everything to zero: what is left of products with it, and of multiples by 0."""

    def __init__(self, in_shape: Shape, out_shape: Shape, dtype: DType) -> None:
        super().__init__(in_shape, out_shape, dtype)

    def _zeros(self, x: Array, source: Shape, target: Shape) -> Array:
        return np.zeros(x.shape[: x.ndim - len(source)] + target, np.result_type(self.dtype, x.dtype))

    def _forward(self, x: Array) -> Array:
        return self._zeros(x, self.in_shape, self.out_shape)

    def _adjoint_forward(self, y: Array) -> Array:
        return self._zeros(y, self.out_shape, self.in_shape)

    def _adjoint(self) -> Operator:
        return Zero(self.out_shape, self.in_shape, self.dtype)

    def _conjugate(self) -> Operator:
        return self

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return Zero(self.in_shape, self.out_shape, dtype)

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.shape, dtype=self.dtype)

    def _count(self) -> tuple[int, bool]:
        return 0, True

    def _widest(self) -> tuple[int, int]:
        return 0, 0

    @property
    def vanishes(self) -> bool:
        return True

    def _recipe(self) -> tuple[Any, ...]:
        return Zero, self.in_shape, self.out_shape, self.dtype


def _without_identity(a: Operator, b: Operator) -> Operator:
    """I @ a and a @ I are a, unless I asks for a wider type."""
    one, other = (a, b) if isinstance(a, Identity) else (b, a)
    return other if np.result_type(one.dtype, other.dtype) == other.dtype else NotImplemented


product_rule(Identity, Operator)(_without_identity)
product_rule(Operator, Identity)(_without_identity)
