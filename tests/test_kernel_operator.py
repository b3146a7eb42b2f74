"""The operator that is linear in the kernel: against an oracle's matrix, and its adjoint against torch's gradients."""

import itertools
import math
import pickle

import numpy as np
import oracle
import pytest
import strategies
import test_laws
from cases import Case, array
from oracle import error

import convop
from convop import testing

EXACT = 1e-12


def convolution_matrix(x, taps, mode="same", boundary="zero", center=None, stride=1, dilation=1):
    """Rows are outputs, columns kernel entries, for one signal `x`: the contract's formula in plain loops."""
    s, d = oracle.per_axis(stride, x.ndim), oracle.per_axis(dilation, x.ndim)
    c, out = oracle.convolution_shape(taps, x.shape, mode, center, stride, dilation)
    matrix = np.zeros((*out, *taps), x.dtype)

    def position(axis, o, t):
        return o * s[axis] + c[axis] - t * d[axis]

    for o, t, row in oracle._gather(x.shape, boundary, out, taps, position):
        matrix[(*o, *t)] = (row * x).sum()
    return matrix.reshape(math.prod(out), math.prod(taps))


def layer_matrix(x, shape, stride=1, padding=0, dilation=1, groups=1, boundary="zero"):
    """The same for a layer with a weight of `shape`."""
    k, (c_out, per_group) = shape[2:], shape[:2]
    s, d = oracle.per_axis(stride, len(k)), oracle.per_axis(dilation, len(k))
    pads = oracle.padding_pairs(padding, k, d)
    out = oracle.layer_shape(shape, x.shape, stride, padding, dilation)
    matrix = np.zeros((*out, *shape), x.dtype)

    def position(axis, o, t):
        return o * s[axis] + t * d[axis] - pads[axis][0]

    for o, t, row in oracle._gather(x.shape[1:], boundary, out[1:], k, position):
        for one, c in itertools.product(range(c_out), range(per_group)):
            matrix[(one, *o, one, c, *t)] = (row * x[one // (c_out // groups) * per_group + c]).sum()
    return matrix.reshape(math.prod(out), math.prod(shape))


def batched(function, x, rank, *arguments, **options):
    items = x.reshape(-1, *x.shape[x.ndim - rank :])
    return np.concatenate([function(item, *arguments, **options) for item in items])


CASES = []


def convolution(name, taps, in_shape, dtype="complex128", signal="complex128", batch=(), method="auto", **options):
    x = array((*batch, *in_shape), signal, 3)
    kernel = array(taps, dtype, 4)
    places = {key: options[key] for key in ("mode", "center", "stride", "dilation") if key in options}
    defaults = {"mode": "same", "center": None, "stride": 1, "dilation": 1}
    _, out = oracle.convolution_shape(taps, in_shape, **{**defaults, **places})
    CASES.append(
        Case(
            name,
            lambda: convop.Convolution(kernel, in_shape, **options).kernel_operator(x).using(method),
            lambda: batched(convolution_matrix, x, len(in_shape), taps, **options),
            taps,
            (*batch, *out),
        )
    )


def layer(name, shape, in_shape, dtype="complex128", signal="complex128", batch=(), method="auto", **options):
    x = array((*batch, *in_shape), signal, 3)
    weight = array(shape, dtype, 4)
    places = {"stride": 1, "padding": 0, "dilation": 1}
    out = oracle.layer_shape(shape, in_shape, **{key: options.get(key, places[key]) for key in places})
    CASES.append(
        Case(
            name,
            lambda: convop.conv_layer(weight, in_shape, **options).kernel_operator(x).using(method),
            lambda: batched(layer_matrix, x, len(in_shape), shape, **options),
            shape,
            (*batch, *out),
        )
    )


for method in ("direct", "fft"):
    convolution(f"{method} 1-D, even, strided", (4,), (9,), method=method, stride=3, dilation=2, boundary="mirror")
    convolution(f"{method} batch", (3, 2), (5, 4), "float32", "complex64", (2, 3), method, boundary="periodic")
    convolution(f"{method} full", (2, 3), (4, 3), batch=(2,), method=method, mode="full", stride=(1, 2))
    layer(
        f"{method} layer", (4, 3, 3, 2), (6, 5, 6), batch=(2,), method=method, stride=(3, 2), padding=((2, 1), (0, 3)),
        dilation=(1, 2), groups=2,
    )  # fmt: skip
convolution("valid, centre of the kernel", (3, 3), (6, 5), mode="valid", dilation=(2, 1))
convolution("centre last", (4, 2), (5, 6), center=(3, 1), boundary=(("zero", "antireflective"), "symmetric"))
convolution("real kernel, complex signal", (3,), (7,), "float64", "complex128", boundary="replicate")
convolution("complex kernel, real signal", (3,), (7,), "complex128", "float64", boundary="replicate")
convolution("float32", (3, 3), (6, 5), "float32", "float32", (3,))
convolution("kernel longer than the array", (7,), (3,), boundary="antireflective")
layer("layer 1-D", (2, 3, 4), (3, 8), padding=2, stride=3, boundary="antireflective")
layer("layer 3-D, depthwise", (4, 1, 2, 2, 3), (2, 3, 4, 3), "float32", "float32", (2,), padding=1, groups=2)
layer("layer pointwise", (3, 5, 1, 1), (5, 2, 3), batch=(2, 2), stride=2)


@pytest.mark.parametrize("law", testing.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_laws_hold(case, law):
    test_laws.test_law(law, case)


# The definition


def agree(spec, A, matrix, x, seed):
    """`U(k)` is `A.with_kernel(k)(x)`, and `U` and `U.H` are the oracle's matrix; with every method."""
    U = A.kernel_operator(x)
    assert U.in_shape == A.kernel.shape
    assert U.out_shape == x.shape[: x.ndim - len(A.in_shape)] + A.out_shape
    assert U.dtype == np.result_type(A.dtype, x.dtype)
    k = array((2, *U.in_shape), "complex128", seed)
    y = array((2, *U.out_shape), "complex128", seed + 1)
    precision = {"float32": 1e-5, "complex64": 1e-5}.get(np.result_type(U.dtype).name, EXACT)
    want_k, want_y = k.reshape(2, -1) @ matrix.T, y.reshape(2, -1) @ matrix.conj()
    for method in ("auto", "direct", "fft"):
        V = U.using(method)
        assert error(V(k).reshape(2, -1), want_k, matrix, k.reshape(2, -1).T) <= precision, (spec, method)
        assert error(V.H(y).reshape(2, -1), want_y, matrix.T, y.reshape(2, -1).T) <= precision, (spec, method)
    assert error(U(k[0]), A.with_kernel(k[0])(x)) <= precision
    assert error(U.tosparse().toarray(), matrix) <= precision


@pytest.mark.parametrize("seed", range(150))
def test_random_convolutions(seed):
    dice = strategies.Dice(seed)
    spec = strategies.convolution(dice)
    batch = dice.choice(((), (1,), (2, 2)))
    x = strategies.values(seed, (*batch, *spec.in_shape), dice.choice(strategies.DTYPES))
    wide = x.astype(np.result_type(x.dtype, "float64"))
    matrix = batched(convolution_matrix, wide, len(spec.in_shape), spec.kernel.shape, **spec.options())
    agree(spec, spec.build(), matrix, x, seed)


@pytest.mark.parametrize("seed", range(150))
def test_random_layers(seed):
    dice = strategies.Dice(seed)
    spec = strategies.layer(dice)
    batch = dice.choice(((), (1,), (3,)))
    x = strategies.values(seed, (*batch, *spec.in_shape), dice.choice(strategies.DTYPES))
    wide = x.astype(np.result_type(x.dtype, "float64"))
    matrix = batched(layer_matrix, wide, len(spec.in_shape), spec.weight.shape, **spec.options())
    agree(spec, spec.build(), matrix, x, seed)


def test_adjoint_and_fused_convolutions_have_one_too():
    A = convop.Convolution(array((3, 2), "complex128"), (5, 4), mode="full")
    B = convop.conv_layer(array((3, 2, 2), "complex128"), (2, 6), padding=1)
    for operator in (A.H, A.T, B.H, A.H @ A, 2j * B, convop.conv_layer(array((2, 3, 3), "complex128"), (3, 7)) @ B):
        assert isinstance(operator, convop.Convolution)
        x = array(operator.in_shape, "complex128", 2)
        U = operator.kernel_operator(x)
        assert error(U(operator.kernel), operator(x)) <= EXACT
        k = array(operator.kernel.shape, "complex128", 3)
        assert error(U(k), operator.with_kernel(k)(x)) <= EXACT


# The weight gradient


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 0, 1, 1), (2, 1, 2, 2), (3, 2, 1, 2), (1, 2, 2, 4), (2, 0, 1, 1)],
)
def test_adjoint_is_the_gradient_of_torch(ndim, dtype, stride, padding, dilation, groups):
    torch = pytest.importorskip("torch")
    shape, taps = (9, 8, 7)[:ndim], (4, 3, 2)[:ndim]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    weight, x = array((8, 4 // groups, *taps), dtype, 1), array((2, 4, *shape), dtype, 2)
    leaf = torch.from_numpy(weight).requires_grad_()
    answer = getattr(torch.nn.functional, f"conv{ndim}d")(torch.from_numpy(x), leaf, **options)
    y = array(tuple(answer.shape), dtype, 3)
    (want,) = torch.autograd.grad(answer, leaf, torch.from_numpy(y))
    U = convop.conv_layer(weight, (4, *shape), **options).kernel_operator(x)
    for method in ("auto", "direct", "fft"):
        assert error(U.using(method)(weight), answer.detach().numpy()) <= EXACT
        assert error(U.using(method).H(y), want.numpy()) <= EXACT


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 2, 1, 1), (2, 1, 2, 2)])
def test_adjoint_is_the_gradient_of_torch_with_padding_modes(ndim, mode, stride, padding, dilation, groups):
    torch = pytest.importorskip("torch")
    boundary = {"circular": "periodic", "reflect": "mirror", "replicate": "replicate"}[mode]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    module = getattr(torch.nn, f"Conv{ndim}d")(4, 2, 3, bias=False, padding_mode=mode, dtype=torch.float64, **options)
    x = array((2, 4, *(7, 6, 5)[:ndim]), "float64", 2)
    answer = module(torch.from_numpy(x))
    y = array(tuple(answer.shape), "float64", 3)
    (want,) = torch.autograd.grad(answer, module.weight, torch.from_numpy(y))
    A = convop.conv_layer(module.weight.detach().numpy(), x.shape[1:], boundary=boundary, **options)
    assert error(A.kernel_operator(x).H(y), want.numpy()) <= EXACT


