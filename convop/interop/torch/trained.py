"""The matrix of a trained convolution: its values are gathered from the kernel, gradients are summed back onto it."""

# pyright: reportIncompatibleMethodOverride=false

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from ...convolution import Convolution
from .csr import Pattern, Rows, multiply, rows_of, transposed
from .form import Leaf
from .opaque import numbered


class TrainedPattern(torch.nn.Module):
    """Where the taps of a trained convolution enter its matrix, by row and, for the adjoint, by column."""

    row_start: Tensor
    column: Tensor
    row: Tensor
    column_start: Tensor
    back: Tensor  # the row of each entry, ordered by column
    order: Tensor

    def __init__(self, A: Convolution, device: torch.device) -> None:
        super().__init__()
        self.pattern = Pattern.of(A.geometry, device)
        self.size = A.shape
        p = self.pattern
        column_start, back, order = transposed(p.row_start, p.column, A.shape)
        tensors = {
            "row_start": p.row_start, "column": p.column, "row": rows_of(p.row_start, len(p.column)),
            "column_start": column_start, "back": back, "order": order,
        }  # fmt: skip
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    def values(self, weight: Tensor) -> Tensor:
        return self.pattern.values(weight)

    def multiply(self, values: Tensor, x: Tensor, adjoint: bool) -> Tensor:
        if adjoint:
            parts = (self.column_start, self.back, values[self.order].conj().resolve_conj())
            matrix = Rows(*parts, (self.size[1], self.size[0])).tensor()
        else:
            matrix = Rows(self.row_start, self.column, values, self.size).tensor()
        return multiply(matrix, x)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TrainedPattern":
        super()._apply(fn, recurse)
        self.pattern = self.pattern.to(self.column.device)
        return self


class SparseProduct(torch.autograd.Function):
    """`A x` or `A^H x` for the values of A's entries: linear in `x` and in the values, or in their conjugates.

    The gradient by `x` is the product with the adjoint, that by entry `(i, j)` is the product of what stands at `i`
    and the conjugate of what stands at `j`, summed over the batch.
    """

    @staticmethod
    def forward(values: Tensor, x: Tensor, pattern: TrainedPattern, adjoint: bool) -> Tensor:
        return pattern.multiply(values, x, adjoint)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        values, x, ctx.pattern, ctx.adjoint = inputs
        ctx.save_for_backward(values, x)
        ctx.save_for_forward(values, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        values, x = ctx.saved_tensors
        of_values = of_x = None
        if ctx.needs_input_grad[0]:
            at_rows, at_columns = (x, gradient) if ctx.adjoint else (gradient, x)
            of_values = _outer(at_rows, at_columns, ctx.pattern)
        if ctx.needs_input_grad[1]:
            of_x = SparseProduct.apply(values, gradient, ctx.pattern, not ctx.adjoint)
        return of_values, of_x, None, None

    @staticmethod
    def jvp(ctx: Any, of_values: Any, of_x: Any, *_: Any) -> Any:
        values, x = ctx.saved_tensors
        terms = []
        if of_values is not None:
            terms.append(SparseProduct.apply(of_values, x, ctx.pattern, ctx.adjoint))
        if of_x is not None:
            terms.append(SparseProduct.apply(values, of_x, ctx.pattern, ctx.adjoint))
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: Any, values: Tensor, x: Tensor, pattern: TrainedPattern, adjoint: bool) -> Any:
        if in_dims[0] is None:
            many = x.movedim(in_dims[1], 0)
            y: Any = SparseProduct.apply(values, many.flatten(0, 1), pattern, adjoint)
            return y.unflatten(0, many.shape[:2]), 0
        each = values.movedim(in_dims[0], 0).unbind()
        signals = [x] * len(each) if in_dims[1] is None else x.movedim(in_dims[1], 0).unbind()
        results = [SparseProduct.apply(v, s, pattern, adjoint) for v, s in zip(each, signals, strict=True)]
        return torch.stack(results), 0  # pyright: ignore[reportArgumentType, reportCallIssue]


def _outer(at_rows: Tensor, at_columns: Tensor, pattern: TrainedPattern) -> Tensor:
    """For each entry `(i, j)`, `at_rows[:, i]` times the conjugate of `at_columns[:, j]`, summed over the batch."""
    total = None
    for left, right in zip(at_rows, at_columns, strict=True):
        term = left.index_select(0, pattern.row) * right.conj().index_select(0, pattern.column)
        total = term if total is None else total + term
    return at_rows.new_zeros(len(pattern.column)) if total is None else total


def trained_product(values: Tensor, x: Tensor, leaf: Leaf, adjoint: bool) -> Tensor:
    """`SparseProduct` with the pattern of a leaf; torch.compile sees it as one opaque function."""
    if torch.compiler.is_compiling():
        return torch.ops.convop.trained_product(values, x, leaf.handle, adjoint)
    y: Any = SparseProduct.apply(values, x, leaf.pattern, adjoint)
    return y


def _pattern(handle: int) -> TrainedPattern:
    return cast(Any, numbered(handle)).pattern


@torch.library.custom_op("convop::trained_product", mutates_args=())
def _product(values: Tensor, x: Tensor, handle: int, adjoint: bool) -> Tensor:
    return _pattern(handle).multiply(values, x, adjoint)


@torch.library.custom_op("convop::trained_outer", mutates_args=())
def _outer_product(at_rows: Tensor, at_columns: Tensor, handle: int) -> Tensor:
    return _outer(at_rows, at_columns, _pattern(handle))


@_product.register_fake
def _(values: Tensor, x: Tensor, handle: int, adjoint: bool) -> Tensor:
    return x.new_empty(x.shape[0], _pattern(handle).size[1 if adjoint else 0])


@_outer_product.register_fake
def _(at_rows: Tensor, at_columns: Tensor, handle: int) -> Tensor:
    return at_rows.new_empty(len(_pattern(handle).column))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    values, x, ctx.handle, ctx.adjoint = inputs
    ctx.save_for_backward(values, x)


def _backward(ctx: Any, gradient: Tensor) -> Any:
    values, x = ctx.saved_tensors
    at_rows, at_columns = (x, gradient) if ctx.adjoint else (gradient, x)
    of_values = torch.ops.convop.trained_outer(at_rows, at_columns, ctx.handle)
    return of_values, torch.ops.convop.trained_product(values, gradient, ctx.handle, not ctx.adjoint), None, None


_product.register_autograd(_backward, setup_context=_remember)
