"""Layers: exact singular values with their own padding and stride, clipped spectra, orthogonal layers."""

import numpy as np
import oracle
import pytest
from cases import array

import convop
from convop.spectrum.layers import periodic


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 3, 3, 3), {"padding": 1}),
        ((4, 3, 3, 2), {"padding": ((1, 0), (1, 1)), "stride": (2, 1)}),
        ((6, 2, 3, 3), {"padding": 1, "groups": 2, "boundary": "mirror"}),
        ((5, 4, 1, 1), {}),
    ],
)
def test_singular_values_of_layers_as_they_are(shape, options):
    weight = array(shape, "complex128")
    in_shape = (shape[1] * options.get("groups", 1), 5, 6)
    matrix = oracle.layer_matrix(weight, in_shape, **options)
    values = convop.svdvals(convop.conv_layer(weight, in_shape, **options))
    assert np.allclose(values, np.linalg.svd(matrix, compute_uv=False), atol=1e-12)


LAYERS = {
    "plain": ((4, 3, 3, 3), (3, 6, 8), {"padding": 1}),
    "even kernel": ((3, 3, 2, 4), (3, 6, 5), {"padding": ((1, 0), (1, 2))}),
    "strided": ((8, 3, 3, 3), (3, 6, 8), {"padding": 1, "stride": (2, 1)}),
    "grouped": ((4, 2, 3, 3), (4, 6, 6), {"padding": 1, "groups": 2}),
    "dilated": ((3, 3, 3), (3, 9), {"padding": 2, "dilation": 2}),
}


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_clipped_layers_keep_bound_and_support(name, dtype):
    shape, in_shape, options = LAYERS[name]
    A = convop.conv_layer(array(shape, dtype), in_shape, **options)
    bound = 0.6 * convop.norm(periodic(A))
    clipped = convop.spectrum.clip(A, bound)
    assert clipped.kernel.shape == A.kernel.shape
    assert clipped.geometry == A.geometry
    assert clipped.dtype == A.dtype
    around = oracle.layer_matrix(clipped.kernel, in_shape, boundary="periodic", **options)
    assert np.linalg.norm(around, 2) <= bound * (1 + 10 * np.finfo(dtype).eps)
    assert np.linalg.norm(around, 2) >= 0.99 * bound
    # Closer than the layer that is scaled down to the bound.
    assert np.linalg.norm(clipped.kernel - A.kernel) < np.linalg.norm(0.4 * A.kernel)


def test_clipping_is_nearest_where_kernels_fill_the_array():
    """Without a smaller support, one projection is the nearest matrix within the bound, in the Frobenius norm."""
    A = convop.conv_layer(array((2, 2, 4, 5)), (2, 4, 5), padding=((1, 2), (2, 2)), boundary="periodic")
    clipped = convop.spectrum.clip(A, 3.0, tol=1e-9)
    u, s, vh = np.linalg.svd(A.toarray())
    assert np.allclose(clipped.toarray(), (u * np.minimum(s, 3.0)) @ vh, atol=1e-7)


def test_what_is_within_the_bound_stays():
    A = convop.conv_layer(array((2, 2, 3)), (2, 8), padding=1)
    assert np.array_equal(convop.spectrum.clip(A, 100).kernel, A.kernel)


def test_zero_padding_exceeds_the_bound_by_little():
    A = convop.conv_layer(array((4, 4, 3, 3)), (4, 16, 16), padding=1)
    clipped = convop.spectrum.clip(A, 2.0)
    assert convop.norm(clipped) < convop.norm_bounds(clipped).upper < 2.1


def test_clip_says_what_it_needs():
    A = convop.conv_layer(array((2, 2, 3)), (2, 8), padding=1)
    with pytest.raises(convop.GeometryError, match="greater than 0"):
        convop.spectrum.clip(A, 0)
    with pytest.raises(convop.GeometryError, match="Convolution"):
        convop.spectrum.clip(convop.Identity(4), 1)
    with pytest.raises(convop.GeometryError, match="larger array"):
        convop.spectrum.clip(convop.conv_layer(array((2, 2, 5)), (2, 3), padding=2), 1)
    with pytest.raises(convop.GeometryError, match="one turn"):
        convop.spectrum.clip(convop.conv_layer(array((2, 2, 3)), (2, 8), padding=0), 1)
    with pytest.raises(convop.NotConverged, match="maxiter"):
        convop.spectrum.clip(A, 0.1, maxiter=1, tol=1e-9)


@pytest.mark.parametrize(("c_out", "c_in"), [(3, 3), (5, 2), (2, 5)])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_nearest_orthogonal_layer(c_out, c_in, dtype):
    A = convop.conv_layer(
        array((c_out, c_in, 3, 2), dtype), (c_in, 4, 5), padding=((1, 1), (1, 0)), boundary="periodic"
    )
    Q = convop.spectrum.nearest_orthogonal(A)
    u, _, vh = np.linalg.svd(A.toarray(), full_matrices=False)
    assert np.allclose(Q.toarray(), u @ vh, atol=1e-12)  # the polar factor of the matrix
    assert Q.dtype == dtype
    assert np.allclose(convop.svdvals(Q), 1)
    assert np.allclose(Q.convolution().toarray(), Q.toarray(), atol=1e-12)


def test_singular_layers_have_no_nearest_orthogonal_one():
    with pytest.raises(convop.GeometryError, match="singular"):
        convop.spectrum.nearest_orthogonal(convop.Convolution([1.0, -1.0], 8, boundary="periodic"))
