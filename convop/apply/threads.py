"""A small thread pool for compiled kernels that release the interpreter lock.

numba's own parallel loops kill a forked child (OpenMP) or abort when two threads apply at once (workqueue),
so kernels here are sequential over a range of tasks, and the ranges are shared out. The pool is made anew
in a forked child, where the parent's threads do not exist.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

# Multiply-adds below which handing work to another thread costs more than it saves.
WORTH_SHARING = 5_000_000

_pool: ThreadPoolExecutor | None = None
_size = 0


def _forget() -> None:
    global _pool  # noqa: PLW0603 - one pool a process is the point
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def count() -> int:
    """How many threads to use: what numba was told, so that one setting serves all."""
    import numba

    return numba.get_num_threads()


def _workers(threads: int) -> ThreadPoolExecutor:
    global _pool, _size
    if _pool is None or _size < threads:
        _pool, _size = ThreadPoolExecutor(threads, thread_name_prefix="convop"), threads
    return _pool


def share(kernel: Callable[..., None], tasks: int, work: float, *args: object) -> None:
    """Call `kernel(*args, start, stop)` over `range(tasks)`, in several threads when `work` is worth it."""
    threads = min(count(), tasks) if work > WORTH_SHARING else 1
    if threads == 1:
        kernel(*args, 0, tasks)
        return
    pool = _workers(threads)
    bounds = [tasks * part // threads for part in range(threads + 1)]
    own, *others = itertools.pairwise(bounds)
    running = [pool.submit(kernel, *args, *part) for part in others]
    kernel(*args, *own)
    for part in running:
        part.result()
