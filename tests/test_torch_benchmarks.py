"""The torch benchmarks still run, on sizes that say nothing of speed."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

FOLDER = Path(__file__).parent / "benchmarks"


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "options"), [("torch_cpu", []), ("channels", []), ("torch_gpu", ["--device", "cpu"])])
def test_it_runs(name, options, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    script(name).main(["--quick", "--json", str(tmp_path / "figures.json"), *options])
    said, figures = capsys.readouterr().out, json.loads((tmp_path / "figures.json").read_text())
    assert "CPU" in figures.pop("machine")
    assert figures.pop("seconds")
    assert said.count("**") == 2 * len(figures)
    for rows in figures.values():
        assert all(value > 0 for row in rows for value in row.values() if isinstance(value, float))
