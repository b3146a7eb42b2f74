"""Derivatives of modules: first and second order, reverse and forward mode, by signals and by trained kernels."""

import numpy as np
import pytest
from cases import array

import convop

torch = pytest.importorskip("torch")

from torch.autograd import gradcheck, gradgradcheck  # noqa: E402
from torch_cases import FORWARD, METHODS, methods_of, tensor  # noqa: E402

pytestmark = pytest.mark.filterwarnings(FORWARD)


def operators(dtype):
    ring = convop.Convolution(array((3,), dtype), 6, boundary="periodic", stride=2)
    line = convop.Convolution(array((3,), dtype), 5, boundary="mirror")
    layer = convop.conv_layer(array((4, 1, 2, 2), dtype), (2, 4, 3), groups=2, stride=(2, 1), padding=((1, 0), (0, 1)))
    return {
        "boundaries": convop.Convolution(array((2, 3), dtype), (3, 3), boundary=("symmetric", "antireflective")),
        "layer": layer,
        "transposed layer": convop.conv_transpose_layer(array((2, 2, 3), dtype), (2, 3), stride=2, padding=1),
        "algebra": line @ convop.Convolution(array((2,), dtype), 5, boundary="replicate") - 2 * line.H,
        "stack": convop.gradient((3, 2), dtype=dtype),
        "circulant": convop.as_circulant(ring),
        "by kernel": convop.Convolution(array((2, 2), dtype), (3, 3)).kernel_operator(array((2, 3, 3), dtype)),
        "unfold": convop.Unfold((1, 4), 2, dtype=dtype),
        "select": convop.Diagonal(array((2,), dtype)) @ convop.Select(5, [3, 1]) @ convop.Extend(3, 1, "mirror"),
        "matrix": convop.as_operator(array((3, 4), dtype)),
        "zero": 0 * convop.Select(5, [3, 1], dtype),
    }


NAMES = tuple(operators("float64"))


def functions(module):
    """Forward and adjoint as functions of a signal and the parameters."""
    names = [name for name, _ in module.named_parameters()]

    def call(part):
        return lambda x, *values: torch.func.functional_call(part, dict(zip(names, values, strict=True)), (x,))

    return call(module), call(module.H)


def require_derivatives(function, *inputs):
    """First and second derivatives along random directions, in reverse and in forward mode."""
    assert gradcheck(function, inputs, fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("method", METHODS)
def test_entry_by_entry(method, dtype):
    """Every partial derivative of a small one: by the signal and by the kernel, of both orders."""
    operator = convop.Convolution(array((2, 2), dtype), (2, 3), boundary=("mirror", "zero"), stride=(1, 2))
    trained = convop.to_torch(operator, method, trainable=True)
    kernel = trained.operator.kernel.detach().clone().requires_grad_()
    for trainable in (convop.to_torch(operator, method), trained):
        values = (kernel,) if trainable is trained else ()
        for function, shape in zip(functions(trainable), (operator.in_shape, operator.out_shape), strict=True):
            x = tensor(shape, dtype).requires_grad_()
            assert gradcheck(function, (x, *values), check_forward_ad=True)
            assert gradgradcheck(function, (x, *values))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", NAMES)
def test_by_signals(name, dtype):
    operator = operators(dtype)[name]
    for method in methods_of(operator):
        module = convop.to_torch(operator, method)
        x, y = (tensor((2, *shape), dtype).requires_grad_() for shape in (operator.in_shape, operator.out_shape))
        for function, z in ((module, x), (module.adjoint, y)):
            require_derivatives(function, z)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", NAMES[:4])
def test_by_signals_and_kernels(name, dtype):
    operator = operators(dtype)[name]
    for method in METHODS[1:]:
        module = convop.to_torch(operator, method, trainable=True)
        kernels = [p.detach().clone().requires_grad_() for p in module.parameters()]
        shapes = operator.in_shape, operator.out_shape
        for function, shape in zip(functions(module), shapes, strict=True):
            x = tensor((2, *shape), dtype).requires_grad_()
            require_derivatives(function, x, *kernels)


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("name", NAMES[:5])
def test_jacobians(name, trainable):
    operator = operators("float64")[name]
    for method in METHODS:
        module = convop.to_torch(operator, method, trainable=trainable)
        for jacobian in (torch.func.jacrev, torch.func.jacfwd):
            got = jacobian(module)(tensor(operator.in_shape)).detach().numpy().reshape(operator.shape)
            assert np.allclose(got, operator.toarray())


@pytest.mark.parametrize("method", METHODS)
def test_a_hessian_is_the_normal_operator(method):
    operator = operators("float64")["algebra"]
    module = convop.to_torch(operator, method)
    hessian = torch.func.hessian(lambda x: module(x).square().sum() / 2)(tensor(5))
    assert np.allclose(hessian.numpy(), (operator.H @ operator).toarray())


def test_backward_is_the_adjoint_as_it_is_applied():
    """No other algorithm differentiates: the gradient is bitwise what the adjoint gives."""
    operator = convop.Convolution(array((3, 4), "float32"), (16, 15), boundary="symmetric", stride=2)
    for method in METHODS:
        module = convop.to_torch(operator, method)
        x, y = tensor((2, 16, 15), "float32").requires_grad_(), tensor((2, *operator.out_shape), "float32")
        (gradient,) = torch.autograd.grad(module(x), x, y)
        assert torch.equal(gradient, module.adjoint(y))
        w = y.clone().requires_grad_()
        assert torch.equal(torch.autograd.grad(module.H(w), w, x.detach())[0], module(x.detach()))


def test_nothing_is_kept_for_the_backward():
    """A linear map needs no signal for its gradient, so memory does not grow with depth."""
    module = convop.to_torch(convop.Convolution(array((3, 3)), (8, 8), boundary="mirror"), "fft")
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        y = tensor((8, 8)).requires_grad_()
        for _ in range(3):
            y = module(y)
    assert saved == []


def test_no_gradient_where_none_is_wanted():
    module = convop.to_torch(convop.gradient((3, 4)))
    with torch.no_grad():
        assert not module(torch.ones(3, 4, requires_grad=True)).requires_grad
    with torch.inference_mode():
        assert module(torch.ones(3, 4)).is_inference()
    assert not module(torch.ones(3, 4)).requires_grad
