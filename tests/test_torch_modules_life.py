"""What torch does with modules: state, copies, files, types, compilation, parents."""

import copy
import io

import numpy as np
import pytest
from cases import array

import convop

torch = pytest.importorskip("torch")

from torch_cases import ALL, COMPLEX, EXTRA, METHODS, SINGLE, make, methods_of, tensor  # noqa: E402

SOME = [*ALL[3::12], *EXTRA]


def same(a, b, x, y):
    return torch.equal(a(x), b(x)) and torch.equal(a.adjoint(y), b.adjoint(y)) and torch.equal(a.H(y), b.H(y))


def signals(case):
    operator = case.operator
    return (tensor((2, *shape), operator.dtype) for shape in (case.in_shape, case.out_shape))


def built(case):
    return [convop.to_torch(case.operator, method) for method in methods_of(case.operator)]


@pytest.mark.parametrize("case", SOME)
def test_state_copies_and_files(case):
    x, y = signals(case)
    for module in built(case):
        other = copy.deepcopy(module)
        assert same(module, other, x, y)
        assert other.H.H is other
        for buffer in other.buffers():
            if buffer.is_floating_point() or buffer.is_complex():
                buffer.mul_(3)
        if other.state_dict():
            assert not torch.equal(other(x), module(x)) or not module(x).any()  # what is derived follows the numbers
        other.load_state_dict(module.state_dict())
        assert same(module, other, x, y)
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        assert same(module, torch.load(file, weights_only=False), x, y)


@pytest.mark.filterwarnings(COMPLEX)
@pytest.mark.parametrize("case", SOME)
def test_types(case):
    x, y = signals(case)
    wide = {torch.float32: torch.float64, torch.complex64: torch.complex128}.get(x.dtype, x.dtype)
    narrow = torch.complex64 if wide.is_complex else torch.float32
    for module in built(case):
        other, small, large = copy.deepcopy(module), x.to(narrow), x.to(wide)
        for target, signal in ((narrow, small), (wide, large), (narrow, small)):
            assert other.to(target) is other
            assert other.dtype == other.H.dtype == other(signal).dtype == target
            assert torch.allclose(other(signal), module(large).to(target), rtol=SINGLE, atol=10 * SINGLE)
            assert torch.allclose(other.H(y.to(target)), module.H(y.to(wide)).to(target), rtol=SINGLE, atol=10 * SINGLE)


@pytest.mark.filterwarnings(COMPLEX)
def test_real_modules_may_become_complex():
    for operator in (
        convop.gradient((3, 4)),
        convop.as_circulant(convop.Convolution([1.0, 2, 3], 5, boundary="periodic")),
    ):
        for method in methods_of(operator):
            module = convop.to_torch(operator, method).to(torch.complex64)
            x = tensor(operator.in_shape, "complex64")
            assert module(x.real).dtype == torch.complex64
            assert np.allclose(module(x).numpy(), operator(x.numpy()), atol=SINGLE)


@pytest.mark.filterwarnings(COMPLEX)
def test_refused_types():
    module = torch.nn.Sequential(convop.to_torch(make(0, "mirror")))
    with pytest.raises(convop.DTypeError, match=r"imaginary parts; use torch\.complex64"):
        module.to(torch.float32)
    assert module[0].dtype == torch.complex128
    real = convop.to_torch(convop.gradient((3, 4)))
    for narrow in (real.half, real.bfloat16):
        with pytest.raises(convop.DTypeError, match="cannot be torch"):
            narrow()
    assert module.double()[0].dtype == torch.complex128  # torch leaves complex numbers alone


def test_a_kernel_set_by_hand_counts():
    for shape, make_one in (((3, 4), lambda k: convop.Convolution(k, (6, 7), boundary="mirror")),
                            ((4, 2, 3, 3), lambda k: convop.conv_layer(k, (2, 6, 7), padding=1))):  # fmt: skip
        for method in METHODS:
            module = convop.to_torch(make_one(array(shape)), method)
            x = tensor((2, *module.in_shape))
            module(x)
            module.operator.kernel.copy_(tensor(shape, seed=9))
            want = make_one(array(shape, seed=9))
            assert np.allclose(module(x).numpy(), want(x.numpy()))
            assert np.allclose(module.H(module(x)).numpy(), want.H(want(x.numpy())))


def test_the_adjoint_is_no_part_of_its_module():
    module = convop.to_torch(convop.Convolution(array((3, 3)), (5, 5)), "conv", trainable=True)
    assert module.H is module.H
    assert module.H.H is module
    assert [name for name, _ in module.named_modules()] == [
        "",
        "operator",
        "operator.extension",
        "operator.extension.edges",
    ]
    assert list(module.state_dict()) == list(module.H.state_dict()) == ["operator.kernel"]
    assert len(list(torch.nn.Sequential(module, module.H).parameters())) == 1
    assert (module.in_shape, module.H.out_shape) == ((5, 5), (5, 5))
    assert "5x5 -> 5x5, torch.float64, adjoint" in repr(module.H)


def test_in_a_network():
    layer = convop.conv_layer(array((4, 1, 3, 3), "float32"), (1, 8, 8), padding=1, bias=np.zeros(4, np.float32))
    network = torch.nn.Sequential(
        convop.to_torch(layer, trainable=True), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 2)
    )
    network(tensor((5, 1, 8, 8), "float32")).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


COMPILED = [(method, trainable, "layer") for method in METHODS[1:] for trainable in (False, True)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("method", "trainable", "kind"), [*COMPILED, ("auto", False, "algebra"), ("conv", True, "one")]
)
def test_compiles(method, trainable, kind):
    """Graphs are whole; results and gradients are those of the module itself."""
    torch._dynamo.reset()
    operator = COMPILABLE[kind]()
    module = convop.to_torch(operator, method, trainable=trainable)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    x, y = tensor((2, *operator.in_shape)).requires_grad_(), tensor((2, *operator.out_shape))
    wanted = [x, *module.parameters()]
    got, want = compiled(x), module(x)
    assert torch.allclose(got, want)
    pairs = zip(torch.autograd.grad(got, wanted, y), torch.autograd.grad(want, wanted, y), strict=True)
    assert all(torch.allclose(*pair) for pair in pairs)


def layer():
    weight = array((4, 1, 2, 2))
    return convop.conv_layer(weight, (2, 6, 5), groups=2, padding=((1, 0), (0, 1)), boundary="symmetric")


def single():
    return convop.Convolution(array((2, 3)), (6, 5), boundary="antireflective", stride=2)


COMPILABLE = {
    "layer": layer,
    "one": single,
    "algebra": lambda: 2 * single().H @ single() + convop.Identity((6, 5)),
}
