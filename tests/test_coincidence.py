"""Products that are one convolution for the values in their kernels alone, against dense matrices.

Small arrays, kernels of -1, 0 and 1, all boundaries on either side: about one pair in eleven is one convolution that no
rule knows of. `measure_fusing.py --coincidences` takes thousands.
"""

import coincidences
import numpy as np
import pytest

import convop
from convop import residues
from convop.coincidence import LOOK


def test_one_convolution_whenever_that_is_exact():
    found = coincidences.counts(250, seed=0)
    assert found["missed"] == 0
    assert found["by values"] > 10
    assert found["apart"] > 50


@pytest.mark.parametrize("seed", range(3))
def test_explain_counts_exactly_the_rows_that_differ(seed):
    found = coincidences.counts(100, seed=10 + seed)
    assert found["rows right"] == found["apart"]
    assert found["ends right"] == found["apart, one axis"]


def test_a_difference_that_copies_make_zero():
    """Copies have no differences: zeros follow, as the outer operator takes them."""
    outer = convop.Convolution([-1.0, 1.0], 10, center=0)
    inner = convop.Convolution([1.0, -1.0], 10, boundary="replicate", center=0)
    product = outer @ inner
    assert isinstance(product, convop.Convolution)
    assert np.array_equal(product.toarray(), outer.toarray() @ inner.toarray())
    assert "values in the kernels" in str(convop.explain(product))


@pytest.mark.parametrize(
    ("kernel", "one"),
    [([0.25, 0.75, -1.0], True), ([0.25, 0.75, -1.0 + 2.0**-52], False), ([0.3, 0.7, -1.0], False)],
)
def test_nearly_is_not_exactly(kernel, one):
    """0.3 + 0.7 is 1.0 in floating point, but the two floats do not add up to 1."""
    outer = convop.Convolution([-1.0, 1.0], 10, center=0)
    product = outer @ convop.Convolution(kernel, 10, boundary="replicate", center=0)
    assert isinstance(product, convop.Convolution) == one
    if not one:
        (seam,) = convop.explain(product).seams
        assert "1 of 10" in seam.reason
        assert seam.axes[0].rows == (1, 0)


def test_rows_that_differ_by_next_to_nothing_are_counted():
    outer = convop.Convolution([1.0, 1e-100], 6, center=0)
    inner = convop.Convolution([1e-100, 1.0], 6, center=1)
    (seam,) = convop.explain(outer @ inner).seams
    assert np.array_equal(np.flatnonzero(seam.rows), [0])
    assert seam.axes[0].rows == (1, 0)


def test_what_cannot_be_proved_stays_lazy_and_says_so():
    """Kernels over more digits than are proved: lazy, and no row is said to differ by more than rounding."""
    outer = convop.Convolution([-1e-300, 1e-300], 10, center=0)
    inner = convop.Convolution([1e300, 1e-300, -1e300, -1e-300], 10, boundary="replicate", center=0)
    product = outer @ inner
    assert isinstance(product, convop.Product)
    assert "too far apart" in convop.explain(product).seams[0].reason


def test_residues_of_sums_of_products():
    """Against Python's integers: fractions of powers of two, complex, of very different sizes."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(30) * 2.0 ** rng.integers(-40, 40, 30) for _ in range(2))
    values = a + 1j * b
    for prime in list(residues.primes_for(100, 30)):
        got = residues.reduced(residues.residues(values, prime) * residues.residues(values.conj(), prime), prime)
        want = [_modulo(x, prime) ** 2 + _modulo(y, prime) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True)]
        assert np.array_equal(got.real, np.array(want) % prime)
        assert not got.imag.any()


def _modulo(value, prime):
    numerator, denominator = value.as_integer_ratio()
    return numerator * pow(denominator, -1, prime)


def test_digits_bound_the_sum():
    rng = np.random.default_rng(1)
    for values in (
        rng.standard_normal(50),
        rng.integers(-9, 10, 50).astype(float),
        np.array([1e-30, 1e30]),
        np.zeros(3),
    ):
        parts = [value.as_integer_ratio() for value in np.abs(values).tolist()]
        unit = max(denominator for _, denominator in parts)
        total = sum(numerator * unit // denominator for numerator, denominator in parts)
        assert total <= 2 ** residues.digits(values)


def test_long_kernels_are_not_looked_at_for_long():
    """The cost of looking is bounded: large kernels are told apart at a glance, or left as they are."""
    rng = np.random.default_rng(2)
    big = convop.Convolution(rng.standard_normal((41, 41)), (200, 200))
    assert isinstance(big @ big, convop.Product)
    assert LOOK < 1e9
