"""`deconvolve`: the picture comes back, in its place, its type and its axes."""

from dataclasses import replace

import numpy as np
import oracle
import pytest
from cases import array

import convop
from convop.solving.deconvolution_weight import Probe, _windows
from convop.solving.door import ADVICE


def blurred(kernel, scene):
    """What is seen of the scene, tap by tap."""
    shape = tuple(n - k + 1 for n, k in zip(scene.shape, kernel.shape, strict=True))
    total = np.zeros(shape, np.result_type(kernel, scene))
    for tap in np.ndindex(kernel.shape):
        start = [k - 1 - t for k, t in zip(kernel.shape, tap, strict=True)]
        total += kernel[tap] * scene[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))]
    return total


def shown(kernel_shape, scene, center=None):
    """The part of the scene that the kernel's middle passes over."""
    center = center or [(k - 1) // 2 for k in kernel_shape]
    pairs = zip(kernel_shape, center, scene.shape, strict=True)
    return scene[tuple(slice(k - 1 - c, n - c) for k, c, n in pairs)]


def checks(shape, side=6):
    """Even patches, which every prior likes."""
    levels = np.random.default_rng(3).uniform(0, 1, tuple(-(-n // side) for n in shape))
    for axis, n in enumerate(shape):
        levels = np.repeat(levels, side, axis).take(np.arange(n), axis)
    return levels


def tikhonov(kernel, b, alpha):
    """The scene by dense normal equations, with the differences of neighbours as penalty."""
    scene_shape = tuple(n + k - 1 for n, k in zip(b.shape, kernel.shape, strict=True))
    A = oracle.convolution_matrix(kernel, scene_shape, mode="valid")
    places = np.arange(np.prod(scene_shape)).reshape(scene_shape)
    rows = []
    for axis, n in enumerate(scene_shape):
        first, second = (places.take(np.arange(*ends), axis).ravel() for ends in ((0, n - 1), (1, n)))
        D = np.zeros((len(first), places.size))
        D[np.arange(len(first)), first], D[np.arange(len(first)), second] = -1, 1
        rows.append(D)
    L = np.vstack(rows)
    return np.linalg.solve(A.conj().T @ A + alpha * L.T @ L, A.conj().T @ b.ravel()).reshape(scene_shape)


@pytest.mark.parametrize(
    ("taps", "shape", "dtype"),
    [
        ((3, 4), (11, 9), "complex128"), ((4, 2), (8, 13), "float64"), ((5,), (30,), "complex128"),
        ((2, 3, 2), (5, 6, 4), "float64"),
    ],
)  # fmt: skip
def test_it_is_the_minimiser_in_the_frame(taps, shape, dtype):
    kernel, b = array(taps, dtype, 1), array(shape, dtype, 2)
    solution = convop.deconvolve(b, kernel, prior="tikhonov", alpha=0.1, tol=1e-12)
    dense = tikhonov(kernel, b, 0.1)
    np.testing.assert_allclose(solution.scene, dense, rtol=0, atol=1e-8 * abs(dense).max())
    np.testing.assert_array_equal(solution.x, shown(taps, solution.scene))
    assert solution.x.shape == shape
    assert solution.status == "converged"


@pytest.mark.parametrize("center", [None, 0, (2, 1), (0, 3)])
@pytest.mark.parametrize("taps", [(3, 4), (4, 5)])
def test_the_picture_stays_in_its_place(taps, center):
    scene = checks((40, 46), 8)
    kernel = np.random.default_rng(0).random(taps)
    kernel[1, 2] += 2 * kernel.sum()  # most of the light at once, so that nothing is ambiguous
    place = (0, 0) if center == 0 else center
    solution = convop.deconvolve(blurred(kernel, scene), kernel, center=center, prior="tikhonov", alpha=1e-6)
    sharp = shown(taps, scene, place)
    inside = (slice(5, -5), slice(5, -5))
    assert abs(solution.x - sharp)[inside].max() < 0.05
    assert solution.x.shape == sharp.shape


@pytest.mark.parametrize("boundary", ["periodic", "symmetric"])
def test_a_named_boundary(boundary):
    kernel = convop.psf.gaussian(5, 0.8)
    A = convop.Convolution(kernel, (30, 32), boundary=boundary)
    scene = checks((30, 32))
    solution = convop.deconvolve(A(scene), kernel, boundary=boundary, prior="tikhonov", alpha=1e-9)
    assert abs(solution.x - scene).max() < 0.01
    np.testing.assert_array_equal(solution.x, solution.scene)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int64", ">u2", "float32", "float16", "float64", ">f4"])
def test_types_are_kept(dtype):
    scene = checks((40, 44))
    high = 200 if np.dtype(dtype).kind in "iu" else 1
    kernel = convop.psf.disk(2)
    image = blurred(kernel, high * scene)
    image = (np.rint(image) if high > 1 else image).astype(dtype)
    solution = convop.deconvolve(image, kernel, prior="tikhonov", alpha=1e-4, tol=1e-4)
    assert solution.x.dtype == np.dtype(dtype).newbyteorder("=")
    assert solution.x.shape == image.shape
    assert solution.scene.dtype == ("float64" if np.dtype(dtype).kind in "iu" or dtype == "float64" else "float32")
    frame = shown(kernel.shape, solution.scene)
    if high > 1:
        limits = np.iinfo(dtype)
        np.testing.assert_array_equal(solution.x, np.clip(np.rint(frame), limits.min, limits.max))
    else:
        np.testing.assert_array_equal(solution.x, frame.astype(solution.x.dtype))


def test_integers_are_clipped_not_wrapped():
    dots = np.zeros((40, 40))
    dots[10:30:5, 10:30:5] = 255
    dots[:3] = 255
    image = np.rint(blurred(convop.psf.gaussian(5, 1.0), dots)).astype(np.uint8)
    solution = convop.deconvolve(image, convop.psf.gaussian(5, 1.0), prior="tikhonov", alpha=1e-6)
    assert solution.scene.min() < -1
    assert solution.scene.max() > 255.5
    assert abs(solution.x.astype(int) - dots[2:-2, 2:-2])[3:-3, 3:-3].mean() < 20


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int8"])
def test_the_ends_of_a_type_are_reached(dtype):
    limits = np.iinfo(dtype)
    extremes = np.array([limits.max, limits.min, limits.max, 0] * 8, dtype)
    options = {"prior": "tikhonov", "regularizer": convop.Identity(32), "alpha": 0, "boundary": "periodic"}
    brighter = convop.deconvolve(extremes, [0.5], **options).x
    assert brighter.dtype == dtype
    assert brighter[0] == brighter[2] == limits.max
    assert brighter[1] == limits.min or dtype == "uint64"  # 0 is not clipped, and the transforms round
    halved = convop.deconvolve(extremes, [2.0], **options).x
    np.testing.assert_allclose(halved.astype(float), extremes / 2.0, atol=1e-15 * limits.max + 1)


def test_channels_and_stacks_are_items_of_a_batch():
    scene = checks((4, 3, 30, 28))
    kernel = convop.psf.gaussian(5, 1.0)
    A = convop.Convolution(kernel, (30, 28), mode="valid")
    images = A(scene)
    options = {"prior": "tikhonov", "alpha": 1e-3, "tol": 1e-10}
    single = np.array([[convop.deconvolve(each, kernel, **options).x for each in row] for row in images])
    stack = convop.deconvolve(images, kernel, **options)
    np.testing.assert_allclose(stack.x, single, atol=1e-7)
    assert stack.scene.shape == (4, 3, 30, 28)
    colours = convop.deconvolve(np.moveaxis(images, 1, -1), kernel, channel_axis=-1, **options)
    np.testing.assert_allclose(colours.x, np.moveaxis(single, 1, -1), atol=1e-7)
    assert colours.scene.shape == (4, 30, 28, 3)


def test_a_kernel_for_each_channel():
    scene = checks((30, 28, 3))
    kernels = np.stack([np.random.default_rng(c).random((4, 3)) for c in range(3)], axis=1)
    kernels /= kernels.sum((0, 2), keepdims=True)
    image = np.stack([blurred(kernels[:, c], scene[..., c]) for c in range(3)], axis=1)
    solution = convop.deconvolve(image, kernels, channel_axis=1, prior="tikhonov", alpha=1e-4)
    for c in range(3):
        alone = convop.deconvolve(image[:, c], kernels[:, c], prior="tikhonov", alpha=1e-4)
        np.testing.assert_allclose(solution.x[:, c], alone.x)
        np.testing.assert_allclose(solution.scene[:, c], alone.scene)
    np.testing.assert_array_equal(solution.alpha, [1e-4] * 3)
    assert solution.x.shape == image.shape


def test_reason_tells_what_was_chosen():
    image = blurred(np.full((3, 3), 0.2), checks((20, 20)))
    reason = convop.deconvolve(image, np.full((3, 3), 0.2), prior="tikhonov", alpha=0.1).reason
    assert "sums to 1.8, not 1" in reason
    assert "regularizer 'gradient'" in reason
    assert "sums to" not in convop.deconvolve(image, np.full((3, 3), 1 / 9), prior="tikhonov", alpha=0.1).reason


@pytest.mark.parametrize(
    ("image", "kernel", "options", "said"),
    [
        (np.full((9, 9), np.nan), np.ones((3, 3)), {}, "81 samples that are NaN"),
        (np.ones((5, 20)), np.ones((7, 3)), {}, "larger than the picture"),
        (np.ones((40, 40, 3)), np.ones((3, 3)), {}, "channel_axis=-1"),
        (np.ones((40, 40, 3)), np.ones((3, 3)), {"channel_axis": 3}, "none of the 3 axes"),
        (np.ones((40, 40, 3)), np.ones((3, 3, 2)), {"channel_axis": -1}, "one kernel for each channel"),
        (np.ones(40), np.ones((3, 3)), {}, "one axis for each axis"),
        (np.ones((40, 40)), np.zeros((3, 3)), {}, "zero everywhere"),
        (np.ones((40, 40)), np.full((3, 3), np.inf), {}, "NaN or inf"),
        (np.ones((40, 40)), np.ones((3, 3)), {"center": 3}, "lies outside the kernel"),
        (np.ones((40, 40)), np.ones((3, 3)), {"boundary": "reflect"}, "two meanings"),
        (np.ones((0, 40)), np.ones((3, 3)), {}, "is empty"),
        (np.ones((40, 40)), np.ones((3, 3)), {"prior": "wavelet"}, "unknown prior"),
    ],
)  # fmt: skip
def test_refusals_teach(image, kernel, options, said):
    with pytest.raises((convop.GeometryError, convop.ShapeError), match=said):
        convop.deconvolve(image, kernel, **options)


# What is chosen where nothing is asked for.


def noisy(shape=(40, 44), kernel=None, noise=0.01, seed=0):
    """A scene of even patches and what is recorded of it."""
    kernel = convop.psf.disk(2.5) if kernel is None else kernel
    scene = checks(tuple(n + k - 1 for n, k in zip(shape, kernel.shape, strict=True)), 9)
    b = blurred(kernel, scene) + noise * np.random.default_rng(seed).standard_normal(shape)
    return shown(kernel.shape, scene), b, kernel


def error(x, sharp):
    return float(np.sqrt(np.mean((x - sharp) ** 2)))


@pytest.mark.parametrize("options", [{}, {"noise": 0.01}])
def test_the_defaults_are_near_the_best(options):
    sharp, b, kernel = noisy()
    solution = convop.deconvolve(b, kernel, **options)
    tried = [error(convop.deconvolve(b, kernel, alpha=f * solution.alpha).x, sharp) for f in (0.2, 0.5, 2, 5)]
    smooth = [error(convop.deconvolve(b, kernel, prior="tikhonov", alpha=a).x, sharp) for a in np.logspace(-5, 0, 6)]
    assert error(solution.x, sharp) < 10 ** (1.5 / 20) * min(tried)  # photographs come nearer than even patches
    assert error(solution.x, sharp) < 0.8 * min(smooth) < 0.8 * error(b, sharp)
    for said in ("prior 'tv'", "alpha by", "total variation"):
        assert said in solution.reason


def test_alpha_follows_the_units():
    _, b, kernel = noisy((32, 30))
    here, there = (convop.deconvolve(scale * b, kernel).alpha for scale in (1.0, 255.0))
    assert there == pytest.approx(255 * here, rel=1e-3)


def test_degrees_of_freedom_are_those_of_the_dense_matrix():
    rng, kernel = np.random.default_rng(0), array((3, 4), seed=5)
    b = rng.standard_normal((1, 26, 25))
    probe = Probe.of(kernel, b)
    alpha = 0.3
    x = convop.solve(probe.A, probe.b, alpha=alpha, tol=1e-10).x
    A = oracle.convolution_matrix(kernel, probe.A.in_shape, mode="valid")
    influence = A @ np.linalg.solve(A.T @ A + alpha * np.eye(A.shape[1]), A.T)
    left, freedom = np.linalg.norm(b.ravel() - influence @ b.ravel()) ** 2, np.trace(influence)
    found = (probe.risk(x, 1.0) - left) / 2
    # The deviation of the estimate of Hutchinson, with signs as probes.
    deviation = np.sqrt(2 * (np.linalg.norm(influence) ** 2 - np.linalg.norm(np.diag(influence)) ** 2))
    assert abs(found - freedom) < 3 * deviation < 0.3 * freedom
    assert probe.risk(x, None) == pytest.approx(left / (b.size - found) ** 2)


def test_large_pictures_are_seen_through_windows():
    picture = np.arange(300 * 150).reshape(1, 300, 150)
    first, second = _windows(picture, (5, 5))
    assert first.shape == second.shape == (128, 150)
    assert first[0, 0] == picture[0, 11, 0]
    assert second[-1, -1] == picture[0, 300 - 12, -1]
    assert _windows(picture[:, :180], (5, 5)) is not None
    assert _windows(picture[:, :180], (5, 5)).shape == (1, 180, 150)
    assert _windows(np.zeros((3, 400, 400)), (50, 50)).shape == (3, 200, 200)


def test_alpha_is_one_for_each_picture_of_a_stack_and_all_its_channels():
    calm, rough = noisy(noise=0.003)[1], noisy(noise=0.05)[1]
    kernel = noisy()[2]
    stack = np.stack([np.stack([calm, 0.9 * calm], -1), np.stack([rough, 0.9 * rough], -1)])
    solution = convop.deconvolve(stack, kernel, channel_axis=-1)
    assert solution.x.shape == stack.shape
    assert solution.alpha.shape == (2, 2)  # channels first
    np.testing.assert_array_equal(solution.alpha[0], solution.alpha[1])
    assert solution.alpha[0, 1] > 3 * solution.alpha[0, 0]
    alone = convop.deconvolve(stack[1], kernel, channel_axis=-1)
    np.testing.assert_allclose(alone.x, solution.x[1])


@pytest.mark.parametrize("shape", [(200,), (15, 14, 12)])
def test_signals_and_volumes(shape):
    kernel = np.ones((3,) * len(shape)) / 3 ** len(shape)
    sharp, b, _ = noisy(shape, kernel, noise=0.005)
    solution = convop.deconvolve(b, kernel)
    assert error(solution.x, sharp) < 0.7 * error(b, sharp)


def test_complex_pictures():
    kernel = array((3, 3), "complex128", 1)
    kernel[1, 1] += 4
    scene = checks((34, 38), 9) + 1j * checks((38, 34), 9).T
    b = blurred(kernel, scene) + 0.02 * array((32, 36), "complex128", 2)
    solution = convop.deconvolve(b, kernel)
    assert error(abs(solution.x - shown((3, 3), scene)), 0) < 0.05


def test_a_constant_picture_stays():
    solution = convop.deconvolve(np.full((30, 30), 7, np.uint8), convop.psf.disk(2))
    assert (solution.x == 7).all()


class Interrupted:
    """`solve` for the windows, interrupted at some call."""

    def __init__(self, at):
        self.calls, self.at = 0, at

    def __call__(self, *arguments, **options):
        self.calls += 1
        solution = convop.solve(*arguments, **options)
        return replace(solution, reason=ADVICE["interrupted"]) if self.calls == self.at else solution


@pytest.mark.parametrize("call", [1, 3])
def test_ctrl_c_while_alpha_is_sought(monkeypatch, call):
    """An estimate for the best alpha so far; pictures whose turn did not come stay as they are."""
    sharp, b, kernel = noisy((30, 30))
    monkeypatch.setattr("convop.solving.deconvolution_weight.solve", Interrupted(call))
    solution = convop.deconvolve(b, kernel)
    assert solution.status == "max_iterations"
    assert ADVICE["interrupted"] in solution.reason
    assert solution.alpha > 0
    assert error(solution.x, sharp) < error(b, sharp)
    stack = np.stack([np.stack([b, 0.5 * b], -1)] * 3)
    monkeypatch.setattr("convop.solving.deconvolution_weight.solve", Interrupted(call))
    several = convop.deconvolve(stack, kernel, channel_axis=-1, center=(1, 3))
    assert several.x.shape == stack.shape
    assert ADVICE["interrupted"] in several.reason
    assert not np.array_equal(several.x[0], stack[0])
    assert np.array_equal(several.x[1:], stack[1:])
    assert np.isnan(several.alpha[:, 1:]).all()


def test_ctrl_c_in_one_picture_of_a_stack_ends_all():
    _, b, kernel = noisy((30, 30))
    calls = []

    def interrupt(progress):
        calls.append(progress.iteration)
        raise KeyboardInterrupt

    for options in ({}, {"prior": "tikhonov"}):
        calls.clear()
        found = convop.deconvolve(np.stack([b] * 3), kernel, callback=interrupt, tol=1e-9, **options)
        assert len(calls) == 1
        assert ADVICE["interrupted"] in found.reason
    calls.clear()
    kernels = np.stack([kernel] * 2, -1)
    found = convop.deconvolve(np.stack([b] * 2, -1), kernels, channel_axis=-1, callback=interrupt, tol=1e-9)
    assert len(calls) == 1
    assert np.array_equal(found.x[..., 1], b)


def test_other_priors_and_bounds():
    sharp, b, kernel = noisy(noise=0.003)
    dark = b - b.min() + 0.001
    poisson = convop.deconvolve(dark, kernel, prior="poisson", maxiter=30)
    assert poisson.scene.min() >= 0
    assert error(poisson.x, sharp - b.min()) < error(dark, sharp - b.min())
    spikes = np.zeros((40, 44))
    spikes[10::12, 9::13] = 1.0
    seen = blurred(kernel, spikes)
    found = convop.deconvolve(seen - 0.001, kernel, prior="l1", alpha=1e-4, nonneg=True)
    assert found.scene.min() >= 0
    assert error(found.x, shown(kernel.shape, spikes)) < 0.2 * error(seen, shown(kernel.shape, spikes))


def test_progress_is_drawn(capsys):
    _, b, kernel = noisy((24, 24))
    convop.deconvolve(b, kernel, progress=True)
    drawn = capsys.readouterr().err
    assert "choosing alpha" in drawn
    assert "solving" in drawn


def test_the_benchmark_runs(capsys):
    pytest.importorskip("skimage")
    from benchmarks.deblurring import main

    assert main(["--quick"]) == 0
    lead = next(line for line in capsys.readouterr().out.splitlines() if "PSNR inside" in line)
    assert float(lead.split("least ")[1].split(",")[0]) > 0.5


def psnr(x, sharp):
    return 20 * np.log10(np.ptp(sharp) / np.sqrt(np.mean((x - sharp) ** 2)))


@pytest.fixture(scope="module")
def smooth_noise():
    """A blurred picture whose noise has no fine part, as a JPEG's or a smoothed picture's; kernel and scene."""
    kernel = convop.psf.gaussian(13, 2)
    scene = 255 * checks((140, 131), 9)
    noise = np.random.default_rng(2).standard_normal((128, 119))
    soft = convop.Convolution(convop.psf.gaussian(7, 0.8), noise.shape, boundary="symmetric")(noise)
    return blurred(kernel, scene) + soft, kernel, shown(kernel.shape, scene)


def test_noise_that_is_not_white_is_not_fitted(smooth_noise):
    b, kernel, sharp = smooth_noise
    solution = convop.deconvolve(b, kernel)
    assert "as if noise were not white" in solution.reason
    assert psnr(solution.x, sharp) > psnr(b, sharp) + 3


def test_without_noise_cross_validation_is_trusted():
    kernel = convop.psf.gaussian(13, 2)
    scene = 255 * checks((140, 131), 9)
    b, sharp = blurred(kernel, scene), shown(kernel.shape, scene)
    solution = convop.deconvolve(b, kernel)
    assert "not white" not in solution.reason
    assert psnr(solution.x, sharp) > psnr(b, sharp) + 10


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_the_unit_of_a_kernel_is_that_of_the_estimate(factor):
    sharp, b, kernel = noisy(noise=0.01)
    want, found = convop.deconvolve(b, kernel), convop.deconvolve(b, kernel * factor)
    assert found.alpha == pytest.approx(want.alpha * factor, rel=0.05)
    assert psnr(found.x * factor, sharp) == pytest.approx(psnr(want.x, sharp), abs=0.3)


def test_windows_are_where_the_picture_is():
    picture = np.zeros((1, 512, 512))
    picture[0, 210:310, 205:300] = 1 + checks((100, 95))
    for window in _windows(picture, (5, 5)):
        assert window.shape == (128, 128)
        assert np.count_nonzero(window) > 0.4 * 100 * 95
    crowded = picture + checks((512, 512))
    assert np.array_equal(_windows(crowded, (5, 5))[0], crowded[0, 64:192, 64:192])


def test_rules_by_name_where_probes_choose():
    _, b, kernel = noisy(noise=0.02)
    automatic = convop.deconvolve(b, kernel)
    named = convop.deconvolve(b, kernel, prior="tv", alpha="gcv", noise=5.0)  # which has no say in it
    assert named.alpha == automatic.alpha
    assert np.array_equal(named.x, automatic.x)  # to the same tolerance, too
    told, seen = (convop.deconvolve(b, kernel, alpha="upre", noise=noise) for noise in (0.02, None))
    assert told.alpha == convop.deconvolve(b, kernel, noise=0.02).alpha
    assert seen.alpha == pytest.approx(told.alpha, rel=0.5)
    with pytest.raises(convop.GeometryError, match="lcurve"):
        convop.deconvolve(b, kernel, alpha="lcurve")


def test_a_start_for_the_picture_is_none_for_the_windows():
    _, b, kernel = noisy(noise=0.02)
    solution = convop.deconvolve(b, kernel, x0=np.pad(b, 2, mode="edge"))
    assert solution.alpha == convop.deconvolve(b, kernel).alpha


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"noise": 0}, "noise=0 says"),
        ({"noise": "x"}, "noise"),
        ({"noise": -1}, "noise"),
        ({"callback": 3}, "callback"),
    ],
)
def test_options_are_looked_at_before_anything_is_computed(options, said):
    with pytest.raises(convop.GeometryError, match=said):
        convop.deconvolve(np.ones((30, 30)), np.full((3, 3), 1 / 9), **options)
