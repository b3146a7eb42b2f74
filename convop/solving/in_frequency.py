r"""Normal equations whose right-hand sides are spectra on a torus, for numpy's arrays.

Rows that read nothing outside the signal are crops of circulants, so with the spectrum `C` of each and its crop `M`

``A^H A + alpha L^H L = sum C^H M^H M C + rest``,

and what is asked for, data as well as residuals, passes from transform to transform: nothing has to be prepared but
these spectra, which the methods on a torus have already. Preparing the operators takes as long as solving where arrays
are small; where they are large, or kernels short, operators are faster than whole transforms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import Shape
from ..dtypes import Array
from .arrays import Arrays
from .normal import Answer, Data, NormalEquations, Watch
from .on_torus import OnTorus, Spectral
from .problem import parts_of
from .torus import Torus

SMALL, MANY = 2**11, 64  # samples for each tap, and of how many taps, up to which this is the faster way; measured


@dataclass(frozen=True)
class Cropped:
    """Rows of a circulant: its spectrum, the rows that stand from the origin on, and the first of the data for them."""

    symbol: Any
    taps: int
    kept: Shape
    begin: Shape

    def of(self, data: Array) -> Array:
        """Their part of data `(batch, *out_shape)`."""
        ours = data[(..., *(slice(i, i + n) for i, n in zip(self.begin, self.kept, strict=True)))]
        return ours.reshape((len(data), *self.kept))


class OnTorusByRows(OnTorus):
    """The same where the equations are these rows of circulants, and `rest`: small ones are stated in frequency.

    Parameters
    ----------
    torus, spatial, factor
        As for `OnTorus`.
    blurs, penalties : sequence of Cropped
        The rows of `A`, and those of ``sqrt(alpha) L``.
    rest : float
        What the equations have on the diagonal beside those.
    """

    def __init__(
        self, torus: Torus, spatial: Shape, factor: Spectral, blurs: Sequence[Cropped], penalties: Sequence[Cropped],
        rest: float,
    ) -> None:  # fmt: skip
        super().__init__(torus, spatial, factor)
        self.blurs, self.penalties, self.rest = blurs, penalties, rest

    def equations_for(self, data: Data, alpha: float) -> NormalEquations:
        rows = (*self.blurs, *self.penalties)
        taps = sum(min(each.taps, MANY) for each in rows) / len(rows)
        large = len(data.b) * math.prod(self.torus.sizes) > SMALL * taps
        return super().equations_for(data, alpha) if large else InFrequency(self, data)


class InFrequency(NormalEquations):
    """The normal equations for the data of each row; right-hand sides are spectra `(batch, *frequencies)`.

    They and residuals are computed in double precision.
    """

    def __init__(self, system: OnTorusByRows, data: Data) -> None:
        self.system, self.torus, self.shape = system, system.torus, data.problem.A.in_shape
        self._narrow = Arrays(np.finfo(data.b.dtype).dtype).working
        self._wide = Arrays(np.dtype(np.float64)).working  # transforms mix samples of all sizes, and round accordingly
        parts = parts_of(data.problem.A, self._wide(data.b))
        parts = [rows.of(part) for rows, part in zip(system.blurs, parts, strict=True)]
        self._rows = [(rows.symbol, rows.symbol.conj(), rows.kept) for rows in (*system.blurs, *system.penalties)]
        self._data: list[Any] = [*parts, *(0 for _ in system.penalties)]
        pairs = zip(self._rows, parts, strict=False)
        self.right: Any = sum(self._adjoint(adjoint, part) for (_, adjoint, _), part in pairs)

    def solve(self, right: Any, tol: float, maxiter: int, watch: Watch | None = None) -> Answer:
        return self.system.by_spectra(self._narrow(right), self.shape, tol, maxiter, None, watch)

    def residual(self, x: Array) -> Any:
        spectra = self.system.spectra(self._wide(x))
        left: Any = -self.system.rest * spectra
        for (symbol, adjoint, kept), data in zip(self._rows, self._data, strict=True):
            left += self._adjoint(adjoint, data - self.torus.crop(self.torus.signal(symbol * spectra), kept))
        return left

    def norms(self, right: Any) -> Array:
        return self.torus.norms(right)

    def _adjoint(self, adjoint: Any, values: Any) -> Any:
        """The spectra of what a circulant's adjoint, of this spectrum, makes of values from the origin on."""
        spectra = self.torus.spectrum(self.torus.embed(values))
        spectra *= adjoint
        return spectra