# Which method


def test_methods():
    A = convop.Convolution(np.ones((5, 5)), (40, 40))
    x = array((40, 40))
    assert A.kernel_operator(x).method == "auto"
    assert A.using("fft").kernel_operator(x).method == "fft"
    assert A.using("direct").kernel_operator(x).method == "direct"
    assert A.using("sparse").kernel_operator(x).method == "auto"
    with pytest.raises(convop.GeometryError, match="use one of auto, direct, fft"):
        A.kernel_operator(x).using("sparse")


def test_integers_are_exact():
    rng = np.random.default_rng(0)
    A = convop.Convolution(np.ones((3, 2)), (30, 20), boundary="antireflective", stride=2).using("direct")
    U = A.kernel_operator(rng.integers(-9, 9, (30, 20)))
    k, y = rng.integers(-9, 9, U.in_shape).astype(float), rng.integers(-9, 9, U.out_shape).astype(float)
    assert np.vdot(U(k), y) == np.vdot(k, U.H(y))
    assert np.array_equal(U.H(y).ravel(), U.tosparse().T @ y.ravel())


def test_large_kernels_by_transforms():
    A = convop.Convolution(array((41, 37)), (200, 190), boundary="symmetric")
    U = A.kernel_operator(array((200, 190), seed=2))
    k, y = array(U.in_shape, seed=3), array(U.out_shape, seed=4)
    assert error(U.H(y), U.using("direct").H(y)) <= EXACT
    assert abs(np.vdot(U(k), y) - np.vdot(k, U.H(y))) <= EXACT * np.linalg.norm(U(k)) * np.linalg.norm(y)


