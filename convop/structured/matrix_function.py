"""Functions of the blocks of a spectrum: `f` of the eigenvalues, between eigenvectors.

The function of a matrix is defined by N. J. Higham, "Functions of Matrices", SIAM 2008, definitions 1.2 and 1.4: with
`B = V diag(w) V^-1` it is `V diag(f(w)) V^-1`. Blocks without eigenvectors to speak of need derivatives of `f`;
for the functions that `scipy.linalg` knows of matrices those of scipy are taken, for others they are refused.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..arguments import Shape
from ..dtypes import Array
from ..errors import GeometryError
from .inverse import double, named
from .symbol import full

Function = Callable[[Array], Any]

_OF_MATRICES: tuple[tuple[Function, Callable[[Array], Any]], ...] = (
    (np.exp, scipy.linalg.expm), (np.sqrt, scipy.linalg.sqrtm), (np.log, scipy.linalg.logm),
    (np.cos, scipy.linalg.cosm), (np.sin, scipy.linalg.sinm), (np.tan, scipy.linalg.tanm),
    (np.cosh, scipy.linalg.coshm), (np.sinh, scipy.linalg.sinhm), (np.tanh, scipy.linalg.tanhm),
)  # fmt: skip
_WORST_VECTORS = 1e6  # condition of eigenvectors beyond which they are not used: 1e-10 of accuracy is left


def function_of(f: Function, blocks: Array, base: Shape, real: bool, eps: float) -> tuple[Array, bool]:
    """`f` of the blocks of a spectrum (half of it for a `real` operator), and whether the result is real as well."""
    eigen = Eigen.of(double(blocks), eps)
    result = eigen.apply(f)
    if not real:
        return _finite(result), False
    opposite = eigen.conjugate().apply(f)  # blocks at opposite frequencies are conjugate
    whole = _finite(full(result, base, opposite))
    if np.abs(opposite - result.conj()).max() <= eigen.accuracy * np.abs(whole).max():
        return result, True
    return whole, False


def _finite(blocks: Array) -> Array:
    bad = ~np.isfinite(blocks).all(axis=(-1, -2))
    if np.any(bad):
        raise GeometryError(
            f"the function cannot be taken at {named(bad)}: it is not finite at an eigenvalue there, or the block has "
            f"no well-conditioned eigenvectors; give np.exp, np.sqrt, np.log and the like by their own names, or add "
            f"a multiple of the identity first"
        )
    return blocks


@dataclass(frozen=True)
class Eigen:
    """Blocks `(*frequencies, k, k)` as `vectors @ diag(values) @ inverse`, but for those that are `defective`."""

    blocks: Array
    values: Array
    vectors: Array
    inverse: Array
    defective: NDArray[np.bool_]

    @classmethod
    def of(cls, blocks: Array, eps: float) -> "Eigen":
        """The eigenvalues of complex128 blocks that are known to `eps`."""
        shape, k = blocks.shape[:-2], blocks.shape[-1]
        none = np.zeros(shape, bool)
        if k == 1:
            one = np.ones_like(blocks)
            return cls(blocks, _clean(blocks[..., 0], eps), one, one, none)
        adjoint = blocks.conj().swapaxes(-1, -2)
        if np.abs(blocks - adjoint).max() <= 8 * eps * np.abs(blocks).max():
            values, vectors = np.linalg.eigh((blocks + adjoint) / 2)
            return cls(
                blocks, _clean(values.astype(np.complex128), eps), vectors, vectors.conj().swapaxes(-1, -2), none
            )
        return cls._general(blocks, eps)

    @classmethod
    def _general(cls, blocks: Array, eps: float) -> "Eigen":
        values, vectors = np.linalg.eig(blocks)
        defective = ~(np.linalg.cond(vectors) <= _WORST_VECTORS)
        for place in map(tuple, np.argwhere(defective)):
            decompose: Any = scipy.linalg.schur
            triangle, unitary = decompose(blocks[place], "complex")
            size = np.abs(triangle).max()
            if np.abs(np.triu(triangle, 1)).max() <= 8 * eps * len(triangle) * size:  # normal after all
                values[place], vectors[place], defective[place] = np.diagonal(triangle), unitary, False
        vectors[defective] = np.eye(blocks.shape[-1])
        return cls(blocks, _clean(values, eps), vectors, np.linalg.inv(vectors), defective)

    def conjugate(self) -> "Eigen":
        """That of the conjugate blocks. Eigenvalues on the real axis have an imaginary part of plus zero there too."""
        return replace(
            self, blocks=self.blocks.conj(), values=self.values.conj() + 0.0,
            vectors=self.vectors.conj(), inverse=self.inverse.conj(),
        )  # fmt: skip

    @property
    def accuracy(self) -> float:
        """What applying a function loses, relative to its largest block."""
        return 64 * float(np.finfo(np.float64).eps * np.linalg.cond(self.vectors).max())

    def apply(self, f: Function) -> Array:
        """`f` of every block; NaN where `f` is not finite, or the block is defective and scipy does not know `f`."""
        if not callable(f):
            raise GeometryError(f"apply_function needs a function of numbers such as numpy.exp, got {f!r}")
        with np.errstate(all="ignore"):
            values = np.asarray(f(self.values))
            if values.shape != self.values.shape:
                raise GeometryError(
                    f"the function gave an array of shape {values.shape} for one of shape {self.values.shape}; it "
                    f"must act on each eigenvalue"
                )
            result = (self.vectors * values.astype(np.complex128)[..., None, :]) @ self.inverse
            for place in map(tuple, np.argwhere(self.defective)):
                result[place] = _of_matrix(f, self.blocks[place])
        return result


def _clean(values: Array, eps: float) -> Array:
    """Eigenvalues whose imaginary parts are rounding on the real axis, and those that are rounding at zero.

    So `f` sees one side of a branch cut, and a pole at zero where there is one.
    """
    largest = np.abs(values).max()
    tiny = np.abs(np.imag(values)) <= 8 * eps * largest
    real = np.where(tiny, np.real(values) + 0j, values)
    return np.where(np.abs(values) <= 64 * eps * largest, 0j, real)


def _of_matrix(f: Function, block: Array) -> Any:
    """scipy's function of a matrix that is numpy's `f` of numbers; NaN where there is none, or it has doubts."""
    known = next((of_matrix for of_number, of_matrix in _OF_MATRICES if of_number is f), None)
    if known is None:
        return np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return known(block)
        except (Warning, np.linalg.LinAlgError):
            return np.nan
