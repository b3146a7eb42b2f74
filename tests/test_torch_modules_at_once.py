"""The short way that plain tensors take through a module, once it is warm: the same answers and the same refusals."""

import copy
import shutil

import numpy as np
import oracle
import pytest
from cases import array
from oracle import error

import convop

torch = pytest.importorskip("torch")

from torch_cases import COMPLEX, FORWARD, METHODS, tensor, tolerance  # noqa: E402

KERNEL, WEIGHT = array((2, 3), "complex128"), array((4, 3, 2, 3), "complex128")
GRID, CHANNELS = (6, 7), (3, 6, 7)
KINDS = ("one", "one, strided", "one channel of a layer", "layer", "layer, strided")


def made(kind, dtype):
    """A module, warm, and its dense matrix."""
    stride = (2, 3) if "strided" in kind else 1
    kernel, weight = (part.astype(dtype) if np.dtype(dtype).kind == "c" else part.real.astype(dtype)
                      for part in (KERNEL, WEIGHT))  # fmt: skip
    if kind.startswith("layer"):
        shape = CHANNELS
    else:
        weight, shape = weight[:1, :1], (1, *GRID)
    if kind in ("one", "one, strided"):
        operator = convop.Convolution(kernel, GRID, boundary="symmetric", stride=stride)
        matrix = oracle.convolution_matrix(kernel, GRID, boundary="symmetric", stride=stride)
    else:
        operator = convop.conv_layer(weight, shape, padding=1, stride=stride)
        matrix = oracle.layer_matrix(weight, shape, padding=1, stride=stride)
    module = convop.to_torch(operator, "conv")
    for _ in range(2):
        module.adjoint(module(tensor(operator.in_shape, dtype)))
    return module, matrix


def views(shape, dtype):
    """The same numbers in tensors of many kinds."""
    x = tensor((2, *shape), dtype)
    yield x
    yield x[0]
    yield x.expand(3, *x.shape)
    yield torch.stack([x, x], -1)[..., 1]
    yield x.mT.contiguous().mT
    yield x.clone().requires_grad_()
    yield torch.nn.Parameter(x)
    yield x.as_subclass(Subclass)
    yield x[:0]
    if x.ndim == 4:
        yield x.contiguous(memory_format=torch.channels_last)
        yield x.repeat(2, 1, 1, 1)[::2]
    if x.is_complex():
        yield x.conj()
        yield x.conj().resolve_conj()
        yield (1j * x.imag.to(x.dtype)).conj().imag.to(x.dtype)
    else:
        yield torch.complex(x, -x).conj().imag
        yield torch.complex(x, 2 * x)  # which a real operator takes in parts
        yield x.to(torch.float32 if x.dtype == torch.float64 else torch.float64)
        yield (10 * x).int()


def as_numpy(x):
    return x.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg().numpy()


class Subclass(torch.Tensor):
    """A tensor of another class."""


