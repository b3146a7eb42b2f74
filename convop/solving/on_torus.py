"""What the methods share whose normal equations are circulant but for a thin cross."""

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..arguments import Shape
from .conjugate_gradients import Stop
from .cross import Cross
from .normal import Answer, Factor, Watch, array_norms, changed, divisors
from .schwarz import Schwarz
from .torus import Torus

FAR = 1e4  # a bound on the residual that exceeds the tolerance so many times is not worth sharpening
NEAR = (0.5, 3.0)  # an estimated residual is computed where its ratio to the tolerance lies between these
MOSTLY = 1.1  # how much larger than a signal the torus may be for its norm to be taken for the signal's


@dataclass
class _Residual:
    """The residual of the normal equations for one on the cross, relative to the right-hand side.

    Computing it takes a good part of a step. Its ratio to the norm on the cross changes little from step to step, so
    it is computed once, estimated, and computed again where the estimate does not say clearly whether it has come down
    to the tolerance.
    """

    gain: Any  # of each item: a bound on that ratio
    compute: Callable[[Any], Any]
    tolerance: float
    ratio: Any = None

    def __call__(self, rho: Any) -> Any:
        norms = array_norms(rho)
        bound = self.gain * norms
        if not self.tolerance < float(bound.max()) < FAR * self.tolerance:
            return bound
        if self.ratio is not None:
            estimate = self.ratio * norms
            if not NEAR[0] * self.tolerance < float(estimate.max()) < NEAR[1] * self.tolerance:
                return estimate
        exact = self.compute(rho)
        self.ratio = exact / divisors(norms)
        return exact


class Spectral(abc.ABC):
    """The normal equations for one `alpha` on a torus, prepared for any number of right-hand sides."""

    remark: str = ""  # as of a `Factor`

    @abc.abstractmethod
    def solve(self, spectra: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        """Signals `(batch, *spatial)`, as `start` is, for right-hand sides with spectra `(batch, *frequencies)`."""


class OnTorus(Factor):
    """Solves for signals what `factor` solves for their spectra.

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
        return self.by_spectra(self.spectra(f), f.shape[1:], tol, maxiter, start, watch)

    def spectra(self, u: Any) -> Any:
        """Of signals `(batch, *in_shape)`."""
        return self.torus.spectrum(self.torus.embed(self._signals(u)))

    def _signals(self, u: Any) -> Any:
        """Without an axis of one channel."""
        return u.reshape((-1, *self.spatial))

    def by_spectra(self, right: Any, shape: Shape, tol: float, maxiter: int, start: Any, watch: Watch | None) -> Answer:
        """Signals of this shape for right-hand sides with these spectra."""

        def shaped(x: Any) -> Any:
            return x.reshape((-1, *shape))

        begin = None if start is None else self._signals(start)
        with self.torus.arrays.calm():
            found = self.factor.solve(right, tol, maxiter, begin, changed(watch, shaped))
        self.remark = self.factor.remark
        return replace(found, x=shaped(found.x))


class TorusFactor(Spectral):
    """`x` in frequency from the right-hand side and from `z`, the solution on the cross."""

    torus: Torus
    cross: Cross
    spatial: Shape  # of the signal, which stands at the origin of the torus
    gain: float  # the normal equations' residual is at most that of the cross times this

    @cached_property
    def _schwarz(self) -> Schwarz:
        return Schwarz(self.cross)

    @abc.abstractmethod
    def _right(self, spectrum: Any) -> Any:
        """The right-hand side on the cross for a right-hand side of this spectrum."""

    @abc.abstractmethod
    def _guess(self, spectrum: Any) -> Any:
        """The values on the cross that belong to a solution of this spectrum."""

    @abc.abstractmethod
    def _solution(self, spectrum: Any, z: Any) -> Any:
        """The spectrum of the solution, from those of the right-hand side and of the values on the cross."""

    @abc.abstractmethod
    def _residual(self, rho: Any) -> Any:
        """The spectrum of the residual of the normal equations, from the residual on the cross."""

    def solve(self, spectra: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        size = divisors(self.torus.norms(spectra))
        residual = _Residual(self.gain / size, lambda rho: self._norms(self._residual(rho)) / size, tol)

        def report(step: int, z: Any, worst: float) -> None:
            if watch is not None:
                watch(step, lambda: self._signal(self._solution(spectra, z)), worst)

        guess = None if start is None else self._guess(self.torus.spectrum(self.torus.embed(start)))
        stop = Stop(residual, tol, maxiter, None if watch is None else report)
        found = self._schwarz.solve(self._right(spectra), stop, guess)
        return Answer(self._signal(self._solution(spectra, found.x)), found.residuals, found.status)

    def _norms(self, spectra: Any) -> Any:
        """Of what arrays with these spectra hold in place of the signal; or a bound, where that is nearly all."""
        if math.prod(self.torus.sizes) <= MOSTLY * math.prod(self.spatial):
            return self.torus.norms(spectra)
        return array_norms(self._signal(spectra))

    def _signal(self, spectra: Any) -> Any:
        """What arrays with these spectra hold in place of the signal."""
        return self.torus.crop(self.torus.signal(spectra), self.spatial)
