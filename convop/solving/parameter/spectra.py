"""The singular values of a problem, from whatever structure gives them without iteration.

They belong to directions `v` along which both `A^H A` and `L^H L` are diagonal: the generalised singular value
decomposition (P. C. Hansen, "Rank-Deficient and Discrete Ill-Posed Problems", SIAM 1998, section 2.1.2).
"""

import abc
import math
from functools import reduce
from typing import Any

import numpy as np

from ...dtypes import Array
from ...errors import GeometryError
from .. import diagonal, few_taps, separable
from ..problem import Problem

SMALL = 600  # unknowns and samples up to which a dense decomposition costs no more than a few solves


class Spectrum(abc.ABC):
    """Directions in which a problem falls apart, and what data and signals are along each.

    Attributes
    ----------
    gain, penalty : numpy.ndarray
        ``||A v||^2`` and ``||L v||^2`` of each direction; a gain that is lost in rounding is zero.
    weight : numpy.ndarray
        How many directions an entry stands for.
    rows : int
        Samples of the data.
    """

    gain: Array
    penalty: Array
    weight: Array
    rows: int

    @abc.abstractmethod
    def analyse(self, b: Array) -> Array:
        """`(batch, *out_shape)` to the inner products with ``A v / ||A v||``, zero where that is."""

    @abc.abstractmethod
    def synthesise(self, c: Array) -> Array:
        """`(batch, *directions)` to the sums of `c v`, of shape `(batch, *in_shape)`."""

    @property
    def rank(self) -> float:
        """How many directions the operator does not map to zero."""
        return float(self.weight[self.gain > 0].sum())


def spectrum_of(problem: Problem) -> Spectrum | None:
    """The spectrum of a problem, or None where nothing gives it."""
    if diagonal.obstacle(problem, 1.0) is None:
        return Frequencies(problem)
    if few_taps.obstacle(problem, 1.0) is None:
        return Taps(problem)
    small = max(problem.A.shape) <= SMALL and (problem.L is None or problem.L.shape[0] <= 4 * SMALL)
    if small:
        return Dense(problem)
    return Axes(problem) if separable.obstacle(problem, 1.0) is None else None


def require_spectrum(problem: Problem) -> Spectrum:
    """As `spectrum_of`, but an error where there is none."""
    spectrum = spectrum_of(problem)
    if spectrum is None:
        raise GeometryError(
            f"prior 'truncated' needs the singular values, and nothing gives them for {problem.A!r}: "
            f"{diagonal.obstacle(problem, 1.0)}; {separable.obstacle(problem, 1.0)}; and it has more than {SMALL} "
            f"samples; use prior='tikhonov'"
        )
    return spectrum


class Frequencies(Spectrum):
    """The spectrum of a closed form: a few directions at each frequency."""

    def __init__(self, problem: Problem) -> None:
        state = diagonal.DiagonalState(problem)
        self.form = state.form
        self.blocks = self.form.blocks.astype(np.result_type(self.form.blocks, np.float64))
        self.rows = math.prod(self.form.out_shape)
        penalty = None if problem.L is None else state.penalty_gram
        eps = float(np.finfo(self.form.blocks.dtype).eps)
        self.vectors, self.gain, self.penalty = directions(self.blocks, penalty, eps)
        self.weight = np.broadcast_to(self.form.weights[..., None], self.gain.shape)

    def analyse(self, b: Array) -> Array:
        images = self.blocks @ self.vectors
        c = (images.conj().swapaxes(-1, -2) @ self.form.analyse_out(b)[..., None])[..., 0]
        return _over(c, np.sqrt(self.gain))

    def synthesise(self, c: Array) -> Array:
        return self.form.synthesise_in((self.vectors @ c[..., None])[..., 0])


class Dense(Spectrum):
    """The spectrum of small matrices."""

    def __init__(self, problem: Problem) -> None:
        self.in_shape = problem.A.in_shape
        wide = np.result_type(problem.dtype, np.float64)
        self.matrix = problem.A.toarray().astype(wide)
        self.rows = problem.A.shape[0]
        penalty = None if problem.L is None else problem.L.toarray().astype(wide)
        gram = None if penalty is None else penalty.conj().T @ penalty
        self.vectors, self.gain, self.penalty = directions(self.matrix, gram, float(np.finfo(problem.dtype).eps))
        self.weight = np.ones(self.gain.shape)

    def analyse(self, b: Array) -> Array:
        return _over(b.reshape(len(b), -1) @ (self.matrix @ self.vectors).conj(), np.sqrt(self.gain))

    def synthesise(self, c: Array) -> Array:
        return (c @ self.vectors.T).reshape(-1, *self.in_shape)


