"""Compiled loops: numba is imported and a kernel compiled on first use, and cached on disk where one can write."""

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """`kernel` as machine code that runs without the interpreter lock."""
    import numba

    # "contract" lets multiply and add become one instruction; NaN and inf keep their meaning.
    options = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(kernel)
    except RuntimeError:  # no folder to cache in: a read-only install without a home
        return numba.njit(**options)(kernel)
