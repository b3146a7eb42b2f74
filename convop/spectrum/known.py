"""What is known of an operator's singular values without its matrix: a table of forms, in the order they are tried."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..algebra import Identity, Zero
from ..blocks import Blocks
from ..composite import Adjoint, Conjugate, Product, Reshaped, Scaled
from ..convolution import Convolution
from ..dtypes import Array
from ..foreign import as_operator
from ..geometry import Geometry
from ..operator import Operator
from ..selection import Diagonal, Extend, Select, Unfold
from ..structured.lifted import Lifted
from .closed_form import double_blocks, has_closed_form
from .forms import Direct, Frequencies, Known, Kronecker, Numbers, Times
from .kinds import NoClosedForm, placed
from .rank_one import factors_of


def known(A: Operator) -> Known:
    """The first form of the table that `A` has.

    Raises
    ------
    NoClosedForm
        If it has none, with the reason that its closed form was not found.
    """
    for find in _TABLE:
        found = find(A)
        if found is not None:
            return found
    blocks, weights, names = double_blocks(A)
    return Frequencies(blocks, weights, names)


def known_or_none(A: Operator) -> Known | None:
    try:
        return known(A)
    except NoClosedForm:
        return None


def _zero(A: Operator) -> Known | None:
    return Numbers(np.zeros(min(A.shape)), "it maps everything to zero") if isinstance(A, Zero) or A.vanishes else None


def _diagonal(A: Operator) -> Known | None:
    if isinstance(A, Identity):
        return Numbers(np.ones(A.shape[0]), "the identity")
    if isinstance(A, Diagonal):
        return Numbers(np.abs(A.array.ravel()).astype(np.float64), "the moduli of its diagonal")
    return None


def _copies(A: Operator) -> Known | None:
    """Where every output is one sample or none, `A^H A` is diagonal: how often each sample is copied."""
    if isinstance(A, Select):
        return Numbers(np.ones(min(A.shape)), "each sample at most once")
    if not isinstance(A, Extend | Unfold) or any("antireflective" in pair for pair in A.geometry.boundary):
        return None
    times = A.H(np.ones(A.out_shape)).ravel()
    return Times(
        Numbers(np.sqrt(times), "square roots of how often each sample is copied"), 1.0, min(A.shape), "copies"
    )


def _wrapped(A: Operator) -> Known | None:
    if isinstance(A, Adjoint | Conjugate | Reshaped):
        return known(A.operator)
    if isinstance(A, Scaled):
        return Times(known(A.operator), float(abs(A.number)), min(A.shape))
    return None


def _apart(A: Operator) -> Known | None:
    """Blocks of which no two share a row or a column, and groups of channels."""
    if isinstance(A, Convolution):
        return _of_groups(A)
    if not isinstance(A, Blocks | Lifted):
        return None
    entries = [entry for entry in placed(A) if not entry[2].vanishes]
    rows, columns = ({entry[line] for entry in entries} for line in (0, 1))
    if len(entries) < 2 or len(entries) > min(len(rows), len(columns)):
        return None
    return Times(Direct(tuple(known(block) for *_, block in entries)), 1.0, min(A.shape), "blocks on a diagonal")


def _of_groups(A: Convolution) -> Known | None:
    g = A.geometry
    if g.groups == 1:
        return None
    alone = replace(g, channels_out=g.channels_out // g.groups, channels_in=g.channels_in // g.groups, groups=1)
    parts = (Convolution.of(alone, w, A.convention, "direct") for w in np.split(A.weight, g.groups))
    return Times(Direct(tuple(map(known, parts))), 1.0, min(A.shape), "groups of channels")


def _without_isometries(A: Operator) -> Known | None:
    """A product, without a first or last factor that keeps all lengths up to a number."""
    if not isinstance(A, Product):
        return None
    outer, inner = _length(A.factors[0]), _length(A.factors[-1].H)
    if outer is None and inner is None:
        return None
    rest = A.factors[1:] if outer is not None else A.factors[:-1]
    number = outer if outer is not None else inner
    assert number is not None
    part = known(rest[0] if len(rest) == 1 else Product(rest))
    return Times(part, number, min(A.shape), f"{number:.6g} times, between isometries")


def _length(A: Operator) -> float | None:
    """The number by which `A` multiplies the length of every array, if it is one for all."""
    if isinstance(A, Identity):
        return 1.0
    if isinstance(A, Diagonal):
        sizes = np.abs(A.array)
        return float(sizes.flat[0]) if (sizes == sizes.flat[0]).all() else None
    if isinstance(A, Select):
        return 1.0 if A.shape[0] == A.shape[1] else None
    if isinstance(A, Adjoint):
        return 1.0 if isinstance(A.operator, Select) else None
    return None


def _separable(A: Operator) -> Known | None:
    """An outer product of kernels, along at least two axes (one of them may be the channels)."""
    if isinstance(A, Extend):
        return Kronecker(*_along_axes(A.geometry, [np.ones(1)] * A.geometry.ndim))
    if not isinstance(A, Convolution) or has_closed_form(A):
        return None
    factors = factors_of(A.weight)
    if factors is None:
        return None
    channels, *taps = factors
    lines, axes = _along_axes(A.geometry, taps)
    if channels.size > 1:
        return Kronecker((as_operator(channels), *lines), ("channels", *axes))
    if len(lines) > 1:
        return Kronecker((complex(channels.item()) * lines[0], *lines[1:]), axes)
    return None


def _along_axes(g: Geometry, taps: list[Array]) -> tuple[tuple[Operator, ...], tuple[str, ...]]:
    """The convolution along each axis with its taps, in correlation order."""
    lines = tuple(
        Convolution.of(
            Geometry.make(
                g.spatial[axis], g.kernel[axis], stride=g.stride[axis], dilation=g.dilation[axis],
                padding=(g.padding[axis],), boundary=(g.boundary[axis],),
            ),
            values[None, None], "correlation", "direct",
        )
        for axis, values in enumerate(taps)
    )  # fmt: skip
    return lines, tuple(f"axis {axis}" for axis in range(g.ndim))


_TABLE: tuple[Callable[[Operator], Known | None], ...] = (
    _zero,
    _diagonal,
    _copies,
    _wrapped,
    _apart,
    _separable,
    _without_isometries,
)
