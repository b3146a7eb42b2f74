"""Modules as people write them: every linear one is read exactly, everything else refused by name."""

import functools
import math
import warnings

import numpy as np
import pytest
from cases import array

import convop

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
parametrizations = torch.nn.utils.parametrizations

from torch.nn.utils import prune  # noqa: E402
from torch_modules import agrees, linearises, randomised  # noqa: E402

SHAPE = (4, 6, 5)
MASK, ONES = array((6, 5)) > 0, np.ones((1, 1, 3, 3))


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Net(nn.Module):
    """A function of the input and of one constant."""

    def __init__(self, function, constant=None):
        super().__init__()
        self.function = function
        self.register_buffer("constant", None if constant is None else torch.as_tensor(constant))

    def forward(self, x):
        return self.function(x) if self.constant is None else self.function(x, self.constant)


def images_apart(x):
    """Patches and back, as a transformer cuts them."""
    b, c, h, w = x.shape
    y = x.view(b, c, h // 2, 2, w).permute(0, 2, 1, 3, 4).reshape(b, h // 2, -1)
    return y.view(b, h // 2, c, 2, w).transpose(1, 2).reshape(x.shape)


LINEAR = {
    "einsum": (lambda x, w: torch.einsum("oc,bchw->bohw", w, x), array((3, 4))),
    "einsum, along one axis": (lambda x, w: torch.einsum("bchw,wv->bchv", [x, w]), array((5, 2))),
    "einsum, a matrix for each channel": (lambda x, w: torch.einsum("bchw,chk->bcwk", x, w), array((4, 6, 3))),
    "einsum, dots": (lambda x, w: torch.einsum("...w,vw->...v", x, w), array((3, 5))),
    "einsum, no arrow": (lambda x, w: torch.einsum("achw,hz", x, w), array((6, 2))),
    "einsum, of one": lambda x: torch.einsum("bchw->bwc", x),
    "einsum, of three": (lambda x, w: torch.einsum("bchw,oc,pw->bohp", x, w, w[:, :1].expand(3, 5)), array((3, 4))),
    "einsum, to a vector": (lambda x, w: torch.einsum("bchw,ochw->bo", x, w), array((2, *SHAPE))),
    "matmul, constant first": (lambda x, w: w @ x, array((3, 6))),
    "matmul, one for each channel": (torch.matmul, array((4, 5, 2))),
    "matmul, each channel's first": (lambda x, w: torch.matmul(w, x), array((4, 3, 6))),
    "matmul, one against many": (lambda x, w: x[:, :1] @ w, array((3, 5, 2))),
    "matmul, a vector": (lambda x, w: x @ w, array((5,))),
    "matmul, a vector first": (lambda x, w: w @ x, array((6,))),
    "matmul of vectors": (lambda x, w: x.flatten(1) @ w, array((120, 3))),
    "bmm": (lambda x, w: torch.bmm(x.flatten(2), w.expand(len(x), -1, -1)), array((30, 3))),
    "tensordot": (lambda x, w: torch.tensordot(x, w, dims=([1, 3], [0, 1])), array((4, 5, 3))),
    "tensordot, by number": (lambda x, w: torch.tensordot(x, w, 2), array((6, 5, 3))),
    "where": (lambda x, m: torch.where(m, x, 2 * x.flip(2)), MASK),
    "where, a number": (lambda x, m: torch.where(m, x, 0.0), MASK),
    "where, as a method": (lambda x, m: x.where(m, -x), MASK),
    "masked": (lambda x, m: x.clone().masked_fill_(m, 0), MASK),
    "triangles": lambda x: x.triu(1) + torch.tril(x, diagonal=-1),
    "running sums": lambda x: x.cumsum(1) + torch.cumsum(x, dim=-1),
    "differences": lambda x: torch.diff(x, dim=3)[:, :, 1:-1] + x.diff(n=2, dim=2).narrow(3, 0, 4),
    "differences of channels": lambda x: x.diff(dim=1),
    "lerp": (lambda x, w: torch.lerp(x, x.roll(1, 2), w), array((5,))),
    "addcmul": (lambda x, w: torch.addcmul(x, x.flip(1), w, value=2), array((5,))),
    "side by side": lambda x: torch.hstack([x, -x]),
    "gather": lambda x: torch.gather(x, 3, torch.tensor([4, 0, 4]).expand(len(x), 4, 6, 3)),
    "fftshift": lambda x: torch.fft.fftshift(x, dim=(2, 3)),
    "real parts of reals": lambda x: x.real + x.conj(),
    "unfold, a number, fold": lambda x: F.fold(F.unfold(x, 3, padding=1) * 2, x.shape[2:], 3, padding=1),
    "pooled by views": lambda x: x.unfold(2, 2, 2).unfold(3, 2, 1).mean((-1, -2)),
    "patches": images_apart,
    "less its mean": lambda x: x - x.mean((2, 3), keepdim=True),
    "a blur of each channel": (lambda x, k: F.conv2d(x, k.expand(4, 1, 3, 3) / k.sum(), padding=1, groups=4), ONES),
    "pixel shuffle and zeros": lambda x: torch.cat([F.pixel_shuffle(x, 2), x.new_zeros(len(x), 1, 12, 10)], 1),
    "weights of a softmax": (lambda x, w: x * torch.softmax(w, 0)[:, None, None], array((4,))),
    "numbers": lambda x: x * math.sqrt(2) / 2**3 - (-x),
    "rsub and alpha": lambda x: torch.rsub(x, x.flip(2), alpha=2) + torch.add(x, x, alpha=0.5),
    "partial": functools.partial(F.avg_pool2d, kernel_size=3, stride=2),
    "resized": lambda x: F.interpolate(x, size=(x.shape[2] * 2, 7), mode="bicubic"),
}  # fmt: skip
AFFINE = {
    "where, a constant": (lambda x, m: torch.where(m, x, 1.0), MASK),
    "masked with a number": (lambda x, m: x.masked_fill(m, -2.0), MASK),
    "lerp to a constant": (lambda x, w: torch.lerp(x, w, 0.25), array((6, 5))),
    "addcmul to a constant": (lambda x, w: torch.addcmul(w, x, w, value=3), array((5,))),
}


@pytest.mark.parametrize(("name", "kind"), [*((name, "linear") for name in LINEAR), *((n, "affine") for n in AFFINE)])
def test_functions(name, kind):
    given = (LINEAR if kind == "linear" else AFFINE)[name]
    net = Net(*given) if isinstance(given, tuple) else Net(given)
    A = agrees(net, SHAPE)
    assert isinstance(A, convop.Affine) == (kind == "affine")
    linearises(net, SHAPE)


# Modules


class Block(nn.Module):
    """Lists, dictionaries, shared layers, parameters by themselves, branches on sizes and on the mode."""

    def __init__(self):
        super().__init__()
        self.mix = nn.ModuleList(nn.Conv2d(4, 4, 1, bias=False) for _ in range(3))
        self.by_name = nn.ModuleDict({"pool": nn.AvgPool2d(3, 1, 1)})
        self.scales = nn.ParameterList([torch.ones(1), torch.ones(1)])
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x, *, scale=2.0):
        start = x
        self.seen += 1
        for layer in self.mix:
            x = layer(x) + start
        for number, factor in enumerate(self.scales):
            x = x * factor if number % 2 else x / (factor.abs() + 1)
        if x.shape[-1] % 2:
            x = self.by_name["pool"](x)
        if self.training:
            x = x.abs()
        return scale * x + self.mix[0](start)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.there, self.back = nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)
        self.back.weight = self.there.weight

    def forward(self, x):
        return self.back(self.there(x)) + F.linear(x, self.there.weight.t())


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).mT


