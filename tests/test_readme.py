"""The README keeps its promises: one screen, two commands, links that lead somewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)\n```$", README, flags=re.DOTALL | re.MULTILINE)


def test_two_commands_each_with_its_own_environment():
    demo, tests = BLOCKS
    for command in BLOCKS:
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv")
    assert demo.endswith("convop demo")
    assert tests.endswith("-m pytest")
    environments = {command.split()[3] for command in BLOCKS}
    assert len(environments) == 2


@pytest.mark.skipif(not (ROOT / ".ci/run").exists() or not shutil.which("bash"), reason="needs .ci/run and bash")
def test_the_continuous_build_runs_these_very_commands():
    listed = subprocess.run(["bash", ROOT / ".ci/run", "--list"], capture_output=True, text=True, check=True)
    assert listed.stdout.splitlines() == BLOCKS


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_one_screen():
    assert len(README.splitlines()) <= 60
    example = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert example
    assert 10 <= example.group(1).count(">>>") <= 14
