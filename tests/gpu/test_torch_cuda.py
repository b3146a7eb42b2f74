"""The same correctness on a card, of CUDA or else of software: modules, gradients, training, matrices made there."""

import numpy as np
import pytest
from cases import CASES, array
from oracle import error

import convop

torch = pytest.importorskip("torch")

from accelerators import CARD as DEVICE  # noqa: E402
from accelerators import NEITHER, SIMULATED, without_waiting  # noqa: E402
from torch_cases import ALL, methods_of, tensor, tolerance  # noqa: E402

if DEVICE is None:
    pytest.skip(NEITHER, allow_module_level=True)
EACH_KIND = list({(type(case.operator), case.operator.dtype, len(case.in_shape)): case for case in ALL}.values())
CONVOLUTIONS = [case for case in CASES if isinstance(case.operator, convop.Convolution)]


@pytest.fixture(autouse=True)
def full_precision():
    """Float32 is float32: without TF32, which rounds to ten bits."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def product(matrix, x, shape):
    return (x.reshape(len(x), -1) @ matrix.T).reshape(len(x), *shape)


@pytest.mark.parametrize("case", ALL)
def test_forward_adjoint_and_gradient(case):
    operator, matrix, dtype = case.operator, case.matrix, case.operator.dtype
    x, y = tensor((3, *case.in_shape), dtype), tensor((3, *case.out_shape), dtype, 2)
    want, want_back = product(matrix, x.numpy(), case.out_shape), product(matrix.conj().T, y.numpy(), case.in_shape)
    x, y = x.to(DEVICE).requires_grad_(), y.to(DEVICE)
    methods = methods_of(operator)
    for method in methods[SIMULATED and len(methods) > 1 :]:  # "auto" is one of the others
        made_there = [] if SIMULATED else [convop.to_torch(operator, method, device=DEVICE)]  # other tests make some
        for module in (*made_there, convop.to_torch(operator, method).to(DEVICE)):
            got = module(x)
            assert got.device == DEVICE
            assert error(got.detach().cpu().numpy(), want) <= tolerance(dtype)
            assert error(module.H(y).cpu().numpy(), want_back) <= tolerance(dtype)
            (gradient,) = torch.autograd.grad(got, x, y)
            assert error(gradient.cpu().numpy(), want_back) <= tolerance(dtype)
            assert torch.allclose(torch.func.vmap(module)(x.detach()), got.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_trained_kernels(case):
    operator, dtype = case.operator, case.operator.dtype
    x, y = tensor((2, *case.in_shape), dtype), tensor((2, *case.out_shape), dtype, 2)
    want = operator.kernel_operator(x.numpy()).using("direct").H(y.numpy())
    for method in methods_of(operator):
        module = convop.to_torch(operator, method, device=DEVICE, trainable=True)
        (gradient,) = torch.autograd.grad(module(x.to(DEVICE)), list(module.parameters()), y.to(DEVICE))
        assert error(gradient.resolve_conj().cpu().numpy(), want) <= tolerance(dtype)


@pytest.mark.parametrize("case", EACH_KIND)
@pytest.mark.parametrize("trainable", [False, True])
def test_nothing_leaves_the_card(case, trainable):
    """Once what is derived from the kernel is there, applying, the adjoint, gradients and vmap are the card's own."""
    for method in methods_of(case.operator):
        try:
            module = convop.to_torch(case.operator, method, device=DEVICE, trainable=trainable)
        except convop.GeometryError:
            assert trainable  # it has no kernel
            return
        x = torch.ones(2, *case.in_shape, dtype=module.dtype, device=DEVICE, requires_grad=True)
        y = torch.ones(2, *case.out_shape, dtype=module.dtype, device=DEVICE)
        module(x), module.H(y)
        with without_waiting():
            module(x).backward(y)
            module.H(y)
            torch.func.vmap(module)(x.detach())


@pytest.mark.parametrize("method", ["conv", "fft", "sparse"])
def test_second_derivatives(method):
    operator = convop.Convolution(array((3, 2), "complex128"), (6, 5), boundary="mirror")
    results = []
    for device in ("cpu", DEVICE):
        module = convop.to_torch(operator, method, device=device, trainable=True)
        x = tensor((2, 6, 5), "complex128").to(device).requires_grad_()
        (first,) = torch.autograd.grad(module(x).abs().square().sum(), x, create_graph=True)
        second = torch.autograd.grad(first.abs().square().sum(), (x, module.operator.kernel))
        results.append([each.resolve_conj().cpu().numpy() for each in second])
    for there, here in zip(*results, strict=True):
        assert error(there, here) <= 1e-12


@pytest.mark.parametrize("method", ["conv", "fft", "sparse"])
def test_jacobians(method):
    operator = convop.Convolution(array((3, 2), "float64"), (6, 5), boundary="mirror")
    module = convop.to_torch(operator, method, device=DEVICE)
    x = tensor((6, 5)).to(DEVICE)
    assert error(torch.func.jacrev(module)(x).cpu().numpy().reshape(30, 30), operator.toarray()) <= 1e-12


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "bsr"])
def test_matrices(case, layout):
    blocks = {"blocksize": 1} if layout == "bsr" else {}
    matrix = convop.to_torch_sparse(case.operator, layout, device=DEVICE, **blocks)
    assert matrix.device == DEVICE
    assert matrix._nnz() == case.operator.tosparse().nnz
    assert error(matrix.to_dense().cpu().numpy(), case.matrix) <= tolerance(case.operator.dtype)


def test_no_matrix_on_the_host(monkeypatch):
    """For a card, the matrix of a convolution is computed there."""
    operator = convop.conv_layer(array((4, 2, 3, 3), "float32"), (2, 9, 8), padding=1, boundary="mirror")
    want = operator.toarray()

    def refused(*_, **__):
        raise AssertionError("a matrix was built in the machine's memory")

    monkeypatch.setattr(convop.Convolution, "_csr", refused)
    for layout in ("csr", "csc", "coo"):
        matrix = convop.to_torch_sparse(operator, layout, device=DEVICE)
        assert np.allclose(matrix.to_dense().cpu().numpy(), want, atol=1e-6)
    module = convop.to_torch(operator, "sparse", device=DEVICE)
    x = tensor((2, 2, 9, 8), "float32")
    assert error(module(x.to(DEVICE)).cpu().numpy(), operator(x.numpy())) <= 2e-5


def test_products_are_deterministic():
    operator = convop.Convolution(array((5, 5), "float32"), (64, 63), boundary="mirror")
    module = convop.to_torch(operator, "sparse", device=DEVICE)
    y = tensor((3, 64, 63), "float32").to(DEVICE)
    assert all(torch.equal(module.adjoint(y), module.adjoint(y)) for _ in range(5))


def test_a_tensor_elsewhere_is_refused():
    module = convop.to_torch(convop.gradient((3, 4)), device=DEVICE)
    with pytest.raises(convop.DTypeError, match=r"\.to\(device\)"):
        module(torch.zeros(3, 4))
