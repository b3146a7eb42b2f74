"""The benchmark of the solvers runs, and everybody in it solves the same problem."""

import json

import pytest


@pytest.mark.filterwarnings("ignore")  # of the rivals
def test_quick(tmp_path, script, capsys):
    rows = script("solving").main(["--quick", "--out", str(tmp_path)])
    assert len(rows) == 1
    results = rows[0]["results"]
    assert {"convop.solve", "PyLops cgls", "scipy lsmr, fftconvolve"} <= set(results)
    assert all(each["reached"] for each in results.values()), results
    assert "convop.solve" in (tmp_path / "solving.md").read_text()
    assert json.loads((tmp_path / "solving.json").read_text())["speed"] == rows
    assert "motion 15" in capsys.readouterr().out
