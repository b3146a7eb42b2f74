"""Approximate inverses of `A^H A + alpha L^H L`: the operators without their edges, inverted by transforms.

"circulant" takes the operators on a torus. "dct" takes their autocorrelations, made even on every axis, under a
half-sample boundary, which the DCT-II makes diagonal: nothing wraps, so that edges cost fewer steps (R. H. Chan and
M. K. Ng, "Conjugate Gradient Methods for Toeplitz Systems", SIAM Review 38, 1996; M. K. Ng, R. H. Chan and W. Tang, "A
Fast Algorithm for Deblurring Models with Neumann Boundary Conditions", SIAM J. Sci. Comput. 21, 1999).
"""

import abc
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..apply.transforms import transform_workers
from ..arguments import Shape
from ..dtypes import Array, DType
from ..operator import Operator
from ..spectrum.closed_form import require_closed_form
from .arrays import Arrays
from .diagonal import DiagonalState
from .neighbour import grid, mirrors, periodic, spans, steps
from .problem import Problem
from .torus import Torus

Apply = Callable[[Array], Array]  # on arrays (batch, *in_shape)


class Kind(abc.ABC):
    """A problem in a basis in which its neighbour is a small block at each frequency, for every alpha.

    `power` and `penalty` are those of `A^H A` and `L^H L`, `(*freq, C, C)`; constructors raise NoNeighbour or
    NoClosedForm where there is none.
    """

    power: Array
    penalty: Any
    dtype: DType  # of the problem

    @abc.abstractmethod
    def analyse(self, x: Array) -> Array:
        """`(batch, *in_shape)` to `(batch, *freq, C)`, unitary up to zeros that are added."""

    @abc.abstractmethod
    def synthesise(self, c: Array) -> Array:
        """The adjoint of `analyse`."""

    def inverse(self, alpha: float) -> Array:
        """The inverse of the blocks for one alpha, `(*freq, C, C)`, Hermitian and positive definite."""
        blocks = self.power + alpha * self.penalty
        floor = np.finfo(blocks.dtype).eps * abs(blocks).max()  # directions that nothing determines
        inverse = np.linalg.inv(blocks + floor * np.eye(blocks.shape[-1]))
        return Arrays(np.finfo(self.dtype).dtype).working(inverse)

    def at(self, alpha: float) -> Apply:
        """Multiplication with the inverse."""
        inverse = self.inverse(alpha)

        def apply(x: Array) -> Array:
            if np.iscomplexobj(x) and self.dtype.kind != "c":  # a real operator acts on both parts alike
                return apply(np.ascontiguousarray(np.real(x))) + 1j * apply(np.ascontiguousarray(np.imag(x)))
            spectrum = self.analyse(x)
            return self.synthesise(np.einsum("...ij,b...j->b...i", inverse, spectrum))

        return apply


