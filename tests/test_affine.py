"""Affine maps and the bias of layers: against dense algebra and torch."""

import copy
import inspect
import itertools
import pickle

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
import test_laws
from cases import Case, array
from oracle import error

import convop
from convop import testing

EXACT = 1e-13
GRID = (5, 4)
WEIGHT = array((4, 1, 3, 2), "complex128", 1)
PLACES = {"stride": (2, 3), "padding": 1, "groups": 2, "boundary": "mirror"}
IN, OUT = (2, 5, 6), (4, 3, 3)
L = oracle.layer_matrix(WEIGHT, IN, **PLACES)
PER_CHANNEL, FULL = array(4, "complex128", 2), array(OUT, "complex128", 3)
a = oracle.convolution_matrix(array((3, 2), "complex128", 4), GRID, boundary="replicate")
A = convop.Convolution(array((3, 2), "complex128", 4), GRID, boundary="replicate")
B = convop.Convolution(array((2, 2), "complex128", 5), GRID, stride=2)
b = oracle.convolution_matrix(array((2, 2), "complex128", 5), GRID, stride=2)
c, d = array(GRID, "complex128", 6), array((3, 2), "complex128", 7)


def layer(offset=PER_CHANNEL):
    return convop.Affine(convop.conv_layer(WEIGHT, IN, **PLACES), offset)


def homogeneous(matrix, offset):
    """`[[A, b], [0, 1]]`."""
    matrix = np.concatenate([matrix, np.reshape(offset, (-1, 1))], axis=1)
    return np.concatenate([matrix, [[*[0] * (matrix.shape[1] - 1), 1]]])


def spread(offset):
    return np.broadcast_to(offset.reshape(-1, 1, 1), OUT)


def agree(f, matrix, offset):
    """`f` is `x -> matrix @ x + offset`."""
    x = array((2, 3, *f.in_shape), "complex128", 9)
    want = x.reshape(6, -1) @ matrix.T + np.ravel(offset)
    assert isinstance(f, convop.Affine)
    assert f.offset.shape == f.out_shape
    assert error(f(x), want.reshape(2, 3, *f.out_shape)) <= EXACT
    assert error(f.linear.toarray(), matrix) <= EXACT
    assert error(f.offset.ravel(), np.ravel(offset)) <= EXACT


CASES = [
    Case(name, lambda f=f: f().homogeneous(), lambda m=m, v=v: homogeneous(m, v), (m.shape[1] + 1,), (m.shape[0] + 1,))
    for name, f, m, v in (
        ("layer", layer, L, spread(PER_CHANNEL)),
        ("full offset", lambda: layer(FULL), L, FULL),
        ("strided", lambda: convop.Affine(B, d), b, d),
        ("one output", lambda: convop.Affine(np.ones((1, 3)), [2.0]), np.ones((1, 3)), [2.0]),
        ("one sample", lambda: convop.Affine(np.ones((1, 1)), [2.0]), np.ones((1, 1)), [2.0]),
        ("chain", lambda: convop.Affine(B, d) @ convop.Affine(A, c), b @ a, b @ c.ravel() + d.ravel()),
    )
]


