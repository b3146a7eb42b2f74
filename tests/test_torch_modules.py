"""Operators as torch modules against dense matrices: every kind, every method, forward, adjoint, batches, complex."""

import numpy as np
import pytest
from cases import Case
from oracle import error

import convop

torch = pytest.importorskip("torch")

from torch_cases import ALL, EXTRA, METHODS, SINGLE, make, methods_of, tensor, tolerance  # noqa: E402

SOME = [*ALL[::4], *EXTRA]


@pytest.fixture(autouse=True)
def one_thread():
    """On arrays this small, threads take all the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def modules(case):
    """The case as a module, by every method that serves it."""
    return [convop.to_torch(case.operator, method) for method in methods_of(case.operator)]


def product(matrix, x, shape):
    """`matrix` times every item of a batch, in double precision."""
    batch = x.shape[: x.ndim - len(shape[0])]
    return (x.reshape(*batch, -1) @ matrix.T).reshape(*batch, *shape[1])


@pytest.mark.parametrize("case", ALL)
def test_forward_adjoint_and_gradient(case):
    matrix, dtype = case.matrix, case.operator.dtype
    there, back = (case.in_shape, case.out_shape), (case.out_shape, case.in_shape)
    for batch in ((), (2, 1, 3)):
        x, y = tensor((*batch, *case.in_shape), dtype), tensor((*batch, *case.out_shape), dtype, 2)
        want, want_back = product(matrix, x.numpy(), there), product(matrix.conj().T, y.numpy(), back)
        for module in modules(case):
            got, got_back = module(x), module.adjoint(y)
            assert got.dtype == got_back.dtype == x.dtype
            assert error(got.numpy(), want) <= tolerance(dtype)
            assert error(got_back.numpy(), want_back) <= tolerance(dtype)
            assert torch.equal(module.H(y), got_back)
            assert torch.equal(module.H.adjoint(x), got)
            for apply, z, w, gradient in ((module, x, y, got_back), (module.adjoint, y, x, got)):
                z = z.clone().requires_grad_()
                assert torch.allclose(torch.autograd.grad(apply(z), z, w)[0], gradient, rtol=SINGLE, atol=SINGLE)


@pytest.mark.parametrize("case", SOME)
def test_types_are_numpys(case):
    """Real operators act on both parts, integers take the operator's precision, nothing widens."""
    each = modules(case)
    for dtype in ("float32", "float64", "complex64", "complex128", "int64", "float16", "bool"):
        x = (4 * tensor(case.in_shape, "complex128" if "complex" in dtype else "float64")).to(getattr(torch, dtype))
        want = case.operator(x.numpy())
        for module in each:
            got = module(x)
            assert str(got.dtype).removeprefix("torch.") == want.dtype.name
            limit = tolerance(want.dtype, case.operator.dtype)
            assert error(got.numpy().ravel(), want.ravel(), case.matrix, x.numpy().ravel()) <= limit


@pytest.mark.parametrize("case", SOME)
def test_vmap_and_empty_batches(case):
    dtype = case.operator.dtype
    x, y = tensor((3, 2, *case.in_shape), dtype), tensor((2, 3, *case.out_shape), dtype)
    for module in modules(case):
        assert torch.allclose(torch.func.vmap(module)(x), module(x), rtol=SINGLE, atol=SINGLE)
        got = torch.func.vmap(torch.func.vmap(module.adjoint), in_dims=1, out_dims=1)(y)
        assert torch.allclose(got, module.adjoint(y), rtol=SINGLE, atol=SINGLE)
        nothing = x[:, :0].clone().requires_grad_()
        assert module(nothing).shape == (3, 0, *case.out_shape)
        (gradient,) = torch.autograd.grad(module(nothing), nothing, y[:0].new_zeros(3, 0, *case.out_shape))
        assert gradient.shape == nothing.shape


@pytest.mark.parametrize("case", ALL)
def test_a_method_that_cannot_serve(case):
    """It is refused by name, with those that can."""
    for method in set(METHODS) - set(methods_of(case.operator)):
        with pytest.raises(convop.GeometryError, match=r"use '(auto|fft)' or 'sparse'|use 'auto' or"):
            convop.to_torch(case.operator, method)


def test_functions_are_refused():
    double = convop.as_operator(forward=lambda x: 2 * x, adjoint=lambda y: 2 * y, in_shape=(4, 5), out_shape=(4, 5))
    for operator in (double, make(0, "mirror") @ double, double + convop.Identity((4, 5)), double.H):
        with pytest.raises(convop.GeometryError, match=r"as_operator\(M\)"):
            convop.to_torch(operator)


@pytest.mark.parametrize("method", ["direct", "Conv", None, 3])
def test_unknown_methods(method):
    with pytest.raises(convop.GeometryError, match="'auto', 'sparse', 'conv', 'fft'"):
        convop.to_torch(make(0, "mirror"), method)


