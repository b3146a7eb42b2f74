"""`convop describe`, `check` and `bench`, as a user meets them."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import convop
from convop.cli import main
from convop.cli.bench import _assembled, _scipy

ROOT = Path(__file__).parents[1]
imageio = pytest.importorskip("imageio.v3")


def command(*arguments, folder, **environment):
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "convop.cli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def said(capsys, *arguments, code=0):
    """What a command prints; of one that fails, its one line."""
    assert main([*map(str, arguments)]) == code
    out, err = capsys.readouterr()
    if code == 0:
        assert err == ""
        assert max(map(len, out.splitlines())) <= 80
        return out
    if err:
        assert err.startswith("convop: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
    return err or out


def facts(capsys, *arguments, code=0):
    """What a command prints as JSON, which is strict."""
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


# describe


@pytest.fixture(name="files")
def some_files(tmp_path):
    kernel = np.array([[0.0, 1.0], [2.0, -3.0], [0.5, 0.25]])
    np.save(tmp_path / "kernel.npy", kernel)
    np.savetxt(tmp_path / "kernel.csv", kernel, delimiter=",")
    np.savetxt(tmp_path / "kernel.txt", kernel)
    np.savez(tmp_path / "one.npz", kernel)
    np.savez(tmp_path / "two.npz", first=kernel, second=kernel[:, 0], words=np.array(["a"]))
    imageio.imwrite(tmp_path / "kernel.png", np.arange(12, dtype=np.uint8).reshape(3, 4))
    convop.save(convop.gradient((8, 9)), tmp_path / "gradient.npz")
    convop.save(convop.Affine(convop.conv_layer(np.ones((2, 1, 3)), (1, 9)), [1.0, 2.0]), tmp_path / "affine.npz")
    return tmp_path


@pytest.mark.parametrize("name", ["kernel.npy", "kernel.csv", "kernel.txt", "one.npz"])
def test_kernels_of_every_format(name, files, capsys):
    got = facts(capsys, "describe", files / name, "--in-shape", "7x6", "--boundary", "mirror")
    A = convop.Convolution(np.load(files / "kernel.npy"), (7, 6), boundary="mirror")
    dense = np.linalg.svd(A.toarray(), compute_uv=False)
    assert got["kernel"]["shape"] == [3, 2]
    assert got["kernel"]["nonzero"] == 5
    assert got["kernel"]["sum"] == 0.75
    assert not got["kernel"]["symmetric"]
    assert got["kernel"]["rank"] == 2
    assert got["in_shape"] == got["out_shape"] == [7, 6]
    assert got["matrix"]["entries"] == np.count_nonzero(A.toarray())
    assert got["norm"] == pytest.approx(dense[0])
    assert got["condition"] == pytest.approx(dense[0] / dense[-1])
    text = said(capsys, "describe", files / name, "--in-shape", "7x6", "--boundary", "mirror")
    for part in ("3 x 2, float64", "boundary mirror", "42 x 42 CSR", "the adjoint is no convolution"):
        assert part in text


def test_pictures_are_kernels(files, capsys):
    assert "3 x 4, float64" in said(capsys, "describe", files / "kernel.png")


def test_boundaries_are_compared(files, capsys):
    got = facts(capsys, "describe", files / "kernel.npy", "--boundaries", "--in-shape", "7x6")["boundaries"]
    for name, each in got.items():
        A = convop.Convolution(np.load(files / "kernel.npy"), (7, 6), boundary=name)
        assert each["norm"] == pytest.approx(np.linalg.norm(A.toarray(), 2), rel=1e-6)
        assert each["closed_form"] == (name == "periodic")
        assert each["adjoint_is_a_convolution"] == (name in ("zero", "periodic"))
    text = said(capsys, "describe", files / "kernel.npy", "--boundaries", "--in-shape", "1x6")
    assert "refused" in text


def test_files_that_hold_several(files, capsys):
    text = said(capsys, "describe", files / "two.npz")
    assert "holds 2 arrays" in text
    assert "3 x 2  float64" in text
    assert facts(capsys, "describe", files / "two.npz")["arrays"]["second"]["shape"] == [3]
    assert facts(capsys, "describe", files / "two.npz", "--name", "second")["in_shape"] == [1000]
    assert "no 'third'" in said(capsys, "describe", files / "two.npz", "--name", "third", code=2)


def test_saved_operators(files, capsys):
    got = facts(capsys, "describe", files / "gradient.npz")
    assert got["norm"] == pytest.approx(np.linalg.norm(convop.gradient((8, 9)).toarray(), 2))
    assert "Vertical stack of 2" in said(capsys, "describe", files / "gradient.npz")
    assert "channels 1 -> 2" in said(capsys, "describe", files / "affine.npz")
    assert "leave out --boundary" in said(capsys, "describe", files / "gradient.npz", "--boundary", "zero", code=2)


def test_checkpoints(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, groups=2), torch.nn.ReLU(), torch.nn.Conv1d(2, 3, 5))
    torch.save({"model": net.state_dict(), "epoch": 3}, tmp_path / "net.pt")
    torch.save(net.half().state_dict(), tmp_path / "half.pth")
    text = said(capsys, "describe", tmp_path / "net.pt")
    assert "model.0.weight  6 x 2 x 3 x 3  float32" in text
    assert "bias" not in text
    options = ["--name", "model.0.weight", "--groups", "2", "--stride", "2", "--padding", "1x0", "--in-shape", "9x8"]
    got = facts(capsys, "describe", tmp_path / "net.pt", *options)
    layer = torch.nn.functional.conv2d(
        torch.zeros(1, 4, 9, 8), torch.zeros(6, 2, 3, 3), stride=2, padding=(1, 0), groups=2
    )
    assert got["out_shape"] == list(layer.shape[1:])
    assert facts(capsys, "describe", tmp_path / "half.pth", "--name", "2.weight")["out_shape"] == [3, 1000]


def test_checkpoints_run_no_code(tmp_path, capsys):
    torch = pytest.importorskip("torch")

    torch.save(torch.nn.Conv2d(1, 1, 3), tmp_path / "whole.pt")
    assert "without running code" in said(capsys, "describe", tmp_path / "whole.pt", code=1)
    (tmp_path / "torn.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:300])
    assert "cannot be loaded" in said(capsys, "describe", tmp_path / "torn.pt", code=1)
    torch.save({"bias": torch.ones(3)}, tmp_path / "bias.pt")
    assert "holds no kernel" in said(capsys, "describe", tmp_path / "bias.pt", code=1)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["absent.npy"], 1, "no file"),
        (["kernel.npy", "--in-shape", "3x3x3"], 1, "one axis"),
        (["kernel.npy", "--boundary", "reflect"], 1, "two meanings"),
        (["kernel.npy", "--padding", "1"], 2, "--layer"),
        (["kernel.npy", "--layer"], 2, "axes"),
        (["kernel.npy", "--layer", "--mode", "full"], 2, "--mode"),
        (["bad.npy"], 1, "cannot be read"),
        (["bad.csv"], 1, "cannot be read"),
        (["bad.npz"], 1, "cannot be read"),
        (["nan.npy"], 1, "NaN or inf"),
        (["words.npz"], 1, "holds no kernel"),
        (["torn.npz"], 1, "cannot be"),
    ],
)
def test_what_cannot_be_described(arguments, code, text, files, capsys, monkeypatch):
    for name in ("bad.npy", "bad.csv", "bad.npz"):
        (files / name).write_text("not, a\nkernel")
    np.save(files / "nan.npy", np.array([1.0, np.nan]))
    np.savez(files / "words.npz", np.array(["a"]))
    (files / "torn.npz").write_bytes((files / "gradient.npz").read_bytes()[:400])
    monkeypatch.chdir(files)
    assert text in said(capsys, "describe", *arguments, code=code)


# check


OPERATORS = """
    import numpy as np
    from scipy.sparse.linalg import LinearOperator
    import convop

    M = np.random.default_rng(0).standard_normal((5, 4))
    good = convop.Convolution([1.0, 2.0], 6, boundary="mirror")
    matrix = M
    scaled = LinearOperator((5, 4), matvec=lambda x: M @ x, rmatvec=lambda y: 2 * (M.T @ y), dtype=float)
    lonely = LinearOperator((5, 4), matvec=lambda x: M @ x, dtype=float)
    raising = LinearOperator((5, 4), matvec=lambda x: 1 / 0, rmatvec=lambda y: M.T @ y, dtype=float)
    pair = (np.cumsum, lambda y: np.cumsum(y[::-1])[::-1])
    affine = convop.Affine(good, np.ones(6))
    number = 3

    def make():
        return good.H

    def broken():
        raise RuntimeError("no scanner")

    class Box:
        inside = good
