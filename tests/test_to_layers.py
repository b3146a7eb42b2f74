"""`to_layers`: the layers compute what the operator's matrix says, and reading them gives the operator again."""

import numpy as np
import oracle
import pytest
from cases import CASES, array
from oracle import error

import convop

torch = pytest.importorskip("torch")
nn = torch.nn


def said(operator):
    """The layers, or None where the operator is refused."""
    try:
        return convop.to_layers(operator)
    except convop.GeometryError:
        return None


def tolerance(dtype):
    return 1e-5 if np.finfo(dtype).bits == 32 else 1e-12


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_layers_compute_the_matrix(case):
    layers = said(case.operator)
    if layers is None:
        return
    x = array((3, *case.in_shape), case.operator.dtype, seed=3)
    with torch.no_grad():
        y = layers(torch.from_numpy(x)).numpy()
    assert y.dtype == case.operator.dtype
    want = (x.reshape(3, -1) @ case.matrix.T).reshape(3, *case.out_shape)
    assert error(y, want) <= tolerance(case.operator.dtype)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_layers_read_again_are_the_same_map(case):
    layers = said(case.operator)
    if layers is None:
        return
    again = convop.from_torch(layers, case.in_shape, dtype=case.operator.dtype)
    assert isinstance(again, convop.Operator)
    assert (again.in_shape, again.out_shape, again.dtype) == (case.in_shape, case.out_shape, case.operator.dtype)
    assert error(again.toarray(), case.matrix) <= tolerance(case.operator.dtype)
    convop.check.equal(again, case.operator).raise_if_failed()


def test_most_cases_are_said():
    kinds = {}
    for case in CASES:
        kinds.setdefault(type(case.operator).__name__, []).append(said(case.operator) is not None)
    assert sum(map(sum, kinds.values())) >= 80
    assert all(kinds["Identity"])
    assert all(kinds["Diagonal"])
    assert all(kinds["Matrix"])


# One layer


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 0, 1), (2, 1, 2), (3, 2, 1), (1, 2, 2)])
def test_a_layer_comes_back_as_it_was(ndim, mode, stride, padding, groups):
    shape = (4, *(7, 6, 5)[:ndim])
    kind = getattr(nn, f"Conv{ndim}d")
    layer = kind(
        4, 6, (3, 4, 2)[:ndim], stride, padding, groups=groups, padding_mode=mode, dtype=torch.complex128, bias=True
    )
    again = convop.to_layers(convop.from_torch(layer, shape))
    assert type(again) is kind
    assert torch.equal(again.weight, layer.weight)
    assert torch.allclose(again.bias, layer.bias, rtol=0, atol=1e-15)  # torch adds a complex bias in parts
    for name in ("stride", "dilation", "groups"):
        assert getattr(again, name) == getattr(layer, name)
    x = torch.from_numpy(array((2, *shape), "complex128"))
    assert error(again(x).detach().numpy(), layer(x).detach().numpy()) <= 1e-12


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "padding", "extra", "dilation"), [(1, 0, 0, 1), (2, 1, 1, 1), (3, 0, 2, 2), (1, 1, 1, 2)]
)
def test_a_transposed_layer_comes_back_as_it_was(ndim, stride, padding, extra, dilation):
    shape, kind = (4, *(5, 4, 3)[:ndim]), getattr(nn, f"ConvTranspose{ndim}d")
    layer = kind(4, 6, (3, 4, 2)[:ndim], stride, padding, extra, 2, True, dilation, dtype=torch.complex128)
    A = convop.from_torch(layer, shape)
    again = convop.to_layers(A)
    x = torch.from_numpy(array((2, *shape), "complex128"))
    assert error(again(x).detach().numpy(), layer(x).detach().numpy()) <= 1e-12
    if stride > 1:  # with stride 1 the transpose is a convolution again, and comes back as one
        assert type(again) is kind
        assert torch.equal(again.weight, layer.weight)


def test_a_fused_chain_is_one_layer():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(5)
    with torch.no_grad():
        for tensor in (norm.running_mean, norm.weight, norm.bias):
            tensor.normal_()
        norm.running_var.uniform_(0.5, 2)
    chain = nn.Sequential(nn.Conv2d(3, 5, (3, 2)), norm, nn.Conv2d(5, 2, 3, stride=2), nn.AvgPool2d(2)).double().eval()
    layer = convop.to_layers(convop.from_torch(chain, (3, 14, 13)))
    assert type(layer) is nn.Conv2d
    assert layer.kernel_size == (7, 6)
    assert layer.stride == (4, 4)
    x = torch.from_numpy(array((2, 3, 14, 13)))
    assert error(layer(x).detach().numpy(), chain(x).detach().numpy()) <= 1e-12


def test_true_convolution_is_flipped_and_gets_a_channel():
    kernel = array((3, 2), "complex128")
    A = convop.Convolution(kernel, (6, 5), boundary=("periodic", "mirror"))
    layers = convop.to_layers(A)
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Conv2d)]
    assert len(weights) == 1
    assert np.array_equal(weights[0].detach().numpy()[0, 0], kernel[::-1, ::-1])
    x = array((2, 6, 5), "complex128", 1)
    want = x.reshape(2, -1) @ oracle.convolution_matrix(kernel, (6, 5), boundary=("periodic", "mirror")).T
    assert error(layers(torch.from_numpy(x)).detach().numpy(), want.reshape(2, 6, 5)) <= 1e-12


