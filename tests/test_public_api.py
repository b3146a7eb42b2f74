"""The public API changes on purpose only: what it is now is what `public_api.txt` says."""

import difflib
from pathlib import Path

import public_api


def test_the_api_is_the_one_on_file():
    file = Path(__file__).with_name("public_api.txt")
    before, now = file.read_text().splitlines(), list(public_api.lines())
    told = "\n".join(difflib.unified_diff(before, now, "on file", "now", lineterm=""))
    assert not told, f"{told}\nif meant: python tests/public_api.py > tests/public_api.txt, and a line in CHANGELOG.md"
