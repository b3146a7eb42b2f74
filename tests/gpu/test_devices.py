"""Where tensors are: modules that move, two devices in one call, matrices in blocks, and a card as torch's default."""

import copy

import numpy as np
import pytest
from cases import array
from oracle import error

import convop

torch = pytest.importorskip("torch")

from accelerators import CARD, NEITHER  # noqa: E402
from torch_cases import tensor  # noqa: E402

if CARD is None:
    pytest.skip(NEITHER, allow_module_level=True)

BLUR = convop.Convolution(array((3, 2), "float64"), (6, 5), boundary="mirror")
LAYER = convop.conv_layer(array((4, 2, 3, 3), "float32"), (2, 9, 8), padding=1, boundary="mirror")
IMAGE = tensor((2, 6, 5))
ELSEWHERE = {"cpu": CARD, "card": "cpu"}


def place(name):
    return CARD if name == "card" else torch.device("cpu")


def host(x):
    return x.detach().cpu().numpy()


@pytest.fixture
def card_by_default():
    torch.set_default_device(CARD)
    yield
    torch.set_default_device(None)


# Modules that move.


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("method", ["conv", "fft", "sparse"])
def test_a_module_there_and_back(method, trainable):
    module = convop.to_torch(BLUR, method, trainable=trainable)
    want = BLUR(IMAGE.numpy())
    assert error(host(module(IMAGE)), want) <= 1e-12
    for device in (CARD, torch.device("cpu"), CARD):
        module = module.to(device)
        assert {each.device for each in (*module.parameters(), *module.buffers())} == {device}
        assert error(host(module(IMAGE.to(device))), want) <= 1e-12
    assert error(host(copy.deepcopy(module)(IMAGE.to(CARD))), want) <= 1e-12
    single = module.to(torch.float32)(IMAGE.to(CARD, torch.float32))
    assert (single.dtype, single.device) == (torch.float32, CARD)
    assert error(host(single), want) <= 2e-5


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("method", ["conv", "fft", "sparse"])
def test_states_pass_between_devices(method, name):
    here, there = place(name), ELSEWHERE[name]
    module = convop.to_torch(BLUR, method, device=here)
    module(IMAGE.to(here))  # so that something is derived from the kernel
    other = convop.to_torch(BLUR.with_kernel(-3 * BLUR.kernel), method, device=there)
    module.load_state_dict(other.state_dict())
    assert error(host(module(IMAGE.to(here))), -3 * BLUR(IMAGE.numpy())) <= 1e-12


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("offset", [array((6, 5), "float64", 3), array((6,), "float64", 3)[:, None] * np.ones(5)])
def test_affine_modules(offset, trainable):
    affine = convop.Affine(BLUR, offset)
    module = convop.to_torch(affine, device=CARD, trainable=trainable)
    y = module(IMAGE.to(CARD))
    assert y.device == CARD
    assert error(host(y), affine(IMAGE.numpy())) <= 1e-12
    with pytest.raises(convop.DTypeError, match=r"\.to\(device\)"):
        module(IMAGE)
    solution = convop.solve(module, y.detach(), alpha=0.1, tol=1e-12)
    assert error(host(solution.x), convop.solve(affine, host(y), alpha=0.1, tol=1e-12).x) <= 1e-9


# Two devices in one call.


@pytest.mark.parametrize("name", ELSEWHERE)
def test_solve_says_which_tensor_is_elsewhere(name):
    here, there = place(name), ELSEWHERE[name]
    b = IMAGE.to(here)
    affine = convop.to_torch(convop.Affine(BLUR, array((6, 5), "float64", 3)), device=there)
    penalty = convop.to_torch(convop.gradient((6, 5)), device=there)
    for module, options in ((convop.to_torch(BLUR, device=there), {}), (affine, {}), (BLUR, {"regularizer": penalty})):
        with pytest.raises(convop.DTypeError, match=r"\.to\(device\)"):
            convop.solve(module, b, alpha=0.1, **options)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_numbers_and_starts_may_be_elsewhere(name):
    here, there = place(name), ELSEWHERE[name]
    alpha = torch.tensor(0.1, dtype=torch.float64, device=there, requires_grad=True)
    want = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    solution = convop.solve(BLUR, IMAGE.to(here), alpha=alpha, x0=torch.ones(6, 5, device=there), tol=1e-12)
    assert solution.x.device == here
    solution.x.square().sum().backward()
    convop.solve(BLUR, IMAGE, alpha=want, tol=1e-12).x.square().sum().backward()
    assert alpha.grad.device == alpha.device
    assert abs(float(alpha.grad) / float(want.grad) - 1) <= 1e-8


@pytest.mark.parametrize("options", [{"prior": "tv"}, {"nonneg": True}, {"prior": "truncated"}])
def test_what_numpy_solves_is_refused(options):
    with pytest.raises(convop.GeometryError, match=r"\.cpu\(\)"):
        convop.solve(BLUR, IMAGE.to(CARD), alpha=0.1, **options)
    with pytest.raises(convop.GeometryError, match=r"\.cpu\(\)"):
        convop.deconvolve(IMAGE.to(CARD), np.ones((2, 2)) / 4, channel_axis=0, alpha=0.1, **{"prior": "tv", **options})


