"""`Affine`: a linear operator and what is added to its result."""

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from .algebra import Identity, add, product, scale
from .combining import is_scalar, joined
from .convolution import Convolution
from .dtypes import Array, as_coefficients, as_signal
from .errors import NotLinearError, ShapeError
from .foreign import as_factor, as_operator
from .operator import Operator
from .stacking import block


class Affine:
    """The map `x -> A(x) + offset`.

    It is no linear operator: it has no adjoint, no matrix, and no solver takes it. Its linear part is `linear`;
    `homogeneous()` is the linear operator that it is on `[x, 1]`.

    Parameters
    ----------
    A : Operator
        The linear part; anything `as_operator` takes.
    offset : array_like
        Of shape `A.out_shape`, or `(C_out,)` where that has channels in front: then it spreads over space.

    Attributes
    ----------
    linear : Operator
        The linear part.
    offset : numpy.ndarray
        What is added, of shape `out_shape`; read-only.
    in_shape, out_shape : tuple of int
        Shapes of the arrays it maps between.
    dtype : numpy.dtype
        The richer type of linear part and offset.

    Raises
    ------
    ShapeError
        If the offset fits neither `out_shape` nor the channels.

    Examples
    --------
    >>> import convop
    >>> f = convop.Affine(convop.Convolution([1.0, -1.0], 3), [10, 20, 30])
    >>> f([1, 2, 4])
    array([11., 21., 32.])
    >>> (f @ f).offset
    array([20., 30., 40.])
    """

    __array_ufunc__ = None  # numpy arrays and numbers on the left leave the result to us

    def __init__(self, A: Any, offset: ArrayLike) -> None:
        self.linear: Operator = as_operator(A)
        self.in_shape, self.out_shape = self.linear.in_shape, self.linear.out_shape
        self._given = _offset(offset, self.linear)
        if self._given.shape == self.out_shape:
            self.offset = self._given
        else:
            channels = self._given.reshape(-1, *(1,) * (len(self.out_shape) - 1))
            self.offset = np.broadcast_to(channels, self.out_shape)
        self.dtype = np.result_type(self.linear.dtype, self.offset.dtype)

    def __call__(self, x: ArrayLike) -> Array:
        """Apply to `x` of shape `(*batch, *in_shape)`."""
        return self.linear(as_signal(x, self.dtype)) + self.offset

    def using(self, method: str) -> "Affine":
        """The same map with the convolutions in it pinned to `method`."""
        return Affine(self.linear.using(method), self._given)

    def homogeneous(self) -> Operator:
        """The flat operator `[[A, offset], [0, 1]]`, which maps `[x, 1]` to `[A(x) + offset, 1]`.

        Returns
        -------
        Operator
            Of shape `(M + 1, N + 1)` where `A` has shape `(M, N)`.

        Examples
        --------
        >>> import convop
        >>> convop.Affine(convop.Identity(2), [5.0, 6.0]).homogeneous() @ [1, 2, 1]
        array([6., 8., 1.])
        """
        rows, columns = self.linear.shape
        last = np.reshape(self.offset, (rows, 1))
        whole = block([[as_operator(self.linear, columns, rows), last], [None, Identity(1)]])
        return as_operator(whole, columns + 1, rows + 1)

    # Algebra.

    @overload
    def __matmul__(self, other: "Affine | Operator") -> "Affine": ...
    @overload
    def __matmul__(self, other: Any) -> Any: ...
    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Affine):
            return Affine(product(self.linear, other.linear), self._after(other.offset))
        factor = as_factor(other)
        if factor is not None:
            return Affine(product(self.linear, factor), self._given)
        return self._flat(other)

    def __rmatmul__(self, other: Any) -> "Affine":
        factor = as_factor(other)
        if factor is None:
            return NotImplemented
        linear = product(factor, self.linear)
        return Affine(linear, factor(self.offset.reshape(factor.in_shape)).reshape(linear.out_shape))

    def _after(self, offset: Array) -> Array:
        """What this map makes of an offset that comes before it."""
        shapes = self.in_shape, offset.shape
        joined(*shapes, f"A @ B of affine maps: A takes arrays of shape {shapes[0]}, B gives {shapes[1]}")
        return self(offset.reshape(self.in_shape))

    def _flat(self, x: ArrayLike) -> Array:
        """scipy's flat meaning of `@` with a vector `(N,)` or a matrix of columns `(N, K)`."""
        array = as_signal(x, self.dtype)
        offset = self.offset.reshape(-1)
        return (self.linear @ array) + (offset if array.ndim == 1 else offset[:, None])

    def __add__(self, other: Any) -> "Affine":
        if isinstance(other, Affine):
            linear = add(self.linear, other.linear)
            return Affine(linear, self.offset.reshape(linear.out_shape) + other.offset.reshape(linear.out_shape))
        term = as_factor(other)
        return NotImplemented if term is None else self + Affine(term, np.zeros(term.out_shape, self.offset.dtype))

    def __radd__(self, other: Any) -> "Affine":
        return self + other

    def __sub__(self, other: Any) -> "Affine":
        term = other if isinstance(other, Affine) else as_factor(other)
        return NotImplemented if term is None else self + -term

    def __rsub__(self, other: Any) -> "Affine":
        return -self + other

    def __neg__(self) -> "Affine":
        return -1 * self

    def __pos__(self) -> "Affine":
        return self

    def __mul__(self, scalar: Any) -> "Affine":
        if not is_scalar(scalar):
            return NotImplemented
        return Affine(scale(self.linear, scalar), self._given * _plain(scalar))

    def __rmul__(self, scalar: Any) -> "Affine":
        return self * scalar

    def __truediv__(self, scalar: Any) -> "Affine":
        if not is_scalar(scalar):
            return NotImplemented
        return Affine(self.linear / scalar, self._given / _plain(scalar))

    # What it is not.

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise NotLinearError(
            f"{self!r} adds an offset, and a linear operator or an array was needed; use .linear (without the offset) "
            f"or .homogeneous() (the linear operator on [x, 1]); a matrix M goes before it as as_operator(M) @ ..."
        )

    def __getattr__(self, name: str) -> Any:
        hint = "; an affine map is not linear, use .linear or .homogeneous()" if hasattr(Operator, name) else ""
        raise AttributeError(f"'Affine' object has no attribute {name!r}{hint}")

    # Telling.

    def __repr__(self) -> str:
        shapes = " -> ".join("x".join(map(str, shape)) for shape in (self.in_shape, self.out_shape))
        return f"<Affine: {shapes}, {self.dtype}, linear part {self.linear!r}>"

    def __str__(self) -> str:
        lines = f"{self.linear}".splitlines()
        shape = "x".join(map(str, self._given.shape))
        return "\n".join([f"Affine, offset {shape} of {self.offset.dtype}", *(f"  {line}" for line in lines)])

    def __copy__(self) -> "Affine":
        return self  # nothing about it changes

    def __deepcopy__(self, memo: object) -> "Affine":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Affine, (self.linear, self._given)


def _offset(offset: ArrayLike, linear: Operator) -> Array:
    """The offset, read-only, of shape `out_shape` or `(C_out,)`; ints and bools take the operator's precision."""
    values = as_coefficients(offset, "the offset")
    if np.asarray(offset).dtype.kind in "iub":
        values = values.astype(np.finfo(linear.dtype).dtype)
        values.setflags(write=False)
    shape = linear.out_shape
    if values.shape == shape or (values.shape == shape[:1] and _has_channels(linear)):
        return values
    channels = f" or {shape[:1]}, one for each channel" if len(shape) > 1 and _has_channels(linear) else ""
    raise ShapeError(
        f"the offset has shape {values.shape}, needed {shape}{channels}; for one number everywhere use "
        f"np.full(A.out_shape, number)"
    )


def _has_channels(linear: Operator) -> bool:
    """Whether the first axis of the output is channels, as far as one can tell."""
    return not isinstance(linear, Convolution) or linear.geometry.lifted


def _plain(scalar: Any) -> Any:
    """The number as `scale` counts it: ints and bools of numpy are Python's."""
    if np.asarray(scalar).dtype.kind in "biu":
        return int(scalar)
    return scalar[()] if isinstance(scalar, np.ndarray) else scalar
