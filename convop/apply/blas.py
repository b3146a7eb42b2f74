"""Keeps BLAS in the thread that calls it, while threads of our own share many small products and factorisations.

Threads that BLAS starts beside ours wait for work busily, and take the cores from those that have some: singular values
of 544 blocks of 64x64 took 1.6 times as long.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_limiting = threading.Lock()


@cache
def _libraries() -> list[Any]:
    """Every BLAS that is loaded."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Within it, BLAS starts no threads.

    The limit holds for the process, and the thread that sets it has to lift it. So one caller at a time sets it, and
    those who come meanwhile do without: they are at most slower.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    before = [(library, library.get_num_threads()) for library in _libraries()]
    try:
        for library, _ in before:
            library.set_num_threads(1)
        yield
    finally:
        for library, threads in before:
            library.set_num_threads(threads)
        _limiting.release()
