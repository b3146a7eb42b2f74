"""Settings that all tests share."""

import importlib.util
import os
import sys
from pathlib import Path

import hypothesis
import pytest

# The same examples on every run: a failure on one machine is a failure on all.
hypothesis.settings.register_profile("convop", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("convop")

# The same choices on every machine, whatever was measured on it.
os.environ["CONVOP_MACHINE"] = "default"


@pytest.fixture
def script(monkeypatch):
    """A function that imports a script of `benchmarks` by its name, as if it ran in its folder."""

    def load(name):
        folder = Path(__file__).parent / "benchmarks"
        monkeypatch.syspath_prepend(str(folder))
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load
