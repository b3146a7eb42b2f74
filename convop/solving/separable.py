r"""Kernels that are a product of one factor for each axis, under any boundary and stride: a dense matrix for each axis.

`A` is then the Kronecker product of these matrices, and so are its singular vectors: with `A_k = U_k S_k V_k^H`,
``(A^H A + alpha I)^-1 = V diag(1 / (s^2 + alpha)) V^H``, where `V` acts on each axis and `s` are all products of
singular values (C. F. Van Loan, "The ubiquitous Kronecker product", J. Comput. Appl. Math. 123, 2000).
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from ..apply.sparse import csr
from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..geometry import Geometry
from ..spectrum.rank_one import factors_of
from .normal import Answer, Factor, Method, State, Watch
from .problem import Problem

LARGEST_AXIS = 2048  # samples on an axis up to which its dense singular vectors are worth their time


@dataclass(frozen=True)
class Axis:
    """The singular value decomposition of one axis, in double precision; `right` is unitary."""

    left: Array  # (outputs, rank)
    values: Array  # (inputs,), zeros after the rank
    right: Array  # (inputs, inputs)

    @classmethod
    def of(cls, matrix: Array) -> "Axis":
        """Decompose a dense `(outputs, inputs)` matrix."""
        outputs, inputs = matrix.shape
        left, values, right = np.linalg.svd(matrix, full_matrices=outputs < inputs)
        whole = np.zeros(inputs)
        whole[: len(values)] = values
        return cls(left[:, : len(values)], whole, right.conj().T)


def obstacle(problem: Problem, alpha: float = 1.0) -> str | None:
    """What keeps the method from serving."""
    A = problem.A
    if problem.L is not None:
        return "there is a regularizer, whose matrix is no product over the axes"
    if not isinstance(A, Convolution):
        return f"the operator is no Convolution but {type(A).__name__}"
    g = A.geometry
    if (g.channels_out, g.channels_in) != (1, 1):
        return "it mixes channels"
    if factors_of(A.weight) is None:
        return "the kernel is no product of one factor for each axis"
    longest = max(*g.spatial, *g.out_spatial)
    if longest > LARGEST_AXIS:
        return f"it takes dense matrices of {longest} samples on an axis, and more than {LARGEST_AXIS} take too long"
    return None


def axes_of(A: Convolution) -> list[Axis]:
    """The decomposition of each axis; axes that are alike are decomposed once."""
    g, found = A.geometry, factors_of(A.weight)
    assert found is not None
    (scale,), *parts = found
    matrices, axes = [], []
    for axis, part in enumerate(parts):
        line = Geometry.make(
            g.spatial[axis], g.kernel[axis], stride=g.stride[axis], dilation=g.dilation[axis],
            padding=(g.padding[axis],), boundary=(g.boundary[axis],),
        )  # fmt: skip
        matrix = csr(line, part.reshape(1, 1, -1), None).toarray()
        same = next((at for at, other in enumerate(matrices) if np.array_equal(matrix, other)), None)
        matrices.append(matrix)
        axes.append(Axis.of(matrix) if same is None else axes[same])
    size = float(np.abs(scale.item()))
    axes[0] = replace(axes[0], left=axes[0].left * (scale.item() / size), values=axes[0].values * size)
    return axes


def along(matrices: list[Array], x: Array) -> Array:
    """Each matrix applied to its own one of the last axes of `x`."""
    for place, matrix in enumerate(matrices, -len(matrices)):
        x = np.moveaxis(np.moveaxis(x, place, -1) @ matrix.T, -1, place)
    return np.ascontiguousarray(x)


class SeparableState(State):
    """The singular vectors of each axis, and the squares of all singular values."""

    def __init__(self, problem: Problem) -> None:
        A: Any = problem.A
        self.spatial: Shape = A.geometry.spatial
        self.axes = axes_of(A)
        self.squares: Array = reduce(np.multiply.outer, [axis.values**2 for axis in self.axes])
        narrow = np.result_type(np.finfo(A.dtype).dtype, *(np.complex64,) * (A.dtype.kind == "c"))
        self.right = [axis.right.astype(narrow) for axis in self.axes]

    def at(self, alpha: float) -> "SeparableFactor":
        return SeparableFactor(self, alpha)


class SeparableFactor(Factor):
    """The inverse of each squared singular value plus alpha, on the directions that these determine."""

    def __init__(self, state: SeparableState, alpha: float) -> None:
        self.state = state
        whole, largest = state.squares + alpha, float(state.squares.max())
        precision = np.finfo(state.right[0].dtype)
        determined = whole > float(precision.eps) * whole.size**0.5 * largest  # as for other normal equations
        self.inverse = np.divide(1, whole, where=determined, out=np.zeros_like(whole)).astype(precision.dtype)

    def solve(self, f: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        right = self.state.right
        spectrum = along([matrix.conj().T for matrix in right], f.reshape((-1, *self.state.spatial)))
        return Answer(along(right, spectrum * self.inverse).reshape(f.shape), (0.0,), "converged")


METHOD = Method(
    "separable",
    "the kernel is a product of one factor for each axis, so the singular vectors of a small matrix for each axis "
    "make the normal equations diagonal",
    obstacle,
    SeparableState,
)
