"""How a multilevel Toeplitz matrix is drawn: blocks by their lag, then each block that differs, level by level."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..dtypes import Array

WIDTH = 80
ROWS = 8  # rows of a matrix, and
BLOCKS = 6  # different blocks of a level that are drawn before the rest is left to `block(*lag)`

Levels = tuple[tuple[int, int], ...]
Lag = tuple[int, ...]


def drawing(blocks: Array, levels: Levels) -> list[str]:
    """The lines that draw a generator `(C_out, C_in, *lags)` with sizes `(n_out, n_in)` on each level."""
    order = [] if blocks.shape[:2] == (1, 1) else ["channels stand innermost here, outermost in the arrays"]
    return [*order, "T =", *_level(np.moveaxis(blocks, (0, 1), (-2, -1)), levels, ())]


def _level(generator: Array, levels: Levels, lag: Lag) -> list[str]:
    """The matrix of the blocks of one level, and below it these blocks."""
    (m, n), inner = levels[0], levels[1:]
    if not inner and generator.shape[1:] == (1, 1):
        numbers = generator[:, 0, 0]
        return _matrix(lambda i, j: _number(numbers[i - j + n - 1]), m, n)
    zero = (generator == 0).all(axis=tuple(range(1, generator.ndim)))
    lines = _matrix(lambda i, j: "0" if zero[i - j + n - 1] else _name((*lag, i - j)), m, n)
    same = _alike(generator, zero)
    for number, places in enumerate(same):
        if number == (BLOCKS if not lag else BLOCKS // 2):
            left = len(same) - number
            call = ", ".join(map(str, (*lag, places[0] - n + 1)))
            return [*lines, f"… and {left} more block{'s' * (left > 1)}: T.block({call}) and so on"]
        lines.append(_heading([_name((*lag, place - n + 1)) for place in places]))
        block = generator[places[0]]
        lines += _level(block, inner, (*lag, places[0] - n + 1)) if inner else _channels(block)
    return lines


def _channels(block: Array) -> list[str]:
    return _matrix(lambda o, i: _number(block[o, i]), *block.shape)


def _alike(generator: Array, zero: NDArray[np.bool_]) -> list[list[int]]:
    """Places of the blocks that are not zero, equal ones together, in the order in which they first occur."""
    same: dict[bytes, list[int]] = {}
    for place in np.flatnonzero(~zero):
        same.setdefault((generator[place] + 0).tobytes(), []).append(int(place))  # + 0: -0.0 is 0.0
    return list(same.values())


def _name(lag: Lag) -> str:
    return f"T[{', '.join(map(str, lag))}]"


def _heading(names: list[str]) -> str:
    line = " = ".join([*names, ""]).rstrip()
    return line if len(line) <= WIDTH else f"{names[0]} = … = {names[-1]} ="


def _number(value: complex) -> str:
    if value == 0:
        return "0"
    return f"{value:.3g}" if isinstance(value, complex | np.complexfloating) else f"{value:.4g}"


def _matrix(cell: Callable[[int, int], str], m: int, n: int) -> list[str]:
    """A matrix between brackets; where it is large, its first rows and columns, dots, and its last."""
    rows = _shown(m, ROWS)
    table, widths = _fitting(cell, rows, n)
    left, right = (_bracket(len(rows), *sides) for sides in ("[⎡⎢⎣", "]⎤⎥⎦"))
    texts = ("  ".join(map(_aligned, row, widths)) for row in table)
    return [f"{a} {text} {b}" for a, text, b in zip(left, texts, right, strict=True)]


def _fitting(cell: Callable[[int, int], str], rows: list[int | None], n: int) -> tuple[list[list[str]], list[int]]:
    """The cells of as many columns as fit into the width, and how wide each column is."""
    most = min(n, WIDTH // 3)
    while True:
        columns = _shown(n, most)
        table = [[_cell(cell, i, j) for j in columns] for i in rows]
        width = max(len(text) for row in table for text in row)
        widths = [1 if j is None else width for j in columns]
        if sum(widths) + 2 * len(columns) + 2 <= WIDTH or most <= 3:
            return table, widths
        most -= 1


def _shown(count: int, most: int) -> list[int | None]:
    """Indices of a long range, None where some are left out."""
    return list(range(count)) if count <= most else [*range(max(most - 2, 1)), None, count - 1]


def _cell(cell: Callable[[int, int], str], i: int | None, j: int | None) -> str:
    if i is None or j is None:
        return "⋱" if i == j else "⋮" if i is None else "…"
    return cell(i, j)


def _aligned(text: str, width: int) -> str:
    return text.center(width) if text in "…⋮⋱" else text.rjust(width)


def _bracket(rows: int, single: str, top: str, middle: str, bottom: str) -> list[str]:
    return [single] if rows == 1 else [top, *[middle] * (rows - 2), bottom]
