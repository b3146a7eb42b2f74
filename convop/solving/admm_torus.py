r"""Sparse priors of a frame, on a torus: rows of a regulariser that wrap around cost nothing where they are split off.

What reads nothing outside its array is a crop of a circulant (`frame`), the data as well as the differences `L`. In the
quadratic steps of alternating directions all rows of the circulant `L` may stand, those too that wrap around, if their
splits ``z = L x`` are free of any penalty: what is minimised is the same, and of the normal equations

``P - C^H R^H R C``,  ``P = C^H C + rho L^H L``,

only the rows of the data are missing, on one cross instead of one for every row of `L`. The samples that a torus of a
fast size has more than the array are read by nothing that is penalised.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..apply.transforms import fast_length
from ..arguments import Shape
from ..blocks import Blocks
from ..convolution import Convolution
from ..dtypes import Array
from ..geometry import Geometry
from ..operator import Operator
from ..stacking import vstack
from .frame import METHOD, FrameFactor, FrameState, Rows, determined, rows_inside
from .normal import Method, State, changed
from .on_torus import OnTorus
from .problem import Problem, rows_of, wraps
from .table import choose
from .task import Found, Task

BUFFER = 10  # samples between the ends of the array on the torus: the wider, the less free differences pull at the ends


@dataclass(frozen=True)
class Wrapped:
    """A task on a torus, its array at the origin, and which entries of `L x` are penalised."""

    task: Task
    seen: Array
    spatial: Shape

    def cropped(self, x: Any) -> Any:
        return x[(..., *map(slice, self.spatial))]

    def found(self, found: Found) -> Found:
        return replace(found, x=self.cropped(found.x))


def wrapped(task: Task) -> Wrapped | None:
    """The task on a torus, or None where its normal equations are not solved through a frame."""
    A, L = task.problem.A, task.problem.L
    if L is None or choose(task.problem, 1.0, task.method) is not METHOD:
        return None
    blurs, penalties = ([_rows(row) for row in rows_of(operator)] for operator in (A, L))
    sizes = _sizes(blurs)
    whole = Problem(_as(A, [_on(sizes, rows) for rows in blurs]), _as(L, [_around(sizes, rows) for rows in penalties]))
    if not determined(FrameState(whole).symbols):
        return None
    seen = np.zeros((len(penalties), *whole.A.in_shape))
    for mask, rows in zip(seen, penalties, strict=True):
        mask[(..., *map(slice, rows.geometry.out_spatial))] = 1
    spatial = blurs[0].geometry.spatial
    margin = [(0, 0)] * (1 + len(A.in_shape) - len(sizes)) + [(0, t - n) for t, n in zip(sizes, spatial, strict=True)]
    start = None if task.start is None else np.pad(task.start, margin, mode="edge")
    result = Wrapped(replace(task, problem=whole, start=start), seen.reshape(whole.L.out_shape), spatial)  # pyright: ignore[reportOptionalMemberAccess]
    return replace(result, task=replace(result.task, watch=changed(task.watch, result.cropped)))


def _sizes(blurs: list[Rows]) -> Shape:
    """Fast sizes with room for a buffer; the own ones of axes around which something is read."""
    geometries = [rows.geometry for rows in blurs]
    return tuple(
        n if wraps(geometries, axis) else fast_length(n + BUFFER, real=True)
        for axis, n in enumerate(geometries[0].spatial)
    )


def _rows(operator: Operator) -> Rows:
    rows = rows_inside(operator)
    assert isinstance(rows, Rows)
    return rows


def _as(operator: Operator, rows: list[Convolution]) -> Operator:
    """Rows on their own or in a stack, even of one, as those of `operator` are."""
    return vstack(rows) if isinstance(operator, Blocks) else rows[0]


def _on(sizes: Shape, rows: Rows) -> Convolution:
    """The same rows of a larger array."""
    g = rows.geometry
    padding = tuple((before, after + n - t) for (before, after), n, t in zip(g.padding, g.spatial, sizes, strict=True))
    return _convolution(g, sizes, padding, g.boundary, rows.weight)


def _around(sizes: Shape, rows: Rows) -> Convolution:
    """All rows of the circulant."""
    g = rows.geometry
    padding = tuple((before, g.reach[axis] - 1 - before) for axis, (before, _) in enumerate(g.padding))
    return _convolution(g, sizes, padding, "periodic", rows.weight)


def _convolution(g: Geometry, sizes: Shape, padding: Any, boundary: Any, weight: Array) -> Convolution:
    geometry = Geometry.make(sizes, g.kernel, dilation=g.dilation, padding=padding, boundary=boundary, lifted=g.lifted)
    return Convolution.of(geometry, weight, "correlation")


class WrappedState(State):
    """Rows of data that are cropped, and rows of a penalty that are all there."""

    def __init__(self, problem: Problem) -> None:
        self.frame = FrameState(problem)
        count = len(self.frame.blurs)
        self.blurs, self.powers = self.frame.symbols[:count], self.frame.powers[:count]
        self.kept = tuple(rows.geometry.out_spatial for rows in self.frame.blurs)
        self.penalty: Any = sum(self.frame.powers[count:])

    def at(self, alpha: float) -> OnTorus:
        torus, spatial, rest = self.frame.torus, self.frame.spatial, alpha * self.penalty
        return OnTorus(torus, spatial, FrameFactor(torus, spatial, self.blurs, self.powers, self.kept, rest))


WRAPPED = Method("frame", METHOD.reason, METHOD.obstacle, WrappedState)
