"""Random operators of every kind: leaves, expressions on one grid, and what is built on top of them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..algebra import Identity
from ..arguments import Shape
from ..operator import Operator
from ..selection import Diagonal, Extend, Select, Unfold
from ..stacking import block, block_diag, hstack, vstack
from . import recipes
from .dice import Dice
from .limits import SAMPLES, Limits
from .specs import ConvolutionSpec, PlainSpec, Spec

Make = Callable[[Spec], Any]  # from a call to what is computed with: an operator, or an operator and what it must be
SCALARS = (2, -0.5, 1 - 2j)


def expression(dice: Dice, grid: Shape, depth: int, limits: Limits, make: Make) -> Any:
    """A random expression in operators on one grid: products, sums, multiples, adjoints, powers, nested."""
    if depth == 0 or dice.integer(0, 5) == 0:
        return _grid_leaf(dice, grid, limits, make)
    left = expression(dice, grid, depth - 1, limits, make)
    form = dice.choice(("@", "@", "+", "-", "scalar", "H", "T", "conj", "power"))
    if form in ("@", "+", "-"):
        right = expression(dice, grid, depth - 1, limits, make)
        if form == "@":
            return left @ right
        return left + right if form == "+" else left - right
    return _changed(dice, left, form, limits)


def _changed(dice: Dice, operator: Any, form: str, limits: Limits) -> Any:
    """An operator made of one other."""
    if form == "scalar":
        return dice.choice(scalars(limits)) * operator
    if form == "power":
        return operator**2
    return {"H": lambda: operator.H, "T": lambda: operator.T, "conj": operator.conj}[form]()


def scalars(limits: Limits) -> tuple[complex, ...]:
    """Complex ones only where complex operators are asked for."""
    complex_too = any(np.dtype(dtype).kind == "c" for dtype in limits.dtypes)
    return SCALARS if complex_too else tuple(scalar for scalar in SCALARS if not isinstance(scalar, complex))


def _grid_leaf(dice: Dice, grid: Shape, limits: Limits, make: Make) -> Any:
    kind = dice.choice(("identity", "diagonal", "normal", *["convolution"] * 5))
    dtype, seed = dice.choice(limits.dtypes), dice.integer(0, 2**20)
    if kind == "identity":
        return make(PlainSpec(Identity, (grid,), {"dtype": dtype}))
    if kind == "diagonal":
        return make(PlainSpec(Diagonal, (dice.numbers(seed, grid, dtype),), {}))
    ndim = len(grid)
    taps, boundary, dilation = dice.axes(ndim, 1, 3), limits.boundary(dice, ndim), limits.dilations(dice, ndim, 2)
    stride, center = (1,) * ndim, None
    if kind == "normal":
        stride = limits.strides(dice, ndim, 2)
    else:
        center = tuple(dice.integer(0, k - 1) for k in taps)
    kernel = dice.numbers(seed, taps, dtype)
    operator = make(ConvolutionSpec(kernel, grid, "same", boundary, center, stride, dilation))
    return operator.H @ operator if kind == "normal" else operator


def operator(dice: Dice, depth: int, limits: Limits, make: Make) -> Operator:
    """Any operator, with at most `depth` levels of algebra."""
    kind = dice.choice(("leaf", *COMPOSITES)) if depth else "leaf"
    return _leaf(dice, limits, make) if kind == "leaf" else COMPOSITES[kind](dice, depth - 1, limits, make)


def _leaf(dice: Dice, limits: Limits, make: Make) -> Operator:
    transposed = ("transposed layer",) if "zero" in limits.boundaries else ()
    kind = dice.choice(("convolution", "layer", *transposed, "plain", "plain"))
    if kind == "convolution":
        return make(recipes.convolution(dice, limits))
    if kind == "layer":
        return make(recipes.layer(dice, limits))
    if kind == "transposed layer":
        return make(recipes.transpose_layer(dice, limits))
    return make(_plain(dice, _shape(dice, limits), limits))


def _shape(dice: Dice, limits: Limits, least: int = 1) -> Shape:
    ndim = limits.dims(dice, (1, 2, 3))
    return dice.axes(ndim, least, SAMPLES[ndim])


def leaf_on(dice: Dice, in_shape: Shape, limits: Limits, make: Make) -> Operator:
    """A leaf that takes arrays of a given shape."""
    layered = ("layer",) if len(in_shape) > 1 else ()
    kind = dice.choice(("plain", "convolution", *layered))
    if kind == "convolution":
        return make(recipes.convolution_on(dice, in_shape, limits))
    return make(recipes.layer_on(dice, in_shape, limits) if kind == "layer" else _plain(dice, in_shape, limits))


def _plain(dice: Dice, shape: Shape, limits: Limits) -> PlainSpec:
    """Identity, Diagonal, Select, Extend or Unfold on arrays of a given shape."""
    unfold = (Unfold,) if len(shape) > 1 and "zero" in limits.boundaries else ()
    kind = dice.choice((Identity, Diagonal, Select, Extend, *unfold))
    if kind is Diagonal:
        return PlainSpec(kind, (dice.kernel(shape, limits.dtypes),), {})
    options = {"dtype": dice.choice(limits.dtypes)}
    if kind is Select:
        return PlainSpec(kind, (shape, tuple(_index(dice, n) for n in shape)), options)
    if kind is Extend:
        widths = tuple((dice.integer(0, 2), dice.integer(0, 3)) for _ in shape)
        return PlainSpec(kind, (shape, widths, tuple(dice.choice(limits.names(shape)) for _ in shape)), options)
    if kind is Unfold:
        size = tuple(dice.integer(1, min(n, 3)) for n in shape[1:])
        stride, padding = limits.strides(dice, len(size), 2), dice.axes(len(size), 0, 1)
        return PlainSpec(kind, (shape, size, stride, padding), options)
    return PlainSpec(kind, (shape,), options)


def _index(dice: Dice, n: int) -> slice:
    start, step = dice.integer(0, n - 1), dice.choice((1, 2, -1))
    return slice(start, None, step)


def _on_a_grid(dice: Dice, depth: int, limits: Limits, make: Make) -> Operator:
    return expression(dice, _shape(dice, limits, 2), depth + 1, limits, make)


def _product(dice: Dice, depth: int, limits: Limits, make: Make) -> Operator:
    inner = operator(dice, depth, limits, make)
    return leaf_on(dice, inner.out_shape, limits, make) @ inner


def _altered(dice: Dice, depth: int, limits: Limits, make: Make) -> Operator:
    inner = operator(dice, depth, limits, make)
    return _changed(dice, inner, dice.choice(("scalar", "H", "T", "conj")), limits)


def _beside(dice: Dice, depth: int, limits: Limits, make: Make) -> Operator:
    """Two operators on top of each other, next to each other, along the diagonal or in a square with a hole."""
    first = operator(dice, depth, limits, make)
    form = dice.choice(("vstack", "hstack", "block_diag", "block"))
    if form == "vstack":
        return vstack([first, leaf_on(dice, first.in_shape, limits, make)])
    if form == "hstack":
        return hstack([first, leaf_on(dice, first.out_shape, limits, make).H])
    if form == "block_diag":
        return block_diag([first, operator(dice, depth, limits, make)])
    below = leaf_on(dice, first.in_shape, limits, make)
    return block([[first, None], [below, leaf_on(dice, below.out_shape, limits, make).H]])


COMPOSITES: dict[str, Callable[[Dice, int, Limits, Make], Operator]] = {
    "altered": _altered,
    "product": _product,
    "expression": _on_a_grid,
    "stack": _beside,
}
