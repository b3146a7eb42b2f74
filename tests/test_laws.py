"""Laws that every operator keeps, over all cases: those of `convop.testing`, and what only a case can know."""

import numpy as np
import pytest
from cases import CASES
from oracle import error

import convop
from convop import testing
from convop.testing.agreement import tolerance


@pytest.fixture(params=CASES, ids=repr)
def case(request):
    return request.param


@pytest.mark.parametrize("law", testing.LAWS, ids=lambda law: law.__name__)
def test_law(law, case):
    about_kernels = law.__name__ in ("with_its_own_kernel", "methods_agree")
    if about_kernels and not isinstance(case.operator, convop.Convolution):
        with pytest.raises(testing.NotApplicable, match="has no"):
            law(case.operator, case.matrix)
    else:
        law(case.operator, case.matrix)


def test_shapes(case):
    operator = case.operator
    assert isinstance(operator, convop.Operator)
    assert (operator.in_shape, operator.out_shape) == (case.in_shape, case.out_shape)
    assert operator.shape == case.matrix.shape


def test_it_is_known_whether_a_matrix_can_be_assembled(case):
    assert case.operator.explicit is case.assembles


def test_matrices_against_the_oracle(case):
    """The one comparison that the laws' own machinery has no part in."""
    tol = tolerance(case.operator.dtype)
    assert tol == 256 * np.finfo(case.operator.dtype).eps
    assert error(case.operator.toarray(), case.matrix) <= tol
    assert error(case.operator.H.toarray(), case.matrix.conj().T) <= tol
    if case.assembles:
        assert error(case.operator.tosparse().toarray(), case.matrix) <= tol


def test_the_kernel_is_read_only(case):
    if not isinstance(case.operator, convop.Convolution):
        pytest.skip("has no kernel")
    again = case.operator.with_kernel(case.operator.kernel)
    assert np.array_equal(again.toarray(), case.operator.toarray())
    with pytest.raises(ValueError, match="read-only"):
        case.operator.kernel[...] = 0


def test_there_are_enough_cases():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
