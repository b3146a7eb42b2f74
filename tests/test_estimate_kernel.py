"""`estimate_kernel` against dense least squares, and back and forth with `deconvolve`."""

import numpy as np
import oracle
import pytest
import scipy.optimize
from cases import array

import convop


@pytest.mark.parametrize(
    ("taps", "shape", "dtype"),
    [
        ((3, 4), (14, 15), "complex128"), ((2, 5), (16, 12), "float64"), ((6,), (60,), "complex128"),
        ((2, 3, 2), (7, 8, 6), "float64"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("valid", [True, False])
def test_least_squares(taps, shape, dtype, valid):
    sharp = array(shape, dtype, 1)
    seen = tuple(n - k + 1 for n, k in zip(shape, taps, strict=True))
    blurred = array(seen if valid else shape, dtype, 2)
    found = convop.estimate_kernel(sharp, blurred, taps, tol=1e-12).x
    columns = []
    for tap in np.ndindex(taps):  # a kernel of one tap each, by the oracle's loops
        unit = np.zeros(taps)
        unit[tap] = 1
        columns.append(oracle.convolution_matrix(unit, shape, mode="valid") @ sharp.ravel())
    start = [k - 1 - (k - 1) // 2 for k in taps]
    frame = tuple(slice(s, s + m) for s, m in zip(start, seen, strict=True))
    b = blurred if valid else blurred[frame]
    dense = np.linalg.lstsq(np.array(columns).T, b.ravel(), rcond=None)[0].reshape(taps)
    np.testing.assert_allclose(found, dense, rtol=0, atol=1e-7 * abs(dense).max())


@pytest.mark.parametrize("boundary", ["unknown", "zero", "mirror"])
@pytest.mark.parametrize("center", [None, (0, 3)])
def test_the_kernel_comes_back_in_its_place(boundary, center):
    scene, kernel = array((25, 30), seed=3), array((3, 4), seed=4)
    made = convop.Convolution(
        kernel, scene.shape, boundary="zero" if boundary == "unknown" else boundary, center=center
    )
    solution = convop.estimate_kernel(scene, made(scene), (3, 4), boundary=boundary, center=center, tol=1e-9)
    np.testing.assert_allclose(solution.x, kernel, atol=1e-6)
    assert solution.alpha == 0


def test_many_pictures_share_a_kernel_and_noise_averages_out():
    scenes, kernel = array((6, 25, 30), seed=3), convop.psf.gaussian(5, 1.0)
    A = convop.Convolution(kernel, (25, 30), mode="valid")
    noisy = A(scenes) + 0.1 * array((6, 21, 26), seed=5)
    one = convop.estimate_kernel(scenes[0], noisy[0], 5).x
    all_six = convop.estimate_kernel(scenes, noisy, (5, 5)).x
    assert np.linalg.norm(all_six - kernel) < 0.7 * np.linalg.norm(one - kernel)


def test_nonnegative_kernels_are_those_of_scipy():
    sharp = array((18, 20), seed=1)
    U = convop.Convolution(np.zeros((4, 3)), sharp.shape, mode="valid").kernel_operator(sharp)
    blurred = array(U.out_shape, seed=2)
    found = convop.estimate_kernel(sharp, blurred, (4, 3), nonneg=True, tol=1e-10)
    dense, _ = scipy.optimize.nnls(U.toarray(), blurred.ravel())
    assert 0 < np.count_nonzero(dense) < 12
    np.testing.assert_allclose(found.x, dense.reshape(4, 3), atol=1e-5)
    assert found.x.min() >= 0


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_penalties_are_those_of_the_whole_problem(dtype):
    sharp, blurred = array((16, 17), dtype, 1), array((13, 15), dtype, 2)
    U = convop.Convolution(np.zeros((4, 3), dtype), sharp.shape, mode="valid").kernel_operator(sharp)
    found = convop.estimate_kernel(sharp, blurred, (4, 3), prior="l1", alpha=2.0, tol=1e-10).x
    whole = convop.solve(U, blurred, prior="l1", alpha=2.0, tol=1e-10).x
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert convop.estimate_kernel(sharp, blurred, (4, 3), prior="tv", alpha=5.0).x.shape == (4, 3)


def test_what_is_estimated_deconvolves():
    scene, kernel = array((40, 42), seed=3), np.random.default_rng(0).random((4, 3))
    kernel[1, 1] += 8
    blurred = convop.Convolution(kernel, scene.shape, mode="valid")(scene)
    found = convop.estimate_kernel(scene, blurred, (4, 3)).x
    x = convop.deconvolve(blurred, found, prior="tikhonov", alpha=1e-8).x
    inside = (slice(8, -8), slice(8, -8))
    assert abs(x - scene[2:-1, 1:-1])[inside].max() < 0.02


@pytest.mark.parametrize(
    ("sharp", "blurred", "size", "said"),
    [
        ((20, 20), (20, 19), 3, "needed \\(20, 20\\)"),
        ((20, 20), (20, 20), (3, 3, 3), "has 3 axes"),
        ((20, 20), (20, 20), 21, "larger than the pictures"),
        ((20, 20), (20, 20), 0, "at least 1"),
    ],
)
def test_refusals_teach(sharp, blurred, size, said):
    with pytest.raises((convop.GeometryError, convop.ShapeError), match=said):
        convop.estimate_kernel(np.ones(sharp), np.ones(blurred), size)
