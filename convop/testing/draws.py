"""The hypothesis strategies: random geometries, convolutions and operators."""

from typing import Any

from hypothesis import note
from hypothesis import strategies as st

from ..arguments import as_int
from ..convolution import Convolution
from ..geometry import Geometry
from ..operator import Operator
from . import recipes
from .dice import HypothesisDice
from .expressions import operator
from .limits import BOUNDARIES, DTYPES, Limits
from .specs import ConvolutionSpec, LayerSpec, Spec


def _noted(spec: Spec) -> Any:
    """The operator of a call; a failing test prints the call."""
    note(repr(spec))
    return spec.build()


@st.composite
def _convolution_specs(draw: Any, limits: Limits, channels: bool | None) -> ConvolutionSpec | LayerSpec:
    dice = HypothesisDice(draw)
    layered = dice.integer(0, 1) == 1 if channels is None else channels
    return recipes.layer(dice, limits) if layered else recipes.convolution(dice, limits)


@st.composite
def _operators(draw: Any, limits: Limits, depth: int) -> Operator:
    return operator(HypothesisDice(draw), depth, limits, _noted)


def geometries(
    *,
    max_dims: int = 4,
    boundaries: Any = BOUNDARIES,
    channels: bool | None = None,
    max_stride: int = 3,
    max_dilation: int = 3,
) -> st.SearchStrategy[Geometry]:
    """Where a convolution reads: what `A.geometry` is, for every kind of convolution.

    Parameters
    ----------
    max_dims : int
        Most axes, 1 to 4.
    boundaries : str or sequence of str
        What may stand outside, by any name that `Convolution` takes. Where none of them can stand, on axes of one
        sample, it is "zero".
    channels : bool, optional
        True for layers (`conv_layer`) only, False for single channels only, both by default.
    max_stride, max_dilation : int
        Largest step between outputs and between taps.

    Returns
    -------
    SearchStrategy
        Of geometries with `in_shape`, `out_shape`, `kernel`, `stride`, `dilation`, `padding`, `boundary`, `groups`.

    Raises
    ------
    GeometryError
        If a boundary is unknown or a limit makes no sense.

    Examples
    --------
    >>> from hypothesis import given
    >>> from convop import testing
    >>> @given(testing.geometries(max_dims=2))
    ... def test_sizes(geometry):
    ...     assert len(geometry.out_shape) == len(geometry.in_shape)
    >>> test_sizes()
    """
    limits = Limits.of("float64", max_dims, boundaries, max_stride, max_dilation)
    return _convolution_specs(limits, channels).map(lambda spec: spec.build().geometry)


def convolutions(
    *,
    dtypes: Any = DTYPES,
    max_dims: int = 4,
    boundaries: Any = BOUNDARIES,
    channels: bool | None = None,
    max_stride: int = 3,
    max_dilation: int = 3,
) -> st.SearchStrategy[Convolution]:
    """Convolutions through both doors, `Convolution` and `conv_layer`, small enough for dense matrices.

    Parameters
    ----------
    dtypes : dtype or sequence of dtype
        What the kernel may be, all four types by default.
    max_dims, boundaries, channels, max_stride, max_dilation
        As for `geometries`.

    Returns
    -------
    SearchStrategy
        Of `Convolution`; a failing test prints the call that makes it.

    Raises
    ------
    GeometryError
        If a boundary is unknown or a limit makes no sense.
    DTypeError
        If a type is none that convop computes with.

    Examples
    --------
    >>> import numpy as np
    >>> from hypothesis import given, settings
    >>> from convop import testing
    >>> @settings(deadline=None)  # the first call loads compiled code
    ... @given(testing.convolutions(dtypes="float64", boundaries="periodic", channels=False, max_stride=1))
    ... def test_constants_stay_constant(A):
    ...     assert np.ptp(A(np.ones(A.in_shape))) < 1e-10 or A.in_shape != A.out_shape
    >>> test_constants_stay_constant()
    """
    limits = Limits.of(dtypes, max_dims, boundaries, max_stride, max_dilation)
    return _convolution_specs(limits, channels).map(_noted)


def operators(
    *,
    dtypes: Any = DTYPES,
    max_dims: int = 4,
    boundaries: Any = BOUNDARIES,
    max_stride: int = 3,
    max_dilation: int = 3,
    depth: int = 2,
) -> st.SearchStrategy[Operator]:
    """Operators of every kind, small enough for dense matrices.

    Convolutions, layers, transposed layers, Identity, Diagonal, Select, Extend and Unfold, and of these products, sums,
    multiples, powers, adjoints, transposes, conjugates and stacks.

    Parameters
    ----------
    dtypes : dtype or sequence of dtype
        What kernels, diagonals and the rest may be; they mix within an operator.
    max_dims, boundaries, max_stride, max_dilation
        As for `geometries`.
    depth : int
        How many levels of algebra stand on top of each other; 0 gives none.

    Returns
    -------
    SearchStrategy
        Of `Operator`; a failing test prints the calls that make its parts.

    Raises
    ------
    GeometryError
        If a boundary is unknown or a limit makes no sense.
    DTypeError
        If a type is none that convop computes with.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from convop import testing
    >>> @settings(max_examples=10, deadline=None)
    ... @given(testing.operators(dtypes="complex128", max_dims=2))
    ... def test_adjoint(A):
    ...     testing.assert_adjoint(A)
    >>> test_adjoint()
    """
    limits = Limits.of(dtypes, max_dims, boundaries, max_stride, max_dilation)
    return _operators(limits, as_int(depth, "depth", 0))
