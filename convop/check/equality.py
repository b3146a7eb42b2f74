"""check.equal: do two operators answer alike, and if not, in which rows do they differ?"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..affine import Affine
from ..arguments import as_int
from ..dtypes import Array
from ..errors import ShapeError
from ..operator import Operator
from .report import Report, Where, entry, measured
from .rounding import SIGMAS, Noise, measure
from .subject import Direction, Misbehaviour, action, describe, subject, with_one
from .support import is_lifted, unravel
from .vectors import Gaussian, generator, norm

LISTED = 5


@dataclass(frozen=True)
class EqualReport(Report):
    """What check.equal found.

    Attributes
    ----------
    passed : bool
    error, bound : float
        `||A x - B x|| / max(||A x||, ||B x||)` over all trials, and what rounding allows.
    rows : numpy.ndarray of bool or None
        Of `out_shape`: the rows (output samples) that differ; None where the operators gave no answers to compare.
    where : Where
        The output index of the largest difference, its channel, and the sides on which all rows differ.
    text : str
        The outcome in words, empty where they are equal.
    """

    passed: bool
    error: float
    bound: float
    where: Where
    text: str
    title: str
    rows: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)

    @property
    def count(self) -> int:
        """How many rows differ."""
        return 0 if self.rows is None else int(self.rows.sum())

    def _lines(self) -> list[str]:
        return [
            *measured(self.error, self.bound, "||Ax - Bx|| / max(||Ax||, ||Bx||)"),
            *(entry("because", self.text) if self.text else []),
            *(entry("where", str(self.where)) if str(self.where) else []),
        ]


def equal(A: Any, B: Any, trials: int = 5, rng: Any = 0) -> EqualReport:
    """Whether two operators are the same map, to rounding.

    Parameters
    ----------
    A, B : anything `convop.as_operator` takes, an Affine, or a torch module
        Shapes that differ only in how they are split into axes are compared flat. Affine maps are equal where their
        linear parts and their offsets are. A torch module is compared by what it answers to arrays of the other's
        `in_shape`.
    trials : int
        Number of random vectors that both are applied to.
    rng : int or numpy.random.Generator

    Returns
    -------
    EqualReport
        With `passed`, `error`, `bound`, `rows`, `count`, `where`, `text`.

    Raises
    ------
    ShapeError
        If the operators have different sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from convop import check
    >>> M = np.eye(4)
    >>> N = M.copy()
    >>> N[2, 1] = 0.5
    >>> bool(check.equal(M, M))
    True
    >>> report = check.equal(M, N)
    >>> report.count, report.where.output
    (1, (2,))
    """
    left, right = _comparable(A, B)
    trials = as_int(trials, "trials", 1)
    if left.shape != right.shape:
        raise ShapeError(
            f"operators of shapes {left.shape} and {right.shape} cannot be equal; compare operators of one size"
        )
    vectors = Gaussian(generator(rng), np.promote_types(left.dtype, right.dtype))
    return compared(left, right, vectors, trials, f"check.equal of {_named(A, left)} and {_named(B, right)}")


def _comparable(A: Any, B: Any) -> tuple[Operator, Operator]:
    """Both as operators; where one of them may add an offset, as the linear maps that they are of `(x, 1)`."""
    shape = next((each.in_shape for each in (A, B) if isinstance(each, (Operator, Affine))), None)
    if any(isinstance(each, Affine) or action(each, shape) is not None for each in (A, B)):
        return with_one(A, shape), with_one(B, shape)
    return subject(A), subject(B)


def _named(A: Any, operator: Operator) -> str:
    """What was given, as it says itself; a foreign map as the operator that it is taken for."""
    return describe(A if isinstance(A, (Operator, Affine)) else operator)


def compared(left: Operator, right: Operator, vectors: Gaussian, trials: int, title: str) -> EqualReport:
    """The report on two operators of one size."""
    maps = Direction(left, "first operator"), Direction(right, "second operator")
    try:
        answers = [_answers(maps, vectors.draw(left.in_shape)) for _ in range(trials)]
        norms = [tuple(norm(pair[side]) for pair in answers) for side in (0, 1)]
        noises = [measure(*given) for given in zip(maps, (vectors, vectors), norms, strict=True)]
    except Misbehaviour as fault:
        return EqualReport(False, np.inf, 0.0, Where(), str(fault), title)
    return _judge(left, answers, noises, title)


def _answers(maps: tuple[Direction, Direction], x: Array) -> tuple[Array, Array]:
    Ax = maps[0](x)
    return Ax, maps[1](x.reshape(maps[1].in_shape)).reshape(Ax.shape)


def _judge(operator: Operator, answers: list[tuple[Array, Array]], noises: list[Noise], title: str) -> EqualReport:
    gaps = _root_mean_square([Ax - Bx for Ax, Bx in answers])
    sizes = _root_mean_square([np.maximum(abs(Ax), abs(Bx)) for Ax, Bx in answers])
    scale = max(noise.size for noise in noises) or 1.0
    allowed = SIGMAS * sum(noise.level for noise in noises)
    error = norm(gaps)
    if error <= allowed:
        return EqualReport(True, error / scale, allowed / scale, Where(), "", title, np.zeros(gaps.shape, bool))
    # Rounding spreads over all rows in a transform, and follows the row in a sum: both are allowed for.
    rows = gaps > SIGMAS * sum(n.rho for n in noises) * sizes + allowed / np.sqrt(gaps.size)
    rows.flat[np.argmax(gaps)] = True
    where = _where(operator, gaps, rows)
    return EqualReport(False, error / scale, allowed / scale, where, _text(rows, where), title, rows)


def _root_mean_square(vectors: list[Array]) -> Array:
    return np.hypot.reduce([np.abs(v).astype(np.float64) for v in vectors]) / np.sqrt(len(vectors))


def _where(operator: Operator, gaps: Array, rows: NDArray[np.bool_]) -> Where:
    """The worst row, and the axes with the ends that all differing rows are gathered at."""
    worst = unravel(int(np.argmax(gaps)), gaps.shape)
    lifted = is_lifted(operator)
    found = _sides(rows, range(int(lifted), rows.ndim))
    side = next(iter(found.values())) if len(set(found.values())) == 1 else None
    return Where(output=worst, channel=(worst[0], None) if lifted else None, axes=tuple(found), side=side)


def _sides(rows: NDArray[np.bool_], axes: range) -> dict[int, str]:
    """The axes and ends at which all differing rows are gathered; none if there are any in the middle."""
    middle = [slice(None)] * rows.ndim
    for axis in axes:
        third = rows.shape[axis] // 3
        middle[axis] = slice(third, rows.shape[axis] - third)
    if rows[tuple(middle)].any():
        return {}
    found = {axis: _side(rows[(*middle[:axis], slice(None), *middle[axis + 1 :])], axis) for axis in axes}
    return {axis: side for axis, side in found.items() if side}


def _side(rows: NDArray[np.bool_], axis: int) -> str | None:
    """At which end of an axis there are differing rows."""
    hit = np.flatnonzero(rows.any(axis=tuple(a for a in range(rows.ndim) if a != axis)))
    before, after = bool(np.any(hit < rows.shape[axis] // 2)), bool(np.any(hit >= rows.shape[axis] // 2))
    return "both" if before and after else "before" if before else "after" if after else None


def _text(rows: NDArray[np.bool_], where: Where) -> str:
    if rows.all():
        return f"all {rows.size} rows differ, most at output {where.output}"
    listed = ", ".join(str(tuple(map(int, i))) for i in np.argwhere(rows)[:LISTED])
    more = ", ..." if rows.sum() > LISTED else ""
    return (
        f"{int(rows.sum())} of {rows.size} rows differ ({listed}{more}), most at output {where.output}; all others "
        "agree to rounding"
    )
