"""Stored matrices: a sparse form keeps the rows of A and those of its adjoint, as transposed products are slower and,
on a GPU, not deterministic.
"""

import torch
from torch import Tensor

from ...convolution import Convolution
from ...foreign import Matrix
from ...operator import Operator
from .csr import Rows, multiply
from .form import flat
from .kernelled import Derived, Kernelled
from .options import Options
from .trained import TrainedPattern, trained_product

Pair = tuple[Tensor, Tensor]


def both(rows: Rows) -> Pair:
    """A matrix and its adjoint, in CSR."""
    return rows.tensor(), rows.adjoint().tensor()


class StoredConvolution(Kernelled):
    """A convolution as its sparse matrix. A trained one keeps where each tap enters."""

    native = False

    def __init__(self, A: Convolution, options: Options) -> None:
        super().__init__(A, options)
        self.pattern = TrainedPattern(A, options.device) if self.trains else None

    def derive(self, numbers: Tensor) -> Pair:
        return both(Rows.of_convolution(self.geometry, numbers))

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        if self.pattern is None:
            y = multiply(self.derived(x.dtype)[adjoint], flat(x))
        else:
            values = self.pattern.values(self.numbers(x.dtype))
            y = trained_product(values, flat(x), self, adjoint)
        return y.reshape(x.shape[0], *self.shape(adjoint))


class Stored(Derived):
    """Any operator that has a matrix, as its sparse matrix."""

    native = False
    row_start: Tensor
    column: Tensor
    values: Tensor

    def __init__(self, A: Operator, options: Options) -> None:
        super().__init__(A, options)
        matrix = A.tosparse()
        self.size = A.shape
        self.register_buffer("row_start", torch.from_numpy(matrix.indptr).to(options.device))
        self.register_buffer("column", torch.from_numpy(matrix.indices).to(options.device))
        self.register_buffer("values", options.tensor(matrix.data))

    @property
    def source(self) -> Tensor:
        return self.values

    def derive(self, numbers: Tensor) -> Pair:
        return both(Rows(self.row_start, self.column, numbers, self.size))

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        return multiply(self.derived(x.dtype)[adjoint], flat(x)).reshape(x.shape[0], *self.shape(adjoint))


class Dense(Derived):
    """A dense matrix."""

    matrix: Tensor

    def __init__(self, A: Matrix, options: Options) -> None:
        super().__init__(A, options)
        self.register_buffer("matrix", options.tensor(A.matrix))

    @property
    def source(self) -> Tensor:
        return self.matrix

    def derive(self, numbers: Tensor) -> Tensor:
        return numbers

    def run(self, x: Tensor, adjoint: bool) -> Tensor:
        matrix = self.derived(x.dtype)
        return (flat(x) @ (matrix.conj() if adjoint else matrix.T)).reshape(x.shape[0], *self.shape(adjoint))
