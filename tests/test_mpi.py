"""Many processes: the split and the halo in integers here, everything else by a program that `mpiexec` starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import array, needs_pylops_26

import convop
from convop.mpi.shares import share, split

HERE = Path(__file__).parent
MPIEXEC = Path(sys.executable).with_name("mpiexec")  # of the package mpich


SETTINGS = {
    "PYTHONPATH": os.pathsep.join(map(str, (HERE.parent, HERE))),
    "OMP_NUM_THREADS": "1",
    "TORCH_PYLOPS": "0",  # PyLops would import torch in every process
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1",  # more ranks than cores: those who wait make room
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "16",
}


def mpiexec(ranks, *program, directory):
    return subprocess.run(
        [MPIEXEC, "-n", str(ranks), sys.executable, "-W", "error", "-m", "mpi4py", *map(str, program)],
        env={**os.environ, **SETTINGS}, cwd=directory, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@needs_pylops_26
def test_on_one_to_four_ranks(tmp_path):
    array((1024, 512)).tofile(tmp_path / "x.npy")
    done = mpiexec(4, HERE / "mpi_program.py", tmp_path, directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert sorted(done.stdout.splitlines()) == [f"11 tests on {ranks} ranks" for ranks in (1, 2, 2, 3, 4)]


def test_a_failure_on_one_rank_ends_all(tmp_path):
    """Otherwise the tests above would hang instead of failing."""
    program = tmp_path / "fails.py"
    program.write_text(
        "from mpi4py import MPI\nif MPI.COMM_WORLD.rank == 1:\n    raise ValueError('here')\nMPI.COMM_WORLD.Barrier()\n"
    )
    done = mpiexec(2, program, directory=tmp_path)
    assert done.returncode != 0
    assert "ValueError: here" in done.stderr


@needs_pylops_26
def test_the_program_of_the_page_runs(tmp_path):
    """What `docs/mpi.rst` shows is what it prints."""
    page = (HERE.parent / "docs/mpi.rst").read_text()
    blocks = re.findall(r"^\.\. code-block:: (\w+)\n\n((?:    .*\n|   .*\n|\n)+)", page, re.MULTILINE)
    (program,) = [text for language, text in blocks if language == "python"]
    (printed,) = [text for language, text in blocks if language == "text"]
    (tmp_path / "program.py").write_text("\n".join(line[3:] for line in program.splitlines()))
    done = mpiexec(3, tmp_path / "program.py", directory=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == printed.split()


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(convop.MissingDependency, match=r'"convop\[mpi\]"'):
        convop.mpi.distribute(convop.Convolution([1.0], 3))


def test_rows_are_split_as_even_as_they_come():
    for rows in range(1, 30):
        for ranks in range(1, rows + 1):
            blocks = split(rows, ranks, "input")
            assert [row for block in blocks for row in block] == list(range(rows))
            sizes = [len(block) for block in blocks]
            assert sizes == sorted(sizes, reverse=True)
            assert sizes[0] - sizes[-1] <= 1
    with pytest.raises(convop.GeometryError, match="31 ranks cannot share the 30 rows that the input"):
        split(30, 31, "input")


@pytest.mark.parametrize("boundary", ["zero", "periodic", "symmetric", "mirror", "replicate", "antireflective"])
def test_a_thousand_ranks_read_of_their_neighbours_what_the_kernel_reaches(boundary):
    """`before` rows of the one and `after` rows of the other, at the ends of those that there are."""
    kernel, dilation, ranks = (4, 3), (3, 1), 1000
    A = convop.Convolution(array(kernel), (16 * ranks + 7, 5), boundary=boundary, dilation=dilation)
    n = 16 * ranks + 7
    blocks = split(n, ranks, "input")
    before, after = A.geometry.padding[0]
    assert before + after == A.geometry.reach[0] - 1
    for rank in (0, 1, 7, 500, ranks - 2, ranks - 1):
        each = share(A.geometry, blocks[rank], blocks[rank])
        around = np.r_[blocks[rank].start - before : blocks[rank].start, blocks[rank].stop : blocks[rank].stop + after]
        want = around % n if boundary == "periodic" else around[(around >= 0) & (around < n)]
        assert each.halo.tolist() == sorted(want)
        read_elsewhere = [i for edge in each.edges for i in edge]
        assert sorted([*each.interior, *read_elsewhere]) == list(blocks[rank])
