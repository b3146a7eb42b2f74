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
def _libraries() -> Any:
    """Every BLAS that was loaded when this was first asked for."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Within it, BLAS starts no threads.

    The limit holds for the process, and the thread that sets it has to lift it. So one caller at a time sets it, and
    those who come meanwhile do without: they are at most slower.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1):  # which hands the right to set limits back to whoever comes next
            yield
    finally:
        _limiting.release()
