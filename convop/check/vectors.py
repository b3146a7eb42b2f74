"""Test vectors, and inner products that are more exact than what they judge."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..dtypes import Array, DType
from ..errors import GeometryError

BLOCK = 1 << 16  # entries per partial sum: bounds the memory that wide copies take


@cache
def is_complex(dtype: Any) -> bool:
    return np.dtype(dtype).kind == "c"


@cache
def precision(dtype: Any) -> np.finfo:
    """The floating-point format in which an operator of this dtype computes."""
    return np.finfo(np.result_type(dtype, np.float32) if np.dtype(dtype).kind not in "fc" else dtype)


@cache
def wide(dtype: Any) -> Any:
    """The real type in which outcomes of this dtype are summed: twice the digits, or what there is."""
    return np.float64 if precision(dtype).bits <= 32 else np.longdouble


def norm(x: Array) -> float:
    """2-norm, accumulated wide."""
    return float(np.sqrt(inner(x, x)[0]))


def difference(u: Array, v: Array, factor: complex = 1.0) -> float:
    """||u - factor v||, subtracted in a type in which the factor is exact."""
    kind = np.result_type(wide(u.dtype), u.dtype, v.dtype)
    scale = kind.type(factor if kind.kind == "c" else factor.real)
    gaps = (norm(a.astype(kind) - scale * b.astype(kind)) for a, b in _blocks(u, v))
    return math.hypot(*gaps)


def _blocks(u: Array, v: Array) -> Iterator[tuple[Array, Array]]:
    u, v = u.ravel(), v.ravel()
    for start in range(0, u.size, BLOCK):
        yield u[start : start + BLOCK], v[start : start + BLOCK]


def wide_dot(u: Array, v: Array) -> Any:
    """sum of u v for real arrays, pairwise within blocks, in the wider type of the two."""
    kind = np.promote_types(wide(u.dtype), wide(v.dtype)).type
    return sum((np.sum(np.multiply(a, b, dtype=kind)) for a, b in _blocks(u, v)), start=kind(0))


def integer_dot(u: Array, v: Array) -> Any:
    """sum of u v for real arrays, exact where both hold integers; a wrong adjoint may not."""
    if not (is_integral(u) and is_integral(v)):
        return wide_dot(u, v)
    if u.size == 0:
        return 0
    largest = int(np.abs(u).max()) * int(np.abs(v).max()) * u.size
    kind = np.int64 if largest < 2**62 else object
    return int(np.sum(u.ravel().astype(np.int64).astype(kind) * v.ravel().astype(np.int64).astype(kind)))


def inner(u: Array, v: Array, dot: Callable[[Array, Array], Any] = wide_dot) -> tuple[Any, Any]:
    """<u, v> = sum of conj(u) v, as (real, imaginary) in the type that `dot` sums in."""
    (a, b), (c, d) = parts(u), parts(v)
    real = dot(a, c) if b is None or d is None else dot(a, c) + dot(b, d)
    imaginary = (0 if d is None else dot(a, d)) - (0 if b is None else dot(b, c))
    return real, imaginary


def parts(x: Array) -> tuple[Array, Array | None]:
    """Real and imaginary part, None for that of a real array."""
    return np.real(x), np.imag(x) if is_complex(x.dtype) else None


def is_integral(x: Array) -> bool:
    return all(part is None or np.array_equal(part, np.rint(part)) for part in parts(x))


def generator(rng: Any) -> np.random.Generator:
    """The random generator that `rng` is or seeds."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as refusal:
        raise GeometryError(
            f"rng must be an int of at least 0, a numpy.random.Generator, or None for another one every time, got "
            f"{rng!r} ({refusal})"
        ) from None


@dataclass(frozen=True)
class Gaussian:
    """Gaussian vectors, in both parts where complex, on a grid coarse enough that 3 x and x + y are exact."""

    rng: np.random.Generator
    dtype: DType

    dot = staticmethod(wide_dot)

    @property
    def real_dtype(self) -> DType:
        return precision(self.dtype).dtype

    @property
    def spread(self) -> float:
        """Root-mean-square size of an entry."""
        return math.sqrt(2.0) if is_complex(self.dtype) else 1.0

    def draw(self, shape: tuple[int, ...]) -> Array:
        if not is_complex(self.dtype):
            return self._part(shape)
        z = np.empty(shape, np.result_type(self.real_dtype, np.complex64))
        z.real, z.imag = self._part(shape), self._part(shape)
        return z

    def _part(self, shape: tuple[int, ...]) -> Array:
        steps = 2.0 ** (2 * precision(self.dtype).nmant // 3)
        return (np.rint(self.rng.standard_normal(shape) * steps) / steps).astype(self.real_dtype)


@dataclass(frozen=True)
class Integers(Gaussian):
    """Small Gaussian integers, on which an operator with integer entries makes no rounding error."""

    dot = staticmethod(integer_dot)

    def _part(self, shape: tuple[int, ...]) -> Array:
        return np.clip(np.rint(2.0 * self.rng.standard_normal(shape)), -7, 7).astype(self.real_dtype)

    def require_exact(self, result: Array) -> None:
        """Refuse outcomes of the forward map that are no integers, or that integers cannot reach exactly."""
        if not is_integral(result):
            raise GeometryError(
                f"exact=True needs an operator with integer entries, applied by a method that makes no rounding "
                f"error; this {self.dtype} operator answers integers with fractions. Round or rescale the kernel, "
                f"or check with exact=False"
            )
        limit = 2.0 ** (precision(result.dtype).nmant - 2)  # partial sums may be larger than their total
        if result.size and np.abs(result).max() > limit:
            raise GeometryError(
                f"exact=True needs results below {limit:.0f}, the integers {result.dtype} holds with room for "
                f"partial sums; the largest here is {np.abs(result).max():.3g}. Use float64 or smaller entries"
            )

    def require_unrounded(self, result: Array) -> None:
        """Refuse outcomes of the adjoint that are integers but for rounding; other fractions are its fault."""
        if is_integral(result):
            return
        if all(part is None or np.allclose(part, np.rint(part), rtol=0, atol=1e-3) for part in parts(result)):
            raise GeometryError(
                "exact=True needs an adjoint that makes no rounding error on integers; this one, by FFT perhaps, "
                "answers with integers only to rounding. Check with exact=False"
            )
