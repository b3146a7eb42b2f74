r"""Normal equations whose right-hand sides are spectra on a torus.

Rows that read nothing outside the signal are crops of circulants, so with the spectrum `C` of each and its crop `M`

``A^H A + alpha L^H L = sum C^H M^H M C + rest``,

and what is asked for, data as well as residuals, passes from transform to transform: nothing has to be prepared but
these spectra, which the methods on a torus have already. Preparing the operators takes as long as solving where arrays
are small; where they are large, their blocks pass through the caches faster than whole transforms do.
"""

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..arguments import Shape
from ..dtypes import Array
from .normal import Answer, Equations, Factor, Watch
from .problem import Problem, parts_of
from .torus import Torus

SMALL = 2**17  # samples of a torus up to which equations are stated in frequency; measured


@dataclass(frozen=True)
class Cropped:
    """Rows of a circulant: its spectrum, the rows that stand from the origin on, and the first of the data for them."""

    symbol: Any
    kept: Shape
    begin: Shape

    @cached_property
    def adjoint(self) -> Any:
        """The spectrum of the adjoint circulant."""
        return self.symbol.conj()

    def of(self, data: Any) -> Any:
        """Their part of data `(batch, *out_shape)`."""
        lead = data.shape[: data.ndim - len(self.kept)]
        return data[(..., *(slice(i, i + n) for i, n in zip(self.begin, self.kept, strict=True)))].reshape(
            (lead[0], *self.kept)
        )


class Spectral(Factor):
    """A factor for signals `(batch, *spatial)`, which stand at the origin of a torus, and for their spectra."""

    @abc.abstractmethod
    def solve_spectra(
        self, spectra: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None
    ) -> Answer:
        """As `solve`, for right-hand sides with these spectra `(batch, *frequencies)`; `start` is a signal."""


class OnTorus(Factor):
    """Solves for arrays of any axes, and complex ones by real operators, what `factor` solves for signals.

    Parameters
    ----------
    torus : Torus
    spatial : tuple of int
        Sizes of the signals, which stand at the origin.
    factor : Spectral
    """

    def __init__(self, torus: Torus, spatial: Shape, factor: Spectral) -> None:
        self.torus, self.spatial, self.factor = torus, spatial, factor

    def solve(self, f: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        if self.torus.real and "complex" in str(f.dtype):
            return self._in_parts(f, tol, maxiter, start, watch)
        return self.through(self.factor.solve, self.signals(f), f.shape[1:], tol, maxiter, start, watch)

    def signals(self, u: Any) -> Any:
        """Arrays `(batch, *in_shape)` without an axis of one channel."""
        return u.reshape((-1, *self.spatial))

    def through(
        self, solve: Callable[..., Answer], right: Any, shape: Shape, tol: float, maxiter: int, start: Any,
        watch: Watch | None,
    ) -> Answer:  # fmt: skip
        """What one of the factor's ways to solve finds for right-hand sides as that takes them, in this shape."""

        def shaped(x: Any) -> Any:
            return x.reshape((-1, *shape))

        later = None if watch is None else lambda step, iterate, worst: watch(step, lambda: shaped(iterate()), worst)
        with self.torus.arrays.calm():
            found = solve(right, tol, maxiter, None if start is None else self.signals(start), later)
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
        self.rows = (*blurs, *penalties)

    def equations_for(self, problem: Problem, b: Array, alpha: float) -> Equations:
        if math.prod(self.torus.sizes) > SMALL:
            return super().equations_for(problem, b, alpha)
        parts = parts_of(problem.A, b)
        return InFrequency(self, [rows.of(part) for rows, part in zip(self.blurs, parts, strict=True)], problem)


class InFrequency(Equations):
    """The normal equations for the data of each row; right-hand sides are spectra `(batch, *frequencies)`."""

    def __init__(self, system: OnTorusByRows, data: list[Array], problem: Problem) -> None:
        self.system, self.torus, self.shape = system, system.torus, problem.A.in_shape
        self._kind = replace(self.torus.arrays, precision=np.finfo(data[0].dtype).dtype)  # data may be finer
        self._data: list[Any] = [*data, *(0 for _ in system.penalties)]
        self.right: Any = sum(self._adjoint(rows, part) for rows, part in zip(system.blurs, data, strict=True))

    def solve(
        self, right: Any, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        system = self.system
        return system.through(system.factor.solve_spectra, right, self.shape, tol, maxiter, start, watch)

    def residual(self, x: Array) -> Any:
        system, torus = self.system, self.torus
        left = torus.spectrum(torus.embed(system.signals(x)))
        images = [left * self._kind.working(rows.symbol) for rows in system.rows]
        left *= -system.rest
        for rows, image, data in zip(system.rows, images, self._data, strict=True):
            left += self._adjoint(rows, data - torus.crop(torus.signal(image), rows.kept))
        return left

    def norms(self, right: Any) -> Array:
        return self.torus.norms(right)

    def _adjoint(self, rows: Cropped, values: Any) -> Any:
        """The spectra of what the adjoint of these rows makes of their values."""
        spectra = self.torus.spectrum(self.torus.embed(values))
        spectra *= self._kind.working(rows.adjoint)
        return spectra
