"""`BlockToeplitz`: an operator whose matrix depends on lags only, output index minus input index, on every axis.

It is its generator, one value (or channel block) for each lag. Everything else is asked of the zero-boundary
convolution that the generator also is: applying by circulant embedding or in direct loops, and the sparse matrix.
"""

import math
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from ..apply.plan import require_known
from ..arguments import Shape, as_int, as_shape
from ..combining import Scalar
from ..convolution import Convolution
from ..dtypes import Array, DType, as_coefficients
from ..errors import GeometryError
from ..geometry import Geometry
from ..operator import Operator
from .channels import finest_groups, grouped
from .toeplitz_drawing import drawing


class BlockToeplitz(Operator):
    """A multilevel Toeplitz operator: Toeplitz blocks of Toeplitz blocks, one level for each axis.

    With `n_in` and `n_out` the sizes of an axis, ``y[i] = sum_j generator[i - j + n_in - 1] @ x[j]``.

    Parameters
    ----------
    generator : array_like
        `(*(n_out + n_in - 1), C_out, C_in)`: entry `lag + n_in - 1` belongs to lag = output index - input index;
        for one channel without the two channel axes.
    in_shape : int or tuple of int
        `spatial`, or `(C_in, *spatial)` for arrays with a channel axis.
    out_shape : int or tuple of int, optional
        What `generator` and `in_shape` leave: `n_out = generator.shape - n_in + 1`.
    method : {"auto", "direct", "fft", "sparse", "gemm", "separable"}
        How it is applied; "fft" embeds it in a circulant.

    Attributes
    ----------
    generator : ndarray
        As above, read-only.
    levels : tuple of pairs
        `(n_out, n_in)` for each axis, outermost first.
    convolution : Convolution
        The same matrix as a convolution with a zero boundary, its kernel cut down to the lags that are not zero.

    Raises
    ------
    GeometryError
        If generator and shapes do not fit, or the method is unknown or cannot serve.

    Notes
    -----
    Applying by circulant embedding: G. H. Golub and C. F. Van Loan, *Matrix Computations*, 4th ed., section 4.8.

    Examples
    --------
    >>> import convop
    >>> T = convop.BlockToeplitz([3.0, 1.0, 2.0, 5.0], in_shape=2)
    >>> T.toarray()
    array([[1., 3.],
           [2., 1.],
           [5., 2.]])
    >>> T @ [1.0, 1.0]
    array([4., 3., 7.])
    """

    def __init__(self, generator: ArrayLike, in_shape: Any, out_shape: Any = None, *, method: str = "auto") -> None:
        self.generator = as_coefficients(generator, "the generator")
        source = as_shape(in_shape)
        extra = self.generator.ndim - len(source)
        self.lifted = extra != 0
        spatial = source[1:] if self.lifted else source
        axes = len(spatial)
        if extra not in (-1, 0, 1) or axes == 0 or 0 in self.generator.shape or (extra == -1 and source[0] != 1):
            raise GeometryError(
                f"the generator has shape {self.generator.shape} and in_shape is {source}; needed one axis of lags for "
                f"each axis of in_shape, or in_shape (C_in, *spatial) and lags followed by the axes (C_out, C_in)"
            )
        channels = self.generator.shape[axes:] or (1, 1)
        if self.lifted and channels[1] != source[0]:
            raise GeometryError(
                f"the generator's blocks are {channels[0]} x {channels[1]}, so it takes {channels[1]} channels, but "
                f"in_shape {source} has {source[0]}; its last axes are (C_out, C_in)"
            )
        outs = tuple(lags - n + 1 for lags, n in zip(self.generator.shape, spatial, strict=False))
        target = (channels[0], *outs) if self.lifted else outs
        if min(outs) < 1 or (out_shape is not None and as_shape(out_shape, "out_shape") != target):
            raise GeometryError(
                f"a generator of shape {self.generator.shape} and in_shape {source} make out_shape {target}, "
                f"n_out = lags - n_in + 1, got {out_shape}; give n_out + n_in - 1 lags on every axis"
            )
        self.levels = tuple(zip(outs, spatial, strict=True))
        self.channels = (channels[0], channels[1])
        require_known(method)
        self._asked = method
        super().__init__(source, target, self.generator.dtype)
        if method != "auto":
            _ = self.convolution  # refuses a method that cannot serve, here and not when it is applied

    @property
    def blocks(self) -> Array:
        """The generator with channels in front, `(C_out, C_in, *lags)`."""
        axes = len(self.levels)
        lags = self.generator.shape[:axes]
        return np.moveaxis(self.generator.reshape((*lags, *self.channels)), (-2, -1), (0, 1))

    @cached_property
    def convolution(self) -> Convolution:
        """The same matrix as a zero-boundary convolution."""
        blocks, taps, padding, dilation = self.blocks, [], [], []
        for axis, (m, n) in enumerate(self.levels):
            lags = self.support(axis)
            step = math.gcd(*(lags - lags[0])) or 1
            # Tap t reads at -lag, so the highest lag comes first.
            taps.append(np.arange(lags[-1], lags[0] - 1, -step) + n - 1)
            padding.append((int(lags[-1]), int(m - n - lags[0])))
            dilation.append(step)
        weight = blocks[np.ix_(*map(range, self.channels), *taps)]
        groups = finest_groups((weight != 0).any(axis=tuple(range(2, weight.ndim))))
        geometry = Geometry.make(
            tuple(n for _, n in self.levels), weight.shape[2:], dilation=tuple(dilation), padding=tuple(padding),
            channels=self.channels, groups=groups, lifted=self.lifted,
        )  # fmt: skip
        convention = "correlation" if self.lifted else "convolution"
        return Convolution.of(geometry, grouped(weight, groups), convention, self._asked)

    def support(self, axis: int) -> NDArray[np.intp]:
        """The lags of an axis whose blocks are not all zero, ascending; lag 0 if there are none."""
        others = tuple(i for i in range(self.generator.ndim) if i != axis)
        lags = np.flatnonzero((self.generator != 0).any(axis=others)) - (self.levels[axis][1] - 1)
        return lags if len(lags) else np.zeros(1, np.intp)

    def block(self, *lag: int) -> Any:
        """The block at a lag of each outer level.

        Parameters
        ----------
        *lag : int
            Output index minus input index, for the outermost level first; negative above the diagonal.

        Returns
        -------
        BlockToeplitz, ndarray or scalar
            The operator between the inner levels; with a lag for every level the `C_out x C_in` block, or the
            number where there is one channel.

        Raises
        ------
        GeometryError
            For more lags than levels, or a lag that no entry has.

        Examples
        --------
        >>> import numpy as np, convop
        >>> T = convop.as_toeplitz(convop.Convolution(np.arange(1.0, 10.0).reshape(3, 3), (4, 3)))
        >>> T.block(1).toarray()
        array([[8., 7., 0.],
               [9., 8., 7.],
               [0., 9., 8.]])
        >>> T.block(1, -1)
        np.float64(7.0)
        """
        if len(lag) > len(self.levels):
            raise GeometryError(f"block{lag} names {len(lag)} lags, but there are {len(self.levels)} levels")
        places = []
        for level, (value, (m, n)) in enumerate(zip(lag, self.levels, strict=False)):
            number = as_int(value, f"the lag of level {level}", 1 - n)
            if number >= m:
                raise GeometryError(f"level {level} has {m} x {n} blocks, so lags {1 - n} to {m - 1}, got lag {number}")
            places.append(number + n - 1)
        if not lag:
            return self
        inner = self.generator[tuple(places)]
        if len(lag) == len(self.levels):
            return inner
        sizes = tuple(n for _, n in self.levels[len(lag) :])
        return BlockToeplitz(inner, (self.channels[1], *sizes) if self.lifted else sizes, method=self._asked)

    @property
    def column(self) -> Array:
        """The first column of a one-channel, one-level matrix, as `scipy.linalg.toeplitz` takes it.

        Examples
        --------
        >>> import convop, scipy.linalg
        >>> T = convop.as_toeplitz(convop.Convolution([1.0, 4.0, 2.0], 3))
        >>> T @ scipy.linalg.solve_toeplitz((T.column, T.row), [1.0, 2.0, 3.0])
        array([1., 2., 3.])
        """
        return self._flat_generator[self.shape[1] - 1 :]

    @property
    def row(self) -> Array:
        """The first row of a one-channel, one-level matrix, as `scipy.linalg.toeplitz` takes it."""
        return self._flat_generator[self.shape[1] - 1 :: -1]

    @property
    def _flat_generator(self) -> Array:
        if len(self.levels) != 1 or self.channels != (1, 1):
            raise GeometryError(
                f"column and row are those of a matrix with one level and one channel, this one has "
                f"{len(self.levels)} and {self.channels}; take T.block(*lag) or T.toarray()"
            )
        return self.generator.reshape(-1)

    # Applying.

    def _forward(self, x: Array) -> Array:
        return self.convolution._forward(x)

    def _adjoint_forward(self, y: Array) -> Array:
        return self.convolution._adjoint_forward(y)

    @property
    def method(self) -> str:
        """How it is applied."""
        return self.convolution.method

    def using(self, method: str) -> "BlockToeplitz":
        """The same operator, applied by `method`."""
        return BlockToeplitz(self.generator, self.in_shape, method=method)

    # Algebra.

    def _with(self, generator: Array) -> "BlockToeplitz":
        return BlockToeplitz(generator, self.in_shape, method=self._asked)

    def _adjoint(self) -> Operator:
        axes = len(self.levels)
        flipped = np.flip(self.generator, tuple(range(axes))).conj()
        if flipped.ndim > axes:
            flipped = flipped.swapaxes(-1, -2)
        return BlockToeplitz(flipped, self.out_shape, method=self._asked)

    def _conjugate(self) -> Operator:
        return self._with(self.generator.conj())

    def _scaled(self, scalar: Scalar, dtype: DType) -> Operator:
        return self._with(np.multiply(self.generator, np.asarray(scalar, dtype), dtype=dtype))

    # Matrices.

    def _csr(self, max_bytes: int | None) -> scipy.sparse.csr_array:
        return self.convolution._csr(max_bytes)

    def _count(self) -> tuple[int, bool]:
        return self.convolution._count()

    @property
    def work(self) -> int:
        return self.convolution.work

    def _recipe(self) -> tuple[Any, ...]:
        return _made_again, self.generator, self.in_shape, self._asked

    # Telling.

    def _describe(self) -> str:
        return f"BlockToeplitz of {len(self.levels)} level{'s' if len(self.levels) > 1 else ''}"

    def __str__(self) -> str:
        return "\n".join(self._lines() + drawing(self.blocks, self.levels))


def _made_again(generator: Array, in_shape: Shape, method: str) -> BlockToeplitz:
    return BlockToeplitz(generator, in_shape, method=method)


def of_blocks(blocks: Array, in_shape: Shape, method: str) -> BlockToeplitz:
    """From a generator with channels in front, `(C_out, C_in, *lags)`."""
    one = blocks.shape[:2] == (1, 1)
    return BlockToeplitz(blocks[0, 0] if one else np.moveaxis(blocks, (0, 1), (-2, -1)), in_shape, method=method)