@pytest.mark.parametrize("law", testing.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_laws_hold_for_homogeneous(case, law):
    test_laws.test_law(law, case)


def test_apply():
    agree(layer(), L, spread(PER_CHANNEL))
    agree(layer(FULL), L, FULL)
    agree(convop.Affine(a, c.ravel()), a, c)
    agree(convop.Affine(sp.csr_array(a), list(c.ravel())), a, c)


def test_composition():
    f, g = convop.Affine(B, d), convop.Affine(A, c)
    agree(f @ g, b @ a, b @ c.ravel() + d.ravel())
    agree(f @ A, b @ a, d)
    agree(g @ g @ g, a @ a @ a, (a @ a + a + np.eye(20)) @ c.ravel())
    agree(g @ sp.csr_array(a), a @ a, c)
    agree(layer() @ convop.Identity(IN), L, spread(PER_CHANNEL))
    assert isinstance((f @ g).linear, convop.Operator)
    x = array(GRID, "complex128", 8)
    assert error((f @ g)(x), f(g(x))) <= EXACT


def test_composition_with_an_operator_on_the_left():
    g = convop.Affine(A, c)
    agree(B @ g, b @ a, b @ c.ravel())
    agree(convop.as_operator(b) @ g, b @ a, b @ c.ravel())
    agree((2j * B) @ g, 2j * b @ a, 2j * b @ c.ravel())


def test_composition_through_flat_arrays():
    flat = convop.Affine(a, c.ravel())
    agree(flat @ convop.Affine(A, c), a @ a, a @ c.ravel() + c.ravel())
    agree(convop.Affine(A, c) @ flat, a @ a, a @ c.ravel() + c.ravel())
    agree(convop.Affine(A, c) + flat, 2 * a, 2 * c)


def test_homogeneous_composes():
    f, g = convop.Affine(B, d), convop.Affine(A, c)
    chained = f.homogeneous() @ g.homogeneous()
    assert error(chained.toarray(), (f @ g).homogeneous().toarray()) <= EXACT


def test_sums_and_multiples():
    f, g = convop.Affine(A, c), convop.Affine(2 * A, 3j * c)
    agree(f + g, 3 * a, (1 + 3j) * c)
    agree(f - g, -a, (1 - 3j) * c)
    agree(f + A, 2 * a, c)
    agree(A + f, 2 * a, c)
    agree(f - A, 0 * a, c)
    agree(A - f, 0 * a, -c)
    agree(f + sp.csr_array(a), 2 * a, c)
    agree(-f, -a, -c)
    agree(+f, a, c)
    agree(2j * f, 2j * a, 2j * c)
    agree(f * np.float32(2), 2 * a, 2 * c)
    agree(np.complex64(2j) * f, 2j * a, 2j * c)
    agree(f / 4j, a / 4j, c / 4j)
    agree(sum([f, g], start=A), 4 * a, (1 + 3j) * c)


def test_flat_vectors():
    f, x = layer(), array(60, "complex128", 3)
    assert error(f @ x, L @ x + spread(PER_CHANNEL).ravel()) <= EXACT
    X = array((60, 3), "complex128", 4)
    assert error(f @ X, L @ X + spread(PER_CHANNEL).reshape(-1, 1)) <= EXACT


def test_types():
    small = convop.conv_layer(np.ones((2, 1, 3), "float32"), (1, 5))
    for offset, want in (
        (np.ones(2, "float32"), "float32"),
        (np.ones(2, "float16"), "float32"),
        ([1, 2], "float32"),
        ([True, False], "float32"),
        ([1.0, 2.0], "float64"),
        ([1j, 2], "complex128"),
    ):
        f = convop.Affine(small, offset)
        assert f.dtype == want
        assert f(np.zeros((1, 5), "float32")).dtype == want
        assert f(np.zeros((1, 5), int)).dtype == want
        assert (2 * f).dtype == (np.int64(2) * f).dtype == (f / 2).dtype == want
        assert f(np.zeros((1, 5))).dtype == np.result_type(want, "float64")
    assert convop.Affine(small, np.ones(2, ">f4")).offset.dtype.isnative
    assert (np.float64(2) * convop.Affine(small, np.ones(2, "float32"))).dtype == np.float64


def test_integers_take_the_precision_of_the_whole():
    f, x = convop.Affine(convop.Identity(2), np.zeros(2)), np.array([2**24 + 1, 1])
    assert np.array_equal(f(x), x)
    assert np.array_equal(f @ x, x)


def test_it_is_immutable():
    offset = PER_CHANNEL.copy()
    f = layer(offset)
    offset[...] = 0
    assert error(f.offset, spread(PER_CHANNEL)) == 0
    with pytest.raises(ValueError, match="read-only"):
        f.offset[...] = 0
    f(np.zeros(IN))[...] = 7
    assert error(f(np.zeros(IN)), spread(PER_CHANNEL)) == 0


def test_copies_and_text():
    f = layer()
    for again in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f)):
        agree(again, L, spread(PER_CHANNEL))
        assert again.offset.strides == f.offset.strides  # one number for each channel is all that is kept
    assert repr(f).startswith("<Affine: 2x5x6 -> 4x3x3, complex128, linear part <Convolution")
    assert "\n" not in repr(f)
    assert str(f).splitlines()[0] == "Affine, offset 4 of complex128"
    assert f.using("fft").linear.method == "fft"
    agree(f.using("fft"), L, spread(PER_CHANNEL))
    assert f(np.zeros((0, *IN))).shape == (0, *OUT)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: layer(PER_CHANNEL[:3]), convop.ShapeError, r"\(3,\), needed \(4, 3, 3\) or \(4,\)"),
        (lambda: layer(FULL[..., :2]), convop.ShapeError, r"\(4, 3, 2\), needed"),
        (lambda: layer(1.0), convop.ShapeError, "np.full"),
        (lambda: convop.Affine(A, np.ones(5)), convop.ShapeError, r"\(5,\), needed \(5, 4\);"),
        (lambda: layer([np.nan] * 4), convop.GeometryError, "NaN"),
        (lambda: layer(np.ones(4, "longdouble")), convop.DTypeError, "longdouble|float128"),
        (lambda: layer(np.array([None] * 4)), convop.DTypeError, "object"),
        (lambda: layer() @ layer(), convop.ShapeError, "takes arrays of shape"),
        (lambda: convop.Affine(A, c) + layer(), convop.ShapeError, "arrays of shape"),
        (lambda: layer()(np.zeros(OUT)), convop.ShapeError, "batch"),
        (lambda: layer() / 0, convop.GeometryError, "zero"),
        (lambda: layer() * np.inf, convop.GeometryError, "finite"),
        (lambda: convop.as_operator(layer()), convop.NotLinearError, r"adds an offset.*\.linear"),
        (lambda: convop.estimate(layer()), convop.NotLinearError, "offset"),
        (lambda: convop.Affine(layer(), FULL), convop.NotLinearError, "offset"),
        (lambda: sp.eye_array(36) @ layer(), convop.NotLinearError, r"as_operator\(M\) @"),
        (lambda: np.asarray(layer()), convop.NotLinearError, "offset"),
        (lambda: layer().H, AttributeError, "not linear, use .linear"),
        (lambda: layer().tosparse(), AttributeError, "not linear, use .linear"),
        (lambda: layer().nothing, AttributeError, "no attribute 'nothing'$"),
        (lambda: layer() * layer(), TypeError, "unsupported operand"),
        (lambda: layer() + 1, TypeError, "unsupported operand"),
        (lambda: 1 - layer(), TypeError, "unsupported operand"),
        (lambda: np.ones((2, 36)) @ layer(), TypeError, "unsupported operand"),
    ],
)
def test_refusals(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


# The bias of a layer


@pytest.mark.parametrize("bias", [[[1, 2], [3]], [1, 2, 3], 1.0, [[1, 2, 3, 4]]])
def test_a_bias_that_is_not_one_number_for_each_channel(bias):
    with pytest.raises(convop.ShapeError, match=r"needed \(4,\)"):
        convop.conv_layer(WEIGHT, IN, groups=2, bias=bias)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 2, 2), (3, 2, 1, 2)])
