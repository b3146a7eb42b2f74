"""Who holds which rows, who computes which outputs, and whose rows these read. Integers only."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from ..geometry import Geometry
from ..window import outputs_inside, window


def split(rows: int, ranks: int, what: str) -> list[range]:
    """Blocks of whole rows, one for each rank, the first ones longer by a row where they do not come out even."""
    if ranks > rows:
        raise GeometryError(
            f"{ranks} ranks cannot share the {rows} rows that the {what} has along the first spatial axis; start "
            f"at most {rows}, or put a longer axis first"
        )
    least, longer = divmod(rows, ranks)
    starts = [rank * least + min(rank, longer) for rank in range(ranks + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(starts)]


@dataclass(frozen=True)
class Share:
    """What one rank does.

    Attributes
    ----------
    rows, outputs : range
        The rows of the array that it holds, and the rows of the result that it computes.
    interior : range
        The outputs that read nothing but rows it holds, as they stand.
    edges : tuple of range
        The others, before and after these.
    halo : numpy.ndarray
        The rows of others that the edges read, ascending.
    """

    rows: range
    outputs: range
    interior: range
    edges: tuple[range, ...]
    halo: NDArray[np.intp]


def share(geometry: Geometry, rows: range, outputs: range) -> Share:
    """The share of a rank that holds `rows` and computes `outputs` along the first spatial axis."""
    interior = outputs_inside(geometry, 0, rows, outputs)
    edges = tuple(edge for edge in (range(outputs.start, interior.start), range(interior.stop, outputs.stop)) if edge)
    read = [window(geometry, 0, edge).samples for edge in edges]
    needed = np.unique(np.concatenate(read)) if read else np.empty(0, np.intp)
    return Share(rows, outputs, interior, edges, needed[(needed < rows.start) | (needed >= rows.stop)])


def owners(halo: NDArray[np.intp], stops: NDArray[np.intp]) -> list[tuple[int, slice]]:
    """The ranks that hold rows of the halo, and which of its rows each holds, where ranks' rows end at `stops`."""
    holder = np.searchsorted(stops, halo, side="right")
    ranks, starts = np.unique(holder, return_index=True)
    ends = np.append(starts, len(halo))[1:]
    return [(int(rank), slice(int(a), int(b))) for rank, a, b in zip(ranks, starts, ends, strict=True)]
