"""How much memory there is, asked before something large is built."""

import os
from pathlib import Path

from .errors import MemoryBudgetError

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def available_bytes() -> int:
    """What the machine, or the control group this process lives in, has free."""
    return min([_machine_free(), *(free for free in map(_group_free, _CGROUPS) if free is not None)])


def _machine_free() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(free) * 1024
    except (OSError, StopIteration):  # not Linux: half of what is built in is a careful guess
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if hasattr(os, "sysconf") else 2**31


def _group_free(paths: tuple[str, str]) -> int | None:
    try:
        limit, used = (Path(path).read_text().strip() for path in paths)
        return max(int(limit) - int(used), 0)
    except (OSError, ValueError):  # no such group, or its limit is the word "max"
        return None


def require_bytes(needed: int, what: str, advice: str, max_bytes: int | None = None) -> None:
    """Raise MemoryBudgetError unless `needed` bytes are within `max_bytes`, by default what is free."""
    budget = available_bytes() if max_bytes is None else max_bytes
    if needed > budget:
        raise MemoryBudgetError(
            f"{what} needs {human(needed)}, and {'the machine has' if max_bytes is None else 'max_bytes allows'} "
            f"{human(budget)}; {advice}"
        )


def human(count: float) -> str:
    """Bytes in a unit that people read."""
    if count >= 1e18:
        return "more than a million TB"
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
