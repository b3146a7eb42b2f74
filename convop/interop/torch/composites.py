"""Operators made of operators, in torch: their parts, and what is done with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ...arguments import Shape
from ...blocks import Blocks, Parts
from ...composite import Adjoint, Conjugate, Product, Reshaped, Scaled, Sum
from ...operator import Operator
from .form import Form, flat
from .options import Options
from .table import part_of, torch_form


class Composite(Form):
    """A form made of others."""

    def __init__(self, A: Operator, parts: Sequence[Operator], options: Options) -> None:
        super().__init__(A, options)
        self.parts = nn.ModuleList(part_of(part, options) for part in parts)

    @property
    def forms(self) -> list[Form]:
        return [cast(Form, part) for part in self.parts]


class Wrapper(Composite):
    """A form made of one other."""

    def __init__(self, A: Adjoint | Conjugate | Reshaped | Scaled, options: Options) -> None:
        super().__init__(A, [A.operator], options)

    @property
    def part(self) -> Form:
        return self.forms[0]


def _shaped(x: Tensor, shape: Shape) -> Tensor:
    return x.reshape(x.shape[0], *shape)


@torch_form(Product)
class ProductForm(Composite):
    """A chain, applied from the right."""

    def __init__(self, A: Product, options: Options) -> None:
        super().__init__(A, A.factors, options)

    def direct(self, x: Tensor) -> Tensor:
        for factor in reversed(self.forms):
            x = factor.direct(_shaped(x, factor.in_shape))
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        for factor in self.forms:
            y = factor.adjoint(_shaped(y, factor.out_shape))
        return y


@torch_form(Sum)
class SumForm(Composite):
    """A sum."""

    def __init__(self, A: Sum, options: Options) -> None:
        super().__init__(A, A.terms, options)

    def direct(self, x: Tensor) -> Tensor:
        terms = [_shaped(term.direct(_shaped(x, term.in_shape)), self.out_shape) for term in self.forms]
        return sum(terms[1:], terms[0])

    def adjoint(self, y: Tensor) -> Tensor:
        terms = [_shaped(term.adjoint(_shaped(y, term.out_shape)), self.in_shape) for term in self.forms]
        return sum(terms[1:], terms[0])


@torch_form(Scaled)
class ScaledForm(Wrapper):
    """A number times an operator."""

    def __init__(self, A: Scaled, options: Options) -> None:
        super().__init__(A, options)
        self.number = complex(A.scalar) if np.iscomplexobj(A.scalar) else float(np.real(A.scalar))

    def direct(self, x: Tensor) -> Tensor:
        return self.part.direct(x) * self.number

    def adjoint(self, y: Tensor) -> Tensor:
        return self.part.adjoint(y) * self.number.conjugate()


@torch_form(Adjoint)
class AdjointForm(Wrapper):
    """An adjoint."""

    def direct(self, x: Tensor) -> Tensor:
        return self.part.adjoint(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.part.direct(y)


@torch_form(Conjugate)
class ConjugateForm(Wrapper):
    """The operator with the conjugate matrix."""

    def direct(self, x: Tensor) -> Tensor:
        return self.part.direct(x.conj()).conj().resolve_conj()

    def adjoint(self, y: Tensor) -> Tensor:
        return self.part.adjoint(y.conj()).conj().resolve_conj()


@torch_form(Reshaped)
class ReshapedForm(Wrapper):
    """An operator between arrays of other shapes."""

    def direct(self, x: Tensor) -> Tensor:
        return _shaped(self.part.direct(_shaped(x, self.part.in_shape)), self.out_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        return _shaped(self.part.adjoint(_shaped(y, self.part.out_shape)), self.in_shape)


@torch_form(Blocks)
class BlocksForm(Composite):
    """A matrix of operators."""

    def __init__(self, A: Blocks, options: Options) -> None:
        super().__init__(A, [block for _, _, block in A.blocks], options)
        self.places = [(row, column) for row, column, _ in A.blocks]
        self.rows, self.columns = Split.of(A.rows), Split.of(A.columns)

    def direct(self, x: Tensor) -> Tensor:
        inputs = self.columns.apart(x)
        return self.rows.joined([(row, block.direct(inputs[column])) for (row, column), block in self._each()])

    def adjoint(self, y: Tensor) -> Tensor:
        inputs = self.rows.apart(y)
        return self.columns.joined([(column, block.adjoint(inputs[row])) for (row, column), block in self._each()])

    def _each(self) -> list[tuple[tuple[int, int], Form]]:
        return list(zip(self.places, self.forms, strict=True))


@dataclass(frozen=True)
class Split:
    """How a tensor is made of parts, as `Parts` says it of arrays."""

    shapes: tuple[Shape, ...]
    sizes: Shape
    shape: Shape

    @classmethod
    def of(cls, parts: Parts) -> "Split":
        return cls(parts.shapes, tuple(map(math.prod, parts.shapes)), parts.shape)

    def apart(self, x: Tensor) -> list[Tensor]:
        """The parts of a batch."""
        pieces = zip(flat(x).split(self.sizes, 1), self.shapes, strict=True)
        return [_shaped(piece, shape) for piece, shape in pieces]

    def joined(self, results: list[tuple[int, Tensor]]) -> Tensor:
        """The sums of what belongs to each part, one after the other."""
        total: dict[int, Tensor] = {}
        for part, result in results:
            total[part] = total[part] + flat(result) if part in total else flat(result)
        return _shaped(torch.cat([total[part] for part in range(len(self.shapes))], 1), self.shape)
