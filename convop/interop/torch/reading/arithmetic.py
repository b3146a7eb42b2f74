"""Sums, differences, multiples, concatenations; and functions that leave values as they are."""

import math
from typing import Any

import numpy as np

from ....algebra import Zero, add
from ....arguments import Shape, as_int
from ....errors import NotLinearError
from ....foreign import as_operator
from ....selection import Diagonal
from ....stacking import vstack
from .arranging import arranged, numbers
from .branch import Branch, meet
from .convolving import by_channel, unbatched
from .linearising import derivative
from .traced import Call, Traced, as_array, reads


@reads(
    "contiguous", "clone", "positive", "to", "type", "float", "double", "half", "bfloat16", "type_as", "cpu", "cuda"
)  # fmt: skip
def kept(call: Call, x: Any, *args: Any, **kwargs: Any) -> Branch:
    return x.branch


@reads("real", "conj", "conj_physical", "resolve_conj", "resolve_neg")
def of_reals(call: Call, x: Any) -> Branch:
    if call.dtype.kind == "c":
        raise NotLinearError(f"{call.name} of complex values is not linear over the complex numbers")
    return x.branch


@reads(
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"
)  # fmt: skip
def dropout(call: Call, x: Any, p: float = 0.5, training: bool | None = None, train: bool = True) -> Branch:
    """The functions of `torch` say `train`, those of `torch.nn.functional` say `training`."""
    if p and (train if training is None else training):
        raise NotLinearError(f"{call.name} in training mode draws another map at each call; use module.eval()")
    return x.branch


# Sums.


@reads("add")
def addition(call: Call, x: Any, other: Any, alpha: Any = 1) -> Branch:
    return _total(call, (x, 1), (other, alpha))


@reads("sub", "subtract")
def subtraction(call: Call, x: Any, other: Any, alpha: Any = 1) -> Branch:
    return _total(call, (x, 1), (other, -alpha))


@reads("__rsub__", "rsub")
def subtraction_from(call: Call, x: Any, other: Any, alpha: Any = 1) -> Branch:
    return _total(call, (other, 1), (x, -alpha))


@reads("lerp")
def interpolation(call: Call, x: Any, end: Any, weight: Any) -> Branch:
    """`x + weight * (end - x)` with a constant weight."""
    share = call.constant(weight, "a weight")
    parts = [(x, 1 - share), (end, share)]
    branches = [_weighted(call, value.branch, factor) for value, factor in parts if isinstance(value, Traced)]
    return added(branches, shifts=len(branches) < len(parts))


@reads("addcmul")
def sum_with_product(call: Call, x: Any, one: Any, other: Any, value: Any = 1) -> Branch:
    """`x + value * one * other`."""
    depends = isinstance(one, Traced) or isinstance(other, Traced)
    # The product comes first: it may need values that torch is about to overwrite.
    product = [_multiple(multiplication(call, one, other), value)] if depends else []
    summand = [expanded(x.branch, call.out_shape)] if isinstance(x, Traced) else []
    return added(summand + product, shifts=not (summand and product))


def _total(call: Call, *terms: tuple[Any, Any]) -> Branch:
    """The sum of multiples of values; constants among them are an offset."""
    constants = [unbatched(call, value, call.out_shape) for value, _ in terms if not isinstance(value, Traced)]
    values = [(value.branch, factor) for value, factor in terms if isinstance(value, Traced)]
    branches = [_multiple(expanded(branch, call.out_shape), factor) for branch, factor in values]
    return added(branches, shifts=any(constant.any() for constant in constants))


def added(branches: list[Branch], shifts: bool) -> Branch:
    """The sum of one value or two, and of a constant if it `shifts`."""
    if len(branches) == 1:
        return branches[0].shifted() if shifts else branches[0]
    return meet(branches, lambda ways: add(*ways), shifts)


def _multiple(branch: Branch, factor: Any) -> Branch:
    return branch if factor == 1 else branch.then(factor * branch.identity())


def expanded(branch: Branch, shape: Shape) -> Branch:
    """The value repeated along the axes in which it has one sample, as elementwise functions do."""
    return arranged(branch, np.broadcast_to(numbers(branch.shape), shape))