class Taps(Spectrum):
    """The spectrum of a map of a kernel of few taps, from its normal matrix.

    What is lost by that are singular values below the root of the rounding unit, which no noise lets be seen.
    """

    def __init__(self, problem: Problem) -> None:
        self.A, self.rows = problem.A, problem.A.shape[0]
        normal, penalty = few_taps.matrices(problem)
        powers, vectors = np.linalg.eigh(normal)
        known = powers > len(powers) * np.finfo(powers.dtype).eps * powers.max(initial=0)
        root = np.sqrt(np.where(known, powers, 0))[:, None] * vectors.conj().T
        eps = float(np.finfo(problem.dtype).eps)
        self.vectors, self.gain, self.penalty = directions(root, None if problem.L is None else penalty, eps)
        self.weight = np.ones(self.gain.shape)

    def analyse(self, b: Array) -> Array:
        return _over(self.A.H(b).reshape(len(b), -1) @ self.vectors.conj(), np.sqrt(self.gain))

    def synthesise(self, c: Array) -> Array:
        return (c @ self.vectors.T).reshape(-1, *self.A.in_shape)


class Axes(Spectrum):
    """The spectrum of a separable kernel: all products of the singular values of the axes."""

    def __init__(self, problem: Problem) -> None:
        A: Any = problem.A
        self.in_shape, self.spatial, self.rows = A.in_shape, A.geometry.out_spatial, A.shape[0]
        self.axes = separable.axes_of(A)
        values = reduce(np.multiply.outer, [axis.values[: axis.left.shape[1]] for axis in self.axes])
        lost = max(A.shape) ** 0.5 * float(np.finfo(A.dtype).eps) * values.max(initial=0)
        self.gain = np.where(values > lost, values, 0) ** 2
        self.penalty, self.weight = np.ones(values.shape), np.ones(values.shape)

    def analyse(self, b: Array) -> Array:
        c = separable.along([axis.left.conj().T for axis in self.axes], b.reshape(-1, *self.spatial))
        return np.where(self.gain > 0, c, 0)

    def synthesise(self, c: Array) -> Array:
        ranked = [axis.right[:, : axis.left.shape[1]] for axis in self.axes]
        return separable.along(ranked, c).reshape(-1, *self.in_shape)


def directions(A: Array, gram: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Of matrices `A` and `L^H L` (None for the identity) the columns `v`, their gains and their penalties.

    Both are zero for a column that neither matrix determines.
    """
    *_, rows, columns = A.shape
    if columns == 1:
        sizes = np.linalg.norm(A, axis=-2)
        kept = sizes > eps * sizes.size**0.5 * sizes.max(initial=0)
        penalty = np.ones(sizes.shape) if gram is None else np.broadcast_to(np.real(gram[..., 0]), sizes.shape)
        return np.ones((*sizes.shape, 1)), np.where(kept, sizes, 0) ** 2, _without_rounding(penalty, eps)
    if gram is None:
        _, values, right = np.linalg.svd(A, full_matrices=rows < columns)
        whole = np.zeros((*values.shape[:-1], columns))
        whole[..., : values.shape[-1]] = values
        kept = whole > eps * whole.size**0.5 * whole.max(initial=0)
        return right.conj().swapaxes(-1, -2), np.where(kept, whole, 0) ** 2, np.ones(whole.shape)
    image = A.conj().swapaxes(-1, -2) @ A
    scale = _mean(image) / (_mean(gram) or 1.0) or 1.0
    values, vectors = np.linalg.eigh(image + scale * gram)
    determined = values > eps * values.size**0.5 * values.max(initial=0)
    vectors = _over(vectors, np.sqrt(np.where(determined, values, 0))[..., None, :])
    gain, turn = np.linalg.eigh(vectors.conj().swapaxes(-1, -2) @ image @ vectors)
    gain = np.where(gain > eps * gain.size**0.5, gain, 0)
    vectors = vectors @ turn
    penalty = np.einsum("...ij,...ij->...j", vectors.conj(), gram @ vectors).real
    return vectors, gain, _without_rounding(penalty, eps)


def _without_rounding(penalty: Array, eps: float) -> Array:
    return np.where(penalty > eps * penalty.max(initial=0), penalty, 0)


def _mean(gram: Array) -> float:
    return float(np.trace(gram, axis1=-2, axis2=-1).real.mean())


def _over(a: Array, b: Array) -> Array:
    """`a / b`, and zero where `b` is."""
    return np.divide(a, b, where=np.broadcast_to(b > 0, a.shape), out=np.zeros_like(a))
