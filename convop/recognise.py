"""Reading a kernel back from a matrix: `as_convolution`, and what structure the matrix has."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from .arguments import Shape, as_flag, as_shape, per_axis
from .boundary import canonical_pairs
from .convolution import Convolution
from .errors import GeometryError
from .foreign import as_operator
from .nearest import Entries, Nearest, nearest
from .operator import Operator
from .tap_window import Axis

Structure = Literal["circulant", "toeplitz", "convolution", "none"]


@dataclass(frozen=True)
class Recognised:
    """The convolution nearest to a matrix.

    Attributes
    ----------
    operator : Convolution
        The nearest convolution of its geometry in the Frobenius norm.
    residual : float
        Its relative distance to the matrix, ``norm(M - A) / norm(M)`` in the Frobenius norm.
    exact : bool
        Whether every entry agrees to rounding.
    structure : {"circulant", "toeplitz", "convolution", "none"}
        What the matrix is, the narrowest that holds to rounding: block circulant on every axis, multilevel Toeplitz, a
        convolution of the geometry that was asked for, or none of these.
    """

    operator: Convolution
    residual: float
    exact: bool
    structure: Structure

    def __str__(self) -> str:
        how = "exactly" if self.exact else f"up to a relative residual of {self.residual:.3g}"
        return f"{self.operator!r} {how}; structure of the matrix: {self.structure}"


def as_convolution(
    M: Any,
    in_shape: Any,
    out_shape: Any = None,
    *,
    boundary: Any = "zero",
    channels: bool = False,
    stride: Any = 1,
    kernel_shape: Any = None,
    max_bytes: int | None = None,
) -> Recognised:
    """Read the kernel back from a matrix or operator.

    Parameters
    ----------
    M : array_like, sparse array or operator
        Anything `as_operator` takes. An operator that is known by its action only is applied to every unit vector,
        so its dense matrix has to fit into memory.
    in_shape : int or tuple of int
        Shape of the arrays that it takes, C-ordered; with `channels` it is `(C_in, *spatial)`.
    out_shape : int or tuple of int, optional
        Shape of those that it gives. By default the operator's own, or `ceil(n / stride)` on each axis, or with
        `kernel_shape` that of mode "full" or "valid", whichever fits the number of rows.
    boundary : str or tuple
        As for `Convolution`.
    channels : bool
        Whether the first axis of the shapes is channels.
    stride : int or tuple of int
        Step between outputs.
    kernel_shape : int or tuple of int, optional
        Taps along each axis, by default as many as the entries of `M` that are not zero ask for. They are placed where
        they explain most of `M`; where several places do alike, as the mode that fits the sizes would place them.
        (Where boundaries make taps share entries and there are more than a few hundred places, the one is taken in
        which the kernel of any length has most energy.) A dilated kernel comes back with the zeros between its taps.
    max_bytes : int, optional
        Memory that the matrix of an operator may take; by default what the machine has free.

    Returns
    -------
    Recognised
        With `operator`, `residual`, `exact` and `structure`.

    Raises
    ------
    GeometryError
        If shapes and matrix do not fit.
    MemoryBudgetError
        If the matrix of an operator would not fit.

    Examples
    --------
    >>> import numpy as np, convop
    >>> found = convop.as_convolution([[2.0, 1.0, 0.0], [3.0, 2.0, 1.0], [0.0, 3.0, 2.0]], 3)
    >>> found.operator.kernel, found.exact, found.structure
    (array([1., 2., 3.]), True, 'toeplitz')
    >>> found = convop.as_convolution([[2.0, 1.0], [3.0, 4.0]], 2)
    >>> found.operator.toarray(), round(found.residual, 3), found.exact
    (array([[3., 1.],
           [3., 3.]]), 0.258, False)
    """
    operator = as_operator(M)
    channels = as_flag(channels, "channels")
    source, ndim = as_shape(in_shape), len(as_shape(in_shape)) - channels
    if ndim < 1:
        raise GeometryError(f"with channels=True in_shape is (C_in, *spatial), got {source}; give a spatial axis")
    steps = per_axis(stride, ndim, "stride", 1)
    taps = None if kernel_shape is None else per_axis(kernel_shape, ndim, "kernel_shape", 1)
    target = _out_shape(operator, source, out_shape, channels, steps, taps)
    if operator.shape != (math.prod(target), math.prod(source)):
        raise GeometryError(
            f"the operator has shape {operator.shape}, in_shape {source} and out_shape {target} need "
            f"{(math.prod(target), math.prod(source))}; give shapes that fit"
        )
    _require_in_reach(taps, source[-ndim:], target[-ndim:], steps)
    axes = [
        Axis(*each) for each in zip(source[-ndim:], target[-ndim:], steps, canonical_pairs(boundary, ndim), strict=True)
    ]
    matrix = operator.tosparse(max_bytes=max_bytes) if operator.explicit else operator.toarray(max_bytes=max_bytes)
    entries = Entries.of(matrix, target, source, ndim)
    found = nearest(entries, axes, taps, channels)
    return Recognised(*found, _structure(entries, axes, found, taps, channels))


def _require_in_reach(taps: Shape | None, source: Shape, target: Shape, steps: Shape) -> None:
    """Raise GeometryError for a kernel of which most taps could not read the array even where it is folded."""
    most = tuple(max(100, 3 * (n + m * s)) for n, m, s in zip(source, target, steps, strict=True))
    if taps is not None and any(k > limit for k, limit in zip(taps, most, strict=True)):
        raise GeometryError(
            f"kernel_shape {taps} is far longer than arrays of {source} and {target} samples can tell of; "
            f"give at most {most}"
        )


def _out_shape(
    operator: Operator, source: Shape, given: Any, channels: bool, steps: Shape, taps: Shape | None
) -> Shape:
    """The output shape asked for, or the operator's own, or the one that fits the number of rows."""
    if given is not None:
        target = as_shape(given, "out_shape")
        if len(target) != len(source):
            raise GeometryError(f"in_shape {source} and out_shape {target} need equally many axes")
        return target
    if len(operator.out_shape) == len(source):
        return operator.out_shape
    rows, spatial = operator.shape[0], source[int(channels) :]
    changes = [tuple(0 for _ in spatial)]
    if taps is not None:
        changes += [tuple(k - 1 for k in taps), tuple(1 - k for k in taps)]
    for change in changes:
        sizes = tuple(-(-(n + more) // s) for n, more, s in zip(spatial, change, steps, strict=True))
        if min(sizes) > 0 and (rows % math.prod(sizes) == 0 if channels else rows == math.prod(sizes)):
            return (rows // math.prod(sizes), *sizes) if channels else sizes
    raise GeometryError(
        f"{rows} rows do not follow from in_shape {source} and stride {steps}; give out_shape"
        + (" with channels first" if channels else "")
    )


# Structure


def _structure(entries: Entries, axes: list[Axis], found: Nearest, taps: Shape | None, lifted: bool) -> Structure:
    """The narrowest structure that holds: a circulant matrix is Toeplitz, and both are convolutions."""

    def fits(name: str) -> bool:
        alike = [Axis(axis.n, axis.m, 1, (name, name)) for axis in axes]
        if taps is None and alike == axes:
            return found.exact
        return nearest(entries, alike, None, lifted).exact

    if fits("zero"):
        return "circulant" if all(axis.n == axis.m for axis in axes) and fits("periodic") else "toeplitz"
    return "convolution" if found.exact else "none"
