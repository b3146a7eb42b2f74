"""The card made of software refuses what a CUDA card refuses, and computes what the CPU computes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from software_card import closed, software_card  # noqa: E402
from torch_cases import tensor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
CARD = software_card()
if CARD is None:
    pytest.skip("torch is too old for devices written in Python", allow_module_level=True)
HERE = tensor((3, 4), "complex128")
THERE = HERE.to(CARD)
INDEX = torch.tensor([2, 0])
ROWS = torch.tensor([0, 1, 3, 4]), torch.tensor([1, 0, 3, 2]), torch.arange(1.0, 5)


def compressed(device, make=torch.sparse_csr_tensor):
    return make(*(part.to(device) for part in ROWS), (3, 4), device=device, check_invariants=False)


def test_where_it_says_tensors_are():
    made = [torch.empty(2, device="card"), torch.arange(3, device=CARD), torch.tensor([1.0], device="card:0")]
    derived = [THERE + 1, THERE.new_zeros(2), torch.zeros_like(THERE), THERE[0].real, HERE.to("card").cfloat().T]
    assert {each.device for each in (*made, *derived)} == {CARD}
    assert not THERE.is_cpu
    assert HERE.device.type == THERE.cpu().device.type == "cpu"
    assert torch.nn.Linear(2, 3).to(CARD).weight.device == torch.nn.Linear(2, 3, device=CARD).weight.device == CARD


@pytest.mark.parametrize(
    "mixture",
    [
        lambda: THERE + HERE, lambda: HERE * THERE, lambda: HERE * THERE[0, 0], lambda: torch.cat([HERE, THERE]),
        lambda: HERE @ THERE.T, lambda: THERE @ HERE.T, lambda: compressed(CARD) @ HERE.real.T,
        lambda: HERE[INDEX.to(CARD)], lambda: HERE.index_select(0, INDEX.to(CARD)),
        lambda: THERE.index_select(0, INDEX), lambda: torch.where(HERE.real > 0, THERE, 0), lambda: HERE.add_(THERE),
        lambda: torch.nn.Linear(4, 2, device=CARD)(HERE.real.float()),
    ],
)  # fmt: skip
def test_two_devices_are_refused(mixture):
    with pytest.raises(RuntimeError, match=r"expected all tensors on one device, got card:0 and cpu"):
        mixture()


def test_what_may_cross():
    number = torch.tensor(2.0, dtype=torch.float64)
    assert torch.equal((THERE * number).cpu(), HERE * number)
    assert torch.equal(THERE[INDEX].cpu(), HERE[INDEX])
    assert torch.equal(torch.empty_like(HERE).copy_(THERE), HERE)
    assert torch.equal(torch.empty_like(THERE).copy_(HERE).cpu(), HERE)
    assert float(THERE.real.sum()) == float(HERE.real.sum())


@pytest.mark.parametrize("read", [lambda x: x.numpy(), np.asarray])
def test_numpy_is_refused(read):
    with pytest.raises(TypeError, match="cpu"):
        read(THERE)
    assert np.array_equal(THERE.conj().numpy(force=True), HERE.conj().numpy(force=True))


def test_what_has_no_kernel_and_whose_generator_is_elsewhere():
    with pytest.raises(NotImplementedError, match="no kernel"):
        compressed(CARD).to_sparse_bsr((1, 2))
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(3, device=CARD, generator=torch.Generator())
    with pytest.raises(NotImplementedError, match="resized"):
        torch.empty(2, device=CARD).resize_(3)


@pytest.mark.parametrize(
    "leaving",
    [
        lambda x: x.cpu(), lambda x: x[0, 0].item(), lambda x: bool(x.real.sum() > 0), lambda x: HERE.to(CARD),
        lambda x: x.nonzero(), lambda x: x[x.real > 0], lambda x: torch.tensor([1.0, 2.0], device=CARD),
        HERE.clone().copy_, lambda x: x[INDEX], lambda x: torch.equal(x, x),
    ],
)  # fmt: skip
def test_a_closed_card(leaving):
    leaving(THERE)
    with closed():
        assert (THERE * 2 + torch.ones_like(THERE)).device == CARD
        with pytest.raises(RuntimeError, match="between card and CPU"):
            leaving(THERE)
    leaving(THERE)


def views(x):
    x = x.clone()
    x[1:].T[0] += 2
    x.view(-1)[::3].mul_(1j)
    x.conj()[0].add_(x[1])
    return x


def gradient(x):
    x = x.detach().requires_grad_()
    y = torch.fft.fft2(torch.nn.functional.pad(x.conj(), (1, 2))).abs().square().sum()
    (first,) = torch.autograd.grad(y * x.abs().sum(), x, create_graph=True)
    return torch.autograd.grad(first.abs().sum(), x)[0]


def trained(x):
    layer = torch.nn.Linear(4, 2, dtype=torch.float64, device="cpu")
    with torch.no_grad():
        layer.weight.copy_(HERE.real[:2])
        layer.bias.zero_()
    layer = layer.to(x.device)
    layer(x.real).square().sum().backward()
    torch.optim.Adam(layer.parameters(), 0.1).step()
    layer.to(torch.float32)
    assert layer.weight.dtype == torch.float32
    return layer(x.real.float())


@pytest.mark.parametrize(
    "compute",
    [
        views, gradient, trained, lambda x: x.conj() @ x.mT, lambda x: x.conj().imag * 2, lambda x: x.mH,
        lambda x: x.conj().imag.index_add(0, INDEX.to(x.device), x.conj().imag[:2]),
        lambda x: torch.view_as_real(x.conj().resolve_conj()), lambda x: torch.func.vmap(torch.fft.fft)(x.T),
        lambda x: torch.func.jacrev(torch.square)(x.real), lambda x: torch.linalg.eigh(x @ x.mH)[0],
        lambda x: torch.nn.functional.conv1d(x.real[None], x.imag[:2, None, :2].expand(-1, 3, -1)),
    ],
)  # fmt: skip
def test_it_computes_what_the_cpu_computes(compute):
    want, got = compute(HERE), compute(THERE)
    assert (got.device, got.dtype, got.shape) == (CARD, want.dtype, want.shape)
    assert got.stride() == want.stride()
    assert (got.is_conj(), got.is_neg()) == (want.is_conj(), want.is_neg())
    assert torch.equal(got.cpu(), want)


@pytest.mark.parametrize("make", [torch.sparse_csr_tensor, torch.sparse_coo_tensor])
def test_sparse_matrices(make):
    if make is torch.sparse_coo_tensor:
        places = torch.stack([torch.tensor([0, 1, 1, 2]), ROWS[1]]).to(CARD)
        matrix = make(places, ROWS[2].to(CARD), (3, 4), device=CARD, is_coalesced=True, check_invariants=False)
    else:
        matrix = compressed(CARD)
    want = compressed("cpu").to_dense()
    assert (matrix.device, matrix.layout) == (CARD, getattr(torch, make.__name__.removesuffix("_tensor")))
    assert (matrix._nnz(), matrix.values().device) == (4, CARD)
    assert torch.equal(matrix.to_dense().cpu(), want)
    x = torch.arange(8.0).reshape(4, 2)
    assert torch.equal((matrix @ x.to(CARD)).cpu(), want @ x)