def test_checker_finds_nothing():
    for dtype in ("float32", "complex64", "complex128"):
        A = convop.conv_layer(array((4, 2, 3, 3), dtype), (4, 40, 50), padding=1, groups=2)
        U = A.kernel_operator(array((3, 4, 40, 50), dtype, 2))
        assert convop.check.adjoint(U)


# Doors


def test_the_signal_is_copied():
    x = array((6, 5))
    for A in (convop.Convolution(np.ones((1, 1)), (6, 5)), convop.Convolution(np.ones((3, 3)), (6, 5))):
        U = A.kernel_operator(x)
        want = U(A.kernel)
        x[...] = 0
        assert np.array_equal(U(A.kernel), want)
        x = array((6, 5))


def test_types():
    A = convop.Convolution(np.ones(3, "float32"), 5)
    for x, want in ((np.ones(5, int), "float32"), (np.ones(5), "float64"), (np.ones(5, "complex64"), "complex64")):
        U = A.kernel_operator(x)
        assert U.dtype == want
        assert U(np.ones(3, "float32")).dtype == want
        assert U(np.ones(3)).dtype == np.result_type(want, "float64")


def test_scaled_and_conjugate_stay_what_they_are():
    U = convop.Convolution(array(3, "complex128"), 6).kernel_operator(array(6, "complex128"))
    for operator, matrix in ((2j * U, 2j * U.toarray()), (U.conj(), U.toarray().conj()), (-U, -U.toarray())):
        assert type(operator) is type(U)
        assert error(operator.toarray(), matrix) <= EXACT
    again = pickle.loads(pickle.dumps(U))
    assert np.array_equal(again.toarray(), U.toarray())
    assert repr(U) == "<Convolution by its kernel 3: 3 -> 6, complex128>"


def test_nan_in_kernel_and_signal_travels():
    A = convop.Convolution(np.ones(3), 9).using("direct")
    x = np.zeros(9)
    x[4] = np.nan
    assert np.isnan(A.kernel_operator(x)(np.ones(3))).sum() == 3
    k = np.array([0, np.nan, 0])
    assert np.isnan(A.kernel_operator(np.ones(9))(k)).all()


@pytest.mark.parametrize("x", [np.ones(4), np.ones((5, 4)), np.ones((0, 5)), np.array(1.0)], ids=np.shape)
def test_signals_that_do_not_fit(x):
    with pytest.raises(convop.ShapeError, match=r"kernel_operator takes a signal of shape \(5,\)"):
        convop.Convolution(np.ones(3), 5).kernel_operator(x)


def test_what_else_is_refused():
    A = convop.Convolution(np.ones(3), 5)
    with pytest.raises(convop.DTypeError):
        A.kernel_operator(np.ones(5, "longdouble"))
    with pytest.raises(convop.ShapeError):
        A.kernel_operator(np.ones(5))(np.ones(4))
    with pytest.raises(convop.MemoryBudgetError):
        A.kernel_operator(np.ones(5)).tosparse(max_bytes=10)
