"""The doors to `Lifted`: a layer as its grid of single-channel operators, and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..composite import Adjoint, Conjugate, Scaled, Sum
from ..convolution import Convolution
from ..errors import GeometryError
from ..foreign import as_operator
from ..operator import Operator
from .channels import ungrouped
from .lifted import Lifted, added, lowered, why_not_one


def lift(A: Any) -> Lifted:
    """The grid of single-channel operators that a multi-channel operator is made of.

    Parameters
    ----------
    A : Operator
        A convolution between arrays with channels, as `conv_layer` makes them; or sums, multiples and adjoints of
        such (`conv_transpose_layer`).

    Returns
    -------
    Lifted
        `L[o, i]` maps channel `i` of the input, an array without a channel axis, to its part in channel `o` of the
        output. Blocks that groups keep apart are zero kernels of the same geometry.

    Raises
    ------
    GeometryError
        If the operator has no channels.

    Examples
    --------
    >>> import numpy as np, convop
    >>> A = convop.conv_layer(np.ones((4, 2, 3, 3)), (2, 8, 8), stride=2, padding=1)
    >>> L = convop.lift(A)
    >>> L.channels, L[3, 1].out_shape
    ((4, 2), (4, 4))
    >>> convop.lower(L).geometry == A.geometry
    True
    """
    return _lift(as_operator(A))


def _lift(operator: Operator) -> Lifted:
    if isinstance(operator, Lifted):
        return operator
    if isinstance(operator, Convolution) and operator.geometry.lifted:
        return _of_convolution(operator)
    if isinstance(operator, Scaled):
        return _lift(operator.operator)._map(lambda block: block._scaled(operator.number, operator.dtype))
    if isinstance(operator, Adjoint | Conjugate):
        inner = _lift(operator.operator)
        answer = inner.H if isinstance(operator, Adjoint) else inner.conj()
        assert isinstance(answer, Lifted)
        return answer
    if isinstance(operator, Sum):
        first, *others = map(_lift, operator.terms)
        for other in others:
            first = added(first, other)
        return first
    if isinstance(operator, Convolution):
        raise GeometryError(
            f"{operator!r} has no channel axis, so it is its own only block; for a grid of one make it with "
            f"conv_layer(weight (1, 1, *taps), (1, *in_shape))"
        )
    raise GeometryError(
        f"{operator!r} is not known as a grid of channels; give a convolution with channels (conv_layer), or the "
        f"blocks: Lifted([[A, B], [C, D]])"
    )


def _of_convolution(A: Convolution) -> Lifted:
    weight = ungrouped(A.weight, A.geometry.groups)
    geometry = replace(A.geometry, channels_out=1, channels_in=1, groups=1, lifted=False)
    blocks = [
        [Convolution.of(geometry, kernel[None, None], A.convention, A._asked) for kernel in row] for row in weight
    ]
    return Lifted(blocks, A.geometry.groups)


def lower(L: Any) -> Convolution:
    """The multi-channel convolution that a grid of convolutions is; the inverse of `lift`.

    Parameters
    ----------
    L : Lifted or nested sequence of Convolution
        The grid, all of one geometry.

    Returns
    -------
    Convolution
        With the kernels of the blocks; in groups where `L.groups` says so.

    Raises
    ------
    GeometryError
        If a block is not a convolution, or not of the geometry of the first; it says which.

    Examples
    --------
    >>> import convop
    >>> blur, edge = convop.Convolution([1.0, 2.0, 1.0], 6), convop.Convolution([1.0, 0.0, -1.0], 6)
    >>> convop.lower([[blur], [edge]])
    <Convolution 3: 1x6 -> 2x6, float64, direct>
    """
    grid = L if isinstance(L, Lifted) else _as_grid(L)
    problem = why_not_one(grid)
    if problem:
        raise GeometryError(problem)
    return lowered(grid)


def _as_grid(L: Any) -> Lifted:
    rows: Any = L
    if not isinstance(L, Sequence) or not all(isinstance(row, Sequence) for row in L):
        raise GeometryError(f"lower takes a Lifted or rows of operators, got {L!r}; make one with lift(A)")
    return Lifted(rows)
