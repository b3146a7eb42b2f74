r"""The unknown boundary: a frame of a scene that goes on past it, nearly direct.

On a torus let `C` be the circulant with the kernel of `A`, `M` the crop to the frame and `R` the samples outside
it, so that `A = M C`. The normal equations differ from circulant ones by what the rows `R C` add:
``A^H A + alpha I = P - C^H R^H R C`` with ``P = C^H C + alpha I`` diagonal in frequency, hence (Woodbury)

``x = P^-1 (f + C^H R^H z)``,  ``K z = R C P^-1 f``,  ``K = R (I - C P^-1 C^H) R^H``,

where `K` lives on the thin cross outside the frame. Other rows, those of further frames of the same scene and
`sqrt(alpha)` times those of a regulariser, stand below `C` and lose their own rows that wrap around.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np

from ..apply.sparse import csr
from ..apply.transforms import fast_length
from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..geometry import Geometry
from ..operator import Operator
from .arrays import Arrays
from .cross import Cross, too_large
from .in_frequency import Cropped, OnTorusByRows
from .normal import Method, State
from .on_torus import TorusFactor
from .precision import AsNeeded
from .problem import Problem, as_plain, rows_of, wraps
from .torus import Torus, power


@dataclass(frozen=True)
class Rows:
    """The rows of a convolution that read nothing outside: a circulant cropped to `kept` from the origin."""

    geometry: Geometry
    weight: Array
    begin: Shape  # where they begin among the rows of the operator they are of


def rows_inside(operator: Operator) -> Rows | str:
    """A convolution as rows of a circulant, or what keeps it from being that."""
    plain = as_plain(operator)
    if isinstance(plain, str):
        return plain
    g = plain.geometry
    padding = []
    for axis in range(g.ndim):
        before, after = g.padding[axis]
        if g.is_periodic(axis):  # as it is, too, where nothing is read outside
            padding.append((before, after))
        elif _edges_vanish(plain, axis):
            padding.append((min(before, 0), min(after, 0)))
        else:
            return f"it reads outside the array on axis {axis} (boundary {g.boundary[axis]})"
    begin = tuple(whole - inside for (whole, _), (inside, _) in zip(g.padding, padding, strict=True))
    if tuple(padding) == g.padding:
        return Rows(g, plain.weight, begin)
    kept = Geometry.make(
        g.spatial, g.kernel, dilation=g.dilation, padding=tuple(padding), boundary=g.boundary, lifted=g.lifted
    )
    return Rows(kept, plain.weight, begin)


def _edges_vanish(operator: Convolution, axis: int) -> bool:
    """Whether all rows that read outside on `axis` are zero, as the last difference of a symmetric extension is."""
    g = operator.geometry
    if math.prod(g.kernel) != g.kernel[axis] or g.spatial[axis] < g.reach[axis]:
        return False
    line = Geometry.make(
        g.spatial[axis], g.kernel[axis], dilation=g.dilation[axis], padding=(g.padding[axis],),
        boundary=(g.boundary[axis],),
    )  # fmt: skip
    matrix = csr(line, operator.weight.reshape(1, 1, -1), None)
    before, after = (max(width, 0) for width in g.padding[axis])
    outside = np.r_[:before, line.out_spatial[0] - after : line.out_spatial[0]]
    return abs(matrix[outside]).sum() == 0


def obstacle(problem: Problem, alpha: float) -> str | None:
    """What keeps the method from serving."""
    if not alpha > 0:
        return "alpha is 0, and the method divides by it"
    kept = []
    for row in (*rows_of(problem.A), *(() if problem.L is None else rows_of(problem.L))):
        rows = rows_inside(row)
        if isinstance(rows, str):
            return rows
        kept.append(rows.geometry)
    large = too_large(kept[0].spatial, tuple(geometry.out_spatial for geometry in kept), problem.dtype)
    if large is None and problem.L is not None and not determined(FrameState(problem).symbols):
        return "data and penalty leave a frequency free, and the method divides by what they say of each"
    return large


def determined(symbols: list[Any]) -> bool:
    """Whether rows of these spectra see every frequency."""
    seen = reduce(add, map(power, symbols))
    return bool(seen.min() > np.finfo(seen.dtype).eps * seen.max())


class FrameState(State):
    """The kernels' spectra on a torus that holds the scene."""

    def __init__(self, problem: Problem, arrays: Arrays | None = None) -> None:
        self.problem = problem
        dtype = problem.dtype
        self.blurs = [_inside(row) for row in rows_of(problem.A)]
        self.penalties = [] if problem.L is None else [_inside(row) for row in rows_of(problem.L)]
        self.spatial = self.blurs[0].geometry.spatial
        arrays = arrays or Arrays(np.finfo(dtype).dtype)
        self.torus = Torus(self._sizes(), dtype.kind != "c", arrays)
        self.symbols = [self.torus.symbol(rows.geometry, rows.weight) for rows in (*self.blurs, *self.penalties)]

    def _sizes(self) -> Shape:
        """The scene's own sizes where rows of a regulariser or a period ask for them, fast ones otherwise."""
        own = [
            bool(self.penalties) or wraps((rows.geometry for rows in self.blurs), axis)
            for axis in range(len(self.spatial))
        ]
        return tuple(
            n if own[axis] else fast_length(n, real=False)  # with a factor of 11 as fast, and the strips are thinner
            for axis, n in enumerate(self.spatial)
        )

    def at(self, alpha: float) -> OnTorusByRows:
        blurs, root = len(self.blurs), math.sqrt(alpha)
        symbols = [*self.symbols[:blurs], *(root * s for s in self.symbols[blurs:])]
        powers = [*self.powers[:blurs], *(alpha * p for p in self.powers[blurs:])]
        rest = 0.0 if self.penalties else alpha
        rows = [
            Cropped(symbol, each.geometry.taps, each.geometry.out_spatial, each.begin)
            for symbol, each in zip(symbols, (*self.blurs, *self.penalties), strict=True)
        ]
        kept = tuple(each.kept for each in rows)

        def factor(arrays: Arrays) -> FrameFactor:
            return FrameFactor(replace(self.torus, arrays=arrays), self.spatial, symbols, powers, kept, rest)

        solver = AsNeeded(factor, self.torus.arrays, rest, rest + self._largest)
        return OnTorusByRows(self.torus, self.spatial, solver, rows[:blurs], rows[blurs:], rest)

    @cached_property
    def powers(self) -> list[Any]:
        """The squares of the moduli of `symbols`."""
        return [power(s) for s in self.symbols]

    @cached_property
    def _largest(self) -> float:
        """The largest power of all rows together, a bound on the largest eigenvalue of `A^H A`."""
        return float(reduce(add, self.powers).max())