def test_bias_is_torchs(ndim, stride, padding, dilation, groups):
    torch = pytest.importorskip("torch")
    shape, taps = (9, 8, 7)[:ndim], (4, 2, 3)[:ndim]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    for dtype, tolerance in (("complex128", EXACT), ("float64", EXACT), ("float32", 1e-5)):
        weight, bias = array((6, 4 // groups, *taps), dtype, 1), array(6, dtype, 2)
        x = array((2, 4, *shape), dtype, 3)
        tensors = (torch.from_numpy(each) for each in (x, weight, bias))
        want = getattr(torch.nn.functional, f"conv{ndim}d")(*tensors, **options).numpy()
        f = convop.conv_layer(weight, (4, *shape), bias=bias, **options)
        assert isinstance(f, convop.Affine)
        assert f(x).dtype == want.dtype
        assert error(f(x), want) <= tolerance


def test_layers_in_a_row_are_torchs_sequence():
    torch = pytest.importorskip("torch")
    first = torch.nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    second = torch.nn.Conv2d(3, 4, (2, 3), stride=2, dtype=torch.float64)
    x = array((5, 2, 7, 8), "float64")
    with torch.no_grad():
        want = second(first(torch.from_numpy(x))).numpy()
    layers = [
        convop.conv_layer(m.weight.detach().numpy(), s, bias=m.bias.detach().numpy(), **options)
        for m, s, options in (
            (first, (2, 7, 8), {"padding": 1, "boundary": "periodic"}),
            (second, (3, 7, 8), {"stride": 2}),
        )
    ]
    f = layers[1] @ layers[0]
    assert isinstance(f.linear, convop.Convolution)
    assert error(f(x), want) <= EXACT


def test_arguments_of_a_layer():
    keywords = [p for p in inspect.signature(convop.conv_layer).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert [p.name for p in keywords] == ["stride", "padding", "dilation", "groups", "boundary", "bias", "method"]
    assert isinstance(convop.conv_layer(WEIGHT, IN, groups=2), convop.Convolution)
    assert convop.conv_layer(WEIGHT, IN, groups=2, bias=[1, 2, 3, 4], method="fft").linear.method == "fft"
    zero = convop.conv_layer(WEIGHT, IN, groups=2, bias=np.zeros(4))
    assert isinstance(zero, convop.Affine)


@pytest.mark.parametrize("bias", [1.0, np.ones(3), np.ones((4, 1)), np.ones((4, 3, 3)), [[1], [2]], []], ids=str)
def test_a_bias_of_another_shape_is_refused(bias):
    with pytest.raises(convop.ShapeError, match="one for each output channel"):
        convop.conv_layer(WEIGHT, IN, **PLACES, bias=bias)


def test_every_pair_of_kinds():
    """Operators and affine maps: all that may stand on either side of @, + and -."""
    none, own = np.zeros(20), c.ravel()
    kinds = {"fused": (A, a, none), "lazy": (A @ A, a @ a, none), "scaled": (2j * (A @ A), 2j * a @ a, none),
             "affine": (convop.Affine(A, c), a, own), "flat": (convop.Affine(a, own), a, own)}  # fmt: skip
    for (one, (x, p, u)), (two, (y, q, v)) in itertools.product(kinds.items(), repeat=2):
        if {"affine", "flat"} & {one, two}:
            agree(x @ y, p @ q, p @ v + u)
            agree(x + y, p + q, u + v)
            agree(x - y, p - q, u - v)
