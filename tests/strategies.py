"""Random geometries for both doors, drawn by hypothesis or by a seeded generator through one and the same recipe.

A spec is plain data: `build()` makes convop's operator, `matrix()` the oracle's.
"""

from dataclasses import dataclass

import numpy as np
import oracle
from hypothesis import strategies as st

import convop

DTYPES = ("float32", "float64", "complex64", "complex128")
SAMPLES = {1: 9, 2: 6, 3: 4, 4: 3}  # most samples and taps along an axis, by number of axes
TAPS = {1: 9, 2: 5, 3: 3, 4: 2}


class Dice:
    """Where the choices come from: a seeded generator."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def choice(self, options):
        return options[self.integer(0, len(options) - 1)]


class HypothesisDice(Dice):
    """The same choices, drawn by hypothesis so that it can shrink them."""

    def __init__(self, draw):
        self.draw = draw

    def integer(self, low, high):
        return self.draw(st.integers(low, high))


def values(seed, shape, dtype):
    """Normal values, complex where the type is, with an exact zero among them now and then."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        array = array + 1j * rng.standard_normal(shape)
    if rng.random() < 0.2:
        array = np.where(rng.random(shape) < 0.3, 0, array)
    return array.astype(dtype)


@dataclass
class ConvolutionSpec:
    """A call of `convop.Convolution`."""

    kernel: np.ndarray
    in_shape: tuple
    mode: str
    boundary: object
    center: tuple | None
    stride: tuple
    dilation: tuple

    def _options(self):
        options = {"mode": self.mode, "stride": self.stride, "dilation": self.dilation}
        if self.mode != "full":
            options["boundary"] = self.boundary
        if self.mode == "same":
            options["center"] = self.center
        return options

    def build(self):
        return convop.Convolution(self.kernel, self.in_shape, **self._options())

    def matrix(self):
        return oracle.convolution_matrix(self.kernel, self.in_shape, **self._options())


@dataclass
class LayerSpec:
    """A call of `convop.conv_layer`."""

    weight: np.ndarray
    in_shape: tuple
    stride: tuple
    padding: object
    dilation: tuple
    groups: int
    boundary: object

    def _options(self):
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return {**options, "groups": self.groups, "boundary": self.boundary}

    def build(self):
        return convop.conv_layer(self.weight, self.in_shape, **self._options())

    def matrix(self):
        return oracle.layer_matrix(self.weight, self.in_shape, **self._options())


@dataclass
class TransposeSpec:
    """A call of `convop.conv_transpose_layer`."""

    weight: np.ndarray
    in_shape: tuple
    stride: tuple
    padding: tuple
    output_padding: tuple
    dilation: tuple
    groups: int

    def _options(self):
        options = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        return {**options, "dilation": self.dilation, "groups": self.groups}

    def build(self):
        return convop.conv_transpose_layer(self.weight, self.in_shape, **self._options())

    def matrix(self):
        return oracle.transpose_layer_matrix(self.weight, self.in_shape, **self._options())


def _boundary(dice, ndim):
    """One name, a name per axis, or a pair of names on some axes."""
    form = dice.integer(0, 2)
    if form == 0:
        return dice.choice(oracle.BOUNDARIES)
    names = []
    for _ in range(ndim):
        if form == 2 and dice.integer(0, 1):
            names.append((dice.choice(oracle.ONE_SIDED), dice.choice(oracle.ONE_SIDED)))
        else:
            names.append(dice.choice(oracle.BOUNDARIES))
    return tuple(names)


def _sizes(dice, ndim, boundary, low=None):
    """Samples per axis: at least `low`, and two where a mirror needs them."""
    sizes = []
    for axis, names in enumerate(oracle.per_side(boundary, ndim)):
        least = 2 if {"mirror", "antireflective"} & set(names) else 1
        least = max(least, low[axis] if low else 1)
        sizes.append(dice.integer(least, max(least, SAMPLES[ndim])))
    return tuple(sizes)


def _axes(dice, ndim, low, high):
    return tuple(dice.integer(low, high) for _ in range(ndim))


