"""The closed form of an operator: unitary transforms of input and output between which it is a block a frequency.

A periodic convolution is diagonal in the DFT (with phases where it is strided: P. P. Vaidyanathan, "Multirate Systems
and Filter Banks", 1993), and an even kernel under a half-sample boundary in the DCT-II (G. Strang, "The Discrete
Cosine Transform", SIAM Review 41, 1999). Both transforms are orthonormal here, so that singular values, norms and
inner products are those of the blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import Shape
from ..dtypes import Array, DType, as_signal
from ..errors import DTypeError, ShapeError
from ..foreign import as_operator
from ..operator import Operator
from ..structured.polyphase import Layout, join, split
from .basis import Basis, as_kinds
from .kinds import NoClosedForm, common_kinds, grid_axes
from .parts import Part, part


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """An operator as `A(x) = synthesise_out(blocks @ analyse_in(x))` with unitary transforms.

    For a real operator with a DFT axis it holds half of the spectrum and takes real arrays; `whole()` holds all of
    it and takes complex ones.

    Attributes
    ----------
    blocks : numpy.ndarray
        `(*freq, C_out * phases_out, C_in * phases_in)`, read-only; the phases of a strided operator are polyphase
        components, so that `freq` is the coarser of the two grids.
    axes_names : tuple of str
        For each axis of the grid "DFT", "DCT-II", or "none" where it has one sample.
    weights : numpy.ndarray
        `(*freq,)`: how many frequencies of the whole spectrum an entry of `blocks` stands for, 1 or 2.
    in_shape, out_shape : tuple of int
        Shapes of the arrays.
    layout : Layout
        Base grid, phases and channels.
    """

    blocks: Array
    basis: Basis
    layout: Layout
    in_shape: Shape
    out_shape: Shape

    @property
    def axes_names(self) -> tuple[str, ...]:
        return self.basis.names(self.layout.base)

    @property
    def frequencies(self) -> Shape:
        """Shape of `weights`, and of `blocks` without its rows and columns."""
        return self.blocks.shape[:-2]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        weights = self.basis.weights(self.layout.base)
        weights.setflags(write=False)
        return weights

    def whole(self) -> "ClosedForm":
        """The same with the whole spectrum, for complex arrays."""
        if not self.basis.real:
            return self
        blocks = self.basis.whole(self.blocks, self.layout.base)
        blocks.setflags(write=False)
        return ClosedForm(blocks, Basis(self.basis.kinds, False), self.layout, self.in_shape, self.out_shape)

    def analyse_in(self, x: Any) -> Array:
        """`(*batch, *in_shape)` to `(*batch, *freq, columns of a block)`."""
        return self._analyse(x, self.in_shape, self.layout)

    def analyse_out(self, y: Any) -> Array:
        """`(*batch, *out_shape)` to `(*batch, *freq, rows of a block)`."""
        return self._analyse(y, self.out_shape, self.layout.adjoint)

    def synthesise_in(self, c: Array) -> Array:
        """The inverse of `analyse_in`, and its adjoint where frequencies count as often as `weights` says."""
        return self._synthesise(c, self.in_shape, self.layout)

    def synthesise_out(self, c: Array) -> Array:
        """The inverse of `analyse_out`, and its adjoint where frequencies count as often as `weights` says."""
        return self._synthesise(c, self.out_shape, self.layout.adjoint)

    def _analyse(self, x: Any, shape: Shape, layout: Layout) -> Array:
        x = as_signal(x, self.blocks.dtype)
        rank = x.ndim - len(shape)
        if rank < 0 or x.shape[rank:] != shape:
            raise ShapeError(
                f"the transform takes arrays of shape (*batch, {', '.join(map(str, shape))}), got {x.shape}"
            )
        if x.dtype.kind == "c" and self.basis.halved(layout.base) is not None:
            raise DTypeError("half of the spectrum says all of a real array, got a complex one; use whole()")
        phases = split(x.reshape(-1, layout.channels_in, *layout.grid_in), layout.base, layout.phases_in)
        spectrum = self.basis.forward(phases, layout.base)
        return np.moveaxis(spectrum, 1, -1).reshape(*x.shape[:rank], *self.frequencies, phases.shape[1])

    def _synthesise(self, c: Array, shape: Shape, layout: Layout) -> Array:
        needed = (*self.frequencies, layout.block[1])
        rank = c.ndim - len(needed)
        if rank < 0 or c.shape[rank:] != needed:
            raise ShapeError(
                f"the transform takes spectra of shape (*batch, {', '.join(map(str, needed))}), got {c.shape}"
            )
        spectrum = np.moveaxis(c.reshape(-1, *needed), -1, 1)
        phases = self.basis.backward(spectrum, layout.base)
        return join(phases, layout.base, layout.phases_in).reshape(c.shape[:rank] + shape)


def closed_form(A: Any, axes_names: Sequence[str] | None = None) -> ClosedForm | None:
    """The closed form of an operator, or None where no unitary transform known here makes it blocks.

    Parameters
    ----------
    A : Operator
        A convolution that on each axis is periodic (with a stride that divides the size), or has a kernel even about
        its centre tap and a half-sample symmetric boundary, or does nothing; the identity and constant diagonals; and
        products, sums, multiples, adjoints and stacks of such with the same transforms.
    axes_names : sequence of str, optional
        The transforms wanted, where an axis has more than one.

    Returns
    -------
    ClosedForm or None

    Raises
    ------
    MemoryBudgetError
        If the blocks do not fit into memory.

    Examples
    --------
    >>> import numpy as np, convop
    >>> from convop.spectrum.closed_form import closed_form
    >>> A = convop.Convolution([1.0, 4.0, 1.0], 5, boundary="symmetric")
    >>> form = closed_form(A)
    >>> form.axes_names, form.blocks.shape
    (('DCT-II',), (5, 1, 1))
    >>> x = np.arange(5.0)
    >>> spectrum = form.analyse_in(x)
    >>> np.allclose(form.synthesise_out((form.blocks @ spectrum[..., None])[..., 0]), A(x))
    True
    """
    try:
        return require_closed_form(A, axes_names)
    except NoClosedForm:
        return None


def require_closed_form(A: Any, axes_names: Sequence[str] | None = None) -> ClosedForm:
    """As `closed_form`, but raising NoClosedForm with the reason why there is none."""
    operator: Operator = as_operator(A)
    basis, (layout, blocks) = _in_basis(operator, axes_names)
    return ClosedForm(in_precision(blocks, operator.dtype), basis, layout, operator.in_shape, operator.out_shape)


def double_blocks(A: Operator) -> tuple[Array, NDArray[np.float64], tuple[str, ...]]:
    """Blocks in double precision, weights and names of a closed form; NoClosedForm where there is none."""
    basis, (layout, blocks) = _in_basis(A, None)
    return np.ascontiguousarray(blocks), basis.weights(layout.base), basis.names(layout.base)


def has_closed_form(A: Operator) -> bool:
    """Whether there is one, without computing it."""
    try:
        return bool(common_kinds(A, grid_axes(A)))
    except NoClosedForm:
        return False


def _in_basis(A: Operator, axes_names: Sequence[str] | None) -> tuple[Basis, Part]:
    ndim = grid_axes(A) if axes_names is None else len(axes_names)
    kinds = common_kinds(A, ndim, None if axes_names is None else as_kinds(axes_names, ndim))
    basis = Basis(kinds, A.dtype.kind != "c")
    return basis, part(A, basis)


def in_precision(blocks: Array, dtype: DType) -> Array:
    """Read-only blocks in the precision of `dtype`, complex if they are."""
    real = np.finfo(dtype).dtype
    rounded = np.ascontiguousarray(blocks, np.result_type(real, np.complex64) if np.iscomplexobj(blocks) else real)
    rounded.setflags(write=False)
    return rounded