# Matrices in blocks.


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (4, 1), (3, 12)])
@pytest.mark.parametrize("complex", [False, True])
def test_blocks(block, complex):
    operator = 2j * LAYER if complex else LAYER
    got = convop.to_torch_sparse(operator, "bsr", device=CARD, blocksize=block)
    want = convop.to_torch_sparse(operator, "bsr", blocksize=block)
    assert (got.device, got.layout, got.dtype) == (CARD, torch.sparse_bsr, want.dtype)
    for part in ("crow_indices", "col_indices", "values"):
        here, there = getattr(want, part)(), getattr(got, part)()
        assert there.dtype == here.dtype
        assert np.allclose(host(there), here.numpy(), atol=1e-6)


# A card as torch's default device.


@pytest.mark.usefixtures("card_by_default")
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("method", ["conv", "fft", "sparse"])
def test_the_default_device_is_for_those_who_name_none(method, trainable):
    for device, where in ((None, CARD), ("cpu", torch.device("cpu"))):
        x = IMAGE.clone().to(where).requires_grad_()
        y = convop.to_torch(BLUR, method, device=device, trainable=trainable)(x)
        assert y.device == where
        assert torch.autograd.grad(y.sum(), x)[0].device == where
        assert error(host(y), BLUR(IMAGE.numpy())) <= 1e-12


@pytest.mark.usefixtures("card_by_default")
@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("blocks", [None, 2])
def test_matrices_and_the_default_device(layout, blocks):
    blocks = blocks if layout == "bsr" else None
    for device, where in ((None, CARD), ("cpu", torch.device("cpu"))):
        for operator in (LAYER, LAYER.H):
            matrix = convop.to_torch_sparse(operator, layout, device=device, blocksize=blocks)
            assert (matrix.device, matrix.layout) == (where, getattr(torch, f"sparse_{layout}"))
            assert matrix.to_dense().device == where


# Modules of torch with parameters on the card.


def network():
    torch.manual_seed(0)
    nn = torch.nn
    layers = [nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.AvgPool2d(2)]
    return nn.Sequential(*layers).eval()


def test_reading_a_network():
    x, module = array((3, 16, 12), "float32"), network()
    want = convop.from_torch(module, (3, 16, 12))
    got = convop.from_torch(module.to(CARD), (3, 16, 12))
    assert type(got.linear) is type(want.linear)
    assert error(got(x), want(x)) <= 2e-5
    assert convop.check.equal(got, module)


def test_reading_a_jacobian():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.GELU(), torch.nn.MaxPool2d(2), torch.nn.Linear(2, 3)
    )
    point = tensor((3, 6, 6), "float32")
    want = convop.from_torch(module, (3, 6, 6), at=point).toarray()
    for at in (point, point.to(CARD), point.numpy()):
        assert error(convop.from_torch(module.to(CARD), (3, 6, 6), at=at).toarray(), want) <= 2e-5


class Picking(torch.nn.Module):
    """A module whose only tensor holds indices."""

    def __init__(self):
        super().__init__()
        self.register_buffer("chosen", torch.tensor([2, 0], device="cpu"))

    def forward(self, x):
        return x.index_select(1, self.chosen)


class Weighing(torch.nn.Module):
    """A module that makes its constants on torch's default device."""

    def forward(self, x):
        return torch.triu(x) * torch.full((3,), 2.0)


def test_reading_a_module_of_indices():
    A = convop.from_torch(Picking().to(CARD), (3, 4))
    assert np.array_equal(A(np.arange(12.0).reshape(3, 4)), [[8, 9, 10, 11], [0, 1, 2, 3]])


@pytest.mark.usefixtures("card_by_default")
def test_reading_and_the_default_device():
    assert np.array_equal(convop.from_torch(Weighing(), (3, 3))(np.ones((3, 3))), 2 * np.triu(np.ones((3, 3))))
    for module in (network(), network().to("cpu")):
        assert convop.check.equal(convop.from_torch(module, (3, 16, 12)), module)
    halves = torch.nn.Upsample(scale_factor=1.5, mode="bicubic")
    assert convop.from_torch(halves, (2, 4, 6)).out_shape == (2, 6, 9)


@pytest.mark.usefixtures("card_by_default")
def test_layers_and_the_default_device():
    """Layers are made where torch makes its own."""
    x = tensor((1, *LAYER.in_shape), "float32").to(CARD)
    for operator in (LAYER, convop.Affine(LAYER, np.arange(4, dtype="f"))):
        y = convop.to_layers(operator)(x)
        assert y.device == CARD
        assert error(host(y)[0], operator(host(x)[0])) <= 2e-5
    shuffle = convop.from_torch(torch.nn.PixelUnshuffle(2), (1, 4, 4))
    assert isinstance(convop.to_layers(shuffle), torch.nn.PixelUnshuffle)
