"""What this machine takes for each kind of work: the constants in the cost formulas of the plan.

The figures in `Constants` are those of a two-core x86-64 machine. `convop.plan(A)` measures this machine once and keeps
the figures in a file of the user's cache folder; operators made afterwards, in this process and in later ones, are
planned with them. The environment variable CONVOP_MACHINE overrides: a path of such a file, or "default".
"""

import contextvars
import dataclasses
import functools
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..dtypes import DType
from ..errors import GeometryError

VARIABLE = "CONVOP_MACHINE"

_unkept: "Constants | None" = None


@dataclass(frozen=True)
class Constants:
    """Nanoseconds of one thread for float32, unless said otherwise; ratios are what matters."""

    call: float = 15_000.0  # of any application
    multiply_add: float = 0.03  # of compiled loops over single rows, in all threads
    product: float = 0.02  # the same of BLAS
    transform: float = 0.22  # there and back, for each real sample and factor of two of their number, in cache
    far: float = 2.5  # how many times longer a transform takes that does not fit the cache
    block: float = 60_000.0  # for each block of overlap-save, on top of its transforms
    mix: float = 1.5  # for each sample and pair of channels that a transform's frequencies are mixed by
    entry: float = 1.5  # of a sparse product, for each stored entry


_assumed: contextvars.ContextVar[Constants | None] = contextvars.ContextVar("assumed", default=None)


def constants() -> Constants:
    """Those of this machine: from the file that CONVOP_MACHINE names, else measured ones, else the defaults."""
    return _assumed.get() or _read(os.environ.get(VARIABLE))


@contextmanager
def assumed(values: Constants) -> Iterator[None]:
    """Within it, `constants()` are these."""
    token = _assumed.set(values)
    try:
        yield
    finally:
        _assumed.reset(token)


def arithmetic(dtype: DType) -> float:
    """Cost of a multiply-add relative to float32."""
    return {"float32": 1.0, "float64": 2.0, "complex64": 4.0, "complex128": 8.0}[dtype.name]


def source() -> str:
    """Where `constants()` come from, in a few words."""
    if is_pinned():
        return f"{VARIABLE}={os.environ[VARIABLE]}"
    if _unkept is not None:
        return f"measured now; {kept_at()} can't be written, so they are not kept"
    return f"measured, kept in {kept_at()}" if is_measured() else "built in, for none was measured here"


def is_pinned() -> bool:
    """Whether CONVOP_MACHINE says what counts."""
    return VARIABLE in os.environ


def is_measured() -> bool:
    """Whether there are figures of this machine."""
    return _unkept is not None or _parsed(kept_at()) is not None


def kept_at() -> Path:
    """The file in the user's cache folder; a home that several machines share holds one for each."""
    import hashlib
    import platform

    if sys.platform == "win32":
        folder = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    here = f"{platform.node()} {platform.machine()} {os.cpu_count()}"
    return Path(folder) / "convop" / f"machine-{hashlib.sha256(here.encode()).hexdigest()[:12]}.json"


def keep(measured: Constants) -> None:
    """Write the figures to the user's cache folder; they hold for this process only if that can't be written to."""
    global _unkept  # noqa: PLW0603 - one machine a process
    import tempfile

    path = kept_at()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all, whoever reads or writes at the same time.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".part") as part:
            json.dump(dataclasses.asdict(measured), part, indent=2)
        os.replace(part.name, path)
        _unkept = None
    except OSError:
        _unkept = measured
    finally:
        _read.cache_clear()


@functools.lru_cache(maxsize=4)
def _read(named: str | None) -> Constants:
    if named == "default":
        return Constants()
    if named:
        found = _parsed(Path(named))
        if found is None:
            raise GeometryError(
                f"{VARIABLE}={named!r} names no readable file of machine constants; unset it, set it to 'default', or "
                f"give a JSON file with the numbers {', '.join(Constants.__dataclass_fields__)}"
            )
        return found
    return _unkept or _parsed(kept_at()) or Constants()


def _parsed(path: Path) -> Constants | None:
    """The figures in the file; None if it is missing, damaged, or of another release."""
    try:
        values = json.loads(path.read_text())
        if values.keys() != Constants.__dataclass_fields__.keys():
            return None
        found = Constants(**{name: float(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return found if all(0 < value < math.inf for value in dataclasses.astuple(found)) else None