def convolution(dice, dtypes=DTYPES):
    ndim = dice.choice((1, 1, 2, 2, 2, 3, 3, 4))
    mode = dice.choice(("same", "same", "same", "full", "valid"))
    boundary = "zero" if mode == "full" else _boundary(dice, ndim)
    taps = _axes(dice, ndim, 1, TAPS[ndim])
    stride, dilation = _axes(dice, ndim, 1, 3), _axes(dice, ndim, 1, 3 if ndim < 4 else 2)
    reach = tuple((k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True))
    in_shape = _sizes(dice, ndim, boundary, reach if mode == "valid" else None)
    center = tuple(dice.integer(0, k - 1) for k in taps) if dice.integer(0, 1) else None
    kernel = values(dice.integer(0, 2**20), taps, dice.choice(dtypes))
    return ConvolutionSpec(kernel, in_shape, mode, boundary, center if mode == "same" else None, stride, dilation)


def convolution_on(dice, in_shape, dtypes=DTYPES):
    """A convolution that fits a given input, for products."""
    ndim = len(in_shape)
    taps = tuple(dice.integer(1, min(3, TAPS[ndim])) for _ in range(ndim))
    stride, dilation = _axes(dice, ndim, 1, 2), _axes(dice, ndim, 1, 2)
    fits = all((k - 1) * d < n for k, d, n in zip(taps, dilation, in_shape, strict=True))
    mode = dice.choice(("same", "full", "valid") if fits else ("same", "full"))
    names = oracle.BOUNDARIES if min(in_shape) > 1 else ("zero", "periodic", "symmetric", "replicate")
    boundary = "zero" if mode == "full" else dice.choice(names)
    kernel = values(dice.integer(0, 2**20), taps, dice.choice(dtypes))
    return ConvolutionSpec(kernel, tuple(in_shape), mode, boundary, None, stride, dilation)


def layer(dice, dtypes=DTYPES):
    ndim = dice.choice((1, 2, 2, 3))
    boundary = _boundary(dice, ndim)
    taps = _axes(dice, ndim, 1, TAPS[ndim + 1])
    stride, dilation = _axes(dice, ndim, 1, 3), _axes(dice, ndim, 1, 3)
    reach = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
    form = dice.choice(("int", "axis", "pairs", "pairs", "same", "valid"))
    if form == "same":
        padding, stride = "same", (1,) * ndim
    elif form == "valid":
        padding = "valid"
    elif form == "int":
        padding = dice.integer(0, 3)
    elif form == "axis":
        padding = _axes(dice, ndim, 0, 4)
    else:
        padding = tuple((dice.integer(0, 4), dice.integer(0, 4)) for _ in range(ndim))
    pads = oracle.padding_pairs(padding, taps, dilation)
    spatial = _sizes(dice, ndim, boundary, [r - sum(p) for r, p in zip(reach, pads, strict=True)])
    groups = dice.choice((1, 1, 2, 3))
    per_group_in, per_group_out = dice.integer(1, 2), dice.integer(1, 2)
    shape = (groups * per_group_out, per_group_in, *taps)
    weight = values(dice.integer(0, 2**20), shape, dice.choice(dtypes))
    return LayerSpec(weight, (groups * per_group_in, *spatial), stride, padding, dilation, groups, boundary)


