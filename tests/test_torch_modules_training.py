"""Trained kernels: their gradients against convop's own kernel operator and against torch's convolutions."""

import numpy as np
import pytest
from cases import CASES, array
from oracle import error

import convop

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402
from torch_cases import METHODS, methods_of, tensor, tolerance  # noqa: E402

CONVOLUTIONS = [case for case in CASES if isinstance(case.operator, convop.Convolution)]


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_gradient_by_the_kernel(case):
    """It is the adjoint of the convolution as a map of its kernel."""
    operator, dtype = case.operator, case.operator.dtype
    x, y = tensor((2, *case.in_shape), dtype), tensor((2, *case.out_shape), dtype, 2)
    want = operator.kernel_operator(x.numpy()).using("direct").H(y.numpy())
    for method in methods_of(operator):
        module = convop.to_torch(operator, method, trainable=True)
        (kernel,) = module.parameters()
        assert np.array_equal(kernel.detach().numpy(), operator.kernel)
        assert error(module(x).detach().numpy(), operator(x.numpy())) <= tolerance(dtype)
        assert error(module.adjoint(y).detach().numpy(), operator.H(y.numpy())) <= tolerance(dtype)
        (gradient,) = torch.autograd.grad(module(x), kernel, y)
        assert error(gradient.numpy(), want) <= tolerance(dtype)


@pytest.mark.parametrize("case", CONVOLUTIONS[::4])
def test_gradient_of_the_adjoint_by_the_kernel(case):
    """`<A^H y, x>` is `<y, A x>`: seen from the kernel, both have the same real part."""
    operator, dtype = case.operator, case.operator.dtype
    x, y = tensor((2, *case.in_shape), dtype), tensor((2, *case.out_shape), dtype, 2)
    for method in methods_of(operator):
        module = convop.to_torch(operator, method, trainable=True)
        (kernel,) = module.parameters()
        (there,) = torch.autograd.grad(inner(module(x), y), kernel)
        (back,) = torch.autograd.grad(inner(module.H(y), x), kernel)
        assert error(back.resolve_conj().numpy(), there.resolve_conj().numpy()) <= 10 * tolerance(dtype)


def inner(x, y):
    return (x * y.conj()).sum().real


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 1, 1, 1), (2, 0, 1, 2), ((1, 3), (2, 4), (2, 1), 1), (1, 0, 1, 4)]
)
def test_against_torch(method, dtype, stride, padding, dilation, groups):
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    weight = array((8, 4 // groups, 3, 2), dtype)
    operator = convop.conv_layer(weight, (4, 7, 6), **options)
    module = convop.to_torch(operator, method, trainable=True)
    x, kernel = tensor((3, 4, 7, 6), dtype).requires_grad_(), torch.from_numpy(weight).requires_grad_()
    want = functional.conv2d(x, kernel, **options)
    y = tensor(tuple(want.shape), dtype, 5)
    got = module(x)
    assert error(got.detach().numpy(), want.detach().numpy()) <= tolerance(dtype)
    wants = torch.autograd.grad(want, [x, kernel], y)
    gots = torch.autograd.grad(got, [x, module.operator.kernel], y)
    for a, b in zip(gots, wants, strict=True):
        assert error(a.numpy(), b.numpy()) <= tolerance(dtype)


@pytest.mark.parametrize("method", METHODS)
def test_training_finds_the_kernel(method):
    """Blurred pictures and their originals give the blur back, and with it an operator."""
    true = convop.Convolution(array((3, 4)), (12, 11), boundary="mirror")
    start = true.with_kernel(np.zeros((3, 4)))
    module = convop.to_torch(start, method, trainable=True)
    optimiser = torch.optim.LBFGS(module.parameters(), line_search_fn="strong_wolfe", max_iter=60)
    x = tensor((4, 12, 11))
    y = torch.from_numpy(true(x.numpy()))

    def loss():
        optimiser.zero_grad()
        value = (module(x) - y).square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    found = start.with_kernel(module.operator.kernel.detach().numpy())
    assert error(found.kernel, true.kernel) <= 1e-4
    assert error(module.H(y).detach().numpy(), found.H(y.numpy())) <= 1e-11


def test_every_convolution_of_a_composite_trains():
    a, b = (convop.Convolution(array((3,), seed=n), 8, boundary="mirror") for n in range(2))
    fixed = convop.Diagonal(array((8,)))
    operator = convop.vstack([a @ fixed @ b.H, 2 * a])
    for method in METHODS:
        module = convop.to_torch(operator, method, trainable=True)
        assert [tuple(p.shape) for p in module.parameters()] == [(3,)] * 3
        x = tensor((8,))
        module(x).square().sum().backward()
        assert all(p.grad.abs().min() > 0 for p in module.parameters())
        assert sum("array" in name for name in module.state_dict()) == 1


def test_the_adjoint_shares_the_parameter():
    module = convop.to_torch(convop.Convolution(array((3, 3)), (5, 5)), "conv", trainable=True)
    assert next(module.parameters()) is next(module.H.parameters())
    with torch.no_grad():
        module.operator.kernel.mul_(2)
    operator = convop.Convolution(2 * array((3, 3)), (5, 5))
    y = tensor((5, 5))
    assert np.allclose(module.H(y).detach().numpy(), operator.H(y.numpy()))


def test_an_offset_trains():
    layer = convop.conv_layer(array((2, 3, 3)), (3, 8), bias=[1.0, 2.0])
    module = convop.to_torch(layer, "conv", trainable=True)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "offset": (2,),
        "linear.operator.kernel": (2, 3, 3),
    }
    module(tensor((5, 3, 8))).sum().backward()
    assert torch.allclose(module.offset.grad, torch.full((2,), 30.0, dtype=torch.float64))


@pytest.mark.parametrize("operator", [convop.Identity(3), convop.Diagonal([1.0, 2.0]), convop.as_operator(np.eye(3))])
def test_nothing_to_train_is_refused(operator):
    with pytest.raises(convop.GeometryError, match="no kernel to train"):
        convop.to_torch(operator, trainable=True)
