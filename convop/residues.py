"""Whether sums of products of floats are zero, exactly: floats are integers times powers of two, also modulo a prime.

A number that is zero is zero modulo every prime; an integer below `2**digits` that is zero modulo primes whose product
is larger is zero (the Chinese remainder theorem). Residues are kept in float64, where sums of products of small
integers are exact, and those of complex numbers as Gaussian integers.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .dtypes import Array

MANTISSA = 53
LARGEST, SMALLEST = 20, 10  # binary digits of the primes


def digits_of_primes(terms: float) -> int:
    """Binary digits of primes for which float64 holds a sum of so many products of two residues, complex ones too."""
    return min(int(MANTISSA - 1 - math.log2(max(terms, 1))) // 2, LARGEST)


def primes_for(digits: float, terms: float) -> Iterator[int]:
    """Primes enough that an integer below `2**digits` is zero if it is zero modulo each of them."""
    for prime in _primes(digits_of_primes(terms)):
        yield prime
        digits -= math.log2(prime)
        if digits < 0:
            return


def _primes(size: int) -> Iterator[int]:
    """Those of so many binary digits or fewer, the largest first."""
    return (p for p in range(2**size - 1, 2, -2) if all(p % q for q in range(3, math.isqrt(p) + 1, 2)))


def reduced(values: Array, prime: int) -> Array:
    """Integers, held as floats, modulo a prime."""
    parts = np.ascontiguousarray(values).view(np.float64)
    return np.mod(parts, prime).view(values.dtype)


def residues(values: Array, prime: int) -> Array:
    """Each value modulo a prime; a negative power of two is the inverse of a power of two there."""
    wide = np.ascontiguousarray(values, np.result_type(values.dtype, np.float64))
    mantissa, exponent = _integers(wide)
    distinct, which = np.unique(exponent, return_inverse=True)
    powers = np.array([pow(2, int(each), prime) for each in distinct], np.int64)
    parts = mantissa % prime * powers[which].reshape(mantissa.shape) % prime
    return parts.astype(np.float64).view(wide.dtype)


def digits(values: Array) -> float:
    """The binary digits that a sum of all the values has, at most, each taken as an integer of one common unit."""
    wide = np.ascontiguousarray(values, np.result_type(values.dtype, np.float64))
    mantissa, exponent = _integers(wide)
    lowest = mantissa & -mantissa  # the last binary digit that is not zero
    if not lowest.any():
        return 0.0
    some = lowest > 0
    unit = (np.log2(lowest[some]) + exponent[some]).min()
    largest = (np.log2(np.abs(mantissa[some])) + exponent[some]).max()
    return float(largest - unit + math.log2(mantissa.size) + 1)


def _integers(wide: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Floats, or parts of complex ones, as integers and the powers of two they are multiplied by."""
    mantissa, exponent = np.frexp(wide.view(np.float64))
    return np.ldexp(mantissa, MANTISSA).astype(np.int64), exponent.astype(np.int64) - MANTISSA