def transpose_layer(dice, dtypes=DTYPES):
    ndim = dice.choice((1, 2, 2, 3))
    taps = _axes(dice, ndim, 1, TAPS[ndim + 1])
    stride, dilation = _axes(dice, ndim, 1, 3), _axes(dice, ndim, 1, 3)
    spatial = _axes(dice, ndim, 1, SAMPLES[ndim + 1])
    padding, more = [], []
    for n, k, s, d in zip(spatial, taps, stride, dilation, strict=True):
        more.append(dice.integer(0, max(s, d) - 1))
        size = (n - 1) * s + d * (k - 1) + more[-1] + 1
        padding.append(dice.integer(0, min(4, (size - 1) // 2)))
    groups = dice.choice((1, 1, 2, 3))
    per_group_in, per_group_out = dice.integer(1, 2), dice.integer(1, 2)
    shape = (groups * per_group_in, per_group_out, *taps)
    weight = values(dice.integer(0, 2**20), shape, dice.choice(dtypes))
    in_shape = (groups * per_group_in, *spatial)
    return TransposeSpec(weight, in_shape, stride, tuple(padding), tuple(more), dilation, groups)


def layer_on(dice, in_shape, dtypes=DTYPES):
    """A layer that fits a given input, for products: any padding, sides, stride, dilation and groups."""
    channels, spatial = in_shape[0], in_shape[1:]
    ndim = len(spatial)
    groups = dice.choice([g for g in range(1, channels + 1) if channels % g == 0])
    one_sample = [n for n in spatial if n == 1]
    names = ("zero", "zero", "periodic", "symmetric", "replicate") if one_sample else ("zero", *oracle.BOUNDARIES)
    boundary = tuple(dice.choice(names) for _ in range(ndim))
    taps, dilation, stride, padding = [], [], [], []
    for n in spatial:
        padding.append((dice.integer(0, 3), dice.integer(0, 3)))
        dilation.append(dice.integer(1, 2))
        room = (n + sum(padding[-1]) - 1) // dilation[-1] + 1
        taps.append(dice.integer(1, min(3, room)))
        stride.append(dice.choice((1, 1, 2, 3)))
    shape = (groups * dice.integer(1, 2), channels // groups, *taps)
    weight = values(dice.integer(0, 2**20), shape, dice.choice(dtypes))
    return LayerSpec(weight, tuple(in_shape), tuple(stride), tuple(padding), tuple(dilation), groups, boundary)


def expression(dice, grid, depth, dtypes=DTYPES):
    """A random expression in operators on one grid: `(operator, dense matrix, dtype)`."""
    if depth == 0 or dice.integer(0, 5) == 0:
        return _leaf(dice, grid, dtypes)
    left, a, first = expression(dice, grid, depth - 1, dtypes)
    form = dice.choice(("@", "@", "+", "-", "scalar", "H", "T", "conj", "power"))
    if form in ("@", "+", "-"):
        right, b, second = expression(dice, grid, depth - 1, dtypes)
        dtype = np.result_type(first, second)
        if form == "@":
            return left @ right, a @ b, dtype
        return (left + right, a + b, dtype) if form == "+" else (left - right, a - b, dtype)
    if form == "scalar":
        scalar = dice.choice((2, -0.5, 1 - 2j))
        return scalar * left, scalar * a, np.result_type(first, scalar)
    if form == "power":
        return left**2, a @ a, first
    changed = {"H": (left.H, a.conj().T), "T": (left.T, a.T), "conj": (left.conj(), a.conj())}[form]
    return *changed, first


def _leaf(dice, grid, dtypes):
    kind = dice.choice(("identity", "diagonal", "normal", *["convolution"] * 5))
    dtype, seed = dice.choice(dtypes), dice.integer(0, 2**20)
    if kind == "identity":
        return convop.Identity(grid, dtype=dtype), np.eye(int(np.prod(grid))), dtype
    if kind == "diagonal":
        diagonal = values(seed, grid, dtype)
        return convop.Diagonal(diagonal), np.diag(diagonal.ravel()).astype(complex), dtype
    taps = _axes(dice, len(grid), 1, 3)
    options = {"boundary": _boundary(dice, len(grid))}
    options["dilation"] = _axes(dice, len(grid), 1, 2)
    if kind == "normal":
        options["stride"] = _axes(dice, len(grid), 1, 2)
    else:
        options["center"] = tuple(dice.integer(0, k - 1) for k in taps)
    kernel = values(seed, taps, dtype)
    operator, matrix = convop.Convolution(kernel, grid, **options), oracle.convolution_matrix(kernel, grid, **options)
    if kind == "normal":
        return operator.H @ operator, matrix.conj().T @ matrix, dtype
    return operator, matrix, dtype


def served_by(operator, method):
    """The operator with a method pinned, or None where it is refused in words that name one that can serve."""
    try:
        return operator.using(method)
    except convop.GeometryError as error:
        refusal = str(error)
    assert method != "direct", refusal
    assert "direct" in refusal, refusal
    return None


def pinned(operator, methods=("direct", "fft", "sparse")):
    """The operator as it is, and with each method pinned that serves it; a refusal names the ones that do."""
    yield operator
    if not isinstance(operator, convop.Convolution):
        return
    for method in methods:
        again = served_by(operator, method)
        if again is not None:
            assert again.method == method
            yield again


def _strategy(recipe):
    @st.composite
    def drawn(draw, dtypes=DTYPES):
        return recipe(HypothesisDice(draw), dtypes)

    return drawn


convolutions = _strategy(convolution)
layers = _strategy(layer)
transpose_layers = _strategy(transpose_layer)
