"""Products with constant tensors, summed over some axes: one tap and a group for each index that both share.

Of the indices of an array, a contraction with a constant keeps some as they are, sums over some, and has some in common
with the constant and the result. In the order (common, summed, kept) it is a convolution along what is kept, with
one tap and a group for each common index.
"""

import math
import string
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import NotLinearError
from ....foreign import as_operator
from ....layers import conv_layer
from ....operator import Operator
from .arranging import arranged, numbers
from .branch import Branch
from .traced import Call, Traced, as_array, reads

LETTERS = string.ascii_letters


@reads("einsum")
def einstein_sum(call: Call, equation: Any, *operands: Any) -> Branch:
    given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else list(operands)
    if not isinstance(equation, str):
        raise NotLinearError(f"{call.name} is read with its indices as a text, such as 'bchw,oc->bohw'")
    terms, out = _spelled(equation.replace(" ", ""), [np.ndim(as_array(each)) for each in given])
    place = _the_traced(call, given)
    x, letters = given.pop(place), terms.pop(place)
    constants = [as_array(each) for each in given]
    others = "".join(dict.fromkeys("".join(terms)))
    used = "".join(letter for letter in others if letter in out or letter in letters)
    constant = np.einsum(f"{','.join(terms)}->{used}", *constants) if terms else np.ones((), call.dtype)
    return contraction(call, x.branch, letters, constant, used, out)


