"""Point-spread functions against oracles that share no code with them."""

import math

import numpy as np
import pytest

from convop import GeometryError, psf

ALL = {
    "gaussian": lambda: psf.gaussian(9, 1.5),
    "gaussian even": lambda: psf.gaussian((8, 6), (1.5, 0.7)),
    "gaussian 3-D": lambda: psf.gaussian((5, 7, 4), 1.2),
    "gaussian tiny": lambda: psf.gaussian(4, 1e-3),
    "moffat": lambda: psf.moffat(15, 3.0, 2.5),
    "moffat even": lambda: psf.moffat((4, 6), 3.0, 4.765),
    "disk": lambda: psf.disk(3.7),
    "disk in one pixel": lambda: psf.disk(0.2),
    "motion": lambda: psf.motion(12.5, 30),
    "motion in one pixel": lambda: psf.motion(0.1, 10),
}


@pytest.fixture(params=ALL, name="kernel")
def one_kernel(request):
    return ALL[request.param]()


def supersampled(inside, half, per_pixel=200):
    """Share of each pixel's sample points that lie inside, x to the right and y upwards."""
    side = 2 * half + 1
    points = (np.arange(side * per_pixel) + 0.5) / per_pixel - half - 0.5
    mask = inside(points[None, :], -points[:, None])
    area = mask.reshape(side, per_pixel, side, per_pixel).mean(axis=(1, 3))
    return area / area.sum()


def test_sums_to_one_in_float64(kernel):
    assert kernel.dtype == np.float64
    assert kernel.sum() == pytest.approx(1, abs=4e-16 * kernel.size)
    assert kernel.min() >= 0


def test_is_symmetric_about_its_middle_to_the_last_bit(kernel):
    np.testing.assert_array_equal(kernel, np.flip(kernel))


@pytest.mark.parametrize("size", [(7,), (6,), (5, 8), (3, 4, 5)])
def test_gaussian_is_the_normal_density(size):
    stats = pytest.importorskip("scipy.stats")
    sigmas = np.linspace(0.8, 2.0, len(size))
    expected = np.ones(())
    for n, sigma in zip(size, sigmas, strict=True):
        samples = stats.norm.pdf(np.arange(n), loc=(n - 1) / 2, scale=sigma)
        expected = np.multiply.outer(expected, samples / samples.sum())
    np.testing.assert_allclose(psf.gaussian(size, tuple(sigmas)), expected, rtol=1e-13)


def test_gaussian_of_an_int_is_square():
    np.testing.assert_array_equal(psf.gaussian(5, 1.0), psf.gaussian((5, 5), (1.0, 1.0)))


@pytest.mark.parametrize("beta", [1.5, 2.5, 4.765])
def test_moffat_falls_to_half_at_half_its_width_and_as_a_power_beyond(beta):
    star = psf.moffat((1, 4001), fwhm=10, beta=beta)[0]
    middle = star[2000]
    assert star[2005] / middle == pytest.approx(0.5, rel=1e-12)
    assert math.log(star[4000] / star[3000], 2) == pytest.approx(-2 * beta, rel=1e-3)


