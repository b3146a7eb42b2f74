"""`convop deblur`, as a user meets it."""

import struct
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import convop
from convop.cli import main
from convop.cli.deblur_files import Picture, _tags, read, writer
from convop.cli.deblur_psf import Psf
from convop.solving.door import ADVICE

imageio = pytest.importorskip("imageio.v3")
tifffile = pytest.importorskip("tifffile")
FAST = ("--prior", "tikhonov", "--alpha", "1e-3")


def scene(shape, high=1.0, side=8):
    """Even patches."""
    levels = np.random.default_rng(3).uniform(0.1, 0.9, tuple(-(-n // side) for n in shape))
    for axis, n in enumerate(shape):
        levels = np.repeat(levels, side, axis).take(np.arange(n), axis)
    return high * levels


def blurred(sharp, kernel):
    """What is seen of a scene, with colours on the last axis where it has an axis more than the kernel."""
    if sharp.ndim > kernel.ndim:
        return np.stack([blurred(sharp[..., c], kernel) for c in range(sharp.shape[-1])], axis=-1)
    return convop.Convolution(kernel, sharp.shape, mode="valid")(sharp)


def shown(sharp, kernel):
    return sharp[tuple(slice(k // 2, -(k // 2)) for k in kernel.shape)]


def run(*arguments):
    return main(["deblur", *map(str, arguments), "--quiet"])


def failure(capsys, *arguments):
    """The one line that the command ends with, given arguments that make it fail."""
    assert run(*arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("convop: ")
    assert err.count("\n") == 1
    return err


GAUSSIAN = convop.psf.gaussian(7, 1.0)  # what --psf gaussian:sigma=1 stands for


@pytest.mark.parametrize(
    ("name", "dtype", "colours"),
    [
        ("a.png", "uint8", 0), ("a.png", "uint8", 3), ("a.png", "uint16", 0), ("a.tif", "uint8", 3),
        ("a.tif", "uint16", 3), ("a.tiff", "uint16", 0), ("a.tif", "float32", 0), ("a.tif", "float64", 0),
        ("a.npy", "float64", 0), ("a.npy", "int32", 3), ("a.npy", "float32", 3),
    ],
)  # fmt: skip
def test_pictures_come_back_sharper_in_their_type(tmp_path, name, dtype, colours):
    high = {"uint8": 255, "uint16": 65535, "int32": 10**6}.get(dtype, 1)
    sharp = scene((50, 60, colours) if colours else (50, 60), high)
    image = blurred(sharp, GAUSSIAN)
    image = (np.rint(image) if np.dtype(dtype).kind in "iu" else image).astype(dtype)
    save(tmp_path / name, image)
    assert run(tmp_path / name, "--psf", "gaussian:sigma=1", "-o", tmp_path / f"out_{name}", *FAST) == 0
    restored = load(tmp_path / f"out_{name}")
    assert (restored.dtype, restored.shape) == (image.dtype, image.shape)
    truth = shown(sharp, GAUSSIAN)
    assert np.std(restored - truth) < 0.6 * np.std(image - truth)
    assert sorted(each.name for each in tmp_path.iterdir()) == [name, f"out_{name}"]


def save(path, image):
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".png":
        imageio.imwrite(path, image)
    else:
        colours = image.ndim > 2 and image.shape[-1] in (3, 4)
        tifffile.imwrite(path, image, photometric="rgb" if colours else "minisblack")


def load(path):
    if path.suffix == ".npy":
        return np.load(path)
    return imageio.imread(path) if path.suffix == ".png" else tifffile.imread(path)


def test_a_volume_is_one_and_a_stack_is_many(tmp_path):
    volume = np.rint(scene((20, 30, 34), 255)).astype(np.uint8)
    save(tmp_path / "v.tif", volume)
    for options, kernel in (((), convop.psf.gaussian((7, 7, 7), 1)), (("--stack",), GAUSSIAN)):
        assert run(tmp_path / "v.tif", "--psf", "gaussian:sigma=1", "-o", tmp_path / "o.tif", *FAST, *options) == 0
        expected = convop.deconvolve(volume, kernel, prior="tikhonov", alpha=1e-3).x
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "o.tif"), expected)
    for psf, kernel in (
        ("gaussian:sigma=0.5x1x2", convop.psf.gaussian((5, 7, 13), (0.5, 1, 2))),
        ("gaussian:sigma=1x1", GAUSSIAN),  # two axes: slice by slice
        ("disk:radius=1.5", convop.psf.disk(1.5)),
    ):
        assert run(tmp_path / "v.tif", "--psf", psf, "-o", tmp_path / "o.npy", *FAST) == 0
        expected = convop.deconvolve(volume, kernel, prior="tikhonov", alpha=1e-3).x
        np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_opacity_is_left_alone(tmp_path, suffix):
    image = np.rint(scene((30, 34, 4), 255)).astype(np.uint8)
    path, out = tmp_path / f"a{suffix}", tmp_path / f"o{suffix}"
    if suffix == ".png":
        imageio.imwrite(path, image)
    else:
        tifffile.imwrite(path, image, photometric="rgb", extrasamples=["unassalpha"])
    assert run(path, "--psf", "disk:radius=1.5", "-o", out, *FAST) == 0
    restored = load(out)
    np.testing.assert_array_equal(restored[..., 3], image[..., 3])
    expected = convop.deconvolve(image[..., :3], convop.psf.disk(1.5), channel_axis=-1, prior="tikhonov", alpha=1e-3).x
    np.testing.assert_array_equal(restored[..., :3], expected)
    assert read(out).opacity is not None


def test_blurs_by_name():
    for text, kernel in (
        ("gaussian:sigma=2", convop.psf.gaussian(13, 2)),
        ("gaussian:sigma=2,size=9", convop.psf.gaussian(9, 2)),
        ("gaussian:sigma=1x2", convop.psf.gaussian((7, 13), (1, 2))),
        ("moffat:fwhm=4,beta=3", convop.psf.moffat(17, 4, 3)),
        ("disk:radius=4.5", convop.psf.disk(4.5)),
        ("motion:length=15,angle=30", convop.psf.motion(15, 30)),
        ("motion:length=15", convop.psf.motion(15, 0)),
    ):
        np.testing.assert_array_equal(Psf.parse(text).kernel(2)[0], kernel)
    assert Psf.parse("gaussian:sigma=2").kernel(3)[0].shape == (13, 13, 13)
    assert Psf.parse("gaussian:sigma=2").kernel(1)[0].shape == (13,)


def test_blurs_from_files(tmp_path):
    spot = np.zeros((5, 5), np.uint8)
    spot[1:4, 2], spot[2, 3] = 40, 7
    imageio.imwrite(tmp_path / "grey.png", spot)
    imageio.imwrite(tmp_path / "rgb.png", np.stack([spot] * 3, -1))
    np.save(tmp_path / "spot.npy", spot / 3.0)
    for name in ("grey.png", "rgb.png", "spot.npy"):
        kernel, about = Psf.parse(str(tmp_path / name)).kernel(2)
        np.testing.assert_allclose(kernel, spot / spot.sum())
        assert "divided by its sum" in about


def test_options_reach_the_solver(tmp_path):
    image = blurred(scene((40, 44)), GAUSSIAN)
    np.save(tmp_path / "a.npy", image)
    out = tmp_path / "o.npy"
    assert run(tmp_path / "a.npy", "--psf", "gaussian:sigma=1", "-o", out, *FAST, "--boundary", "symmetric") == 0
    expected = convop.deconvolve(image, GAUSSIAN, boundary="symmetric", prior="tikhonov", alpha=1e-3)
    np.testing.assert_array_equal(np.load(out), expected.x)
    assert run(tmp_path / "a.npy", "--psf", "gaussian:sigma=1", "-o", out, *FAST, "--tol", "1e-12") == 0
    finer = convop.deconvolve(image, GAUSSIAN, prior="tikhonov", alpha=1e-3, tol=1e-12)
    np.testing.assert_array_equal(np.load(out), finer.x)


def test_what_is_said(tmp_path, capsys):
    np.save(tmp_path / "a.npy", blurred(scene((40, 44)), GAUSSIAN))
    arguments = ["deblur", str(tmp_path / "a.npy"), "--psf", "gaussian:sigma=1", "-o", str(tmp_path / "o.npy"), *FAST]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no bar where no terminal is
    for said in ("a.npy: 34 x 38, float64", "gaussian:sigma=1: 7 x 7", "alpha 0.001", "converged", "written"):
        assert said in out


# What goes wrong, goes wrong in one line and leaves nothing behind.


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.png", None, "is no file"),
        ("text.png", b"no picture at all", "cannot be read"),
        ("text.tif", b"no picture at all", "cannot be read"),
        ("text.npy", b"no picture at all", "cannot be read"),
    ],
)
def test_bad_files(tmp_path, capsys, name, content, said):
    if content:
        (tmp_path / name).write_bytes(content)
    err = failure(capsys, tmp_path / name, "--psf", "disk:radius=2", "-o", tmp_path / "o.png")
    assert said in err
    assert name in err
    assert not (tmp_path / "o.png").exists()


def test_truncated_files(tmp_path, capsys):
    whole = np.rint(scene((60, 60), 255)).astype(np.uint8)
    for suffix in (".png", ".tif", ".npy"):
        path = tmp_path / f"a{suffix}"
        save(path, whole)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert "cannot be read" in failure(capsys, path, "--psf", "disk:radius=2", "-o", tmp_path / f"o{suffix}", *FAST)
        assert not (tmp_path / f"o{suffix}").exists()


def test_no_pickles(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    assert "cannot be read" in failure(capsys, tmp_path / "a.npy", "--psf", "disk:radius=2", "-o", tmp_path / "o.npy")


def paeth(a, b, c):
    """The neighbour that `a + b - c` is nearest to, as the PNG specification has it."""
    return min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]


def filtered(row, above, kind, step):
    """One row of a PNG as the differences that its filter stores."""
    stored = [kind]
    for i, value in enumerate(row):
        a, c = (row[i - step], above[i - step]) if i >= step else (0, 0)
        predicted = (0, a, above[i], (a + above[i]) // 2, paeth(a, above[i], c))[kind]
        stored.append((value - predicted) % 256)
    return bytes(stored)


def deep_png(path, values):
    """A PNG of 16 bits by the letter of its specification, each row with another filter."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = [row.astype(">u2").tobytes() for row in values.reshape(height, -1)]
    above = [bytes(len(rows[0])), *rows]
    pixels = b"".join(filtered(row, above[i], i % 5, 2 * channels) for i, row in enumerate(rows))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)


def stored_in_png(path):
    """The samples of a PNG of 16 bits whose rows are stored as they are."""
    data, at, pixels = path.read_bytes(), 8, b""
    while at < len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", body[:10])
        pixels += body if kind == b"IDAT" else b""
        at += 12 + size
    assert bits == 16
    rows = np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].copy().view(">u2").reshape(height, width, {0: 1, 4: 2, 2: 3, 6: 4}[colour])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_of_colour_in_a_png_are_kept(tmp_path, channels):
    image = np.rint(scene((25, 34, channels), 65535)).astype(np.uint16)
    image[0, :2] = [[0] * channels, [65535] * channels]
    deep_png(tmp_path / "a.png", image)
    picture = read(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.whole, image)
    assert picture.whole.dtype == np.uint16
    assert (picture.opacity is not None) == (channels in (2, 4))
    writer(tmp_path / "same.png", picture)(picture)
    np.testing.assert_array_equal(stored_in_png(tmp_path / "same.png"), image)
    assert run(tmp_path / "a.png", "--psf", "disk:radius=1.5", "-o", tmp_path / "o.png", *FAST) == 0
    colours = picture.values
    expected = convop.deconvolve(colours, convop.psf.disk(1.5), channel_axis=-1, prior="tikhonov", alpha=1e-3).x
    restored = stored_in_png(tmp_path / "o.png")
    np.testing.assert_array_equal(restored[..., : colours.shape[2]], expected)
    np.testing.assert_array_equal(restored[..., colours.shape[2] :], image[..., colours.shape[2] :])


def test_colours_of_a_tiff_become_a_png_of_as_many_bits(tmp_path):
    image = np.rint(scene((25, 34, 3), 65535)).astype(np.uint16)
    save(tmp_path / "a.tif", image)
    for end in (".tif", ".png"):
        assert run(tmp_path / "a.tif", "--psf", "disk:radius=1.5", "-o", tmp_path / f"o{end}", *FAST) == 0
    np.testing.assert_array_equal(stored_in_png(tmp_path / "o.png"), tifffile.imread(tmp_path / "o.tif"))


def test_a_truncated_png_of_sixteen_bits(tmp_path, capsys):
    path = tmp_path / "a.png"
    deep_png(path, np.rint(scene((25, 34, 3), 65535)).astype(np.uint16))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be read" in failure(capsys, path, "--psf", "disk:radius=2", "-o", tmp_path / "o.png")
    assert not (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    ("values", "output", "said"),
    [
        (np.zeros((9, 9)), "o.png", "a PNG cannot hold"),
        (np.zeros((9, 9, 3), np.int16), "o.png", "a PNG cannot hold"),
        (np.zeros((9, 9), complex), "o.tif", "no complex"),
        (np.zeros((9, 9)), "o.jpg", "has to end in"),
        (np.zeros((9, 9)), "absent/o.npy", "is no folder"),
        (np.full((9, 9), np.nan), "o.npy", "NaN"),
        (np.zeros((9, 9), bool), "o.npy", "array of numbers"),
        (np.zeros((2, 9)), "o.npy", "larger than the picture"),
    ],
)
def test_what_cannot_be_written_or_solved(tmp_path, capsys, values, output, said):
    np.save(tmp_path / "a.npy", values)
    assert said in failure(capsys, tmp_path / "a.npy", "--psf", "disk:radius=2", "-o", tmp_path / output, *FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_a_failing_write_leaves_the_old_file(tmp_path):
    old = tmp_path / "o.npy"
    old.write_text("old")
    broken = Picture(np.zeros((3, 3)), None)
    write = writer(old, broken)
    with pytest.raises(ValueError, match="pickle"):
        write(broken.with_values(np.array([{}], object)))
    assert old.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["o.npy"]


def test_ctrl_c_writes_what_there_is(tmp_path, capsys, monkeypatch):
    image = blurred(scene((40, 44)), GAUSSIAN)
    np.save(tmp_path / "a.npy", image)
    options = {"prior": "tikhonov", "alpha": 1e-3}
    solved = convop.deconvolve(image, GAUSSIAN, **options)
    stopped = replace(solved, reason=ADVICE["interrupted"], status="max_iterations")
    monkeypatch.setattr("convop.cli.deblur.deconvolve", lambda *_, **__: stopped)
    assert run(tmp_path / "a.npy", "--psf", "gaussian:sigma=1", "-o", tmp_path / "o.npy") == 130
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), solved.x)
    assert "interrupted" in capsys.readouterr().err


def test_an_estimate_that_did_not_converge_is_written_with_a_note(tmp_path, capsys):
    np.save(tmp_path / "a.npy", blurred(scene((40, 44)), GAUSSIAN).astype(np.float32))
    options = ("--prior", "tikhonov", "--alpha", "1e-5", "--tol", "1e-14")
    assert run(tmp_path / "a.npy", "--psf", "gaussian:sigma=1", "-o", tmp_path / "o.npy", *options) == 0
    assert "is the last estimate: stalled" in capsys.readouterr().err
    assert np.load(tmp_path / "o.npy").dtype == np.float32


@pytest.mark.parametrize(
    ("psf", "said"),
    [
        ("gausian:sigma=2", "is no blur and no file"),
        ("gaussian", "gaussian takes sigma, size, got nothing"),
        ("gaussian:width=2", "for instance gaussian:sigma=2"),
        ("gaussian:sigma=wide", "is no setting"),
        ("moffat:fwhm=4", "moffat:fwhm=4,beta=3"),
    ],
)
def test_usage_errors_exit_with_two(capsys, psf, said):
    with pytest.raises(SystemExit) as caught:
        run("a.png", "--psf", psf, "-o", "o.png")
    assert caught.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("psf", "said"), [("disk:radius=-1", "greater than 0"), ("gaussian:sigma=2,size=2.5", "whole")]
)
def test_blurs_that_are_none(tmp_path, capsys, psf, said):
    np.save(tmp_path / "a.npy", np.zeros((30, 30)))
    assert said in failure(capsys, tmp_path / "a.npy", "--psf", psf, "-o", tmp_path / "o.npy")


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["deblur", "--help"])
    assert caught.value.code == 0
    assert "examples:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((30, 31), {"photometric": "miniswhite"}, "YX"),
        ((3, 30, 31), {"photometric": "rgb", "planarconfig": "separate"}, "SYX"),
        ((30, 31, 3), {"photometric": "rgb", "resolution": (300, 200)}, "YXS"),
        ((12, 30, 31), {"imagej": True, "resolution": (4, 4), "metadata": {"axes": "ZYX", "spacing": 0.3}}, "ZYX"),
        ((12, 2, 30, 31), {"imagej": True, "metadata": {"axes": "ZCYX"}}, "ZCYX"),
        ((12, 30, 31), {"metadata": {"axes": "TYX"}}, "TYX"),
    ],
)
def test_a_tiff_still_says_what_its_samples_are(tmp_path, shape, options, axes):
    tifffile.imwrite(tmp_path / "a.tif", scene(shape, 200).astype(np.uint16), **options)
    assert run(tmp_path / "a.tif", "--psf", "gaussian:sigma=1", "-o", tmp_path / "o.tif", *FAST) == 0
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(tmp_path / "o.tif") as after:
        assert (after.series[0].axes, after.series[0].shape) == (axes, shape)
        assert after.is_imagej == before.is_imagej
        spacing = [(file.imagej_metadata or {}).get("spacing") for file in (before, after)]
        assert spacing[0] == spacing[1] == options.get("metadata", {}).get("spacing")
        old, new = before.pages[0], after.pages[0]
        assert (new.photometric, new.planarconfig) == (old.photometric, old.planarconfig)
        assert (new.get_resolution(), new.resolutionunit) == (old.get_resolution(), old.resolutionunit)


@pytest.mark.parametrize(("compression", "kept"), [("NONE", "ycbcr"), ("JPEG", None), ("OJPEG", None)])
def test_what_is_read_as_rgb_is_written_as_such(compression, kept):
    """A decoder of JPEG gives RGB, whatever the file says of what is stored."""
    page = SimpleNamespace(
        photometric=tifffile.PHOTOMETRIC.YCBCR, compression=tifffile.COMPRESSION[compression],
        get_resolution=lambda: (1.0, 1.0),
    )  # fmt: skip
    tags = _tags(SimpleNamespace(pages=[page], is_imagej=False), "YXS")
    assert tags.get("photometric") == kept


def test_colours_that_are_no_light_are_refused(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    image.new("CMYK", (30, 31)).save(tmp_path / "a.jpg")
    assert "is in CMYK" in failure(capsys, tmp_path / "a.jpg", "--psf", "disk:radius=1", "-o", tmp_path / "o.png")


@pytest.mark.parametrize(
    ("psf", "said"),
    [
        ("gaussian:sigma=nan", "is no setting"), ("gaussian:sigma=inf", "is no setting"),
        ("gaussian:sigma=2,sigma=3", "twice"), ("disk:radius=4x4", "one number for all axes"),
    ],
)  # fmt: skip
def test_odd_numbers_of_a_blur_are_usage_errors(capsys, psf, said):
    with pytest.raises(SystemExit, match="2"):
        run("a.png", "--psf", psf, "-o", "o.png")
    assert said in " ".join(capsys.readouterr().err.split())


def test_numbers_that_make_no_kernel(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.zeros((30, 30)))
    np.save(tmp_path / "k.npy", np.full((3, 3), np.nan))
    for psf, said in (("gaussian:sigma=-1", "greater than 0"), (tmp_path / "k.npy", "NaN or inf")):
        assert said in failure(capsys, tmp_path / "a.npy", "--psf", psf, "-o", tmp_path / "o.npy")


@pytest.mark.parametrize("options", [["--alpha", "gcv"], ["--prior", "tv", "--alpha", "gcv"], ["--alpha", "upre"]])
def test_rules_by_name_serve_the_default_prior(tmp_path, options):
    sharp = scene((40, 42))
    noise = 0.01 * np.random.default_rng(0).standard_normal((34, 36))
    np.save(tmp_path / "a.npy", blurred(sharp, GAUSSIAN) + noise)
    assert run(tmp_path / "a.npy", "--psf", "gaussian:sigma=1", "-o", tmp_path / "o.npy", *options) == 0
    error, before = (np.linalg.norm(np.load(tmp_path / name) - shown(sharp, GAUSSIAN)) for name in ("o.npy", "a.npy"))
    assert error < 0.8 * before


def test_steps_can_be_limited(tmp_path, capsys):
    np.save(tmp_path / "a.npy", blurred(scene((40, 42), 100), GAUSSIAN))
    options = ("--prior", "poisson", "--maxiter", 7)
    assert run(tmp_path / "a.npy", "--psf", "gaussian:sigma=1", "-o", tmp_path / "o.npy", *options) == 0
    assert "max_iterations" in capsys.readouterr().err
    A = convop.Convolution(GAUSSIAN, (40, 42), mode="valid")
    want = convop.solve(A, np.load(tmp_path / "a.npy"), prior="poisson", maxiter=7).x
    np.testing.assert_allclose(np.load(tmp_path / "o.npy"), shown(want, GAUSSIAN), rtol=1e-9)
