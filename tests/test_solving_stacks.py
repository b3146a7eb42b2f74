"""Stacks of convolutions with several modes and boundaries: one torus serves all of them, or another method does."""

import itertools

import numpy as np
import oracle
import pytest
from solving_cases import Draws

import convop

DRAWS = Draws(np.random.default_rng(12))
draw, blur = DRAWS.array, DRAWS.blur
SHAPE = (13, 17)  # sizes of which neither is a fast one
KINDS = {
    "valid": {"mode": "valid"},
    "full": {"mode": "full"},
    "same": {},
    "periodic": {"boundary": "periodic"},
    "periodic on one axis": {"boundary": ("periodic", "zero")},
    "symmetric": {"boundary": "symmetric"},
}


def stack(*names, dtype="float64"):
    kernels = [blur((4, 3), dtype) for _ in names]
    A = convop.vstack([convop.Convolution(h, SHAPE, **KINDS[name]) for h, name in zip(kernels, names, strict=True)])
    matrices = [oracle.convolution_matrix(h, SHAPE, **KINDS[name]) for h, name in zip(kernels, names, strict=True)]
    return A, np.concatenate(matrices)


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize("names", list(itertools.permutations(KINDS, 2)), ids=", ".join)
def test_is_the_dense_solution(names, dtype):
    A, matrix = stack(*names, dtype=dtype)
    b = draw((2, *A.out_shape), dtype)
    found = convop.solve(A, b, alpha=0.1, tol=1e-11)
    want = np.linalg.solve(matrix.conj().T @ matrix + 0.1 * np.eye(221), matrix.conj().T @ b.reshape(2, -1).T).T
    assert found.status == "converged"
    assert "took over" not in found.reason
    assert np.linalg.norm(found.x.reshape(2, -1) - want) <= 1e-8 * np.linalg.norm(want)


@pytest.mark.parametrize("options", [{"nonneg": True}, {"prior": "l1"}], ids=["nonneg", "l1"])
@pytest.mark.parametrize("names", list(itertools.permutations(["valid", "full", "periodic"], 2)), ids=", ".join)
def test_priors_find_the_same_by_any_method(names, options):
    A, _ = stack(*names)
    b = draw(A.out_shape)
    found, want = (convop.solve(A, b, alpha=0.1, tol=1e-7, method=name, **options) for name in ("auto", "krylov"))
    assert found.status == want.status == "converged"
    assert np.linalg.norm(found.x - want.x) <= 1e-4 * np.linalg.norm(want.x)


@pytest.mark.parametrize("method", ["pinned", "same"])
def test_a_method_says_which_axis_is_torn(method):
    A, _ = stack("full", "periodic")
    with pytest.raises(convop.GeometryError, match="axis 0 is periodic for some rows and ends for others"):
        convop.solve(A, draw(A.out_shape), alpha=0.1, method=method)
