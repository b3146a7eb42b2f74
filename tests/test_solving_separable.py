"""Separable kernels against dense normal equations: every boundary, mode and stride, complex first."""

import numpy as np
import oracle
import pytest
from cases import array

import convop
from convop.solving import separable
from convop.solving.problem import Problem


def outer(taps, dtype="complex128"):
    kernel = np.ones((), dtype)
    for seed, count in enumerate(taps):
        kernel = np.multiply.outer(kernel, array(count, dtype, seed + count))
    return kernel


CASES = {
    **{f"{name}, even taps": ((4, 3), (6, 7), {"boundary": name}) for name in oracle.BOUNDARIES},
    **{f"{name}, odd stride": ((3, 4), (8, 7), {"boundary": name, "stride": (3, 1)}) for name in oracle.BOUNDARIES},
    "per side": ((4, 3), (6, 7), {"boundary": (("mirror", "zero"), ("replicate", "symmetric"))}),
    "full": ((4, 2), (5, 6), {"mode": "full"}),
    "valid": ((4, 3), (9, 7), {"mode": "valid"}),
    "valid, dilated, strided": ((3, 2), (9, 8), {"mode": "valid", "dilation": (2, 3), "stride": (1, 2)}),
    "off centre": ((4, 3), (6, 7), {"center": (3, 0)}),
    "longer than the array": ((9, 3), (4, 6), {"boundary": "antireflective"}),
    "three axes": ((2, 3, 2), (4, 5, 3), {"boundary": ("mirror", "zero", "periodic"), "stride": (1, 2, 1)}),
    "one axis": ((5,), (11,), {}),
    "one tap on an axis": ((1, 4), (5, 6), {"boundary": "replicate"}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["complex128", "float64", "float32"])
def test_against_dense_normal_equations(name, dtype):
    taps, shape, options = CASES[name]
    kernel = outer(taps, dtype)
    A, matrix = convop.Convolution(kernel, shape, **options), oracle.convolution_matrix(kernel, shape, **options)
    b = array((2, 3, *A.out_shape), dtype, 5)
    scale, tolerance = np.linalg.norm(matrix, 2) ** 2, 2e-4 if dtype == "float32" else 1e-9
    for alpha in (1e-1, 1e-3):
        gram = matrix.conj().T @ matrix + alpha * scale * np.eye(matrix.shape[1])
        want = np.linalg.solve(gram, matrix.conj().T @ b.reshape(6, -1).T).T
        found = convop.solve(A, b, alpha=alpha * scale, method="separable", tol=10 * float(np.finfo(dtype).eps))
        assert found.method == "separable"
        assert found.x.shape == (2, 3, *shape)
        assert found.x.dtype == dtype
        assert oracle.error(found.x.reshape(6, -1), want) < tolerance
        assert dtype == "float32" or found.status == "converged"


@pytest.mark.parametrize("options", [{"boundary": "mirror"}, {"mode": "valid"}, {"mode": "full"}, {"stride": 2}])
def test_least_norm(options):
    kernel = outer((3, 2))
    A = convop.Convolution(kernel, (7, 6), **options)
    b = array(A.out_shape, "complex128", 5)
    want = np.linalg.pinv(oracle.convolution_matrix(kernel, (7, 6), **options)) @ b.ravel()
    assert oracle.error(convop.solve(A, b, alpha=0, method="separable").x.ravel(), want) < 1e-9


def test_directions_that_nothing_determines():
    """A box as wide as a period maps many directions to zero: the solution of least norm has nothing of them."""
    kernel = np.ones((4, 3))
    A = convop.Convolution(kernel, (8, 9), boundary="periodic")
    matrix = oracle.convolution_matrix(kernel, (8, 9), boundary="periodic")
    b = array(A.out_shape, "float64", 5)
    found = convop.solve(A, b, alpha=0, method="separable")
    assert oracle.error(found.x.ravel(), np.linalg.pinv(matrix, rcond=1e-10) @ b.ravel()) < 1e-9


def test_complex_data_of_a_real_kernel_and_a_channel_axis():
    kernel = outer((3, 4), "float64")
    A = convop.Convolution(kernel, (6, 7), boundary="mirror")
    lifted = convop.conv_layer(np.flip(kernel)[None, None], (1, 6, 7), padding=((1, 1), (2, 1)), boundary="mirror")
    b = array(A.out_shape, "complex128", 5)
    found = convop.solve(A, b, alpha=0.1, method="separable", tol=1e-12)
    parts = [convop.solve(A, part, alpha=0.1, method="separable", tol=1e-12).x for part in (b.real, b.imag)]
    assert np.allclose(found.x, parts[0] + 1j * parts[1])
    assert np.allclose(convop.solve(lifted, b[None], alpha=0.1, method="separable", tol=1e-12).x[0], found.x)


@pytest.mark.parametrize(
    ("options", "chosen"),
    [({"boundary": "mirror"}, "separable"), ({"boundary": "periodic"}, "diagonal"), ({"mode": "valid"}, "frame")],
)
def test_where_it_is_chosen(options, chosen):
    A = convop.Convolution(convop.psf.gaussian(5, 1.0), (12, 14), **options)
    assert convop.solve(A, array(A.out_shape), alpha=1e-3).method == chosen


def test_what_keeps_it_from_serving():
    def obstacle(A, L=None):
        return separable.obstacle(Problem(A, L))

    plain = convop.Convolution(outer((3, 3)), (5, 6))
    assert obstacle(plain) is None
    assert obstacle(convop.Convolution(outer((3, 3), "float32"), (5, 6))) is None
    assert "regularizer" in obstacle(plain, convop.gradient((5, 6)))
    assert "no product" in obstacle(convop.Convolution(convop.psf.disk(2), (7, 8)))
    nearly = outer((3, 3), "float64")
    nearly[0, 0] *= 1 + 1e-12
    assert "no product" in obstacle(convop.Convolution(nearly, (5, 6)))
    assert "mixes channels" in obstacle(convop.conv_layer(array((2, 1, 3, 3)), (1, 5, 6)))
    assert "no Convolution" in obstacle(convop.Select((5, 6), np.s_[1:]) @ plain)
    assert "take too long" in obstacle(convop.Convolution(outer((1, 3)), (5, 10**6)))
    with pytest.raises(convop.GeometryError, match=r"'separable' cannot serve here.*no product"):
        convop.solve(convop.Convolution(convop.psf.disk(2), (7, 8)), np.ones((7, 8)), alpha=1.0, method="separable")