"""


@pytest.fixture(name="module")
def a_module(tmp_path, monkeypatch):
    (tmp_path / "scanner_operators.py").write_text(textwrap.dedent(OPERATORS))
    (tmp_path / "scanner_broken.py").write_text("import nothing_of_that_name")
    (tmp_path / "scanner_leaving.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "scanner_operators"
    for name in list(sys.modules):
        if name.startswith("scanner_"):
            del sys.modules[name]


@pytest.mark.parametrize("name", ["good", "matrix", "make", "Box.inside"])
def test_operators_that_hold(name, module, capsys):
    for place in (module, f"{module}.py"):
        assert "passed: check.adjoint" in said(capsys, "check", f"{place}:{name}")
    assert said(capsys, "check", f"{module}:good", "--exact", "--trials", "3").startswith("passed")
    assert main(["check", f"{module}:{name}", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_operators_that_do_not(module, capsys):
    text = said(capsys, "check", f"{module}:scaled", code=1)
    assert text.startswith("FAILED")
    assert "scaled by 2" in text
    got = facts(capsys, "check", f"{module}:scaled", "--seed", "4", code=1)
    assert got["passed"] is False
    assert got["cause"] == "scaled"
    assert got["factor"] == pytest.approx(2)
    assert got["in_shape"] == [4]
    assert main(["check", f"{module}:scaled", "--quiet"]) == 1
    assert capsys.readouterr() == ("", "")


def test_pairs_of_functions(module, capsys):
    shapes = ["--in-shape", "6", "--out-shape", "6"]
    assert "passed" in said(capsys, "check", f"{module}:pair", *shapes, "--dtype", "float64")
    assert "in_shape=" in said(capsys, "check", f"{module}:pair", code=2)
    assert "dtype" in said(capsys, "check", f"{module}:pair", *shapes, "--dtype", "words", code=2)


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("scanner_operators:lonely", 1, "rmatvec"),
        ("scanner_operators:raising", 1, "ZeroDivisionError: division by zero (scanner_operators.py, line 11)"),
        ("scanner_operators:broken", 2, "RuntimeError: no scanner (scanner_operators.py"),
        ("scanner_operators:number", 2, "is no operator"),
        ("scanner_operators:affine", 2, "adds an offset"),
        ("scanner_operators:absent", 2, "has no 'absent'; it has Box"),
        ("scanner_operators:Box.absent", 2, "has no 'Box.absent'"),
        ("scanner_operators", 2, "MODULE:NAME"),
        (":good", 2, "MODULE:NAME"),
        ("scanner_absent:good", 2, "No module named 'scanner_absent'"),
        ("scanner_absent.py:good", 2, "no file of Python"),
        ("scanner_broken:good", 2, "nothing_of_that_name' (scanner_broken.py, line 1)"),
        ("scanner_leaving:good", 2, "SystemExit: 3"),
    ],
)
def test_what_cannot_be_checked(name, code, text, module, capsys):
    assert text in said(capsys, "check", name, code=code)


def test_check_in_a_process_of_its_own(module, tmp_path):
    done = command("check", f"{module}:good", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = command("check", f"{module}:scaled", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")


# bench


def test_bench_says_what_it_measured(capsys):
    text = said(capsys, "bench", "--size", "40x50", "--kernel", "3x5", "--rounds", "2")
    assert [line.split(",")[0].split()[0] for line in text.splitlines() if " x " in line] == [
        "apply",
        "adjoint",
        "matrix",
    ]
    got = facts(capsys, "bench", "--size", "64", "--kernel", "4", "--rounds", "1", "--boundary", "mirror")
    assert [each["what"] for each in got["timings"]] == ["apply"]
    assert all(each["convop_seconds"] > 0 and each["ratio"] > 0 for each in got["timings"])
    assert got["machine"]["numpy"] == np.__version__
    assert "one size for each axis" in said(capsys, "bench", "--size", "40x50", "--kernel", "3", code=2)
    assert "one size for each axis" in said(capsys, "bench", "--kernel", "3", code=2)


@pytest.mark.parametrize("boundary", ["zero", "periodic", "symmetric", "mirror", "replicate"])
@pytest.mark.parametrize("taps", [(3, 5), (4, 2)])
def test_what_bench_compares_with_is_the_same_map(boundary, taps):
    rng = np.random.default_rng(0)
    kernel, x = rng.standard_normal(taps), rng.standard_normal((9, 11))
    A = convop.Convolution(kernel, x.shape, boundary=boundary)
    np.testing.assert_allclose(_scipy(kernel, x, boundary)[0](), A(x), atol=1e-12)
    if boundary == "zero":
        np.testing.assert_allclose(_assembled(A.geometry, kernel).toarray(), A.toarray(), atol=1e-12)
    if all(k % 2 for k in taps) and boundary in ("zero", "periodic"):
        np.testing.assert_allclose(_scipy(np.flip(kernel), x, boundary)[0](), A.H(x), atol=1e-12)


# All of them


def test_deblur_in_json(files, capsys):
    imageio.imwrite(files / "scene.png", (np.add.outer(np.arange(30), np.arange(40)) % 17 * 9).astype(np.uint8))
    got = facts(capsys, "deblur", files / "scene.png", "--psf", "gaussian:sigma=0.5", "-o", files / "sharp.png")
    assert got["status"] == "converged"
    assert got["shape"] == [30, 40]
    assert got["iterations"] >= 1
    assert len(got["alpha"]) == 1
    assert Path(got["output"]).is_file()


@pytest.mark.parametrize("name", ["describe", "check", "bench", "deblur", "demo"])
def test_help_has_an_example_and_fits(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"  convop {name}" in text
    assert "example" in text
    if name in ("describe", "check", "bench"):
        assert max(map(len, text.splitlines())) <= 85


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe"],
        ["check"],
        ["describe", "a", "--in-shape", "3x"],
        ["describe", "a", "--in-shape", "0x4"],
        ["describe", "a", "--stride", "two"],
        ["check", "a:b", "--trials", "0"],
        ["bench", "--rounds", "-1"],
        ["bench", "--boundary", "antireflective"],
    ],
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def on_a_terminal(*arguments, folder):
    """What a command prints, and what it draws on the terminal that its errors go to."""
    import pty
    import termios

    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    done = subprocess.run(
        [sys.executable, "-m", "convop.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=follower,
        check=True,
    )
    os.write(follower, b".")  # so that there is something to read
    os.set_blocking(leader, False)
    drawn = os.read(leader, 100_000)
    os.close(leader)
    os.close(follower)
    return done.stdout.decode(), drawn.decode().removesuffix(".")


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_progress_is_shown_on_a_terminal_only(tmp_path):
    arguments = ["bench", "--size", "30x30", "--rounds", "1"]
    assert command(*arguments, folder=tmp_path).stderr == ""
    printed, drawn = on_a_terminal(*arguments, folder=tmp_path)
    assert "%|" in drawn
    assert "apply" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_a_check_that_takes_long_shows_its_progress(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time, numpy, convop\n"
        "M = numpy.arange(6.0).reshape(2, 3)\n"
        "quick = convop.as_operator(M)\n"
        "slow = convop.as_operator(\n"
        "    forward=lambda x: time.sleep(0.05) or M @ x, adjoint=lambda y: M.T @ y,\n"
        "    in_shape=(3,), out_shape=(2,), dtype=float,\n"
        ")\n"
    )
    assert command("check", "slow:slow", folder=tmp_path).stderr == ""
    printed, drawn = on_a_terminal("check", "slow:slow", "--trials", "40", folder=tmp_path)
    assert "checking" in drawn
    assert "/40" in drawn
    assert max(map(len, drawn.replace("\r", "\n").split("\n"))) < 80
    assert drawn.endswith("\r")  # the line is free again
    assert printed.startswith("passed")
    for quiet in (["slow:quick"], ["slow:slow", "--json"], ["slow:slow", "--quiet"]):
        assert on_a_terminal("check", *quiet, folder=tmp_path)[1] == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_stops_reading(files):
    done = subprocess.run(
        f"{sys.executable} -m convop.cli describe kernel.npy --json | head -c 1",
        shell=True,
        cwd=files,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
