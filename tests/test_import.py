"""Importing convop is cheap: nothing heavy comes along, and what is optional may be absent."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "numba", "matplotlib", "pylops", "mpi4py", "hypothesis", "tqdm", "imageio", "PIL")


def python(code):
    """What a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = python("import sys, convop; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert sorted(set(loaded) & set(HEAVY)) == []
    assert "convop" in loaded


def test_every_public_name_is_in_the_reference():
    surface = ast.parse((ROOT / "convop/__init__.py").read_text())
    imported = [node for node in ast.walk(surface) if isinstance(node, ast.ImportFrom)]
    names = {alias.asname for node in imported for alias in node.names if alias.asname}
    listed = {line.strip() for line in (ROOT / "docs/reference.rst").read_text().splitlines()}
    assert names - listed == {"check", "mpi", "plot", "psf"}  # these have sections of their own


def test_names_that_load_later_are_all_there():
    surface = ast.parse((ROOT / "convop/__init__.py").read_text())
    imported = [node for node in ast.walk(surface) if isinstance(node, ast.ImportFrom)]
    names = sorted(alias.asname for node in imported for alias in node.names if alias.asname)
    found = python(f"import convop; print(*[getattr(convop, n).__name__.split('.')[-1] for n in {names}])")
    assert found.split() == names
    listed = python("import convop; print(*dir(convop))").split()
    assert sorted(set(names) - set(listed)) == []
    starred = python("from convop import *; print(*dir())").split()
    assert sorted(set(names) - set(starred)) == []


def test_everything_but_the_neighbours_works_without_them():
    python(
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'pylops', 'matplotlib', 'imageio', 'tqdm']))\n"
        "import numpy as np, convop\n"
        "blur = convop.Convolution(convop.psf.disk(2), (20, 21))\n"
        "assert convop.check.adjoint(blur)\n"
        "assert np.allclose(blur.tosparse() @ np.ones(420), (blur @ np.ones(420)))"
    )


@pytest.mark.parametrize(("missing", "named"), [("matplotlib", "matplotlib"), ("imageio", "imageio"), ("tqdm", "tqdm")])
def test_the_demo_names_the_package_it_misses(missing, named, tmp_path):
    code = (
        f"import sys; sys.modules.update({{'{missing}': None}})\n"
        "from convop.cli import main\n"
        f"print(main(['demo', '--quiet', '-o', {str(tmp_path / 'demo.png')!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "1"
    assert f"needs the package '{named}'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_rules_come_with_unpickled_operators(tmp_path):
    file = str(tmp_path / "operators")
    python(
        "import convop, pickle\n"
        "C = convop.as_circulant(convop.Convolution([1., 2.], 8, boundary='periodic'))\n"
        "T = convop.as_toeplitz(convop.Convolution([1., 2.], 8))\n"
        f"pickle.dump((C, T, convop.gradient((4, 4))), open({file!r}, 'wb'))"
    )
    kinds = python(
        "import convop, pickle\n"
        f"C, T, D = pickle.load(open({file!r}, 'rb'))\n"
        "P = convop.Convolution([3., 1.], 8, boundary='periodic')\n"
        "print(*(type(made).__name__ for made in (C @ P, P + C, T + T, D + D)))"
    )
    assert kinds == "BlockCirculant BlockCirculant BlockToeplitz Blocks"


def test_a_star_import_brings_everything():
    names = python("from convop import *; print(vstack.__name__, check.__name__, as_circulant.__name__)")
    assert names == "vstack convop.check as_circulant"
