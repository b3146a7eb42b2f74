"""Data in any units: the solution in those units, and the same residual and bound."""

import numpy as np
import pytest
from solving_cases import Draws

import convop
from convop.solving.normal import units

DRAWS = Draws(np.random.default_rng(14))
draw = DRAWS.array
UNITS = (
    [("f", u) for u in (1e-30, 1e-15, 1e15, 1e30)] + [("d", u) for u in (1e-300, 1e-160, 1e160, 1e300)] + [("F", 1e20)]
)


def blurred(mode, code, shape=(61, 58)):
    h = convop.psf.gaussian(9, 1.5) * (1 + 0.2j if code in "FD" else 1)
    return convop.Convolution(h.astype(code), shape, mode=mode)


@pytest.mark.parametrize("tensors", [False, True], ids=["arrays", "tensors"])
@pytest.mark.parametrize(("code", "unit"), UNITS)
@pytest.mark.parametrize("mode", ["valid", "full", "same"])
def test_any_units(mode, code, unit, tensors):
    A = blurred(mode, code)
    b = draw((3, *A.out_shape), code)
    b[1] = 0
    far = b.copy()
    far[2] *= np.array(unit, far.real.dtype)  # the others stay as they are
    torch = pytest.importorskip("torch") if tensors else None
    given = torch.from_numpy(far) if torch else far
    want, found = convop.solve(A, b, alpha=0.05, tol=1e-5), convop.solve(A, given, alpha=0.05, tol=1e-5)
    assert found.status == "converged"
    x, bound = (np.asarray(each) for each in (found.x, found.error_bound))
    assert not x[1].any()
    for item, scale in ((0, 1.0), (2, unit)):
        error = np.linalg.norm(x[item].astype("D") / scale - want.x[item].astype("D"))
        assert error <= 1e-3 * np.linalg.norm(want.x[item])
        assert 1e-9 < bound[item] < 1e-3 or (mode == "same" and 0 < bound[item] < 1e-3)


def test_a_start_and_iterates_are_in_the_units_of_the_data():
    A, seen = blurred("valid", "d"), []
    b = draw((2, *A.out_shape)) * np.array([1e-200, 1e200]).reshape(2, 1, 1)
    first = convop.solve(A, b, alpha=0.05, tol=1e-3)
    again = convop.solve(A, b, alpha=0.05, tol=1e-10, x0=first.x, callback=lambda progress: seen.append(progress.x))
    want = convop.solve(A, b, alpha=0.05, tol=1e-10)
    assert 0 < again.iterations < want.iterations
    for x in (again.x, seen[-1]):
        for item, scale in ((0, 1e-200), (1, 1e200)):
            assert np.linalg.norm((x[item] - want.x[item]) / scale) <= 1e-6 * np.linalg.norm(want.x[item] / scale)


def test_gradients_are_in_the_units_of_what_comes_back():
    torch = pytest.importorskip("torch")
    A = blurred("valid", "d", (20, 19))
    b, weight = torch.from_numpy(draw(A.out_shape)).requires_grad_(), torch.from_numpy(draw(A.in_shape))
    x = convop.solve(A, b, alpha=0.05, tol=1e-11).x
    (near,) = torch.autograd.grad((weight * x).sum(), b, retain_graph=True)
    (far,) = torch.autograd.grad((1e-200 * weight * x).sum(), b)
    assert torch.linalg.norm(far * 1e200 - near) <= 1e-8 * torch.linalg.norm(near)


@pytest.mark.parametrize("code", ["f", "d"])
def test_units_are_powers_of_two(code):
    tiny, most = np.finfo(code).smallest_subnormal, np.finfo(code).max
    largest = np.array([0, 1, 1e-6, 1e6, 3e7, 1e-9, tiny, most], code)
    found = units(largest)
    assert found.dtype == code
    assert (np.frexp(found)[0] == 0.5).all()
    assert (found[:4] == 1).all()
    assert ((largest[4:] / found[4:] >= 1) & (largest[4:] / found[4:] < 2)).all()