class Circulant(Kind):
    """On a torus that holds the signal."""

    def __init__(self, problem: Problem) -> None:
        self.dtype, self.spatial = problem.dtype, grid(problem.A)
        sizes = tuple(-(-n // s) * s for n, s in zip(self.spatial, _multiple(problem), strict=True))
        L = None if problem.L is None else periodic(problem.L, sizes, False)
        neighbour = Problem(periodic(problem.A, sizes, False), L)
        require_closed_form(neighbour.A)
        state = DiagonalState(neighbour)
        self.form, self.power, self.penalty = state.form, state.blur_gram, state.penalty_gram
        self.torus = Torus(sizes, problem.dtype.kind != "c", Arrays(np.finfo(problem.dtype).dtype))

    def analyse(self, x: Array) -> Array:
        return self.form.analyse_in(self.torus.embed(x))

    def synthesise(self, c: Array) -> Array:
        return np.ascontiguousarray(self.torus.crop(self.form.synthesise_in(c), self.spatial))


def _multiple(problem: Problem) -> Shape:
    own = steps(problem.A)
    return own if problem.L is None else tuple(map(math.lcm, own, steps(problem.L)))


class Cosine(Kind):
    """Autocorrelations made even, under a half-sample boundary; under a whole-sample one on axes that mirror.

    A whole-sample boundary is diagonal in `Q W^(1/2)`, with `Q` the orthonormal DCT-I and `W` one half at both ends of
    an axis; leaving out `W` between two such costs no more than a factor of 2 on each axis.
    """

    def __init__(self, problem: Problem) -> None:
        self.dtype, self.spatial = problem.dtype, grid(problem.A)
        self.lead = problem.A.in_shape[: -len(self.spatial)]
        mirrored = [mirrors(problem.A, axis) for axis in range(-len(self.spatial), 0)]
        self.power = _even_power(problem.A, self.spatial, mirrored)
        C = self.power.shape[-1]
        self.penalty = np.eye(C) if problem.L is None else _even_power(problem.L, self.spatial, mirrored)
        self.axes = {
            kind: tuple(-axis for axis, own in enumerate(reversed(mirrored), 1) if own == (kind == 1))
            for kind in (1, 2)
        }
        self.weight = np.ones(self.spatial, np.finfo(problem.dtype).dtype)
        for axis in self.axes[1]:
            np.moveaxis(self.weight, axis, 0)[[0, -1]] *= math.sqrt(2)

    def analyse(self, x: Array) -> Array:
        import scipy.fft

        channels = x.reshape((len(x), -1, *self.spatial)) * self.weight
        return np.moveaxis(self._transformed(scipy.fft.dctn, channels), 1, -1)

    def synthesise(self, c: Array) -> Array:
        import scipy.fft

        channels = self._transformed(scipy.fft.idctn, np.moveaxis(c, -1, 1)) * self.weight
        return channels.reshape((len(c), *self.lead, *self.spatial))

    def _transformed(self, transform: Any, u: Array) -> Array:
        for kind, axes in self.axes.items():
            if axes:
                u = np.asarray(transform(u, kind, axes=axes, norm="ortho", workers=transform_workers(u.size)))
        return u


def _even_power(A: Operator, spatial: Shape, mirrored: list[bool]) -> Array:
    """At the frequencies of the cosines the blocks of `A^H A`, their mean over all signs of the frequency."""
    import scipy.fft

    # No lag of the autocorrelation wraps onto another; beyond a period of the cosines that would change nothing.
    halves = [n - mirror for n, mirror in zip(spatial, mirrored, strict=True)]
    lengths = [int(scipy.fft.next_fast_len(2 * span + 1)) for span in spans(A)]  # pyright: ignore[reportArgumentType]
    sizes = tuple(min(2 * half, length) for half, length in zip(halves, lengths, strict=True))
    form = require_closed_form(periodic(A, sizes, True), ("DFT",) * len(sizes)).whole()
    blocks = form.blocks.astype(np.complex128)
    response = np.asarray(scipy.fft.ifftn(blocks.conj().swapaxes(-1, -2) @ blocks, axes=tuple(range(len(sizes)))))
    response = response if A.dtype.kind == "c" else np.real(response)
    for axis, (n, half) in enumerate(zip(spatial, halves, strict=True)):
        response = _cosines(response, axis, half).take(np.arange(n), axis)
    return response


def _cosines(response: Array, axis: int, half: int) -> Array:
    """`sum over lags of response * cos(pi k lag / half)` for `k <= half`: a DCT-I of what is folded to as many lags."""
    import scipy.fft

    values = np.moveaxis(response, axis, 0)
    lags = np.arange(len(values))
    lags = np.minimum(lags, len(values) - lags)
    folded = np.zeros((half + 1, *values.shape[1:]), values.dtype)
    np.add.at(folded, lags, values)
    folded[1:half] /= 2
    return np.moveaxis(np.asarray(scipy.fft.dct(folded, type=1, axis=0)), 0, axis)


class Plain:
    """No preconditioner."""

    def __init__(self, problem: Problem) -> None:
        pass

    def at(self, alpha: float) -> Apply:
        return lambda x: x


# In the order in which they are tried.
KINDS: dict[str, Callable[[Problem], Kind | Plain]] = {"dct": Cosine, "circulant": Circulant, "none": Plain}
