"""The plan: one table that people can read, and constants of the machine that are measured once and kept."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import strategies
from hypothesis import given, settings

import convop
from convop import GeometryError
from convop.apply import machine, measuring, plan
from convop.apply.machine import Constants


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cache folder of its own, in which nothing is kept yet."""
    monkeypatch.delenv(machine.VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(machine, "_unkept", None)
    monkeypatch.setattr(machine, "kept_at", lambda: tmp_path / "convop" / "machine.json")
    machine._read.cache_clear()
    yield tmp_path / "convop" / "machine.json"
    machine._read.cache_clear()


KERNELS = {
    "direct": (np.ones((3, 3)), (64, 64)),
    "fft": (np.random.default_rng(0).standard_normal((45, 45)), (300, 280)),
    "separable": (np.outer(np.hanning(23), np.hanning(23)), (300, 280)),
}


@pytest.mark.parametrize("method", KERNELS)
def test_each_method_is_chosen_where_it_is_cheapest(method):
    A = convop.Convolution(*KERNELS[method])
    choice = convop.plan(A).choices[0]
    assert A.method == choice.method == choice.candidates[0].method == method
    seconds = [each.seconds for each in choice.candidates]
    assert seconds == sorted(seconds)
    assert not choice.pinned


def test_layers_of_many_channels_go_through_blas():
    layer = convop.conv_layer(np.ones((32, 32, 3, 3), "float32"), (32, 64, 64), padding=1)
    assert layer.method == "gemm"


@settings(max_examples=60)
@given(strategies.convolutions())
def test_what_auto_takes_is_the_first_of_the_table(spec):
    A = spec.build()
    costs = plan.costs(A.geometry, A.weight)
    assert A.method == next(iter(costs))
    assert all(ns > 0 for ns in costs.values())
    assert {"direct", "fft", "sparse"} <= costs.keys()


def test_text():
    A = convop.Convolution(np.ones((3, 3)), (64, 64))
    text = str(convop.plan((A @ A).using("fft") @ convop.Diagonal(np.ones((64, 64)))))
    assert text.count("->") >= 2  # an arrow for the shapes, one for the method
    assert "'fft' was asked for" in text
    assert "9 multiply-adds" in text
    assert "transform" in text
    assert f"{machine.VARIABLE}=default" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "nothing in it" in str(convop.plan(convop.Identity(3)))


def test_a_pinned_method_that_a_new_kernel_cannot_have_is_let_go():
    A = convop.Convolution(np.outer([1.0, 2, 3], [1.0, 0, 2]), (9, 8), method="separable")
    B = A.with_kernel(np.random.default_rng(0).standard_normal((3, 3)))
    assert B.method == "direct"
    x = np.random.default_rng(1).standard_normal((9, 8))
    assert np.allclose((A + B)(x), A(x) + B(x))
    assert A.with_kernel(np.outer([1.0, 2, 4], [1.0, 0, 2])).method == "separable"


# Constants.


def test_measured_constants_are_kept_and_planned_with(kept, monkeypatch):
    found = Constants(multiply_add=123.0)
    monkeypatch.setattr(measuring, "measured", lambda: found)
    A = convop.Convolution(np.ones((3, 3)), (64, 64))
    before = convop.plan(A, measure=False)
    assert "built in" in before.machine
    assert not kept.exists()
    after = convop.plan(A)
    assert machine.constants() == found
    assert json.loads(kept.read_text())["multiply_add"] == 123.0
    assert str(kept) in after.machine
    direct = next(each for each in after.choices[0].candidates if each.method == "direct")
    assert direct.seconds > 9 * 64 * 64 * 123e-9
    assert "using('auto') takes" in str(after)
    monkeypatch.setattr(measuring, "measured", lambda: pytest.fail("measured twice"))
    convop.plan(A)


def test_measuring_takes_seconds_and_gives_numbers(kept):
    """Each within a factor of 30 of those built in, which is what a probe may say at most."""
    found = measuring.measured()
    for name in Constants.__dataclass_fields__:
        assert 1 / 31 < getattr(found, name) / getattr(Constants(), name) < 31, name
    assert not kept.exists()


def test_a_probe_is_solved_for_its_constant():
    """A cost that is known to be linear gets the constant back that the time was made of."""
    known = Constants()
    probe = measuring.Probe("entry", lambda: None, lambda: 5.0 + 1000.0 * machine.constants().entry)
    measuring_fastest = measuring._fastest
    try:
        measuring._fastest = lambda run: 5.0 + 1000.0 * 2.5
        assert measuring._solved(probe, known) == pytest.approx(2.5)
    finally:
        measuring._fastest = measuring_fastest


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"call": 1}', "null", "\0\0"], ids=repr)
def test_a_damaged_file_is_as_none(kept, text):
    kept.parent.mkdir(parents=True)
    kept.write_text(text)
    assert machine.constants() == Constants()
    assert not machine.is_measured()


@pytest.mark.parametrize("bad", [0, -1, "nan", "inf", "x", None])
def test_numbers_that_are_none_are_not_taken(kept, bad):
    machine.keep(Constants())
    values = json.loads(kept.read_text()) | {"entry": float(bad) if bad in ("nan", "inf") else bad}
    kept.write_text(json.dumps(values))
    machine._read.cache_clear()
    assert machine.constants() == Constants()


def test_a_folder_that_cannot_be_written_to(kept, monkeypatch):
    kept.parent.parent.joinpath("convop").write_text("a file where the folder should be")
    machine.keep(Constants(entry=7.0))
    assert machine.constants().entry == 7.0
    assert "can't be written" in machine.source()
    monkeypatch.setattr(machine, "_unkept", None)


def test_the_variable_overrides(kept, monkeypatch, tmp_path):
    machine.keep(Constants(entry=7.0))
    path = tmp_path / "mine.json"
    path.write_text(kept.read_text().replace("7.0", "8.0"))
    for value, entry in (("default", Constants().entry), (str(path), 8.0)):
        monkeypatch.setenv(machine.VARIABLE, value)
        assert machine.constants().entry == entry
        assert value in machine.source()
        convop.plan(convop.Identity(3))  # measures nothing
    monkeypatch.setenv(machine.VARIABLE, str(tmp_path / "none.json"))
    with pytest.raises(GeometryError, match=r"none\.json.*default"):
        convop.Convolution([1.0], 3)([1.0, 2.0, 3.0])


def test_nothing_is_measured_or_written_unasked(tmp_path):
    """Importing and applying leave the cache folder alone."""
    script = "import convop, numpy; convop.Convolution(numpy.ones(3), 9)(numpy.ones(9))"
    environment = {name: value for name, value in os.environ.items() if name != machine.VARIABLE}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, env=environment)
    assert not list(tmp_path.rglob("machine-*.json"))