def test_wrong_tensors():
    module = convop.to_torch(make(0, "symmetric", stride=2))
    for x in (torch.zeros(5, 4), torch.zeros(20), torch.zeros(2, 4, 4)):
        with pytest.raises(convop.ShapeError, match=r"\(\*batch, 4, 5\), got"):
            module(x)
    with pytest.raises(convop.ShapeError, match=r"\(\*batch, 2, 3\)"):
        module.adjoint(torch.zeros(4, 5))
    with pytest.raises(convop.ShapeError, match=r"\(\*batch, 2, 3\)"):
        module.H(torch.zeros(4, 5))
    for x in (np.zeros((4, 5)), [1.0], None):
        with pytest.raises(convop.DTypeError, match="torch tensors"):
            module(x)
    with pytest.raises(convop.DTypeError, match=r"to_dense\(\)"):
        module(torch.zeros(4, 5).to_sparse())
    with pytest.raises(convop.DTypeError, match="on cpu, the tensor on meta"):
        module(torch.zeros(4, 5, device="meta"))


def test_wrong_types_and_devices():
    real, complex_ = convop.gradient((3, 4)), make(0, "mirror")
    for dtype in (torch.float16, torch.int32, "int8", "nothing"):
        with pytest.raises(convop.DTypeError, match="dtype must be one of"):
            convop.to_torch(real, dtype=dtype)
    with pytest.raises(convop.DTypeError, match="imaginary parts; use complex64"):
        convop.to_torch(complex_, dtype="float32")
    for device in ("nowhere", "cuda:99", 3.5):
        with pytest.raises(convop.GeometryError, match="cannot be used"):
            convop.to_torch(real, device=device)
    large = convop.Convolution([1e300, 1.0], 5)
    with pytest.raises(convop.DTypeError, match="numbers that float32 cannot"):
        convop.to_torch(large, dtype=torch.float32)


def test_cast():
    operator = make(0, "mirror") @ make(1, "replicate") + 0.5 * convop.Identity((4, 5))
    for method in METHODS:
        module = convop.to_torch(operator, method, dtype=torch.complex64)
        x = tensor((4, 5), "complex64")
        assert module.dtype == module(x).dtype == torch.complex64
        assert error(module(x).numpy(), operator(x.numpy())) <= SINGLE
        wide = convop.to_torch(convop.gradient((4, 5)), method, dtype="complex128")
        assert wide(x.real).dtype == torch.complex128


def test_halves_are_computed_in_single():
    module = convop.to_torch(convop.gradient((3, 4)))
    assert module(torch.ones(3, 4, dtype=torch.bfloat16)).dtype == torch.float32


def test_an_operator_keeps_its_precision_under_autocast():
    module = convop.to_torch(convop.conv_layer(np.ones((2, 2, 3, 3), np.float32), (2, 6, 6)), "conv")
    x = tensor((2, 6, 6), "float32")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = module(x)
    assert torch.equal(got, module(x))
    assert got.dtype == torch.float32


def test_signals_as_torch_hands_them_out():
    """Conjugate views, negative views, strided and channels-last tensors are the numbers they stand for."""
    case = next(case for case in ALL if case.name == "layer")
    for method in METHODS:
        module = convop.to_torch(case.operator, method)
        x = tensor((3, *case.in_shape), "complex128")
        views = [x.conj(), x.conj().imag, x.flip(0), x.to(memory_format=torch.channels_last), x.transpose(0, 1)[:, :1]]
        for view in views[:4]:
            assert torch.allclose(module(view), module(view.clone().resolve_conj().contiguous()))
    single = convop.to_torch(make(0, "mirror"))
    x = tensor((2, 5, 4), "complex128").mT
    for view in (x, x.conj(), x.conj().imag):
        assert torch.allclose(single(view), single(view.clone().resolve_conj().contiguous()))


def test_it_changes_nothing_it_is_given():
    nothing_added = Case("no extension", lambda: convop.Extend(5, 0), None, (5,), (5,))
    for method in METHODS:
        for case in (*SOME, nothing_added):
            if method in methods_of(case.operator):
                x = tensor((2, *case.in_shape), case.operator.dtype)
                before, module = x.clone(), convop.to_torch(case.operator, method)
                y = module(x)
                y.zero_()
                assert torch.equal(x, before)
                assert torch.equal(module(x), module(before))


def test_affine():
    layer = convop.conv_layer(np.arange(24.0).reshape(2, 3, 4), (3, 8), padding=1, bias=[1.0, -2.0])
    whole = convop.Affine(make(0, "mirror"), np.arange(20.0).reshape(4, 5))
    for method in METHODS:
        for affine in (layer, whole):
            module = convop.to_torch(affine, method)
            x = tensor((2, *affine.in_shape))
            assert error(module(x).numpy(), affine(x.numpy())) <= 1e-12
            assert error(module.linear.adjoint(module(x)).numpy(), affine.linear.H(affine(x.numpy()))) <= 1e-12
            with pytest.raises(convop.NotLinearError, match=r"\.linear\.adjoint"):
                module.adjoint(module(x))
            with pytest.raises(convop.NotLinearError, match=r"\.linear\.H"):
                _ = module.H
            assert module.dtype == module(x).dtype
