"""What tests of torch modules share: the oracle is torch itself, its answers and its Jacobian."""

import numpy as np
import torch
from cases import array
from oracle import error

import convop

TOLERANCE = {"float32": 2e-5, "float64": 1e-12, "complex64": 2e-5, "complex128": 1e-12}


def randomised(module, dtype="float64", seed=0):
    """The module in eval mode with random parameters and statistics of `dtype`."""
    torch.manual_seed(seed)
    kind = getattr(torch, dtype)
    # As module.to(kind) does, which warns of complex modules.
    module._apply(lambda t: t.to(kind) if t.is_floating_point() or t.is_complex() else t).eval()
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point() or tensor.is_complex():
                tensor.normal_()
    return module


def jacobian(module, point):
    """The matrix that torch differentiates at a point (of any holomorphic, or real, module)."""

    def batch():  # of two, since some code treats a batch of one in its own way
        return torch.from_numpy(np.stack([point, point]))

    with torch.no_grad():
        value = module(batch())[0]
    rows = []
    for number in range(value.numel()):
        x = batch().requires_grad_()
        y = module(x.clone())[0].reshape(-1)
        unit = torch.zeros_like(y)
        unit[number] = 1
        rows.append(torch.autograd.grad(y, x, unit)[0][0].numpy().ravel().conj())
    return np.stack(rows)


def agrees(module, in_shape, dtype="float64", gradient=True):
    """Read a module; compare what it answers, and its adjoint with what torch differentiates. Returns what was read."""
    A = convop.from_torch(module, in_shape, dtype=dtype)
    linear = A.linear if isinstance(A, convop.Affine) else A
    x = array((3, *in_shape), dtype, 1)
    given = torch.from_numpy(x).requires_grad_()
    answer = module(given.clone())
    want = answer.detach().numpy()
    assert (A.in_shape, A.out_shape, A.dtype) == (tuple(in_shape), want.shape[1:], np.dtype(dtype))
    assert error(A(x), want) <= TOLERANCE[dtype]
    if gradient:
        y = array(want.shape, dtype, 2)
        (back,) = torch.autograd.grad(answer, given, torch.from_numpy(y))
        assert error(linear.H(y), back.numpy()) <= TOLERANCE[dtype]
    return A


def linearises(module, in_shape, seed=3):
    """Read a module at a point, and compare the whole matrix with torch's Jacobian."""
    point = array(in_shape, "float64", seed)
    A = convop.from_torch(module, in_shape, at=point, dtype="float64")
    assert isinstance(A, convop.Operator)
    assert error(A.toarray(), jacobian(module, point)) <= 1e-12
    return A
