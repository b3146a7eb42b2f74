"""The command line, as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convop.cli import main, picture
from convop.cli.restore import blur_factors, frame_of, psnr

imageio = pytest.importorskip("imageio.v3")
pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[1]


@pytest.fixture(name="photograph")
def small_photograph(tmp_path):
    """A piece of the shipped photograph, small enough to restore in a moment."""
    pixels = imageio.imread(picture.shipped())[60:180, 150:270]
    path = tmp_path / "piece.png"
    imageio.imwrite(path, pixels)
    return path


def convop(*arguments, folder, **options):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "convop.cli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def failure(capsys, *arguments):
    """The one line that the command ends with, given arguments that make it fail."""
    assert main(["demo", "--quiet", *map(str, arguments)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("convop: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def gains(text):
    """The PSNR before and after, as printed."""
    return [float(line.split()[2]) for line in text.splitlines() if line.startswith(("blurred", "restored"))]


def test_demo_on_a_picture(photograph, tmp_path):
    done = convop("demo", photograph, "-o", "out.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = gains(done.stdout)
    assert after > before + 2
    for said in ("piece.png", "reads nothing outside", "passed: check.adjoint", "passed: check.associative", "CSR"):
        assert said in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""
    panels = imageio.imread(tmp_path / "out.png")
    assert panels.shape[0] > 300
    assert panels.shape[1] > 1000
    for quarter in np.array_split(panels[..., :3], 4, axis=1):
        assert quarter.std() > 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "piece.png"]


def test_demo_in_json_has_the_figures_that_it_prints(photograph, tmp_path, capsys):
    arguments = ["demo", str(photograph), "-o", str(tmp_path / "out.png"), "--seed", "3", "--noise", "0.02"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    got = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [got["psnr_blurred"], got["psnr_restored"]] == pytest.approx(gains(printed), abs=0.005)
    assert (got["shape"], got["averaged"], got["noise"], got["seed"]) == ([3, 120, 120], 1, 0.02, 3)
    assert got["operator"] in printed
    assert got["fused"] is got["adjoint"]["passed"] is got["associative"]["passed"] is True
    assert got["associative_as_kernels"] is ("gives the same map" in printed)
    assert f"error   {got['adjoint']['error']:.2e}" in printed
    assert f"{got['matrix']['entries']:,} entries" in printed
    assert f"regularisation weight {got['alpha']:.2g}" in printed
    assert Path(got["output"]).stat().st_size > 10_000


@pytest.mark.slow
def test_demo_as_it_comes(tmp_path):
    done = convop("demo", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = gains(done.stdout)
    assert after > before + 3
    assert [path.name for path in tmp_path.iterdir()] == ["convop-demo.png"]


def test_quiet_says_nothing_and_the_seed_decides_the_noise(photograph, tmp_path, capsys):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert main(["demo", str(photograph), "-o", str(tmp_path / f"{name}.png"), "--seed", str(seed), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    a, b, c = (imageio.imread(tmp_path / f"{name}.png") for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.parametrize(
    "pixels",
    [
        np.tile(np.arange(90, dtype=np.uint8), (80, 1)),
        np.tile(np.arange(90, dtype=np.uint16) * 700, (80, 1)),
        np.full((70, 70, 4), 100, np.uint8),
        np.zeros((70, 70), np.uint8),
    ],
    ids=["grey", "16 bit", "transparent", "black"],
)
@pytest.mark.parametrize("noise", ["0", "0.02"])
def test_kinds_of_pictures(pixels, noise, tmp_path):
    imageio.imwrite(tmp_path / "in.png", pixels)
    assert main(["demo", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.PNG"), "--noise", noise, "--quiet"]) == 0
    assert (tmp_path / "out.PNG").stat().st_size > 10_000


def test_pictures_are_read_to_full_scale(tmp_path):
    imageio.imwrite(tmp_path / "grey.png", np.array([[0, 65535]], np.uint16))
    np.testing.assert_array_equal(picture.read(tmp_path / "grey.png"), [[[0, 1]]])
    imageio.imwrite(tmp_path / "red.png", np.array([[[255, 51, 0, 0]]], np.uint8))
    np.testing.assert_allclose(picture.read(tmp_path / "red.png"), [[[1]], [[0.2]], [[0]]])


def test_large_pictures_are_averaged():
    large = np.arange(2 * 7 * 2050, dtype=np.float64).reshape(2, 7, 2050)
    smaller, block = picture.reduced(large)
    assert block == 3
    assert smaller.shape == (2, 2, 683)
    assert smaller[1, 1, 2] == large[1, 3:6, 6:9].mean()
    same, one = picture.reduced(large[..., :1024])
    assert one == 1
    np.testing.assert_array_equal(same, large[..., :1024])


def test_the_blur_is_one_convolution_and_the_frame_is_what_it_shows():
    shake, lens = blur_factors((70, 81))
    blur = shake @ lens
    assert type(blur) is type(lens)
    impulse = np.zeros((70, 81))
    impulse[30, 40] = 1
    seen, blurred = frame_of(blur)(impulse), blur(impulse)
    assert seen.shape == blurred.shape
    assert [float((np.indices(seen.shape)[axis] * blurred).sum()) for axis in (0, 1)] == pytest.approx(
        np.argwhere(seen)[0]
    )


def test_psnr():
    assert psnr(np.zeros(4), np.full(4, 0.1)) == pytest.approx(20)
    assert psnr(np.ones(4), np.ones(4)) == np.inf


def test_missing_picture(capsys, tmp_path):
    assert "none.jpg is no file" in failure(capsys, tmp_path / "none.jpg", "-o", tmp_path / "out.png")


def test_no_picture(capsys, tmp_path):
    (tmp_path / "text.png").write_text("no picture at all")
    assert "cannot be read as a picture" in failure(capsys, tmp_path / "text.png", "-o", tmp_path / "out.png")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("shape", [(40, 400), (1, 9000)])
def test_too_small_a_picture(capsys, tmp_path, shape):
    imageio.imwrite(tmp_path / "small.png", np.zeros(shape, np.uint8))
    assert "at least 64" in failure(capsys, tmp_path / "small.png", "-o", tmp_path / "out.png")


def test_output_that_cannot_be(capsys, tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert "is a folder" in failure(capsys, "-o", tmp_path / "folder.png")
    assert "is no folder" in failure(capsys, "-o", tmp_path / "absent" / "out.png")


def test_a_failing_write_leaves_the_old_file_and_nothing_half_written(tmp_path):
    target = tmp_path / "out.png"
    target.write_text("old")

    def save(path):
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space"):
        picture.write_whole(target, save)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    picture.write_whole(target, lambda path: path.write_text("new"))
    assert target.read_text() == "new"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--noise", "-1"], "not between 0 and 1"),
        (["demo", "--noise", "nan"], "not between 0 and 1"),
        (["demo", "--noise", "much"], "not between 0 and 1"),
        (["demo", "--seed", "-3"], "no seed"),
        (["demo", "-o", "out.jpg"], "end it in .png"),
        (["demo", "--loud"], "unrecognized"),
        (["play"], "invalid choice"),
        ([], "required"),
    ],
)
def test_usage_errors_exit_with_two(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--help"], "demo"), (["demo", "--help"], "example:"), (["--version"], "convop ")]
)
def test_help_and_version(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert said in capsys.readouterr().out