# Multiples.


@reads("neg", "negative")
def negation(call: Call, x: Any) -> Branch:
    return _multiple(x.branch, -1)


@reads("mul", "multiply")
def multiplication(call: Call, x: Any, other: Any) -> Branch:
    if isinstance(x, Traced) and isinstance(other, Traced):
        return _product(call, x, other)
    value, factor = (x, other) if isinstance(x, Traced) else (other, x)
    return _weighted(call, value.branch, factor)


@reads("div", "divide", "true_divide")
def division(call: Call, x: Any, other: Any, rounding_mode: str | None = None) -> Branch:
    if isinstance(other, Traced) or rounding_mode is not None:
        return derivative(call, x, other)
    divisor = call.constant(other, "a divisor")
    return _weighted(call, x.branch, 1 / (divisor[()] if divisor.ndim == 0 else divisor))


def _weighted(call: Call, branch: Branch, factor: Any) -> Branch:
    """The value times a constant: a number, one for each channel, or one for each sample."""
    shape = call.out_shape
    weights = unbatched(call, factor, shape)
    branch = expanded(branch, shape)
    if weights.size == 1:
        return _multiple(branch, weights.reshape(-1)[0].item())
    weights = weights.reshape((1,) * (len(shape) - weights.ndim) + weights.shape).astype(call.dtype)
    if len(shape) > 1 and math.prod(weights.shape[1:]) == 1:
        return branch.then(by_channel(weights.reshape(-1), shape))
    return branch.then(Diagonal(np.broadcast_to(weights, shape)))


def _product(call: Call, x: Traced, other: Traced) -> Branch:
    """At a point, the product rule: each factor's derivative is weighed with the other factor."""
    if not call.settings.linearise:
        raise NotLinearError(
            f"{call.name} of two values that depend on the input is not linear; give at=x for the Jacobian at a point x"
        )
    weights = [as_array(value)[0].copy() for value in (other, x)]  # torch may be about to overwrite them
    shape = call.out_shape
    branches = [expanded(value.branch, shape) for value in (x, other)]
    return meet(
        [branch.then(Diagonal(np.broadcast_to(w, shape))) for branch, w in zip(branches, weights, strict=True)],
        lambda ways: add(*ways),
    )


# One after the other.


@reads("cat", "concat", "concatenate")
def concatenation(call: Call, tensors: Any, dim: Any = 0, axis: Any = None) -> Branch:
    return _joined(call, list(tensors), dim if axis is None else axis, np.concatenate)


@reads("stack")
def stack(call: Call, tensors: Any, dim: Any = 0) -> Branch:
    return _joined(call, list(tensors), dim, np.stack)


@reads("hstack", "column_stack")
def side_by_side(call: Call, tensors: Any) -> Branch:
    return _joined(call, list(tensors), 1, np.concatenate)


def _joined(call: Call, tensors: list[Any], dim: Any, join: Any) -> Branch:
    """Values one after the other, moved to where `join` has them."""
    rank = len(call.out_shape) + 1
    axis = as_int(dim, "dim", -rank) % rank - 1
    if axis < 0:
        raise NotLinearError(f"{call.name} along the batch axis is no map of one array; name another dim")
    root = call.operands[0].branch
    while root.parent is not None:
        root = root.parent
    branches = [each.branch if isinstance(each, Traced) else _constant(call, each, root) for each in tensors]
    starts = np.cumsum([0, *(math.prod(branch.shape) for branch in branches)])
    chosen = join([start + numbers(b.shape) for start, b in zip(starts, branches, strict=False)], axis)
    flat = meet(branches, lambda ways: as_operator(vstack(ways), out_shape=int(starts[-1])))
    return arranged(flat, chosen)


def _constant(call: Call, tensor: Any, root: Branch) -> Branch:
    """A constant tensor is an offset after the map to zero."""
    values = unbatched(call, tensor, tuple(tensor.shape[1:]))
    return root.then(Zero(root.shape, values.shape, root.settings.dtype), shifts=bool(values.any()))