@pytest.mark.parametrize("dtype", ["complex128", "float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor(kind, dtype):
    module, matrix = made(kind, dtype)
    for apply, M, source, target in (
        (module, matrix, module.in_shape, module.out_shape),
        (module.adjoint, matrix.conj().T, module.out_shape, module.in_shape),
        (module.H, matrix.conj().T, module.out_shape, module.in_shape),
    ):
        for x in views(source, dtype):
            for grad in (True, False):
                with torch.set_grad_enabled(grad):
                    y = apply(x)
                batch, numbers = x.shape[: x.ndim - len(source)], as_numpy(x)
                want = (numbers.reshape(*batch, M.shape[1]) @ M.T).reshape(*batch, *target)
                assert y.shape == want.shape
                assert y.requires_grad == (grad and x.requires_grad)
                assert as_numpy(y).dtype == convop.Identity(3, dtype)(numbers.ravel()[:0].reshape(0, 3)).dtype
                assert not y.numel() or error(as_numpy(y), want) <= tolerance(dtype, as_numpy(y).dtype, numbers.dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_new_tensors(kind):
    module, _ = made(kind, "float32")
    x = tensor(module.in_shape, "float32")
    y = module(x)
    before = y.clone()
    x.zero_()
    module(x)
    assert torch.equal(y, before)
    assert y.is_contiguous() or y.dim() > 2
    y += 1  # belongs to the caller


@pytest.mark.filterwarnings(FORWARD)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_take_the_general_way(kind, dtype):
    module, matrix = made(kind, dtype)
    x, v = tensor(module.in_shape, dtype), tensor(module.in_shape, dtype, 2)
    many = tensor((3, *module.in_shape), dtype)
    for apply, M in ((module, matrix), (lambda x: module.adjoint(module(x)), matrix.conj().T @ matrix)):
        want = (v.numpy().ravel() @ M.T).reshape(apply(x).shape)
        _, tangent = torch.func.jvp(apply, (x,), (v,))
        assert error(tangent.numpy(), want) <= 1e-12
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, v)
            assert error(torch.autograd.forward_ad.unpack_dual(apply(dual)).tangent.numpy(), want) <= 1e-12
        assert error(torch.func.vmap(apply)(many).numpy(), apply(many).numpy()) <= 1e-12
        if dtype == "float64":
            assert error(torch.func.jacrev(apply)(x).reshape(M.shape).numpy(), M) <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_are_the_same_once_warm(kind):
    module, _ = made(kind, "float32")
    good = tensor(module.in_shape, "float32")
    for bad, refusal in (
        (good[..., 1:], convop.ShapeError),
        (good.reshape(-1), convop.ShapeError),
        (good[0, 0], convop.ShapeError),
        (good.sum(), convop.ShapeError),
        (good.numpy(), convop.DTypeError),
        (good.to_sparse(), convop.DTypeError),
        (good.to("meta"), convop.DTypeError),
        (good.to(torch.float8_e5m2), convop.DTypeError),
    ):
        cold = convop.to_torch(convop.Convolution(KERNEL.real.astype("f"), GRID), "conv")
        for apply in (module, module.adjoint, module.H):
            if isinstance(bad, torch.Tensor) and bad.shape == good.shape and apply is not module:
                continue
            with pytest.raises(refusal):
                apply(bad)
        with pytest.raises((convop.ShapeError, convop.DTypeError)):
            cold(bad)


def test_hooks_autocast_and_inference():
    for kind in KINDS:
        module, _ = made(kind, "float32")
        x = tensor((2, *module.in_shape), "float32")
        want = module(x)
        seen = []
        handle = module.register_forward_hook(lambda module, given, result, seen=seen: seen.append(result.shape))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(module(x), want)
        with torch.inference_mode():
            assert torch.equal(module(x.clone()), want)
        handle.remove()
        assert len(seen) == 2


@pytest.mark.parametrize("method", METHODS[1:])
@pytest.mark.parametrize("kind", ["one", "layer"])
def test_numbers_that_are_replaced_count(kind, method):
    """By writing to the kernel, by another tensor in its place, by loading, by types."""
    weight = array((4, 3, 2, 3)) if kind == "layer" else array((2, 3))

    def operator(weight):
        layer = convop.conv_layer(weight, CHANNELS, padding=1) if kind == "layer" else None
        return layer or convop.Convolution(weight, GRID, boundary="mirror")

    module, x = convop.to_torch(operator(weight), method), tensor((2, *(CHANNELS if kind == "layer" else GRID)))
    one, two, three = (array(weight.shape, seed=seed) for seed in (5, 6, 7))

    def replaced(numbers):
        module.operator.kernel = torch.from_numpy(numbers)

    for change, numbers in (
        (lambda numbers: module.operator.kernel.copy_(torch.from_numpy(numbers)), one),
        (replaced, two),
        (replaced, three),
        (lambda numbers: module.load_state_dict({"operator.kernel": torch.from_numpy(numbers)}, assign=True), one),
    ):
        module.adjoint(module(x))
        change(numbers)
        want = operator(numbers)
        for each in (module, copy.deepcopy(module)):
            assert error(each(x).numpy(), want(x.numpy())) <= 1e-12
            assert error(each.H(each(x)).numpy(), want.H(want(x.numpy()))) <= 1e-12


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("kind", "method"), [("one", "conv"), ("layer", "conv"), ("layer", "fft"), ("one", "sparse")])
def test_graphs_follow_their_numbers(kind, method):
    torch._dynamo.reset()
    weight = array((4, 3, 2, 3)) if kind == "layer" else array((2, 3))
    make = {"layer": lambda k: convop.conv_layer(k, CHANNELS, padding=1),
            "one": lambda k: convop.Convolution(k, GRID, boundary="mirror")}[kind]  # fmt: skip
    module = convop.to_torch(make(weight), method)
    x = tensor((2, *module.in_shape))
    module(x)

    def named(x):  # torch would trace the repr of a module
        return module(x)

    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    batched = torch.compile(torch.func.vmap(named), backend="aot_eager", fullgraph=True)
    compiled(x), batched(x)
    for seed in (5, 6):
        numbers = array(weight.shape, seed=seed)
        module.operator.kernel.copy_(torch.from_numpy(numbers))
        assert error(compiled(x).numpy(), make(numbers)(x.numpy())) <= 1e-12
        assert error(batched(x).numpy(), make(numbers)(x.numpy())) <= 1e-12


def small():
    return 2 * convop.Convolution(KERNEL.real, GRID, boundary="antireflective", stride=2)


# One of torch's functions, trained and not, and one that is opaque: each takes the compiler some ten seconds.
INDUCTOR = {
    "layer": (lambda: convop.conv_layer(WEIGHT.real, CHANNELS, boundary="symmetric", padding=2), "conv", False),
    "trained layer": (lambda: convop.conv_layer(WEIGHT.real, CHANNELS, boundary="symmetric", padding=2), "conv", True),
    "opaque": (lambda: small().H, "sparse", False),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings(COMPLEX)
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex:UserWarning")
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", INDUCTOR)
def test_inductor(name):
    """One graph, by torch's own compiler: results and gradients are those of the module itself."""
    make, method, trainable = INDUCTOR[name]
    torch._dynamo.reset()
    module = convop.to_torch(make(), method, trainable=trainable)
    compiled = torch.compile(module, fullgraph=True)
    x, y = tensor((2, *module.in_shape)).requires_grad_(), tensor((2, *module.out_shape))
    got, want = compiled(x), module(x)
    assert torch.allclose(got, want)
    wanted = [x, *module.parameters()]
    pairs = zip(torch.autograd.grad(got, wanted, y), torch.autograd.grad(want, wanted, y), strict=True)
    assert all(torch.allclose(*pair) for pair in pairs)
