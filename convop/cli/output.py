"""What the commands say: figures, JSON, and a fault in how a command was called."""

import json
import math
from importlib import metadata
from typing import Any

import numpy as np

from ..errors import ConvopError


class Usage(ConvopError):
    """Arguments that make no sense; the command ends with 2."""


def as_json(value: Any) -> str:
    """Strict JSON for people and `jq`; inf and NaN, of which JSON knows nothing, are the strings "inf" and "nan"."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, complex):
        return {"real": _plain(value.real), "imag": _plain(value.imag)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def sizes(shape: tuple[int, ...]) -> str:
    """A shape as people write it."""
    return " x ".join(map(str, shape)) or "a single number"


def version() -> str:
    """Of convop, where it is installed."""
    try:
        return metadata.version("convop")
    except metadata.PackageNotFoundError:
        return "from a source tree"


def figure(value: float | complex | None) -> str:
    """A number in four figures."""
    return "unknown" if value is None else f"{value:.4g}"


def columns(rows: list[tuple[str, ...]], gap: int = 2) -> list[str]:
    """Rows of words with the columns under each other, the first to the left and the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        (" " * gap)
        .join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        .rstrip()
        for row in rows
    ]
