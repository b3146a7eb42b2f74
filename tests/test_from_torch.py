"""Every layer that `from_torch` reads, against torch: its answers, and its adjoint against torch's gradient."""

import warnings

import pytest
from cases import array
from oracle import error

import convop

torch = pytest.importorskip("torch")
nn = torch.nn

from torch_modules import agrees, linearises, randomised  # noqa: E402

SPATIAL = {1: (9,), 2: (7, 8), 3: (4, 8, 5)}
TAPS = {1: (4,), 2: (3, 2), 3: (2, 3, 1)}
UNLIKE = {1: (2,), 2: (2, 1), 3: (1, 3, 2)}
MODES = ("zeros", "reflect", "replicate", "circular")


@pytest.fixture(autouse=True)
def plain_torch():
    """One thread, and no word about even kernels from torch's padding='same'."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        yield
    torch.set_num_threads(threads)


def kind(name, ndim):
    return getattr(nn, f"{name}{ndim}d")


# Convolutions


CONV = [
    (ndim, mode, padding, *places)
    for ndim in (1, 2, 3)
    for mode in MODES
    for padding in (0, 1, "same", "valid", "unlike")
    for places in ((1, 1, 1), (1, 2, 2), (3, 1, 2), (2, "unlike", 1))
    if padding != "same" or places[0] == 1
]


@pytest.mark.parametrize(("ndim", "mode", "padding", "stride", "dilation", "groups"), CONV)
def test_conv(ndim, mode, padding, stride, dilation, groups):
    padding, dilation = (UNLIKE[ndim] if value == "unlike" else value for value in (padding, dilation))
    bias = stride == 1
    for dtype in ("complex128", "float64", "float32"):
        if mode == "reflect" and dtype == "complex128" and ndim == 3:
            continue  # torch does not reflect complex volumes
        layer = kind("Conv", ndim)(4, 6, TAPS[ndim], stride, padding, dilation, groups, bias, mode)
        A = agrees(randomised(layer, dtype), (4, *SPATIAL[ndim]), dtype)
        assert isinstance(A, convop.Affine) == bias
        assert isinstance(A.linear if bias else A, convop.Convolution)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("stride", "padding", "extra", "dilation"),
    [(1, 0, 0, 1), (2, 1, 1, 1), (3, 0, 2, 2), (2, "unlike", 0, 1), ("unlike", 1, 0, "unlike"), (1, 1, 1, 2)],
)
def test_conv_transpose(ndim, groups, stride, padding, extra, dilation):
    stride, padding, dilation = (UNLIKE[ndim] if value == "unlike" else value for value in (stride, padding, dilation))
    for dtype in ("complex128", "float32"):
        layer = kind("ConvTranspose", ndim)(4, 6, TAPS[ndim], stride, padding, extra, groups, groups == 1, dilation)
        agrees(randomised(layer, dtype), (4, *SPATIAL[ndim]), dtype)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["complex128", "float32"])
def test_linear_acts_on_the_last_axis(shape, bias, dtype):
    agrees(randomised(nn.Linear(5, 3, bias), dtype), shape, dtype)


# Normalisation


@pytest.mark.parametrize(("ndim", "shape"), [(1, (3,)), (1, (3, 7)), (2, (3, 5, 4)), (3, (3, 2, 3, 4))])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(ndim, shape, affine):
    A = agrees(randomised(kind("BatchNorm", ndim)(3, affine=affine, eps=0.1)), shape)
    assert isinstance(A, convop.Affine)
    if len(shape) > 1:
        assert isinstance(A.linear, convop.Convolution)
        assert A.linear.geometry.groups == 3


def test_instance_norm_with_stored_statistics():
    agrees(randomised(nn.InstanceNorm2d(3, affine=True, track_running_stats=True)), (3, 5, 4))


# Pooling


@pytest.mark.parametrize("ceil_mode", [True, False])
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(
    ("ndim", "kernel", "stride", "padding"),
    [
        (1, 3, 2, 1),
        (1, 2, 3, 0),
        (1, 4, None, 2),
        (2, (3, 2), (2, 3), (1, 0)),
        (2, 3, 2, 1),
        (2, 2, 5, 1),
        (3, 2, None, 0),
        (3, (2, 3, 2), 2, (0, 1, 1)),
    ],
)
def test_average_pooling(ndim, kernel, stride, padding, ceil_mode, count_include_pad):
    pool = kind("AvgPool", ndim)(kernel, stride, padding, ceil_mode, count_include_pad)
    A = agrees(pool, (2, *SPATIAL[ndim]))
    if not ceil_mode and (count_include_pad or padding == 0):
        assert isinstance(A, convop.Convolution)
    if ndim > 1:
        pool = kind("AvgPool", ndim)(kernel, stride, padding, ceil_mode, count_include_pad, divisor_override=5)
        assert isinstance(agrees(pool, (2, *SPATIAL[ndim])), convop.Convolution)


@pytest.mark.parametrize(
    ("ndim", "size"), [(1, 4), (1, 3), (2, (3, None)), (2, 1), (2, (9, 11)), (3, (2, 3, 5)), (3, (3, 5, 2))]
)
def test_adaptive_average_pooling(ndim, size):
    agrees(kind("AdaptiveAvgPool", ndim)(size), (2, *SPATIAL[ndim]))


def test_adaptive_pooling_that_divides_is_a_convolution():
    assert isinstance(convop.from_torch(nn.AdaptiveAvgPool2d((2, 3)), (4, 6, 9)), convop.Convolution)


# Padding


WIDTHS = {
    1: (2, (0, 1), (3, -2), (-1, 2), (-2, -1)),
    2: (1, (1, 0, 2, 1), (2, -1, -2, 1), (-1, 2, 0, -1)),
    3: (1, (1, 0, 2, 1, 0, 1), (2, -1, -2, 1, 1, 0)),
}


@pytest.mark.parametrize(
    ("ndim", "widths", "name"),
    [(n, w, name) for n in WIDTHS for w in WIDTHS[n] for name in ("Zero", "Reflection", "Replication", "Circular")],
)
def test_padding(ndim, widths, name):
    A = agrees(kind(f"{name}Pad", ndim)(widths), (2, *SPATIAL[ndim]))
    crops = isinstance(widths, tuple) and min(widths) < 0
    assert isinstance(A, convop.Convolution) or (name == "Circular" and crops)  # of what is left when cropped


@pytest.mark.parametrize(("ndim", "widths"), [(n, w) for n in WIDTHS for w in WIDTHS[n]])
def test_constant_padding_is_affine(ndim, widths):
    layer = kind("ConstantPad", ndim)(widths, 1.5)
    assert isinstance(agrees(layer, (2, *SPATIAL[ndim])), convop.Affine)
    assert isinstance(agrees(kind("ConstantPad", ndim)(widths, 0), (2, *SPATIAL[ndim])), convop.Operator)


def test_padding_of_channels_and_of_vectors():
    class Pad(nn.Module):
        def __init__(self, widths):
            super().__init__()
            self.widths = widths

        def forward(self, x):
            return nn.functional.pad(x, self.widths)

    agrees(Pad((1, 2, 0, 1, 2, -1)), (4, 5, 3))
    agrees(Pad((1, -2)), (5,))


@pytest.mark.parametrize("name", ["Reflection", "Replication", "Circular", "Zero"])
def test_padding_fuses_with_the_convolution_after_it(name):
    chain = nn.Sequential(kind(f"{name}Pad", 2)((1, 2, 0, 1)), nn.Conv2d(2, 3, (2, 3), stride=(1, 2), bias=False))
    assert isinstance(agrees(randomised(chain), (2, 6, 7)), convop.Convolution)


# Resampling


MODES_OF = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}
SMOOTH = ("linear", "bilinear", "bicubic", "trilinear")
RESAMPLING = [
    (ndim, mode, corners, where)
    for ndim, modes in MODES_OF.items()
    for mode in modes
    for corners in ((False, True) if mode in SMOOTH else (None,))
    for where in ("twice", "1.7", "0.6", "recomputed", "size up", "size down")
]


@pytest.mark.parametrize(("ndim", "mode", "corners", "where"), RESAMPLING)
def test_upsample(ndim, mode, corners, where):
    spatial = {1: (19,), 2: (7, 13), 3: (4, 3, 5)}[ndim]
    options = {
        "twice": {"scale_factor": 2},
        "1.7": {"scale_factor": tuple(1.7 + 0.2 * axis for axis in range(ndim))},
        "0.6": {"scale_factor": 0.6},
        "recomputed": {"scale_factor": 1.4, "recompute_scale_factor": True},
        "size up": {"size": tuple(2 * n - 1 for n in spatial)},
        "size down": {"size": tuple(n // 2 + 1 for n in spatial)},
    }[where]
    # torch 2.13 differentiates nearest neighbours of volumes wrongly where the factors differ: its gradient is not the
    # transpose of what it computes.
    wrong = (ndim, mode, where) == (3, "nearest", "1.7")
    A = agrees(nn.Upsample(mode=mode, align_corners=corners, **options), (2, *spatial), gradient=not wrong)
    convop.check.adjoint(A).raise_if_failed()


def test_upsampling_layers():
    agrees(nn.UpsamplingNearest2d(scale_factor=3), (2, 3, 4))
    agrees(nn.UpsamplingBilinear2d(size=(7, 5)), (2, 3, 4))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 6), (20, 31), (3, 40), (1, 1)])
def test_antialiased_interpolation(mode, size):
    class Resize(nn.Module):
        def forward(self, x):
            return nn.functional.interpolate(x, size, mode=mode, antialias=True)

    agrees(Resize(), (2, 17, 23))


def test_repeating_samples_is_a_transposed_convolution():
    A = convop.from_torch(nn.Upsample(scale_factor=(2, 3)), (2, 4, 5))
    assert isinstance(A.H, convop.Convolution)
    assert A.H.geometry.stride == (2, 3)


def test_a_long_axis_is_read_quickly():
    A = convop.from_torch(nn.Upsample(scale_factor=2, mode="linear"), (1, 100_000))
    x = array((2, 1, 100_000), "float32")
    want = nn.functional.interpolate(torch.from_numpy(x), scale_factor=2, mode="linear").numpy()
    assert A.tosparse().nnz <= 400_000
    assert error(A(x), want) <= 1e-2  # torch computes places in float32 here, and these run to 100 000
    assert error(A(x.astype("float64")), nn.functional.interpolate(
        torch.from_numpy(x).double(), scale_factor=2, mode="linear").numpy()) <= 1e-7  # fmt: skip


# Moving samples


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.PixelShuffle(2), (8, 3, 4)),
        (nn.PixelUnshuffle(2), (2, 6, 4)),
        (nn.ChannelShuffle(2), (4, 3, 5)),
        (nn.Flatten(), (2, 3, 4)),
        (nn.Flatten(2), (2, 3, 4)),
        (nn.Flatten(1, 2), (2, 3, 4)),
        (nn.Unflatten(1, (2, 3)), (6, 4)),
        (nn.Unfold((2, 3), dilation=(1, 2), padding=1, stride=2), (2, 5, 6)),
        (nn.Fold((5, 6), 2, padding=1, stride=2), (8, 12)),
        (nn.Identity(), (2, 3)),
        (nn.Sequential(), (2, 3)),
        (nn.Dropout(), (2, 3)),
        (nn.Dropout1d(), (2, 3)),
        (nn.Dropout2d(inplace=True), (2, 3, 4)),
        (nn.Dropout3d(), (2, 3, 4, 5)),
        (nn.AlphaDropout(), (2, 3)),
        (nn.FeatureAlphaDropout(), (2, 3)),
    ],
    ids=str,
)
def test_layers_without_weights(layer, shape):
    agrees(layer.eval(), shape)
    A = convop.from_torch(layer, shape)
    assert A.dtype == "float32"
    assert isinstance(A, convop.Operator)


# Layers that are not linear, at a point


ELEMENTWISE = [
    nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(0.3), nn.PReLU(), nn.PReLU(2), nn.Hardtanh(),
    nn.Threshold(0.1, 2.0), nn.ELU(), nn.SELU(), nn.CELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(inplace=True),
    nn.Mish(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(2.0), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(),
    nn.Hardshrink(), nn.Hardsigmoid(), nn.Hardswish(), nn.LogSigmoid(),
]  # fmt: skip
POOLS = [
    (nn.MaxPool1d(3, 2, 1), (2, 9)),
    (nn.MaxPool2d(2), (2, 5, 6)),
    (nn.MaxPool2d(3, 1, 1), (2, 5, 6)),
    (nn.MaxPool2d((2, 3), (1, 2), (1, 0), (2, 1), ceil_mode=True), (2, 5, 6)),
    (nn.MaxPool3d(2), (2, 4, 5, 4)),
    (nn.AdaptiveMaxPool1d(4), (2, 9)),
    (nn.AdaptiveMaxPool2d((2, 3)), (2, 5, 7)),
    (nn.AdaptiveMaxPool3d(2), (2, 3, 4, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), [*((layer, (2, 3, 4)) for layer in ELEMENTWISE), *POOLS], ids=str)
def test_jacobian_at_a_point(layer, shape):
    layer = randomised(layer)
    linearises(layer, shape)
    with pytest.raises(convop.NotLinearError, match="is not linear; give at=x") as refusal:
        convop.from_torch(layer, shape)
    assert type(layer).__name__ in str(refusal.value)


def test_kinks_are_taken_as_torch_takes_them():
    for layer in (nn.ReLU(), nn.LeakyReLU(0.2), nn.Hardtanh(), nn.ReLU6()):
        point = torch.tensor([-1.0, 0.0, 1.0, 6.0])
        A = convop.from_torch(layer, 4, at=point)
        J = torch.func.jacrev(layer)(point)
        assert error(A.toarray(), J.numpy()) <= 1e-7


# Types


def test_types_follow_the_parameters():
    for dtype, expected in {
        "float32": "float32", "float64": "float64", "complex64": "complex64", "complex128": "complex128",
        "float16": "float32", "bfloat16": "float32",
    }.items():  # fmt: skip
        layer = nn.Conv1d(1, 2, 3, dtype=getattr(torch, dtype))
        A = convop.from_torch(layer, (1, 7))
        assert A.dtype == expected
        assert A.linear.dtype == expected
        assert error(A.linear.weight, layer.weight.detach().to(getattr(torch, expected)).numpy()) == 0


def test_layers_without_weights_take_the_type_of_the_others():
    chain = nn.Sequential(
        nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.Upsample(scale_factor=1.5), nn.Conv2d(2, 2, 3)
    )
    agrees(randomised(chain), (2, 6, 7))  # to double precision
    A = convop.from_torch(nn.PixelShuffle(2), (4, 3, 2), dtype="complex128")
    assert A.dtype == "complex128"


@pytest.mark.parametrize("requires_grad", [True, False])
def test_what_is_read_does_not_change_with_the_module(requires_grad):
    layer = nn.Conv1d(1, 2, 3).requires_grad_(requires_grad)
    A = convop.from_torch(layer, (1, 7))
    before, x = layer.weight.detach().clone(), array((1, 7), "float32")
    y = A(x)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
    assert error(A(x), y) == 0
    assert error(A.linear.weight, before.numpy()) == 0


def test_reading_leaves_the_module_as_it_is():
    net = randomised(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True)))
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random = torch.get_rng_state()
    point = torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    copy = point.clone()
    with torch.inference_mode():
        convop.from_torch(net, (2, 6, 5), at=point)
    assert torch.equal(point, copy)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
