"""The torch benchmarks still run, on sizes that say nothing of speed."""

import json
import sys

import pytest

pytest.importorskip("torch")


@pytest.mark.parametrize(("name", "options"), [("torch_cpu", []), ("channels", []), ("torch_gpu", ["--device", "cpu"])])
def test_it_runs(name, options, script, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    script(name).main(["--quick", "--json", str(tmp_path / "figures.json"), *options])
    said, figures = capsys.readouterr().out, json.loads((tmp_path / "figures.json").read_text())
    assert "CPU" in figures.pop("machine")
    assert figures.pop("seconds")
    assert said.count("**") == 2 * len(figures)
    for rows in figures.values():
        assert all(value > 0 for row in rows for value in row.values() if isinstance(value, float))
