"""`L^H L` in a basis, also where `L` itself is no block at each frequency.

A derivative does not map cosines to cosines but to sines. They are orthogonal, so that `L^H L` is diagonal in the
DCT-II all the same: for forward differences it is the Laplacian with eigenvalues `2 - 2 cos(pi k / n)`.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce, singledispatch
from typing import Any

import numpy as np

from ..arguments import Shape
from ..blocks import Blocks
from ..composite import Product, Reshaped, Scaled
from ..convolution import Convolution
from ..dtypes import Array
from ..foreign import as_operator
from ..operator import Operator
from ..structured.channels import ungrouped
from ..structured.polyphase import Layout
from .basis import Basis, as_kinds
from .closed_form import in_precision
from .kinds import NoClosedForm, common_kinds
from .line import Line
from .parts import Part, added, adjoint_of, multiplied, on_base, part


def gram_spectrum(L: Any, axes_names: Sequence[str], *, base: Shape | None = None, whole: bool = False) -> Array | None:
    """The blocks of `L^H L` in the basis that `axes_names` says, or None where it is no blocks there.

    Beyond operators with a closed form these are convolutions with odd kernels under a half-sample symmetric boundary
    (differences, central or to either side), stacks of such on top of each other (`gradient`), and those after an
    operator with a closed form.

    Parameters
    ----------
    L : Operator
        Any operator.
    axes_names : sequence of str
        For each axis of the grid "DFT", "DCT-II" or "none", as in `ClosedForm.axes_names`.
    base : tuple of int, optional
        The grid of the spectrum where that of `L` is finer, as for `L` beside a strided operator.
    whole : bool
        All of the spectrum, also if `L` is real.

    Returns
    -------
    numpy.ndarray or None
        `(*freq, C, C)`, Hermitian; `(*freq,)` and real for one channel.

    Examples
    --------
    >>> import convop
    >>> from convop.spectrum.gram import gram_spectrum
    >>> gram_spectrum(convop.gradient(4), ["DCT-II"]).round(3)
    array([0.   , 0.586, 2.   , 3.414], dtype=float32)
    """
    operator: Operator = as_operator(L)
    basis = Basis(as_kinds(axes_names, len(axes_names)), operator.dtype.kind != "c")
    try:
        gram = _gram(operator, basis)
        gram = gram if base is None else on_base(gram, base, basis)
    except NoClosedForm:
        return None
    blocks = basis.whole(gram.blocks, gram.layout.base) if whole else gram.blocks
    return in_precision(np.real(blocks[..., 0, 0]) if blocks.shape[-1] == 1 else blocks, operator.dtype)


@singledispatch
def _gram(L: Operator, basis: Basis) -> Part:
    common_kinds(L, len(basis.kinds), basis.kinds)
    return _squared(part(L, basis))


def _squared(a: Part) -> Part:
    layout = a.layout
    own = Layout(layout.base, layout.phases_in, layout.phases_in, layout.channels_in, layout.channels_in, True)
    return Part(own, a.blocks.conj().swapaxes(-1, -2) @ a.blocks)


@_gram.register
def _(L: Scaled, basis: Basis) -> Part:
    layout, blocks = _gram(L.operator, basis)
    return Part(layout, abs(L.number) ** 2 * blocks)


@_gram.register
def _(L: Reshaped, basis: Basis) -> Part:
    return _gram(L.operator, basis)


@_gram.register
def _(L: Product, basis: Basis) -> Part:
    outer, *inner = L.factors
    for factor in inner:
        common_kinds(factor, len(basis.kinds), basis.kinds)
    rest = reduce(lambda a, b: multiplied(a, b, basis), (part(factor, basis) for factor in inner))
    return multiplied(multiplied(adjoint_of(rest), _gram(outer, basis), basis), rest, basis)


@_gram.register
def _(L: Blocks, basis: Basis) -> Part:
    if not L.columns.single:
        return _gram.dispatch(Operator)(L, basis)
    return _total([_gram(block, basis) for _, _, block in L.blocks], basis)


@_gram.register
def _(L: Convolution, basis: Basis) -> Part:
    try:
        return _gram.dispatch(Operator)(L, basis)
    except NoClosedForm:
        if L.geometry.ndim != len(basis.kinds):
            raise
    g = L.geometry
    alone = replace(g, channels_out=1, groups=1, lifted=True)
    rows = (Convolution.of(alone, row[None], "correlation", "direct") for row in ungrouped(L.weight, g.groups))
    return _total([_of_row(row, basis) for row in rows], basis)


def _of_row(row: Convolution, basis: Basis) -> Part:
    """That of one output channel, whose taps are even or odd on each axis."""
    for axis, kind in enumerate(basis.kinds):
        line = Line.of(row, axis)
        if kind not in line.gram_kinds:
            raise NoClosedForm(line.why_not(axis))
    layout, blocks = _squared(part(row, basis))
    real = basis.real and basis.halved(layout.base) is None
    return Part(layout, np.real(blocks) if real else blocks)


def _total(parts: list[Part], basis: Basis) -> Part:
    return reduce(lambda a, b: added(a, b, basis), parts)
