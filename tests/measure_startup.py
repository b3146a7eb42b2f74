"""How long a new process waits for convop. Run it: python tests/measure_startup.py"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCIPY = "import time, sys; import numpy, scipy.sparse.linalg; start = time.perf_counter()\n"
STOP = "\nprint(time.perf_counter() - start)"
APPLY = "import convop\nconvop.Convolution(numpy.ones((3, 3)), (64, 64), method='direct')(numpy.ones((64, 64)))"


def seconds(code: str, cache: str) -> float:
    """What the piece of code took in a new process, scipy being there already."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", SCIPY + code + STOP], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def report(what: str, code: str, caches: list[str]) -> None:
    """Print the median and the extremes over one process for each cache folder."""
    times = [seconds(code, cache) for cache in caches]
    print(f"{what:<48} {statistics.median(times):6.3f} s   ({min(times):.3f} to {max(times):.3f}, {len(times)} runs)")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        warm = str(Path(folder, "warm"))
        empty = [str(Path(folder, f"cold{run}")) for run in range(3)]
        seconds(APPLY, warm)
        report("import convop, beyond scipy.sparse.linalg", "import convop", [warm] * 15)
        report("import and first apply, empty cache", APPLY, empty)
        report("import and first apply, warm cache", APPLY, [warm] * 7)


if __name__ == "__main__":
    main()
