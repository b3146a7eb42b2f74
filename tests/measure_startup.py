"""How long a new process waits for convop. Run it: python tests/measure_startup.py"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLOCKS = "time.perf_counter(), time.process_time()"
SCIPY = f"import time, sys; import numpy, scipy.sparse.linalg; start = {CLOCKS}\n"
STOP = f"\nprint(*(stop - begin for begin, stop in zip(start, ({CLOCKS}))))"
APPLY = "import convop\nconvop.Convolution(numpy.ones((3, 3)), (64, 64), method='direct')(numpy.ones((64, 64)))"


def seconds(code: str, cache: str) -> tuple[float, float]:
    """What the piece of code took in a new process, scipy being there already: by the clock, and of processors."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", SCIPY + code + STOP], env=environment, capture_output=True, text=True, check=True
    )
    clock, processor = map(float, done.stdout.split())
    return clock, processor


def report(what: str, code: str, caches: list[str]) -> None:
    """Print the medians and the extremes over one process for each cache folder."""
    clock, processor = zip(*(seconds(code, cache) for cache in caches), strict=True)
    print(
        f"{what:<42} {statistics.median(clock):6.3f} s ({min(clock):.3f} to {max(clock):.3f}), "
        f"processor {statistics.median(processor):6.3f} s, {len(caches)} runs"
    )


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
