"""The benchmark of the solvers runs, and everybody in it solves the same problem."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "benchmarks" / "solving.py"


@pytest.mark.filterwarnings("ignore")  # of the rivals
def test_quick(tmp_path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("benchmark_solving", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    rows = module.main(["--quick", "--out", str(tmp_path)])
    assert len(rows) == 1
    results = rows[0]["results"]
    assert {"convop.solve", "PyLops cgls", "scipy lsmr, fftconvolve"} <= set(results)
    assert all(each["reached"] for each in results.values()), results
    assert "convop.solve" in (tmp_path / "solving.md").read_text()
    assert json.loads((tmp_path / "solving.json").read_text())["speed"] == rows
    assert "motion 15" in capsys.readouterr().out
