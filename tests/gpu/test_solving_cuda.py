"""`solve` and `deconvolve` on a card, of CUDA or else of software: numpy's answers and the CPU's gradients."""

import numpy as np
import pytest
from cases import array

import convop

torch = pytest.importorskip("torch")

from accelerators import CARD as DEVICE  # noqa: E402
from accelerators import NEITHER, thinned  # noqa: E402
from test_solving_torch import DTYPES, GRADED, PROBLEMS, relative  # noqa: E402

if DEVICE is None:
    pytest.skip(NEITHER, allow_module_level=True)
KINDS = [("complex128", "gradient"), ("float64", None), ("complex128", None), ("float64", "gradient")]


@pytest.mark.parametrize(("dtype", "penalty"), thinned(KINDS))
@pytest.mark.parametrize("name", PROBLEMS)
def test_is_numpys_solution(name, penalty, dtype):
    A = PROBLEMS[name][0](dtype)
    b = array((2, *A.out_shape), dtype, 5)
    options = {"alpha": 0.05, "regularizer": penalty, "tol": 1e-13}
    got = convop.solve(A, torch.from_numpy(b).to(DEVICE), **options)
    assert got.x.device == DEVICE
    assert relative(got.x.cpu().numpy(), convop.solve(A, b, **options).x) <= 1e-10


@pytest.mark.parametrize("name", ["valid", "full", "periodic", "mirror"])
def test_float32_stays_float32(name):
    A = PROBLEMS[name][0]("float32")
    b = array(A.out_shape, "float32", 5)
    got = convop.solve(A, torch.from_numpy(b).to(DEVICE), alpha=0.1, tol=1e-5)
    assert got.x.dtype == torch.float32
    assert relative(got.x.cpu().numpy(), convop.solve(A, b, alpha=0.1, tol=1e-5).x) <= 1e-4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", GRADED)
def test_gradients_are_the_cpus(method, dtype):
    A = GRADED[method](dtype)
    b, gradients = array((2, *A.out_shape), dtype, 7), []
    for device in ("cpu", DEVICE):
        module = convop.to_torch(A, trainable=True, device=device)
        data = torch.from_numpy(b).to(device).requires_grad_()
        alpha = torch.tensor(0.3, dtype=torch.float64, device=device, requires_grad=True)
        x = convop.solve(module, data, alpha=alpha, tol=1e-12).x
        g = torch.from_numpy(array(x.shape, dtype, 8)).to(device)
        gradients.append(torch.autograd.grad(x, (data, alpha, module.operator.kernel), g))
    for here, there in zip(*gradients, strict=True):
        assert relative(there.resolve_conj().cpu().numpy(), here.resolve_conj().numpy()) <= 1e-9


def test_rules_and_deconvolve():
    image, kernel = np.random.default_rng(0).uniform(0, 255, (40, 42, 3)).astype("u1"), np.full((3, 4), 1 / 12)
    options = {"prior": "tikhonov", "channel_axis": -1}
    got = convop.deconvolve(torch.from_numpy(image).to(DEVICE), torch.from_numpy(kernel), **options)
    want = convop.deconvolve(image, kernel, **options)
    assert (got.x.device, got.x.dtype, got.alpha.device) == (DEVICE, torch.uint8, DEVICE)
    np.testing.assert_allclose(got.scene.cpu().numpy(), want.scene, rtol=0, atol=1e-2)
    with pytest.raises(convop.GeometryError, match="cpu"):
        convop.deconvolve(torch.from_numpy(image).to(DEVICE), kernel, channel_axis=-1)
