"""Convolutions of arrays that are larger than memory: block by block, each from the samples that it reads."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import Shape, per_axis
from .convolution import Convolution
from .dtypes import Array, DType, as_signal
from .errors import DTypeError, ShapeError
from .foreign import as_operator
from .part import Part, convolution_of

BLOCK = 2**20  # samples of a block, where none is asked for

Slices = tuple[slice, ...]


def apply_blocks(A: Any, source: Any, target: Any, block: Any = None) -> Any:
    """Apply a convolution to an array that need not fit into memory, block by block.

    Parameters
    ----------
    A : Operator
        A convolution or the adjoint of one.
    source : numpy.memmap or array_like
        `(*batch, *in_shape)`; anything with `shape` and `dtype` that is read by slices.
    target : numpy.memmap or array_like
        `(*batch, *out_shape)`, where the result is written, by slices; for an adjoint that is no convolution itself,
        it is read as well.
    block : int or tuple of int, optional
        Samples of a block along each spatial axis: of the convolution's outputs, hence of the target, or of
        the source for an adjoint. About a million in all by default.

    Returns
    -------
    array_like
        `target`.

    Raises
    ------
    GeometryError
        If `A` is no convolution nor the adjoint of one, or the block is not made of positive integers.
    ShapeError
        If an array does not fit the operator, or source and target are the same memory.
    DTypeError
        If `target` would lose something of the result, or cannot be written to.

    Notes
    -----
    What is in memory at once is one block of the outputs and, along each axis, `(block - 1) * stride + reach` samples
    of the inputs, all channels of both; and what the method needs for these, a few times as much. Every block is
    computed from the samples that it reads and the same extension as the whole, so that nothing tells where the
    blocks met but rounding.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.Convolution(np.ones((3, 3)), (200, 300), boundary="mirror")
    >>> x = np.random.default_rng(0).random((200, 300))
    >>> y = convop.apply_blocks(A, x, np.empty((200, 300)), block=64)
    >>> np.allclose(y, A(x))
    True
    """
    operator = as_operator(A)
    convolution, adjoint = convolution_of(operator, "apply its factors one after the other, with an array in between")
    source = source if _is_array(source) else np.asarray(source)
    if not _is_array(target):
        raise DTypeError(f"the target is {type(target).__name__}, needed an array to write to, such as a numpy.memmap")
    batch = _batch(operator.in_shape, operator.out_shape, source, target)
    _require_room(np.result_type(operator.dtype, as_signal(np.empty(0, source.dtype), operator.dtype)), target)
    _require_apart(source, target)
    outputs = convolution.geometry.out_spatial
    sizes = _default(outputs) if block is None else per_axis(block, len(outputs), "block", 1)
    if adjoint:
        target[...] = 0
    for runs in _tiles(outputs, sizes):
        part = Part(convolution, dict(enumerate(runs)))
        inputs = list(_pieces(part, convolution))
        written = (*_channels(convolution), *(slice(run.start, run.stop) for run in runs))
        for item in np.ndindex(batch):
            if adjoint:
                _add(part.adjoint(np.asarray(source[item + written])), inputs, target, item)
            else:
                target[item + written] = part.forward(_gathered(part, convolution, inputs, source, item))
    return target


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__setitem__")


def _batch(in_shape: Shape, out_shape: Shape, source: Any, target: Any) -> Shape:
    rank = len(source.shape) - len(in_shape)
    batch = tuple(source.shape[: max(rank, 0)])
    for name, shape, needed in (("source", source.shape, in_shape), ("target", target.shape, out_shape)):
        if tuple(shape) != batch + needed:
            raise ShapeError(
                f"the {name} has shape {tuple(shape)}, needed (*batch, {', '.join(map(str, needed))}), source and "
                f"target with the same batch axes"
            )
    return batch


def _require_room(result: DType, target: Any) -> None:
    if not np.can_cast(result, target.dtype, "safe"):
        raise DTypeError(f"the result is {result} and the target {target.dtype}; give a target of dtype {result}")
    if isinstance(target, np.ndarray) and not target.flags.writeable:
        raise DTypeError("the target is read-only; open it for writing, as numpy.memmap(..., mode='r+')")


def _require_apart(source: Any, target: Any) -> None:
    """Blocks read what others have written, if both are one memory or one stretch of a file."""
    arrays = isinstance(source, np.ndarray) and isinstance(target, np.ndarray)
    if arrays and (np.may_share_memory(source, target) or _same_file(source, target)):
        raise ShapeError("source and target share memory, and blocks overlap; give a target of its own")


def _same_file(source: Array, target: Array) -> bool:
    maps = [array for array in (source, target) if isinstance(array, np.memmap) and array.filename is not None]
    if len(maps) < 2 or maps[0].filename != maps[1].filename:
        return False
    (first, one), (second, other) = ((each.offset, each.offset + each.nbytes) for each in maps)
    return first < other and second < one


def _default(outputs: Shape) -> Shape:
    """The longest axis halved until a block is small."""
    sizes = list(outputs)
    while math.prod(sizes) > BLOCK:
        longest = sizes.index(max(sizes))
        sizes[longest] = -(-sizes[longest] // 2)
    return tuple(sizes)


def _tiles(outputs: Shape, sizes: Shape) -> Iterator[tuple[range, ...]]:
    axes = (
        [range(start, min(start + size, n)) for start in range(0, n, size)]
        for n, size in zip(outputs, sizes, strict=True)
    )
    return itertools.product(*axes)


def _channels(A: Convolution) -> Slices:
    return (slice(None),) * A.geometry.lifted


def _pieces(part: Part, A: Convolution) -> Iterator[tuple[Slices, Slices]]:
    """What a part reads as slices of the array, and where they stand in what it takes."""
    axes = (_stretches(window.samples) for window in part.windows.values())
    for pieces in itertools.product(*axes):
        theirs, ours = zip(*pieces, strict=True)
        yield (*_channels(A), *theirs), (*_channels(A), *ours)


def _stretches(samples: NDArray[np.intp]) -> list[tuple[slice, slice]]:
    """Ascending numbers as slices without gaps, and the places of each in the row of all."""
    cuts = [0, *(np.flatnonzero(np.diff(samples) > 1) + 1), len(samples)]
    return [
        (slice(int(samples[start]), int(samples[stop - 1]) + 1), slice(int(start), int(stop)))
        for start, stop in itertools.pairwise(cuts)
        if stop > start
    ]


def _gathered(part: Part, A: Convolution, inputs: list[tuple[Slices, Slices]], source: Any, item: Shape) -> Array:
    shape = tuple(len(window.samples) for window in part.windows.values())
    block = np.empty((A.geometry.channels_in,) * A.geometry.lifted + shape, source.dtype)
    for theirs, ours in inputs:
        block[ours] = source[item + theirs]
    return block


def _add(block: Array, inputs: list[tuple[Slices, Slices]], target: Any, item: Shape) -> None:
    for theirs, ours in inputs:
        target[item + theirs] += block[ours]
