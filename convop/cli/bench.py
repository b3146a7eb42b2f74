"""`convop bench`: this machine's convolutions next to scipy's, in one process and in turn."""

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import scipy

from .._optional import require
from ..convolution import Convolution
from ..dtypes import Array
from ..errors import ConvopError
from ..geometry import Geometry
from .output import Usage, as_json, columns, sizes, version

SIZES = (((512, 512), (3, 3)), ((512, 512), (15, 15)), ((1024, 1024), (31, 31)), ((200_000,), (65,)))
ASSEMBLED = 4_000_000  # entries of a matrix up to which it is assembled
NDIMAGE = {
    "zero": "constant",
    "periodic": "grid-wrap",
    "symmetric": "reflect",
    "mirror": "mirror",
    "replicate": "nearest",
}
TOLERANCE = 1e-4
SHORTEST = 5e-3  # seconds that are timed at a time


@dataclass(frozen=True)
class Job:
    """What was asked for."""

    size: tuple[int, ...] | None = None
    kernel: tuple[int, ...] | None = None
    dtype: str = "float32"
    boundary: str = "zero"
    rounds: int = 9
    json: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Task:
    """One thing that both do; `scipy` is the function of scipy's that does it."""

    what: str
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    method: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    scipy: str


@dataclass(frozen=True)
class Timing:
    """Medians in seconds, and the median of how many times as long scipy takes in a round."""

    what: str
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    method: str
    scipy: str
    convop_seconds: float
    scipy_seconds: float
    ratio: float


def bench(job: Job) -> None:
    """Time all tasks and print the table."""
    pairs = SIZES if job.size is None else ((job.size, job.kernel or (5,) * len(job.size)),)
    if any(len(size) != len(kernel) for size, kernel in pairs) or (job.kernel and not job.size):
        raise Usage("--kernel has one size for each axis of --size, such as --size 512x512 --kernel 5x5")
    tasks = [task for size, kernel in pairs for task in _tasks(size, kernel, job)]
    shown = not job.quiet and not job.json and sys.stderr.isatty()
    timings = []
    with require("tqdm", "cli").tqdm(total=len(tasks), ncols=78, leave=False) if shown else nullcontext() as bar:
        for task in tasks:
            timings.append(_timed(task, job.rounds))
            if bar is not None:
                bar.update()
    if job.json:
        print(as_json({"machine": _machine(), "settings": asdict(job), "timings": [asdict(each) for each in timings]}))
    else:
        print("\n".join(_lines(timings, job)))


def _tasks(size: tuple[int, ...], kernel: tuple[int, ...], job: Job) -> Iterator[Task]:
    rng = np.random.default_rng(0)
    taps, x = (rng.standard_normal(shape).astype(job.dtype) for shape in (kernel, size))
    A = Convolution(taps, size, boundary=job.boundary)
    adjoint = A.H
    apply, name = _scipy(taps, x, job.boundary)
    yield Task("apply", size, kernel, A.method, lambda: A(x), apply, name)
    if job.boundary in ("zero", "periodic") and all(k % 2 for k in kernel):  # else scipy's has no adjoint
        turned, name = _scipy(np.flip(taps).copy(), x, job.boundary)
        yield Task("adjoint", size, kernel, A.method, lambda: adjoint(x), turned, name)
    if A._count()[0] <= ASSEMBLED and job.boundary == "zero":
        yield Task("matrix", size, kernel, "sparse", A.tosparse, partial(_assembled, A.geometry, taps), "sparse.kron")


def _scipy(kernel: Array, x: Array, boundary: str) -> tuple[Callable[[], Any], str]:
    """The faster of what scipy offers, as scipy itself chooses where it does."""
    if boundary == "zero":
        import scipy.signal

        return lambda: scipy.signal.convolve(x, kernel, "same"), "signal.convolve"
    import scipy.ndimage

    # ndimage puts the centre of an even kernel at k // 2.
    origin = [k // 2 - (k - 1) // 2 for k in kernel.shape]
    options = {"mode": NDIMAGE[boundary], "origin": [-o for o in origin]}
    return lambda: scipy.ndimage.convolve(x, kernel, **options), "ndimage.convolve"


def _assembled(geometry: Geometry, kernel: Array) -> Any:
    """The matrix of a zero boundary from scipy's parts: a sum over taps of Kronecker products of shifts."""
    import scipy.sparse

    sparse: Any = scipy.sparse
    *outer, last = (range(k) for k in kernel.shape)
    total: Any = None
    for t in np.ndindex(*(len(axis) for axis in outer)):
        lags = [(len(last) - 1) // 2 - tap for tap in last]
        diagonals = [
            np.full(max(geometry.spatial[-1] - abs(lag), 0), v) for lag, v in zip(lags, kernel[t], strict=True)
        ]
        inner = sparse.diags_array(
            diagonals,
            offsets=lags, shape=(geometry.spatial[-1],) * 2, format="csr", dtype=kernel.dtype,
        )  # fmt: skip
        shifts = [
            sparse.eye_array(n, k=(k - 1) // 2 - i, format="csr", dtype=kernel.dtype)
            for n, k, i in zip(geometry.spatial, kernel.shape, t, strict=False)
        ]
        term = reduce(lambda a, b: sparse.kron(a, b, format="csr"), [*shifts, inner])
        total = term if total is None else total + term
    return total


def _timed(task: Task, rounds: int) -> Timing:
    """Medians of runs in turn, once both have answered the same."""
    _require_same(task, task.ours(), task.theirs())
    counts = [max(1, math.ceil(SHORTEST / _seconds(run, 1))) for run in (task.ours, task.theirs)]
    pairs = [(_seconds(task.ours, counts[0]), _seconds(task.theirs, counts[1])) for _ in range(rounds)]
    mine, other = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    return Timing(task.what, task.size, task.kernel, task.method, task.scipy, mine, other, ratio)


def _seconds(run: Callable[[], Any], times: int) -> float:
    """What a run takes, on average of so many in a row."""
    started = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - started) / times


def _require_same(task: Task, a: Any, b: Any) -> None:
    apart = abs(a - b).max() if np.ndim(a) else 0.0
    scale = abs(b).max()
    if not apart <= TOLERANCE * scale:
        raise ConvopError(f"convop and scipy disagree by {apart:.2g} about {task}; please report this")


def _machine() -> dict[str, Any]:
    return {
        "convop": version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _lines(timings: list[Timing], job: Job) -> list[str]:
    m = _machine()
    rows: list[tuple[str, ...]] = [("task", "array", "kernel", "convop", "scipy", "ratio", "scipy's")]
    for t in timings:
        names = (f"{t.what}, {t.method}" if t.what != "matrix" else t.what, sizes(t.size), sizes(t.kernel))
        rows.append((*names, _time(t.convop_seconds), _time(t.scipy_seconds), f"{t.ratio:.1f}", t.scipy))
    return [
        f"convop {m['convop']}, scipy {m['scipy']}, numpy {m['numpy']}, Python {m['python']}",
        f"{m['system']} {m['processor']}, {m['cpus']} CPUs",
        f"{job.dtype}, boundary {job.boundary}, medians of {job.rounds} runs in turn",
        "",
        *columns(rows),
        "",
        "ratio: how many times as long scipy takes; both answers were compared first",
    ]


def _time(seconds: float) -> str:
    return (
        f"{seconds * 1e6:.0f} us"
        if seconds < 1e-3
        else f"{seconds * 1e3:.1f} ms"
        if seconds < 1
        else f"{seconds:.2f} s"
    )
