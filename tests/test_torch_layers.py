"""Both layer doors against torch, over the product of everything torch takes, and over what it refuses."""

import itertools
import warnings

import numpy as np
import pytest
from cases import array
from oracle import error

import convop

torch = pytest.importorskip("torch")

SPATIAL = {1: (9,), 2: (7, 8), 3: (4, 6, 5)}
TAPS = {1: (4,), 2: (3, 2), 3: (2, 3, 1)}
UNLIKE = {1: (2,), 2: (2, 1), 3: (1, 3, 2)}  # a value for each axis
FULL = 1e-12
TOLERANCE = {"float64": FULL, "complex128": FULL, "float32": 1e-5, "complex64": 1e-5}
REFUSALS = (RuntimeError, ValueError)
PADDING_MODES = {"zeros": "zero", "circular": "periodic", "reflect": "mirror", "replicate": "replicate"}


@pytest.fixture(autouse=True)
def plain_torch():
    """One thread and no oneDNN: on arrays this small, setting those up takes all the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)  # torch.backends.mkldnn.flags warns where there is no Intel GPU
    yield
    torch._C._set_mkldnn_enabled(before)
    torch.set_num_threads(threads)


def ask_torch(name, x, weight, **options):
    """Torch's answer, or None where torch refuses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        try:
            return getattr(torch.nn.functional, name)(torch.from_numpy(x), torch.from_numpy(weight), **options)
        except REFUSALS:
            return None


def some(ndim, *values):
    """Every value, and one that differs between axes."""
    return (*values, UNLIKE[ndim])


CONV = [
    (ndim, stride, padding, dilation, groups)
    for ndim in (1, 2, 3)
    for stride, padding, dilation, groups in itertools.product(
        some(ndim, 1, 3), some(ndim, 0, 1, 4, "same", "valid"), some(ndim, 1, 2), (1, 2)
    )
]
TRANSPOSE = [
    (ndim, stride, padding, more, dilation, groups)
    for ndim in (1, 2, 3)
    for stride, padding, more, dilation, groups in itertools.product(
        some(ndim, 1, 2, 3), some(ndim, 0, 1), some(ndim, 0, 1), some(ndim, 1, 3), (1, 2)
    )
]


