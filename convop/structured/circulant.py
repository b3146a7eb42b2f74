"""`BlockCirculant`: an operator that turns shifts into shifts, known by its block at each frequency."""

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from ..combining import Scalar
from ..convolution import Convolution
from ..dtypes import Array, DType
from ..errors import GeometryError
from ..operator import Operator
from . import circulant_matrix, inverse, symbol
from .matrix_function import Function, function_of
from .polyphase import Layout, coarsen, join, require_memory, split


class Dropped(NamedTuple):
    """What a pseudo-inverse cut: how many singular values, and at how many frequencies."""

    values: int
    frequencies: int


class BlockCirculant(Operator):
    """A periodic operator as a block for each frequency: circulant, block circulant or strided.

    `convop.as_circulant` makes it. Products, sums, multiples, adjoints and inverses of such operators are such
    operators again, computed frequency by frequency. Its impulse response goes from samples `j * p + a` (phase `a`
    of `p`) of the input to samples `i * q + b` of the output and depends on `i - j` only; `p` and `q` are 1 where
    nothing is strided, `p` is the stride of a strided convolution and `q` that of an adjoint one.

    Attributes
    ----------
    layout : Layout
        Grids and channels: `base` (of `i` and `j`), `phases_in` (`p`), `phases_out` (`q`), `block`.
    blocks : numpy.ndarray
        `(*frequencies, rows, columns)`, half the spectrum if the operator is real, complex64 or complex128.
    dropped : Dropped or None
        Of a pseudo-inverse, how many singular values were cut, at how many frequencies.

    Examples
    --------
    >>> import convop
    >>> C = convop.as_circulant(convop.Convolution([1.0, 2.0, 3.0], 8, boundary="periodic"))
    >>> C
    <BlockCirculant, grid 8, 8 frequencies: 8 -> 8, float64>
    >>> type(C.H @ C + 2 * C) is type(C)
    True
    """

    def __init__(self, layout: Layout, blocks: Array, dtype: DType, dropped: Dropped | None = None) -> None:
        super().__init__(layout.in_shape, layout.out_shape, dtype)
        blocks = np.ascontiguousarray(blocks, np.result_type(dtype, np.complex64))
        blocks.setflags(write=False)
        self.layout, self.blocks, self.dropped = layout, blocks, dropped

    @classmethod
    def of(cls, layout: Layout, response: Array, dtype: DType) -> "BlockCirculant":
        """From its impulse response `(rows, columns, *base)`, real if `dtype` is."""
        return cls(layout, symbol.spectrum_of(response), dtype)

    @property
    def _real(self) -> bool:
        return self.dtype.kind != "c"

    # The symbol.

    @cached_property
    def symbol(self) -> Array:
        """The block at each frequency, read-only: `Y[f] = symbol[f] @ X[f]`.

        Frequencies stand in the order of `numpy.fft.fftn` of the base grid. The shape is `(*base, rows, columns)`,
        with rows `(C_out, *phases_out)` and columns `(C_in, *phases_in)` in C order, so that `X[f]` holds the
        transforms of `x[c, a::p]`; `(*base, C_out, C_in)` where nothing is strided, `(*base)` for one channel.

        Examples
        --------
        >>> import convop
        >>> A = convop.Convolution([1.0, 2.0], 4, boundary="periodic")
        >>> convop.as_circulant(A).symbol.real
        array([ 3.,  1., -1.,  1.])
        >>> convop.as_circulant(convop.Convolution([1.0, 2.0], 4, boundary="periodic", stride=2)).symbol.shape
        (2, 1, 2)
        """
        full = symbol.full(self.blocks, self.layout.base) if self._real else self.blocks
        full = full[..., 0, 0] if self.layout.block == (1, 1) else full
        full.setflags(write=False)
        return full

    @cached_property
    def response(self) -> Array:
        """The impulse response `(rows, columns, *base)`, read-only, with nothing set to zero."""
        response = symbol.response_of(self.blocks, self.layout.base, self._real)
        response.setflags(write=False)
        return response

    # Applying.

    def _forward(self, x: Array) -> Array:
        return self._apply(x, self.layout, adjoint=False)

    def _adjoint_forward(self, y: Array) -> Array:
        return self._apply(y, self.layout.adjoint, adjoint=True)

    def _apply(self, x: Array, layout: Layout, adjoint: bool) -> Array:
        batch = x.shape[: x.ndim - len(layout.in_shape)]
        apart = x.dtype.kind == "c" and self._real  # a real operator acts on both parts alike
        if apart:
            x = np.stack([np.real(x), np.imag(x)])
        signal = x.astype(np.result_type(self.dtype, x.dtype), copy=False)
        signal = signal.reshape(-1, layout.channels_in, *layout.grid_in)
        spectrum = symbol.transform(split(signal, layout.base, layout.phases_in), layout.ndim)
        mixed = symbol.mix(self.blocks, spectrum, adjoint)
        y = join(symbol.inverse_transform(mixed, layout.base, self._real), layout.base, layout.phases_out)
        if apart:
            parts = y.reshape(2, -1)
            both: Any = np.empty(parts.shape[1], np.result_type(y.dtype, np.complex64))
            both.real, both.imag = parts
            y = both
        return y.reshape(batch + layout.out_shape)

    # Algebra.

    def _adjoint(self) -> Operator:
        return BlockCirculant(self.layout.adjoint, self.blocks.conj().swapaxes(-1, -2), self.dtype)

    def _conjugate(self) -> Operator:
        return BlockCirculant(self.layout, symbol.mirrored(self.blocks, self.layout.ndim).conj(), self.dtype)

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        wide = self.astype(dtype)
        return BlockCirculant(self.layout, wide.blocks * np.asarray(scalar, wide.blocks.dtype), dtype)

    def astype(self, dtype: DType) -> "BlockCirculant":
        """The same operator in at least this precision, with the whole spectrum if `dtype` is complex."""
        dtype = np.result_type(self.dtype, dtype)
        if dtype == self.dtype:
            return self
        whole = self._real and dtype.kind == "c"
        return BlockCirculant(
            self.layout, symbol.full(self.blocks, self.layout.base) if whole else self.blocks, dtype, self.dropped
        )

    def on_base(self, base: tuple[int, ...]) -> "BlockCirculant":
        """The same operator with larger blocks, on a base grid that divides its own."""
        factor = tuple(m // coarse for m, coarse in zip(self.layout.base, base, strict=True))
        if math.prod(factor) == 1:
            return self
        layout = self.layout.coarser(factor)
        require_memory(layout, self.dtype)
        return BlockCirculant.of(layout, coarsen(self.response, self.layout, factor), self.dtype)

    def with_channels(self) -> "BlockCirculant":
        """The same operator with the first axis of its arrays taken as channels."""
        coarse = self.on_base((1, *self.layout.base[1:]))
        layout = coarse.layout.with_channels()
        return BlockCirculant(layout, coarse.blocks[0], self.dtype)

    def convolution(self, tol: float | None = None) -> Convolution:
        """The same operator as a `Convolution` with periodic boundary, its kernel as short as can be.

        The kernel is the impulse response without the zeros around it; it has the size of the array where there are
        none. Strides come back too, and groups: as many as the channels that do not mix allow.

        Parameters
        ----------
        tol : float, optional
            Entries of the impulse response up to `tol` times its 2-norm (over all lags and channels) count as
            rounding and become zero; by default 8 eps of the operator's precision.

        Raises
        ------
        GeometryError
            If the output has another phase than the input, as that of the adjoint of a strided convolution.

        Examples
        --------
        >>> import numpy as np, convop
        >>> A = convop.Convolution([1.0, 2.0, 3.0], 8, boundary="periodic")
        >>> np.round((convop.as_circulant(A) @ A).convolution().kernel)
        array([ 1.,  4., 10., 12.,  9.])
        """
        return circulant_matrix.convolution(self.layout, self.response, tol)

    # Inverting.

    def singular_values(self) -> Array:
        """The singular values of each block: `(*base, min(rows, columns))`, descending at each frequency.

        Examples
        --------
        >>> import convop
        >>> C = convop.as_circulant(convop.Convolution([1.0, 2.0], 4, boundary="periodic"))
        >>> C.singular_values()[:, 0].round(3)
        array([3.   , 2.236, 1.   , 2.236])
        """
        values = self._every(inverse.singular_values(self.blocks))
        return values.astype(np.finfo(self.dtype).dtype)

    def inv(self) -> "BlockCirculant":
        """The inverse, block by block.

        Raises
        ------
        GeometryError
            If blocks are not square, or if at some frequency a singular value is at most
            `eps * max(block) * (2 + log2(frequencies))` of the largest of all; the message names those frequencies.

        Examples
        --------
        >>> import convop
        >>> C = convop.as_circulant(convop.Convolution([1.0, 3.0], 4, boundary="periodic"))
        >>> (C.inv() @ C([1.0, 2.0, 3.0, 4.0])).round(6)
        array([1., 2., 3., 4.])
        """
        rows, columns = self.layout.block
        if rows != columns:
            raise GeometryError(
                f"inv needs square blocks, this operator has {rows} x {columns} at each frequency (it maps "
                f"{self.in_shape} to {self.out_shape}); use pinv()"
            )
        inverse.require_regular(self._every(inverse.singular_values(self.blocks)), self._cutoff)
        return BlockCirculant(self.layout.adjoint, inverse.inverse(self.blocks), self.dtype)

    def pinv(self, rcond: float | None = None) -> "BlockCirculant":
        """The Moore-Penrose pseudo-inverse, block by block.

        Parameters
        ----------
        rcond : float, optional
            Singular values up to `rcond` times the largest of all frequencies count as zero; by default
            `eps * max(block) * (2 + log2(frequencies))`.

        Returns
        -------
        BlockCirculant
            With `.dropped` telling how many singular values were cut, at how many frequencies.

        Examples
        --------
        >>> import convop
        >>> C = convop.as_circulant(convop.Convolution([1.0, 1.0], 4, boundary="periodic"))
        >>> print(C.pinv())
        BlockCirculant, grid 4, 4 frequencies: 4 -> 4, float64
          1 of 4 singular values cut, at 1 of 4 frequencies
        """
        ratio = self._cutoff if rcond is None else inverse.as_ratio(rcond, "rcond")
        blocks, cut = inverse.pseudo_inverse(self.blocks, ratio)
        cut = self._every(cut)
        dropped = Dropped(int(cut.sum()), int(np.count_nonzero(cut)))
        return BlockCirculant(self.layout.adjoint, blocks, self.dtype, dropped)

    @property
    def _cutoff(self) -> float:
        return inverse.cutoff(self.dtype, self.layout.block, self.layout.frequencies)

    def _every(self, of_blocks: Array) -> Array:
        """What was computed for each block, for the full spectrum."""
        return symbol.full(of_blocks, self.layout.base) if self._real else of_blocks

    # Functions.

    def eigvals(self) -> Array:
        """All eigenvalues, complex: those of each block, in the order of `symbol`.

        Raises
        ------
        GeometryError
            If input and output are not the same grid and channels.

        Examples
        --------
        >>> import convop
        >>> convop.as_circulant(convop.Convolution([1.0, 2.0], 4, boundary="periodic")).eigvals().round(3)
        array([ 3.+0.j,  1.-2.j, -1.+0.j,  1.+2.j])
        """
        self._require_endomorphism("eigvals")
        return self._every(inverse.eigenvalues(self.blocks)).ravel().astype(self.blocks.dtype)

    def apply_function(self, f: Function) -> "BlockCirculant":
        """`f` of the operator as of a matrix, such as its exponential or its square root.

        `f` is called with an array of eigenvalues and acts on them one by one: `f(B) = V diag(f(w)) V^-1` for the
        block `B = V diag(w) V^-1`. For one channel that is `f(symbol)`. Eigenvalues whose imaginary part is rounding
        come with an imaginary part of plus zero, so that `f` sees one side of a branch cut. A real operator gives a
        real one where `f(conj(w)) == conj(f(w))` for all its eigenvalues, and else a complex one.

        Blocks that have no well-conditioned eigenvectors are done by `scipy.linalg.expm`, `sqrtm`, `logm`, `cosm`
        and the like if `f` is numpy's function of that name, and refused otherwise.

        Parameters
        ----------
        f : callable
            From a complex array to an array of the same shape.

        Raises
        ------
        GeometryError
            If input and output are not the same grid and channels, if `f` is not finite at an eigenvalue, or a block
            has no eigenvectors to work with.

        Examples
        --------
        >>> import numpy as np, convop
        >>> C = convop.as_circulant(convop.Convolution([1.0, 4.0, 1.0], 6, boundary="periodic"))
        >>> root = C.apply_function(np.sqrt)
        >>> np.allclose((root @ root).toarray(), C.toarray())
        True
        """
        self._require_endomorphism("apply_function")
        eps = float(np.finfo(self.dtype).eps)
        blocks, real = function_of(f, self.blocks, self.layout.base, self._real, eps)
        return BlockCirculant(self.layout, blocks, self.dtype if real else np.result_type(self.dtype, np.complex64))

    def _require_endomorphism(self, what: str) -> None:
        if self.in_shape != self.out_shape:
            raise GeometryError(
                f"{what} needs an operator whose input and output are the same grid and channels, this one maps "
                f"{self.in_shape} to {self.out_shape}; take that of A.H @ A or A @ A.H, or singular_values()"
            )

    # Matrices.

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return circulant_matrix.csr(self.layout, self._impulse, max_bytes)

    def _count(self) -> tuple[int, bool]:
        return int(np.count_nonzero(self._impulse)) * self.layout.frequencies, True

    @cached_property
    def _impulse(self) -> Array:
        """The impulse response with rounding set to zero."""
        return circulant_matrix.without_rounding(self.response)

    @property
    def work(self) -> int:
        rows, columns = self.layout.block
        return math.ceil(columns + (1 + columns / rows) * math.log2(self.layout.frequencies))

    def _recipe(self) -> tuple[Any, ...]:
        return BlockCirculant, self.layout, self.blocks, self.dtype, self.dropped

    # Telling.

    def _describe(self) -> str:
        layout = self.layout
        grid = "x".join(map(str, layout.base))
        channels = f", channels {layout.channels_in} -> {layout.channels_out}" if layout.lifted else ""
        return f"BlockCirculant, grid {grid}{channels}, {layout.frequencies} frequencies"

    def _lines(self) -> list[str]:
        layout, lines = self.layout, super()._lines()
        if layout.block != (1, 1):
            lines.append(f"  {layout.block[0]} x {layout.block[1]} block at each frequency")
        if max(*layout.phases_in, *layout.phases_out) > 1:
            lines.append(f"  phases {layout.phases_in} -> {layout.phases_out}")
        if self.dropped is not None:
            total = min(layout.block) * layout.frequencies
            lines.append(
                f"  {self.dropped.values} of {total} singular values cut, at {self.dropped.frequencies} of "
                f"{layout.frequencies} frequencies"
            )
        return lines