@pytest.mark.parametrize(
    "padding",
    [((2, 0), (0, 1)), ((-1, 2), (0, 0)), ((1, 2), (-2, -1)), ((0, 3), (2, 2)), ((1, 1), (2, 0))],
)
@pytest.mark.parametrize("boundary", ["zero", "mirror", "replicate", "periodic", (("mirror", "zero"), "replicate")])
def test_widths_that_differ_between_sides(padding, boundary):
    weight = array((4, 1, 3, 2), "complex128")
    geometry = convop.geometry.Geometry.make(
        (7, 6), (3, 2), padding=padding, boundary=boundary, channels=(4, 2), groups=2, lifted=True, stride=(2, 1)
    )
    A = convop.Convolution.of(geometry, weight, "correlation")
    x = array((2, *A.in_shape), "complex128", 1)
    got = convop.to_layers(A)(torch.from_numpy(x)).detach().numpy()
    # numpy pads each side by its own rule, and crops.
    pairs = [pair if isinstance(pair, tuple) else (pair, pair) for pair in (
        boundary if isinstance(boundary, tuple) else (boundary, boundary))]  # fmt: skip
    padded = x
    for axis, ((before, after), names) in enumerate(zip(padding, pairs, strict=True), 2):
        if names[0] == "periodic":
            rows = np.pad(np.arange(x.shape[axis]), (max(before, 0), max(after, 0)), "wrap")
            matrix = np.eye(x.shape[axis])[rows]
        else:
            matrix = oracle.extension_matrix(x.shape[axis], max(before, 0), max(after, 0), *names)
        matrix = matrix[max(-before, 0) : len(matrix) - max(-after, 0)]
        padded = np.moveaxis(np.tensordot(matrix, padded, (1, axis)), 0, axis)
    want = torch.nn.functional.conv2d(torch.from_numpy(padded), torch.from_numpy(weight), stride=(2, 1), groups=2)
    assert error(got, want.numpy()) <= 1e-12


# Offsets


@pytest.mark.parametrize(
    "linear",
    [
        convop.conv_layer(array((3, 2, 3, 2)), (2, 6, 5), padding=1, boundary="mirror"),
        convop.conv_transpose_layer(array((2, 3, 3, 2)), (2, 6, 5), stride=2),
        convop.Convolution(array((3, 2)), (6, 5)),
        convop.Identity((3, 4), dtype="float64"),
        convop.as_operator(array((4, 6))),
        convop.conv_layer(array((3, 2, 4)), (2, 9)) @ convop.Identity((2, 9)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("form", ["alike", "by channel", "by sample", "complex"])
def test_offsets_become_biases(linear, form):
    offset = array(linear.out_shape, "complex128" if form == "complex" else "float64", 2)
    if form == "alike":
        offset = np.full_like(offset, 3.5)
    if form == "by channel":
        offset[...] = offset.reshape(len(offset), -1)[:, 0].reshape(-1, *(1,) * (offset.ndim - 1))
    f = convop.Affine(linear, offset)
    if form == "complex":
        f = convop.Affine((1 + 2j) * linear, offset)
    layers = convop.to_layers(f)
    x = array((2, *f.in_shape), f.dtype, 3)
    assert error(layers(torch.from_numpy(x)).detach().numpy(), f(x)) <= 1e-12
    convop.check.equal(convop.from_torch(layers, f.in_shape), f).raise_if_failed()
    if form == "by channel" and isinstance(linear, convop.Convolution) and linear.geometry.lifted:
        assert isinstance(layers, nn.Conv2d | nn.Conv1d)


# Refusals


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        (convop.Convolution([1.0, 2.0, 3.0], 5, boundary="symmetric"), "no padding layer for boundary .*symmetric"),
        (convop.Convolution(np.ones((2, 2, 2, 2)), (3, 3, 3, 3)), "1 to 3 axes"),
        (convop.Convolution(np.ones(11), 5, boundary="mirror"), "no further than the array"),
        (convop.Select(5, [1, 3]), "pixel shuffles"),
        (convop.gradient((4, 5)), "Blocks"),
        (convop.Identity(4) + convop.Select(4, [1, 0, 2, 3]), "Sum"),
        (convop.Unfold((2, 5), 2), "unfolds two axes"),
        (convop.Convolution([1.0, 2.0, 3.0], 5, boundary="mirror").H, "zero boundary"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_layers_cannot_say(operator, reason):
    with pytest.raises(convop.GeometryError, match=rf"(?s)cannot be said in torch layers.*{reason}.*convop\.to_torch"):
        convop.to_layers(operator)


def test_making_layers_draws_no_random_numbers():
    before = torch.get_rng_state()
    convop.to_layers(convop.Affine(convop.conv_layer(array((2, 2, 3)), (2, 8)), [1.0, 2.0]))
    assert torch.equal(torch.get_rng_state(), before)


def test_shuffles():
    for layer, shape in ((nn.PixelShuffle(2), (8, 3, 4)), (nn.PixelUnshuffle(3), (2, 6, 9))):
        again = convop.to_layers(convop.from_torch(layer, shape))
        assert type(again) is type(layer)
        x = torch.from_numpy(array((2, *shape)))
        assert torch.equal(again(x), layer(x))
