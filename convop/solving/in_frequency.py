r"""Normal equations whose right-hand sides are spectra on a torus.

Rows that read nothing outside the signal are crops of circulants, so with the spectrum `C` of each and its crop `M`

``A^H A + alpha L^H L = sum C^H M^H M C + rest``,

and what is asked for, data as well as residuals, passes from transform to transform: nothing has to be prepared but
these spectra, which the methods on a torus have already.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arguments import Shape
from ..dtypes import Array
from .normal import Answer, Equations, Factor, Watch
from .problem import Problem, parts_of
from .torus import Torus


@dataclass(frozen=True)
class Cropped:
    """Rows of a circulant: its spectrum, the rows that stand from the origin on, and the first of the data for them."""

    symbol: Any
    kept: Shape
    begin: Shape

    def of(self, data: Any) -> Any:
        """Their part of data `(batch, *out_shape)`."""
        lead = data.shape[: data.ndim - len(self.kept)]
        return data[(..., *(slice(i, i + n) for i, n in zip(self.begin, self.kept, strict=True)))].reshape(
            (lead[0], *self.kept)
        )


class OnTorus(Factor):
    """Solves for signals what `factor` solves for their spectra.

    Parameters
    ----------
    torus : Torus
    spatial : tuple of int
        Sizes of the signals, which stand at the origin.
    factor : Factor
        Its right-hand sides are spectra of what is nothing outside the signals' place.
    """

    def __init__(self, torus: Torus, spatial: Shape, factor: Factor) -> None:
        self.torus, self.spatial, self.factor = torus, spatial, factor

    def solve(self, f: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        if self.torus.real and "complex" in str(f.dtype):
            return self._in_parts(f, tol, maxiter, start, watch)
        return self.through_spectra(self.spectra(f), f.shape[1:], tol, maxiter, start, watch)

    def spectra(self, u: Any) -> Any:
        """Of signals `(batch, *in_shape)`."""
        return self.torus.spectrum(self.torus.embed(u.reshape((-1, *self.spatial))))

    def through_spectra(
        self, right: Any, shape: Shape, tol: float, maxiter: int, start: Any, watch: Watch | None
    ) -> Answer:
        """Signals of this shape for right-hand sides with these spectra."""

        def shaped(x: Any) -> Any:
            return x.reshape((-1, *shape))

        later = None if watch is None else lambda step, iterate, worst: watch(step, lambda: shaped(iterate()), worst)
        begin = None if start is None else start.reshape((-1, *self.spatial))
        with self.torus.arrays.calm():
            found = self.factor.solve(right, tol, maxiter, begin, later)
        self.remark = self.factor.remark
        return replace(found, x=shaped(found.x))

    def _in_parts(self, f: Any, tol: float, maxiter: int, start: Any, watch: Watch | None) -> Answer:
        """Real operators act on real and imaginary parts alike: a batch of twice as many."""
        xp, count = self.torus.arrays.xp, f.shape[0]

        def apart(u: Any) -> Any:
            return None if u is None else xp.concatenate([u.real, u.imag])

        def together(u: Any) -> Any:
            return u[:count] + 1j * u[count:]

        def report(step: int, iterate: Callable[[], Any], worst: float) -> None:
            if watch is not None:
                watch(step, lambda: together(iterate()), worst)

        # Each part comes down to the tolerance relative to itself, hence the whole to the same.
        found = self.solve(apart(f), tol, maxiter, apart(start), None if watch is None else report)
        return replace(found, x=together(found.x))


class OnTorusByRows(OnTorus):
    """The same where the equations are these rows of circulants, and `rest`: residuals are computed in frequency too.

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
        self, torus: Torus, spatial: Shape, factor: Factor, blurs: Sequence[Cropped], penalties: Sequence[Cropped],
        rest: float,
    ) -> None:  # fmt: skip
        super().__init__(torus, spatial, factor)
        self.blurs, self.penalties, self.rest = blurs, penalties, rest

    def equations_for(self, problem: Problem, b: Array, alpha: float) -> "InFrequency":
        parts = parts_of(problem.A, b)
        return InFrequency(self, [rows.of(part) for rows, part in zip(self.blurs, parts, strict=True)], problem)


class InFrequency(Equations):
    """The normal equations for the data of each row; right-hand sides are spectra `(batch, *frequencies)`."""

    def __init__(self, system: OnTorusByRows, data: list[Array], problem: Problem) -> None:
        self.system, self.torus, self.shape = system, system.torus, problem.A.in_shape
        working = replace(self.torus.arrays, precision=np.finfo(data[0].dtype).dtype).working  # data may be finer
        self._rows = [(working(rows.symbol), rows.kept) for rows in (*system.blurs, *system.penalties)]
        self._data: list[Any] = [*data, *(0 for _ in system.penalties)]
        self.right: Any = sum(self._adjoint(symbol, part) for (symbol, _), part in zip(self._rows, data, strict=False))

    def solve(
        self, right: Any, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        return self.system.through_spectra(right, self.shape, tol, maxiter, start, watch)

    def residual(self, x: Array) -> Any:
        spectra = self.system.spectra(x)
        left: Any = -self.system.rest * spectra
        for (symbol, kept), data in zip(self._rows, self._data, strict=True):
            left += self._adjoint(symbol, data - self.torus.crop(self.torus.signal(symbol * spectra), kept))
        return left

    def norms(self, right: Any) -> Array:
        return self.torus.norms(right)

    def _adjoint(self, symbol: Any, rows: Any) -> Any:
        """The spectra of what the adjoint of a circulant makes of rows from the origin on."""
        spectra = self.torus.spectrum(self.torus.embed(rows))
        spectra *= symbol.conj()
        return spectra