def _spelled(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The indices of each operand and of the result, with letters for dots and for a result that is left out."""
    left, arrow, out = equation.partition("->")
    free = "".join(letter for letter in LETTERS if letter not in equation)
    terms = []
    for term, rank in zip(left.split(","), ranks, strict=True):
        dots = rank - len(term.replace("...", ""))
        terms.append(term.replace("...", free[:26][26 - dots :] if dots else ""))
    widest = max((rank - len(t.replace("...", "")) for t, rank in zip(left.split(","), ranks, strict=True)), default=0)
    dots = free[:26][26 - widest :] if widest else ""
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        out = "..." * ("..." in left) + "".join(sorted(each for each in set(letters) if letters.count(each) == 1))
    return terms, out.replace("...", dots)


def _the_traced(call: Call, operands: list[Any]) -> int:
    """Which operand depends on the input."""
    places = [place for place, each in enumerate(operands) if isinstance(each, Traced)]
    if len(places) > 1:
        raise NotLinearError(f"{call.name} of several values that depend on the input is not linear in the input")
    return places[0]


@reads("matmul", "mm", "bmm", "__matmul__", "__rmatmul__")
def matrix_product(call: Call, x: Any, other: Any) -> Branch:
    """`x @ M` or `M @ x` with a constant; axes before the last two go along, as torch broadcasts them."""
    if call.name == "__rmatmul__":
        x, other = other, x
    place = _the_traced(call, [x, other])
    value, constant = ((x, as_array(other)), (other, as_array(x)))[place]
    rank, letters = value.dim(), LETTERS[: value.dim()]
    if rank < 2 + place or constant.ndim > rank + (constant.ndim == 2):
        raise NotLinearError(f"{call.name} of shapes {tuple(x.shape)} and {tuple(other.shape)} mixes the batch axis in")
    summed = letters[-1 - place]
    lead, new = letters[: rank - 2] if rank > 2 else "", LETTERS[rank]
    if constant.ndim == 1:
        return contraction(call, value.branch, letters, constant, summed, letters.replace(summed, ""))
    others, out = _leading(value, letters, lead, constant)
    core = (summed + new, new + summed)[place]
    last = letters.replace(lead, "", 1).replace(summed, new) if rank > 2 else letters[0] + new
    return contraction(call, value.branch, letters, constant.squeeze(others[1]), others[0] + core, out + last)


def _leading(value: Traced, letters: str, lead: str, constant: NDArray[Any]) -> tuple[tuple[str, tuple[int, ...]], str]:
    """The letters of the constant's leading axes, which of these to drop, and the result's leading letters."""
    named, dropped, out, spare = "", [], list(lead), LETTERS[len(letters) + 1 :]
    for axis in range(constant.ndim - 2):
        place = len(lead) - (constant.ndim - 2) + axis
        if constant.shape[axis] == 1:
            dropped.append(axis)
        elif place > 0 and value.shape[place] == 1:  # a single matrix against many
            named, out[place] = named + spare[axis], spare[axis]
        else:
            named += lead[place]
    return (named, tuple(dropped)), "".join(out)


@reads("tensordot")
def tensor_product(call: Call, x: Any, other: Any, dims: Any = 2) -> Branch:
    ranks = np.ndim(as_array(x)), np.ndim(as_array(other))
    if isinstance(dims, int):
        pairs = range(ranks[0] - dims, ranks[0]), range(dims)
    else:
        pairs = tuple([each] if isinstance(each, int) else list(each) for each in dims)
    first, second = list(LETTERS[: ranks[0]]), list(LETTERS[ranks[0] : sum(ranks)])
    for a, b in zip(*pairs, strict=True):
        second[b] = first[a]
    out = "".join(letter for letter in first + second if (letter in first) != (letter in second))
    place = _the_traced(call, [x, other])
    value, constant = (x, other) if place == 0 else (other, x)
    letters, others = ("".join(each) for each in ((first, second) if place == 0 else (second, first)))
    return contraction(call, value.branch, letters, as_array(constant), others, out)


def contraction(call: Call, branch: Branch, letters: str, constant: NDArray[Any], others: str, out: str) -> Branch:
    """The sum over all indices that `out` lacks of the value times a constant; the first letter is the batch's."""
    batch, inner = letters[0], letters[1:]
    if batch in others and (constant == constant.take([0], others.index(batch))).all():
        constant, others = constant.take(0, others.index(batch)), others.replace(batch, "")
    if batch in others or out[:1] != batch or len(set(letters)) < len(letters):
        raise NotLinearError(
            f"{call.name} mixes the arrays of a batch, moves the batch axis from the front, or takes a diagonal; leave "
            f"the first axis alone, with an index of its own, and take diagonals by torch.diagonal"
        )
    if not call.out_shape:  # asked first: what torch refuses is refused in its words
        raise NotLinearError(f"{call.name} leaves no axis but that of the batch; keep one more")
    common = [letter for letter in inner if letter in others and letter in out]
    summed = [letter for letter in inner if letter not in out]
    kept = [letter for letter in inner if letter in out and letter not in others]
    new = [letter for letter in others if letter not in inner]
    sizes = dict(zip(others, constant.shape, strict=True)) | dict(zip(inner, branch.shape, strict=True))
    if any(n not in (1, sizes[letter]) for letter, n in zip(others, constant.shape, strict=True)):
        raise NotLinearError(
            f"{call.name} spreads an axis of length one over a constant's; give that an index of its own"
        )
    constant = np.broadcast_to(constant, tuple(sizes[letter] for letter in others))
    groups, rows, terms, along = (math.prod(sizes[each] for each in part) for part in (common, new, summed, kept))

    present = [letter for letter in summed if letter in others]
    ordered = np.einsum(f"{others}->{''.join(common + new + present)}", constant)
    met = [sizes[each] if each in others else 1 for each in summed]
    ordered = ordered.reshape([*ordered.shape[: len(common + new)], *met])
    shape = tuple(sizes[each] for each in common + new + summed)
    weight = np.broadcast_to(ordered, shape).reshape(groups * rows, terms).astype(call.dtype)

    taken = numbers(branch.shape).transpose([inner.index(letter) for letter in common + summed + kept])
    first = arranged(branch, taken.reshape(groups * terms, along))
    then = first.then(_blocks(weight, groups, first.shape))
    made = [*common, *new, *kept]
    placed = numbers(tuple(sizes[each] for each in made)).transpose([made.index(letter) for letter in out[1:]])
    return arranged(then, placed)


def _blocks(weight: NDArray[Any], groups: int, shape: tuple[int, ...]) -> Operator:
    """A matrix for each group of channels, the same all along."""
    if groups == shape[1] == 1:
        return as_operator(weight, shape, (len(weight), 1))
    return conv_layer(weight[..., None], shape, groups=groups)
