"""`estimate_kernel` against dense least squares, and back and forth with `deconvolve`."""

import numpy as np
import oracle
import pytest
import scipy.optimize
from cases import array

import convop
from convop.solving.few_taps import normal_matrix


def matrix(sharp, taps, **options):
    """What a picture, or a batch of pictures, makes of kernels of one tap each, by the oracle's loops."""
    shape = sharp.shape[sharp.ndim - len(taps) :]
    columns = []
    for tap in np.ndindex(taps):
        unit = np.zeros(taps)
        unit[tap] = 1
        dense = oracle.convolution_matrix(unit, shape, **{"mode": "valid", **options})
        columns.append((sharp.reshape(-1, dense.shape[1]) @ dense.T).ravel())
    return np.array(columns).T


def differences(name, taps):
    """Of neighbouring taps, by loops: along each axis, with none across the edges."""
    count = int(np.prod(taps))
    number = np.arange(count).reshape(taps)
    rows = []
    for axis in range(len(taps)):
        for before, after in zip(
            number.take(range(taps[axis] - 1), axis).ravel(),
            number.take(range(1, taps[axis]), axis).ravel(),
            strict=True,
        ):
            rows.append(np.eye(count)[after] - np.eye(count)[before])
    gradient = np.array(rows)
    return gradient if name == "gradient" else gradient.T @ gradient


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
    start = [k - 1 - (k - 1) // 2 for k in taps]
    frame = tuple(slice(s, s + m) for s, m in zip(start, seen, strict=True))
    b = blurred if valid else blurred[frame]
    dense = np.linalg.lstsq(matrix(sharp, taps), b.ravel(), rcond=None)[0].reshape(taps)
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


RULED = [((4, 3), (13, 15), "complex128"), ((2, 5), (3, 12, 9), "float64"), ((6,), (60,), "complex128")]


@pytest.mark.parametrize("regularizer", [None, "gradient", "laplacian", "operator"])
@pytest.mark.parametrize(("taps", "shape", "dtype"), RULED)
def test_penalties_are_those_of_dense_normal_equations(taps, shape, dtype, regularizer):
    sharp = array(shape, dtype, 1)
    U = matrix(sharp, taps)
    seen = (*shape[: len(shape) - len(taps)], *(n - k + 1 for n, k in zip(shape[-len(taps) :], taps, strict=True)))
    blurred = array(seen, dtype, 2)
    if regularizer == "operator":
        given = convop.Convolution(array((2,) * len(taps), dtype, 3), taps, mode="full")
        L = oracle.convolution_matrix(given.kernel, taps, mode="full")
    else:
        given, L = regularizer, np.eye(U.shape[1]) if regularizer is None else differences(regularizer, taps)
    solution = convop.estimate_kernel(sharp, blurred, taps, alpha=7.0, regularizer=given, tol=1e-12)
    dense = np.linalg.solve(U.conj().T @ U + 7.0 * L.conj().T @ L, U.conj().T @ blurred.ravel())
    assert solution.method == "taps"
    np.testing.assert_allclose(solution.x.ravel(), dense, rtol=0, atol=1e-9 * abs(dense).max())


@pytest.mark.parametrize("rule", ["gcv", "upre", "discrepancy"])
@pytest.mark.parametrize("regularizer", [None, "gradient"])
@pytest.mark.parametrize(("taps", "shape", "dtype"), RULED)
def test_rules_are_those_of_the_dense_influence_matrix(taps, shape, dtype, rule, regularizer):
    sharp, kernel = array(shape, dtype, 1), array(taps, dtype, 4)
    U = matrix(sharp, taps)
    seen = (*shape[: len(shape) - len(taps)], *(n - k + 1 for n, k in zip(shape[-len(taps) :], taps, strict=True)))
    added = 3 * array(seen, dtype, 5)
    noise = 1.1 * np.linalg.norm(added) / added.size**0.5
    blurred = (U @ kernel.ravel()).reshape(seen) + added
    chosen = convop.estimate_kernel(sharp, blurred, taps, alpha=rule, noise=noise, regularizer=regularizer)
    L = np.eye(U.shape[1]) if regularizer is None else differences(regularizer, taps)

    def score(alpha):
        H = U @ np.linalg.solve(U.conj().T @ U + alpha * L.conj().T @ L, U.conj().T)
        left = np.linalg.norm(blurred.ravel() - H @ blurred.ravel()) ** 2
        freedom = len(H) - np.trace(H).real
        if rule == "discrepancy":
            return abs(left / (noise**2 * len(H)) - 1)
        return left / freedom**2 if rule == "gcv" else left - 2 * noise**2 * freedom

    around = [score(chosen.alpha * f) for f in (0.01, 0.3, 0.8, 1.25, 3.0, 100.0)]
    assert score(chosen.alpha) < min(around)
    assert "in closed form" in chosen.reason
    again = convop.estimate_kernel(sharp, blurred, taps, alpha=float(chosen.alpha), regularizer=regularizer)
    np.testing.assert_allclose(chosen.x, again.x, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["complex128", "complex64", "float64"])
@pytest.mark.parametrize(
    ("taps", "shape", "options"),
    [
        ((3, 4), (14, 15), {}), ((4, 2), (2, 11, 9), {"boundary": "mirror"}), ((7,), (9,), {"mode": "valid"}),
        ((2, 3, 2), (7, 8, 6), {"mode": "valid"}), ((4, 6), (3, 5, 6), {"mode": "full"}), ((1, 1), (4, 3), {}),
    ],
)  # fmt: skip
def test_sums_of_products_are_the_normal_matrix(taps, shape, options, dtype):
    sharp = array(shape, dtype, 1)
    A = convop.Convolution(np.zeros(taps, dtype), shape[len(shape) - len(taps) :], **options)
    found = normal_matrix(A.kernel_operator(sharp))
    U = matrix(sharp.astype(np.result_type(dtype, np.float64)), taps, **{"mode": "same", **options})
    np.testing.assert_allclose(found, U.conj().T @ U, rtol=0, atol=1e-12 * abs(found).max())


def test_a_layer_with_holes_is_a_map_of_its_taps_as_well():
    layer = convop.conv_layer(np.zeros((1, 1, 3, 2)), (1, 12, 11), dilation=(2, 3))
    U = layer.kernel_operator(array((2, 1, 12, 11), seed=1))
    dense = U.toarray()
    np.testing.assert_allclose(
        normal_matrix(U), dense.T @ dense, rtol=0, atol=1e-12 * abs(dense).max() ** 2 * len(dense)
    )


def test_kernels_that_mix_channels_or_have_strides_are_left_to_others():
    layer = convop.conv_layer(np.zeros((2, 3, 3, 2)), (3, 8, 9))
    strided = convop.conv_layer(np.zeros((1, 1, 3, 2)), (1, 8, 9), stride=2)
    for A in (layer, strided):
        U = A.kernel_operator(array(A.in_shape, seed=1))
        with pytest.raises(convop.GeometryError, match="'taps' cannot serve"):
            convop.solve(U, array(U.out_shape, seed=2), alpha=1.0, method="taps")
        b = array(U.out_shape, seed=2)
        dense = np.linalg.solve(
            U.H(U(np.eye(U.shape[1]).reshape(-1, *U.in_shape))).reshape(2 * [U.shape[1]]).T + np.eye(U.shape[1]),
            U.H(b).ravel(),
        )
        np.testing.assert_allclose(convop.solve(U, b, alpha=1.0, tol=1e-10).x.ravel(), dense, atol=1e-8)


def test_what_nothing_determines_is_zero():
    """A constant picture tells the sum of the kernel only: of all kernels the one of least norm is even."""
    found = convop.estimate_kernel(np.full((9, 8), 2.0), np.full((9, 8), 6.0), (2, 3))
    np.testing.assert_allclose(found.x, np.full((2, 3), 0.5), atol=1e-9)
    assert found.status == "converged"
