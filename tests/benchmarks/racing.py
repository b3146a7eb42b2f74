"""What the benchmarks share: rivals that take turns in one process, checked answers, medians, tables, JSON.

Rivals are functions of no arguments. Each runs once untimed, which its answer is taken from. They take turns, in an
order drawn anew for each round. Who is `HOPELESS` times slower than the best in the first rounds is not run again: its
time is the median of few runs then, or that of the first where even that took long. Threads of a library that wait must
sleep, or they slow whoever comes next: the scripts set OMP_WAIT_POLICY before they import anything.
"""

import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

HOPELESS = 4.0
FEW = 2


@dataclass
class Result:
    """Median seconds of everyone who gave the right answer, and why others are missing."""

    seconds: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def best_rival(self, ours: str = "convop") -> tuple[str, float] | None:
        """The fastest of the others."""
        others = [(seconds, name) for name, seconds in self.seconds.items() if name != ours]
        return (min(others)[1], min(others)[0]) if others else None

    def lead(self, ours: str = "convop") -> float | None:
        """How many times longer the best rival takes; None without one."""
        best = self.best_rival(ours)
        return None if best is None else best[1] / self.seconds[ours]


def race(
    rivals: dict[str, Callable[[], Any]],
    want: np.ndarray | None = None,
    tolerance: float = 0.0,
    rounds: int = 15,
    budget: float = 2.5,
) -> Result:
    """Let rivals take turns for `rounds` rounds or about `budget` seconds; wrong answers are not timed."""
    result, running, first = Result(), {}, {}
    for name, rival in rivals.items():
        start = time.perf_counter()
        try:
            answer = rival()
        except Exception as error:  # a benchmark tells of what fails and goes on
            result.missing[name] = f"{type(error).__name__}: {error}".splitlines()[0][:80]
            continue
        first[name] = time.perf_counter() - start
        error = 0.0 if want is None else _error(answer, want)
        if error > tolerance:
            result.missing[name] = f"wrong by {error:.0e}"
        else:
            running[name] = rival
    limit = HOPELESS**2 * min(map(first.__getitem__, running), default=0.0)
    late = [name for name in running if first[name] > max(limit, 0.5)]  # one run of them has to do
    result.seconds = {name: first[name] for name in late}
    result.seconds |= _take_turns({name: run for name, run in running.items() if name not in late}, rounds, budget)
    return result


def _error(answer: Any, want: np.ndarray) -> float:
    got = np.asarray(answer, want.dtype).reshape(want.shape)
    return float(np.abs(got - want).max() / np.abs(want).max())


def _take_turns(rivals: dict[str, Callable[[], Any]], rounds: int, budget: float) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in rivals}
    end, running = time.perf_counter() + budget, list(rivals)
    for number in range(rounds):
        for name in random.sample(running, len(running)):
            start = time.perf_counter()
            rivals[name]()
            times[name].append(time.perf_counter() - start)
        if number + 1 == FEW:
            best = min(map(min, times.values()))
            running = [name for name in running if min(times[name]) <= HOPELESS * best]
        if number + 1 >= FEW + 1 and time.perf_counter() > end:
            break
    return {name: statistics.median(each) for name, each in times.items()}


def machine() -> str:
    """The processor and the versions of what ran."""
    import numba
    import scipy

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # no Linux
    return (
        f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, numba {numba.__version__}"
    )


def milliseconds(seconds: float | None) -> str:
    """Three digits, or a dash."""
    return "-" if seconds is None else f"{1e3 * seconds:#.3g}".rstrip(".")


def markdown(rows: list[dict[str, str]]) -> str:
    """A table of rows with one set of columns."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]
    return "\n".join(lines + [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]) + "\n"


def save(path: Path, figures: dict[str, Any]) -> None:
    """Write figures, with the machine they come from."""
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n")
