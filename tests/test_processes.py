"""Where operators run: forked and spawned processes, many threads, an install that cannot be written to."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cases import array
from oracle import error

import convop

PACKAGE = Path(convop.__file__).parent
WAIT = 120

WORK = """
import sys
import numpy as np
import convop

def make():
    kernel = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    direct = convop.Convolution(kernel, (1500, 1400), boundary="mirror").using("direct")
    return [direct, direct.H, direct.using("fft"), direct.using("sparse")]

def signal():
    return np.random.default_rng(1).standard_normal((1500, 1400)).astype("float32")

def results(operators=None):
    return [operator(signal()) for operator in operators or make()]
"""

FORK = """
import os
operators = make()
want = results(operators)
read, write = os.pipe()
child = os.fork()
if child == 0:
    same = all(np.array_equal(a, b) for a, b in zip(want, results(operators)))
    same &= all(np.array_equal(a, b) for a, b in zip(want, results()))
    os.write(write, b"same" if same else b"different")
    os._exit(0)
os.close(write)
answer = os.read(read, 100)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert answer == b"same", answer
assert all(np.array_equal(a, b) for a, b in zip(want, results(operators)))
print("both applied")
"""

POOL = """
import multiprocessing

def work(seed):
    return float(sum(np.abs(result).sum(dtype=float) for result in results()))

if __name__ == "__main__":
    want = work(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(work, range(4), chunksize=1) == [want] * 4
    print("both applied")
"""


def python(code, *arguments, environment=None, **options):
    """Run code in a new interpreter, with warnings as errors; what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(textwrap.dedent(code))
        os.chmod(folder, 0o755)
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script), *arguments],
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **(environment or {})},
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
            cwd=folder,
            **options,
        )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert not done.stderr, done.stderr
    return done.stdout


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@forks
def test_a_forked_child_applies_what_its_parent_applied():
    code = WORK + FORK
    if sys.version_info >= (3, 12):  # Python itself warns there of forking with threads alive
        code = "import warnings\nwarnings.filterwarnings('ignore', category=DeprecationWarning)\n" + code
    assert "both applied" in python(code)


@pytest.mark.parametrize("method", [pytest.param("fork", marks=forks), "spawn"])
def test_a_pool_of_processes(method):
    code = WORK + "want = results()\n" * (method == "fork") + POOL
    if method == "fork" and sys.version_info >= (3, 12):
        code = "import warnings\nwarnings.filterwarnings('ignore', category=DeprecationWarning)\n" + code
    assert "both applied" in python(code, method)


OPERATORS = {
    "direct": lambda: convop.Convolution(array((3, 4), "float32"), (1100, 1000), boundary="symmetric").using("direct"),
    "fft": lambda: convop.Convolution(array((3, 4), "float32"), (500, 400), boundary="symmetric").using("fft"),
    "sparse": lambda: convop.Convolution(array((3, 4), "complex128"), (300, 200)).using("sparse"),
    "small": lambda: convop.Convolution(array((3, 4), "complex128"), (9, 8), boundary="antireflective"),
    "layer": lambda: convop.conv_layer(array((4, 3, 3, 3), "float32"), (3, 200, 180), padding=1),
    "product": lambda: convop.Convolution(array((3, 4)), (200, 180)) @ convop.Convolution(array((3, 4)), (200, 180)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_eight_threads(name):
    """One operator, never applied before, applied by eight threads at once, with the adjoint in between."""
    one = OPERATORS[name]()
    reference = OPERATORS[name]()
    signals = [array(one.in_shape, one.dtype, seed) for seed in range(8)]
    want = [(reference(x), reference.H(reference(x))) for x in signals]

    def work(x):
        forward = one(x)
        return forward, one.H(forward)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            got = list(pool.map(work, signals, timeout=WAIT))
            for pair, expected in zip(got, want, strict=True):
                for answer, right in zip(pair, expected, strict=True):
                    assert error(answer, right) <= 10 * np.finfo(one.dtype).eps


def test_threads_that_start_cold():
    """Eight threads make the very first application of a process: they load the compiled code together."""
    code = """
    from concurrent.futures import ThreadPoolExecutor
    import threading
    import numpy as np
    import convop

    start = threading.Barrier(8)
    operator = convop.Convolution(np.ones((3, 3)), (64, 64))
    x = np.random.default_rng(0).standard_normal((64, 64))

    def work(_):
        start.wait()
        return operator.using("direct")(x)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert all(np.array_equal(results[0], result) for result in results)
    print("same")
    """
    assert "same" in python(code)


def test_a_process_ends_after_applying():
    """Whatever threads are kept, they do not keep the interpreter alive."""
    assert "done" in python(WORK + "results()\nprint('done')\n")


FIRST_APPLY = """
import numpy as np
import convop
assert convop.__file__.startswith(r"{folder}"), convop.__file__
operator = convop.Convolution(np.array([[1.0, 2], [3, 4j]]), (5, 6), boundary="mirror")
x = np.random.default_rng(0).standard_normal((5, 6))
for method in ("direct", "fft", "sparse"):
    pinned = operator.using(method)
    assert np.allclose(pinned(x).ravel(), operator.toarray() @ x.ravel())
    assert np.allclose(pinned.H(x).ravel(), operator.toarray().conj().T @ x.ravel())
print("applied")
"""


@pytest.fixture
def readonly_install():
    """The package alone, in a folder that may be read and not written to."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(PACKAGE, folder / "convop", ignore=shutil.ignore_patterns("__pycache__"))
    everything = [folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in everything:
        path.chmod(stat.S_IRWXU)
    shutil.rmtree(folder)


def without_privileges(folder):
    """How to start a process that may not write to the folder: (command prefix, options of subprocess)."""
    probe = f"import os, sys, numba; sys.exit(os.access({str(folder)!r}, os.W_OK))"
    ways = [([], {})]
    if os.geteuid() == 0:  # root writes anywhere: be somebody else, or root without its capabilities
        setpriv = shutil.which("setpriv") or "setpriv"
        capabilities = [setpriv, "--inh-caps=-all", "--bounding-set=-all"]
        ways = [([], {"user": 65534, "group": 65534, "extra_groups": []}), (capabilities, {})]
    for prefix, options in ways:
        try:
            done = subprocess.run([*prefix, sys.executable, "-c", probe], check=False, capture_output=True, **options)
        except OSError:  # a Python that only root can run, or no setpriv
            continue
        if done.returncode == 0:
            return prefix, options
    pytest.skip("no way here to run without the right to write")


@pytest.mark.skipif(sys.platform == "win32", reason="file modes of POSIX")
@pytest.mark.parametrize("home", ["missing", "unset"])
def test_an_install_that_cannot_be_written_to(readonly_install, home):
    """No write permission, no home, no cache folder: the first apply works, and says nothing."""
    prefix, options = without_privileges(readonly_install)
    unset = ("HOME", "XDG_CACHE_HOME")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_") and k not in unset}
    environment["PYTHONPATH"] = str(readonly_install)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    if home == "missing":
        environment["HOME"] = str(readonly_install / "no" / "such" / "folder")
    done = subprocess.run(
        [*prefix, sys.executable, "-W", "error", "-c", FIRST_APPLY.format(folder=readonly_install)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
        cwd="/",
        **options,
    )
    assert done.returncode == 0, done.stderr
    assert "applied" in done.stdout
    assert not done.stderr, done.stderr
    assert not list(readonly_install.rglob("__pycache__"))