@pytest.mark.parametrize("radius", [0.5, 0.6, 1, 2.5, 3, 4.3])
def test_disk_is_the_area_covered(radius):
    kernel = psf.disk(radius)
    expected = supersampled(lambda x, y: x**2 + y**2 <= radius**2, half=kernel.shape[0] // 2)
    np.testing.assert_allclose(kernel, expected, atol=2e-4)
    assert kernel[kernel.shape[0] // 2].max() == kernel.max()
    assert kernel[0].sum() > 0


def test_disk_area_is_exact():
    whole = psf.disk(6.25)
    assert 1 / whole[6, 6] == pytest.approx(math.pi * 6.25**2, rel=1e-14)
    np.testing.assert_array_equal(whole, whole.T)


@pytest.mark.parametrize(
    ("length", "angle"), [(5, 0), (5, 30), (6.5, -77), (9, 45), (2, 90), (7, 180), (3, 123), (0.2, 33), (40, 1)]
)
def test_motion_is_the_area_of_the_track(length, angle):
    kernel = psf.motion(length, angle)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def inside(x, y):
        return (abs(x * cosine + y * sine) <= length / 2) & (abs(y * cosine - x * sine) <= 0.5)

    expected = supersampled(inside, half=kernel.shape[0] // 2)
    np.testing.assert_allclose(kernel, expected, atol=2e-4)


@pytest.mark.parametrize("length", [1, 3, 9])
@pytest.mark.parametrize("angle", [0, 90, 180, -90, 360])
def test_motion_along_an_axis_is_equal_pixels(length, angle):
    expected = np.zeros((length, length))
    line = expected[length // 2] if angle % 180 == 0 else expected[:, length // 2]
    line[:] = 1 / length
    np.testing.assert_allclose(psf.motion(length, angle), expected, atol=1e-15)


@pytest.mark.parametrize("angle", [10, 37.5, 60, 135, 300])
def test_motion_turns_counter_clockwise_and_its_spread_points_along_the_angle(angle):
    kernel = psf.motion(31, angle)
    half = kernel.shape[0] // 2
    x, y = np.arange(-half, half + 1)[None, :], -np.arange(-half, half + 1)[:, None]
    moments = [[(kernel * x * x).sum(), (kernel * x * y).sum()], [(kernel * x * y).sum(), (kernel * y * y).sum()]]
    longest = np.linalg.eigh(moments)[1][:, -1]
    difference = (math.degrees(math.atan2(longest[1], longest[0])) - angle + 90) % 180 - 90
    assert abs(difference) < 0.02


@pytest.mark.parametrize("length", [1.2, 5, 8])
def test_motion_turned_by_a_right_angle_is_the_kernel_turned(length):
    for angle in (0.0, 17.0, 45.0):
        np.testing.assert_allclose(psf.motion(length, angle + 90), np.rot90(psf.motion(length, angle)), atol=1e-14)


def test_motion_and_disk_have_the_smallest_odd_square_that_holds_them():
    assert psf.motion(9, 0).shape == (9, 9)
    assert psf.motion(9.1, 0).shape == (11, 11)
    assert psf.disk(2.5).shape == (5, 5)
    assert psf.disk(2.51).shape == (7, 7)
    for kernel in (psf.motion(14, 25), psf.disk(4.2)):
        assert kernel[[0, -1]].sum() + kernel[:, [0, -1]].sum() > 0


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (lambda: psf.gaussian(0, 1), "at least 1, got 0"),
        (lambda: psf.gaussian((), 1), "size is empty"),
        (lambda: psf.gaussian(2.5, 1), "got 2.5"),
        (lambda: psf.gaussian("55", 1), "got '55'"),
        (lambda: psf.gaussian((3, -1), 1), "at least 1, got -1"),
        (lambda: psf.gaussian(3, 0), "sigma is 0"),
        (lambda: psf.gaussian(3, None), "sigma is None"),
        (lambda: psf.gaussian(3, (1, 2, 3)), "sigma has 3 values"),
        (lambda: psf.moffat(3, -1, 2), "fwhm is -1"),
        (lambda: psf.moffat(3, 1, math.nan), "beta is nan"),
        (lambda: psf.disk(0), "radius is 0"),
        (lambda: psf.disk(math.inf), "radius is inf"),
        (lambda: psf.motion(-3, 0), "length is -3"),
        (lambda: psf.motion(3, "north"), "angle is 'north'"),
        (lambda: psf.motion(3, 1j), "angle is 1j"),
    ],
)
def test_bad_arguments_say_what_was_given(call, given):
    with pytest.raises(GeometryError) as caught:
        call()
    assert given in str(caught.value)
