"""The benchmarks of speed run, on sizes that say nothing of it, and every library gives the right answer there."""

import json

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.mark.parametrize("part", ["2d", "1d", "3d", "periodic", "small", "scaling"])
def test_it_runs_and_convop_is_right(part, folder, script, capsys):
    path = folder / f"{part}.json"
    script("speed").main(["--quick", "--rounds", "2", "--part", part, "--json", str(path)])
    rows = json.loads(path.read_text())[part]
    assert len(capsys.readouterr().out.splitlines()) >= len(rows) > 1
    for row in rows:
        assert all(seconds > 0 for seconds in row["seconds"].values())
        if "missing" in row:
            assert "convop" in row["seconds"]
            assert len(row["seconds"]) > 2  # rivals took part
            assert not any("wrong" in why for why in row["missing"].values()), row


def test_the_page_is_written(folder, script, monkeypatch):
    figures = {"machine": "a machine"}
    speed, report = script("speed"), script("report")
    for part in ("2d", "periodic", "small"):
        figures[part] = speed.run(part, True, 2)
    (folder / "speed.json").write_text(json.dumps(figures))
    monkeypatch.setattr(report, "DOCS", folder)
    page = report.page(folder)
    assert "a machine" in page
    assert page.count("| 40^2") == len(figures["2d"])
    assert "Not measured: no GPU" in page
    assert json.loads((folder / "benchmarks.json").read_text())["machine"] == "a machine"