def _inside(operator: Operator) -> Rows:
    rows = rows_inside(operator)
    if isinstance(rows, str):
        raise AssertionError(f"prepared although {rows}")
    return rows


class FrameFactor(TorusFactor):
    """One `alpha`: the diagonal `P`, and `K` on the cross.

    Parameters
    ----------
    torus : Torus
    spatial : tuple of int
        Sizes of the signal, which stands at the origin.
    rows : list of arrays
        Spectra of the rows that are missing outside of `kept`.
    powers : list of arrays
        The squares of their moduli.
    kept : tuple of shapes
    rest : float or array
        What stands in `P` beside these rows, and is whole.
    """

    def __init__(
        self, torus: Torus, spatial: Shape, rows: list[Any], powers: list[Any], kept: tuple[Shape, ...], rest: Any
    ) -> None:
        self.torus, self.spatial = torus, spatial
        arrays, xp = torus.arrays, torus.arrays.xp
        seen = reduce(add, powers)
        whole = seen + rest
        columns = xp.stack(list(map(arrays.working, rows)))
        self.columns, self.adjoint, self.inverse = columns, columns.conj(), arrays.working(1 / whole)
        self.cross = Cross(complement(rows, powers, rest, whole, xp), torus, kept)
        self.gain = math.sqrt(float(seen.max()))

    def _right(self, spectrum: Any) -> Any:
        return self._rows(spectrum * self.inverse)

    def _guess(self, spectrum: Any) -> Any:
        return self.cross.distinct(self._rows(spectrum))

    def _solution(self, spectrum: Any, z: Any) -> Any:
        whole = self._adjoint(self.cross.spread(z))
        whole += spectrum
        whole *= self.inverse
        return whole

    def _residual(self, rho: Any) -> Any:
        return self._adjoint(self.cross.remaining(rho))

    def _rows(self, spectrum: Any) -> Any:
        """`R C x`; `spectrum` is spent."""
        if len(self.columns) > 1:
            return self.cross.gather(spectrum[:, None] * self.columns)
        spectrum *= self.columns[0]
        return self.cross.gather(spectrum[:, None])

    def _adjoint(self, spectra: Any) -> Any:
        """`C^H`; `spectra` are spent."""
        spectra *= self.adjoint
        return spectra[:, 0] if len(self.adjoint) == 1 else spectra.sum(1)


def complement(rows: list[Any], powers: list[Any], rest: Any, whole: Any, xp: Any) -> Any:
    """`I - C P^-1 C^H` with `whole` for `P`, its diagonal written as a sum so that nothing cancels."""

    def entry(q: int, r: int) -> Any:
        if q != r:
            return -rows[q] * rows[r].conj() / whole
        return (sum((p for other, p in enumerate(powers) if other != q), rest)) / whole

    count = range(len(rows))
    entries = xp.stack([entry(q, r) for q in count for r in count])
    return entries.reshape((len(rows), len(rows), *whole.shape))


METHOD = Method(
    "frame",
    "nothing outside the array is read, so all that is not circulant lies on a thin cross outside the frame",
    obstacle,
    FrameState,
)