def conv():
    return randomised(nn.Conv2d(4, 3, 3, bias=False))


def spectral():
    layer = parametrizations.spectral_norm(conv()).train()
    layer(torch.ones(1, *SHAPE, dtype=torch.float64))
    return layer.eval()


def symmetric():
    layer = randomised(nn.Linear(5, 5, bias=False))
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


def pruned():
    return prune.l1_unstructured(conv(), "weight", 0.5)


def hooked():
    layer = conv()
    layer.register_forward_hook(lambda module, given, result: 2 * result)
    return layer


MODULES = {
    "lists and branches": lambda: randomised(Block()),
    "tied weights": lambda: randomised(Tied()),
    "weight_norm": lambda: parametrizations.weight_norm(conv()),
    "spectral_norm": spectral,
    "orthogonal": lambda: parametrizations.orthogonal(randomised(nn.Linear(5, 5, bias=False))),
    "a parametrization": symmetric,
    "pruned": pruned,
    "a hook": hooked,
    "a graph": lambda: torch.fx.symbolic_trace(nn.Sequential(conv(), nn.AvgPool2d(2))),
    "a graph of functions": lambda: torch.fx.symbolic_trace(randomised(Tied())),
    "data parallel": lambda: nn.DataParallel(conv()),
    "of convop": lambda: convop.to_torch(convop.conv_layer(array((2, 4, 3, 3)), SHAPE, boundary="mirror", padding=2)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    module = MODULES[name]()
    assert isinstance(agrees(module, SHAPE), convop.Operator)
    linearises(module, SHAPE)


def test_what_is_compiled_is_read_by_its_code():
    layer = conv()
    A = convop.from_torch(nn.Sequential(torch.compile(layer, backend="eager"), nn.Identity()), SHAPE)
    assert isinstance(A, convop.Convolution)
    assert np.array_equal(A.kernel, layer.weight.detach().numpy())


# Refusals


def scripted(how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return how(conv())


def traced(layer):
    return torch.jit.trace(layer, torch.ones(1, *SHAPE, dtype=torch.float64))


REFUSED = {
    "scripted": (lambda: nn.Sequential(nn.Identity(), scripted(torch.jit.script)), r"^1 \(.*scripted or traced"),
    "traced by jit": (lambda: scripted(traced), "give the module that it was made from"),
    "spectral_norm in training": (lambda: parametrizations.spectral_norm(conv()).train(), r"changes .*_u at each call"),
    "a graph with relu": (lambda: torch.fx.symbolic_trace(nn.Sequential(nn.ReLU())), r"^0 \(ReLU\): .*give at=x"),
    "einsum with itself": (lambda: Net(lambda x: torch.einsum("bchw,bdhw->bcd", x, x)), "einsum of several values"),
    "matmul with itself": (lambda: Net(lambda x: x @ x.mT), "matmul of several values"),
    "einsum over the batch": (lambda: Net(lambda x: torch.einsum("bchw->chw", x)), "einsum mixes the arrays"),
    "a diagonal": (lambda: Net(lambda x: torch.einsum("bcii->bci", x[..., :5, :])), "diagonals by torch.diagonal"),
    "matmul over the batch": (lambda: Net(lambda x, w: w @ x.flatten(1), array((3, 2))), "mixes the batch axis"),
    "cumsum of the batch": (lambda: Net(lambda x: x.cumsum(0)), "cumsum along the batch axis"),
    "diff with more": (lambda: Net(lambda x: torch.diff(x, append=x[..., :1])), "by torch.cat"),
    "one number": (lambda: Net(lambda x: x.sum((1, 2, 3))), "keepdim=True"),
    "a condition": (lambda: Net(lambda x: torch.where(x > 0, x, -x)), "reads values .gt."),
    "a mask of it": (lambda: Net(lambda x: x.masked_fill(x.bool(), 0)), "bool"),
    "lerp by itself": (lambda: Net(lambda x: torch.lerp(x, x, x)), "a weight that depends on the input"),
    "channels in the batch": (lambda: Net(lambda x: x.view(-1, 1, 6, 5)), "leave the first axis alone"),
    "a spectrum": (lambda: Net(torch.fft.rfft2), "fft_rfft2 is none"),
    "sorted": (lambda: Net(lambda x: x.sort(1)[0]), "sort is none"),
    "rounded": (lambda: Net(torch.round), "round is none"),
    "floor division": (lambda: Net(lambda x: x // 2), "__floordiv__ is none"),
    "the largest": (lambda: Net(lambda x: x.amax(1)), "amax is none"),
    "normalised": (lambda: Net(F.normalize), "normalize is none"),
    "group norm": (lambda: nn.GroupNorm(2, 4).double(), "^GroupNorm: group_norm"),
    "noise": (lambda: Net(lambda x: x + torch.randn_like(x)), "randn_like is none"),
    "a dictionary": (lambda: Net(lambda x: {"y": x}), "an object of type dict"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    make, reason = REFUSED[name]
    with pytest.raises(convop.NotLinearError, match=reason):
        convop.from_torch(make(), SHAPE, dtype="float64")


def test_what_is_conjugated_is_not_linear():
    with pytest.raises(convop.NotLinearError, match="conj of complex values"):
        convop.from_torch(Net(lambda x: x.conj()), SHAPE, dtype="complex128")


def test_a_product_with_a_constant_for_each_of_the_batch():
    factors = torch.arange(2.0, dtype=torch.float64).reshape(2, 1, 1).expand(2, 30, 3)
    with pytest.raises(convop.NotLinearError, match="mixes the arrays of a batch"):
        convop.from_torch(Net(lambda x: torch.bmm(x.flatten(2), factors[: len(x)])), SHAPE, dtype="float64")
