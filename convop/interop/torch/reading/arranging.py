"""Functions that move samples about: reshaping, permuting, slicing, shuffling. torch shows where, moving numbers."""

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray

from ....arguments import Shape
from ....dtypes import DType
from ....errors import NotLinearError
from ....foreign import as_operator
from ....operator import Operator
from ....selection import Select, Unfold
from .branch import Branch
from .traced import BATCH, Call, Traced, as_array, plain, reads


def numbers(shape: Shape) -> NDArray[np.intp]:
    """An array that holds at each sample its number."""
    return np.arange(math.prod(shape)).reshape(shape)


def arranged(branch: Branch, chosen: NDArray[np.intp]) -> Branch:
    """The value with sample `chosen[i]` of `branch` at place `i`."""
    if np.array_equal(chosen.ravel(), np.arange(math.prod(branch.shape))):
        if chosen.shape == branch.shape:
            return branch
        return branch.then(as_operator(branch.identity(), out_shape=chosen.shape))
    return branch.then(picking(chosen, branch.shape, branch.settings.dtype))


def picking(chosen: NDArray[np.intp], shape: Shape, dtype: DType) -> Operator:
    """A `Select`, or the sparse matrix of ones where a sample is taken more than once."""
    if len(np.unique(chosen)) == chosen.size:
        return Select(shape, np.unravel_index(chosen, shape), dtype)
    ones, rows = np.ones(chosen.size, dtype), np.arange(chosen.size + 1)
    matrix = scipy.sparse.csr_array((ones, chosen.ravel(), rows), shape=(chosen.size, math.prod(shape)))
    return as_operator(matrix, shape, chosen.shape)


@reads(
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "permute", "transpose",
    "swapaxes", "swapdims", "movedim", "moveaxis", "mT", "flip", "fliplr", "flipud", "roll", "rot90", "__getitem__",
    "narrow", "select", "index_select", "take_along_dim", "unbind", "chunk", "split", "split_with_sizes",
    "tensor_split", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "expand",
    "expand_as", "broadcast_to", "repeat", "tile", "repeat_interleave", "diagonal", "gather",
    "fft_fftshift", "fft_ifftshift",
)  # fmt: skip
def arrangement(call: Call, x: Any, *args: Any, **kwargs: Any) -> Branch | list[Branch]:
    if not isinstance(x, Traced):
        raise NotLinearError(f"{call.name} with an index that depends on the input is not linear in the input")
    shape = (BATCH, *x.branch.shape)
    others, named = _plain_values(args), _plain_values(kwargs)
    moved = call.func(torch.arange(math.prod(shape), device=x.device).reshape(shape), *others, **named)
    if isinstance(moved, torch.Tensor):
        return arranged(x.branch, _of_one(as_array(moved), x.branch.shape, call.name))
    return [arranged(x.branch, _of_one(as_array(each), x.branch.shape, call.name)) for each in moved]


def _plain_values(arguments: Any) -> Any:
    """Arguments with plain tensors, of which such functions take the shape only."""
    if isinstance(arguments, dict):
        return {key: plain(value) for key, value in arguments.items()}
    return tuple(plain(value) for value in arguments)


def _of_one(moved: NDArray[np.intp], shape: Shape, name: str) -> NDArray[np.intp]:
    """Where the samples of the first array of the batch went, once it is seen that the second does the same."""
    apart = moved.ndim > 0 and len(moved) == BATCH and all(
        np.array_equal(moved[item], moved[0] + item * math.prod(shape)) for item in range(BATCH)
    ) and moved[0].max(initial=0) < math.prod(shape)  # fmt: skip
    if not apart:
        raise NotLinearError(
            f"{name} mixes the arrays of a batch, or moves the batch axis from the front, so it is no map of one "
            f"array; leave the first axis alone"
        )
    return moved[0]


@reads("unfold")
def patches(call: Call, x: Any, *args: Any, **kwargs: Any) -> Branch | list[Branch]:
    """Of the two functions of this name, the one that makes columns of patches; the other is a view."""
    if call.func is not torch.nn.functional.unfold:
        return arrangement(call, x, *args, **kwargs)
    return x.branch.then(_unfold(x.branch.shape, call.dtype, *args, **kwargs))


@reads("fold")
def folded(call: Call, x: Any, output_size: Any, *args: Any, **kwargs: Any) -> Branch:
    """The adjoint of `Unfold`: patches are added where they overlap."""
    return x.branch.then(_unfold(call.out_shape, call.dtype, *args, **kwargs).H)


def _unfold(
    shape: Shape, dtype: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Operator:
    return Unfold(shape, kernel_size, stride, padding, dilation, dtype)
