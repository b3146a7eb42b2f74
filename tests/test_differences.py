"""Gradient and Laplacian against numpy and scipy.ndimage."""

import numpy as np
import oracle
import pytest
import scipy.ndimage
import test_laws
from cases import Case, array
from oracle import error

import convop
from convop import testing

SHAPES = ((7,), (5, 6), (3, 4, 2), (2, 3, 2, 4))
NDIMAGE = {"zero": "constant", "periodic": "wrap", "symmetric": "reflect", "mirror": "mirror", "replicate": "nearest"}


def gradient(x, boundary):
    """Forward differences by numpy: pad one sample at the end of an axis, and `numpy.diff`."""
    results = []
    for axis, names in enumerate(oracle.per_side(boundary, x.ndim)):
        widths = [(0, int(i == axis)) for i in range(x.ndim)]
        results.append(np.diff(np.pad(x, widths, **oracle.PAD_MODE[names[1]]), axis=axis))
    return np.stack(results)


def laplacian(x, boundary):
    total = np.zeros_like(x)
    for axis, names in enumerate(oracle.per_side(boundary, x.ndim)):
        rows = oracle.extension_matrix(x.shape[axis], 1, 1, *names)
        total += np.moveaxis(np.diff(rows, n=2, axis=0) @ np.moveaxis(x, axis, -2), -2, axis) if x.ndim > 1 else (
            np.diff(rows, n=2, axis=0) @ x
        )  # fmt: skip
    return total


def matrix(function, shape, boundary):
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return np.stack([function(unit, boundary).ravel() for unit in units], axis=1)


CASES = []
for shape, boundary in (
    ((7,), "symmetric"),
    ((5, 6), "antireflective"),
    ((3, 4), ("periodic", ("mirror", "zero"))),
    ((3, 1, 2), "replicate"),
):
    for make, function, out in (
        (convop.gradient, gradient, (len(shape), *shape)),
        (convop.laplacian, laplacian, shape),
    ):
        CASES.append(
            Case(
                f"{function.__name__} {shape} {boundary}",
                lambda make=make, shape=shape, boundary=boundary: make(shape, boundary),
                lambda function=function, shape=shape, boundary=boundary: matrix(function, shape, boundary),
                shape,
                out,
            )
        )


@pytest.mark.parametrize("law", testing.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_laws_hold(case, law):
    test_laws.test_law(law, case)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_gradient(shape, boundary):
    x = array(shape, "complex128")
    D = convop.gradient(shape, boundary)
    assert D.out_shape == (len(shape), *shape)
    assert error(D(x), gradient(x, boundary)) <= 1e-14
    assert np.array_equal(D.toarray(), matrix(gradient, shape, boundary))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_laplacian(shape, boundary):
    x = array(shape, "float64")
    L = convop.laplacian(shape, boundary)
    assert isinstance(L, convop.Convolution)
    assert np.count_nonzero(L.kernel) == 2 * len(shape) + 1
    assert np.array_equal(L.toarray(), matrix(laplacian, shape, boundary))
    if boundary in NDIMAGE:
        assert error(L(x), scipy.ndimage.laplace(x, mode=NDIMAGE[boundary])) <= 1e-13


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("boundary", ["periodic", "symmetric", "replicate"])
def test_laplacian_is_minus_gradient_adjoint_gradient(shape, boundary):
    """Where forward and backward differences meet at the edge as if the array went on."""
    D, L = convop.gradient(shape, boundary), convop.laplacian(shape, boundary)
    assert np.array_equal((D.H @ D).toarray(), -L.toarray())


def test_types():
    assert convop.gradient(5).dtype == convop.laplacian(5).dtype == np.float32
    assert convop.gradient((3, 4), dtype="complex64").dtype == np.complex64
    assert convop.laplacian((3, 4), dtype=float).dtype == np.float64
    assert convop.gradient((3, 4))(np.zeros((3, 4), "float32")).dtype == np.float32
    assert convop.gradient((3, 4))(np.zeros((3, 4))).dtype == np.float64


def test_the_gradient_is_a_stack_of_convolutions():
    D = convop.gradient((3, 4, 5), "mirror")
    assert [type(block) for _, _, block in D.blocks] == [convop.Convolution] * 3
    assert repr(D).startswith("<Vertical stack of 3: 3x4x5 -> 3x3x4x5")
    constant = np.ones((3, 4, 5))
    assert not convop.gradient((3, 4, 5))(constant).any()
    assert not convop.laplacian((3, 4, 5))(constant).any()


@pytest.mark.parametrize("make", [convop.gradient, convop.laplacian])
@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (((3, 1), "mirror"), convop.GeometryError),
        (((3, 2), "reflect"), convop.GeometryError),
        (((3, 0),), convop.GeometryError),
        (((3, 2), ("zero",)), convop.GeometryError),
        (((3, 2), "zero", "int32"), convop.DTypeError),
    ],
)
def test_refusals(make, arguments, kind):
    with pytest.raises(kind):
        make(*arguments)