@pytest.mark.parametrize(("ndim", "stride", "padding", "dilation", "groups"), CONV)
def test_conv(ndim, stride, padding, dilation, groups):
    in_shape = (4, *SPATIAL[ndim])
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    for dtype in ("complex128", "float64", "float32"):
        weight = array((6, 4 // groups, *TAPS[ndim]), dtype, 1)
        x = array((2, *in_shape), dtype, 2)
        want = ask_torch(f"conv{ndim}d", x, weight, **options)
        if want is None:
            with pytest.raises(convop.GeometryError):
                convop.conv_layer(weight, in_shape, **options)
            continue
        operator = convop.conv_layer(weight, in_shape, **options)
        assert isinstance(operator, convop.Convolution)
        got = operator(x)
        assert got.dtype == dtype
        assert error(got, want.numpy()) <= TOLERANCE[dtype]


@pytest.mark.parametrize(("ndim", "stride", "padding", "more", "dilation", "groups"), TRANSPOSE)
def test_conv_transpose(ndim, stride, padding, more, dilation, groups):
    in_shape = (4, *SPATIAL[ndim])
    options = {"stride": stride, "padding": padding, "output_padding": more, "dilation": dilation, "groups": groups}
    for dtype in ("complex128", "float64", "float32"):
        weight = array((4, 6 // groups, *TAPS[ndim]), dtype, 1)
        x = array((2, *in_shape), dtype, 2)
        want = ask_torch(f"conv_transpose{ndim}d", x, weight, **options)
        if want is None:
            with pytest.raises(convop.GeometryError):
                convop.conv_transpose_layer(weight, in_shape, **options)
            continue
        operator = convop.conv_transpose_layer(weight, in_shape, **options)
        got = operator(x)
        assert got.dtype == dtype
        assert error(got, want.numpy()) <= TOLERANCE[dtype]


def test_the_products_hold_both_kinds():
    """Hundreds of combinations that torch takes, and some that it refuses."""
    taken = refused = 0
    for ndim, stride, padding, dilation, groups in CONV:
        x, weight = array((4, *SPATIAL[ndim])), array((6, 4 // groups, *TAPS[ndim]))
        answer = ask_torch(f"conv{ndim}d", x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups)
        taken, refused = taken + (answer is not None), refused + (answer is None)
    assert taken > 200
    assert refused > 20


def test_output_padding_beyond_the_stride():
    """torch wants output_padding below the stride or below the dilation; the second is easily forgotten."""
    weight, x = array((2, 3, 3)), array((2, 5), seed=2)
    for stride, dilation, more in ((1, 3, 2), (2, 4, 3), (1, 2, 1)):
        options = {"stride": stride, "dilation": dilation, "output_padding": more}
        want = ask_torch("conv_transpose1d", x, weight, **options)
        assert want is not None
        assert error(convop.conv_transpose_layer(weight, (2, 5), **options)(x), want.numpy()) <= FULL


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("padding", [0, 1, "same", "unlike"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (1, 2, 2), (2, 1, 2), (3, 2, 1)])
def test_padding_modes(ndim, mode, padding, stride, dilation, groups):
    padding = UNLIKE[ndim] if padding == "unlike" else padding
    in_shape, taps = (4, *SPATIAL[ndim]), TAPS[ndim]
    places = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    weight, x = array((2, 4 // groups, *taps), seed=1), array((3, *in_shape), seed=2)
    try:
        kind = getattr(torch.nn, f"Conv{ndim}d")
        module = kind(4, 2, taps, bias=False, padding_mode=mode, dtype=torch.float64, **places)
    except REFUSALS:
        with pytest.raises(convop.GeometryError, match="stride"):
            convop.conv_layer(weight, in_shape, boundary=PADDING_MODES[mode], **places)
        return
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        module.weight[...] = torch.from_numpy(weight)
        want = module(torch.from_numpy(x)).numpy()
    operator = convop.conv_layer(weight, in_shape, boundary=PADDING_MODES[mode], **places)
    assert error(operator(x), want) <= FULL


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 2, 2), (3, 2, 1, 2)])
def test_adjoint_is_what_torch_differentiates(ndim, stride, padding, dilation, groups):
    in_shape = (4, *SPATIAL[ndim])
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    for dtype in ("complex128", "float64"):
        weight = array((6, 4 // groups, *TAPS[ndim]), dtype, 1)
        x = torch.from_numpy(array((2, *in_shape), dtype, 2)).requires_grad_()
        answer = getattr(torch.nn.functional, f"conv{ndim}d")(x, torch.from_numpy(weight), **options)
        y = array(tuple(answer.shape), dtype, 3)
        (gradient,) = torch.autograd.grad(answer, x, torch.from_numpy(y))
        got = convop.conv_layer(weight, in_shape, **options).H(y)
        assert error(got, gradient.numpy()) <= FULL


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_transposed_layer_is_the_transpose(ndim):
    """One weight array, read by the two doors, makes two operators that are each other's transpose."""
    weight = array((3, 2, *TAPS[ndim]), "complex128")
    forward = convop.conv_layer(weight, (2, *SPATIAL[ndim]), stride=2, padding=1)
    sizes = forward.out_shape[1:]
    more = [(n + 2 - k) % 2 for n, k in zip(SPATIAL[ndim], TAPS[ndim], strict=True)]
    backward = convop.conv_transpose_layer(weight, (3, *sizes), stride=2, padding=1, output_padding=tuple(more))
    assert backward.out_shape == forward.in_shape
    assert error(backward.toarray(), forward.T.toarray()) <= FULL


REFUSED_CONV = {  # of torch.nn.functional.conv2d with 4 channels of 7 x 8
    "same with a stride": ((6, 4, 3, 3), {"padding": "same", "stride": 2}),
    "same with a stride on one axis": ((6, 4, 3, 3), {"padding": "same", "stride": (1, 2)}),
    "kernel larger than input": ((6, 4, 8, 3), {}),
    "kernel larger by dilation": ((6, 4, 3, 3), {"dilation": 4}),
    "channels that do not fit": ((6, 3, 3, 3), {}),
    "groups that do not divide the input": ((6, 1, 3, 3), {"groups": 3}),
    "groups that do not divide the output": ((5, 2, 3, 3), {"groups": 2}),
    "no groups": ((6, 4, 3, 3), {"groups": 0}),
    "negative groups": ((6, 4, 3, 3), {"groups": -1}),
    "no stride": ((6, 4, 3, 3), {"stride": 0}),
    "negative stride": ((6, 4, 3, 3), {"stride": (1, -1)}),
    "no dilation": ((6, 4, 3, 3), {"dilation": 0}),
    "negative padding": ((6, 4, 3, 3), {"padding": -1}),
    "three strides": ((6, 4, 3, 3), {"stride": (1, 1, 1)}),
    "three paddings": ((6, 4, 3, 3), {"padding": (1, 1, 1)}),
    "an unknown padding": ((6, 4, 3, 3), {"padding": "full"}),
    "an axis too few": ((6, 4, 3), {}),
    "an axis too many": ((6, 4, 3, 3, 3), {}),
}
REFUSED_TRANSPOSE = {
    "output padding too large": ((4, 3, 3, 3), {"output_padding": 1}),
    "output padding as the stride": ((4, 3, 3, 3), {"stride": 2, "output_padding": 2}),
    "output padding too large on one axis": ((4, 3, 3, 3), {"stride": (2, 1), "output_padding": 1}),
    "negative output padding": ((4, 3, 3, 3), {"stride": 2, "output_padding": -1}),
    "negative padding": ((4, 3, 3, 3), {"padding": -1}),
    "nothing left": ((4, 3, 1, 1), {"padding": 5}),
    "channels that do not fit": ((3, 4, 3, 3), {}),
    "groups that do not divide": ((4, 3, 3, 3), {"groups": 3}),
    "no stride": ((4, 3, 3, 3), {"stride": 0}),
    "no dilation": ((4, 3, 3, 3), {"dilation": 0}),
    "same": ((4, 3, 3, 3), {"padding": "same"}),
}


@pytest.mark.parametrize("name", REFUSED_CONV)
def test_conv_refuses_what_torch_refuses(name):
    shape, options = REFUSED_CONV[name]
    with pytest.raises((*REFUSALS, TypeError)):
        torch.nn.functional.conv2d(torch.zeros(2, 4, 7, 8), torch.zeros(shape), **options)
    with pytest.raises(convop.GeometryError):
        convop.conv_layer(np.zeros(shape), (4, 7, 8), **options)


@pytest.mark.parametrize("name", REFUSED_TRANSPOSE)
def test_conv_transpose_refuses_what_torch_refuses(name):
    shape, options = REFUSED_TRANSPOSE[name]
    with pytest.raises((*REFUSALS, TypeError)):
        torch.nn.functional.conv_transpose2d(torch.zeros(2, 4, 7, 8), torch.zeros(shape), **options)
    with pytest.raises(convop.GeometryError):
        convop.conv_transpose_layer(np.zeros(shape), (4, 7, 8), **options)
