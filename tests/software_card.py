"""A card made of software: a torch device of its own, `card:0`, whose tensors keep their numbers in CPU memory.

It refuses what a CUDA card refuses: tensors of two devices in one operation (but a single CPU number may meet tensors
of the card, and CPU indices may index them), numpy, random generators of the CPU, and conversions that torch has no
CUDA kernel for. Every operation reaches `CardTensor.__torch_dispatch__`, below autograd and torch.func, is computed by
torch's CPU kernels, and what comes of it is on the card again. So it tests devices, numbers, gradients and transforms.

It ends there. It has no kernels, streams, memory or speed of its own: what cuDNN, cuFFT and cuSPARSE accept, round or
order in their own way, CUDA alone can show. Its tensors are a subclass of `torch.Tensor`, so code with a short cut for
plain tensors takes its general way; they cannot be resized in place; and torch.compile does not know the device.
"""

from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

aten = torch.ops.aten
# torch's experimental door for devices written in Python, from torch 2.9 on.
_setup = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
# Functions that make tensors out of nothing, of which torch makes the others.
_FACTORIES = ("empty.memory_format", "empty_strided", "arange.start_step", "arange.start", "arange", "eye", "eye.m")
_INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
# For CUDA, torch warns that it does these on the CPU.
_ON_CPU_ONLY = (aten._to_sparse_bsr.default, aten._to_sparse_bsc.default)
# The size of what they answer is known to the CPU once they are done.
_WAITED_FOR = (aten.nonzero.default, aten.masked_select.default, aten._unique2.default, aten.bincount.default)


def software_card() -> torch.device | None:
    """The device, made known to torch at the first call; None where torch is too old for it.

    It must be known before the first backward of the process, when autograd counts the devices.
    """
    if _setup is None:
        return None
    if not hasattr(torch, "card"):
        _setup("card", backend_module=_backend())
        for name in _FACTORIES:
            torch.library.impl(f"aten::{name}", "PrivateUse1")(_factory(name))
        torch.library.impl("aten::_copy_from", "PrivateUse1")(_copied)
    return torch.device("card:0")


def _backend():
    """What torch asks of a device's module: its own plain one, the types for autocast, and nobody gets it unasked."""
    backend = backend_registration._DummyBackendModule()
    backend.is_available = lambda: False
    backend.get_amp_supported_dtype = lambda: [torch.float16]
    return backend


class CardTensor(Tensor):
    """A tensor of the card; `host` holds its numbers."""

    host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: Tensor) -> "CardTensor":
        dense = host.layout == torch.strided
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, host.shape, host.stride() if dense else None, dtype=host.dtype, layout=host.layout, device="card:0",
            dispatch_layout=not dense,
        )  # fmt: skip
        torch._C._set_conj(tensor, host.is_conj())  # what is still to be conjugated is so on the card, too
        torch._C._set_neg(tensor, host.is_neg())
        tensor.host = host
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})

    def numpy(self, *, force=False):
        if not force:
            raise TypeError("can't convert card:0 device type tensor to numpy; use Tensor.cpu() first")
        return self.detach().cpu().resolve_conj().resolve_neg().numpy()

    def __repr__(self, **_):
        return f"{self.host!r} on card:0"

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, other):  # so `Module.to(dtype)` changes a parameter
        torch.Tensor.data.__set__(self, other)
        self.host = other.host

    def as_subclass(self, kind):
        """The same numbers as a tensor of another kind, which is one of the card all the same."""
        with _set(_State, "kind", _on_card(kind)):
            return aten.alias(self)


@cache
def _on_card(kind):
    return CardTensor if issubclass(CardTensor, kind) else type(kind.__name__, (kind, CardTensor), {})


class _State:
    """What holds for all operations."""

    kind = CardTensor  # of tensors that operations make
    closed = False  # whether numbers may not leave or enter the card


@contextmanager
def _set(owner, name, value):
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def closed():
    """Within it, moving numbers between card and CPU is refused, and what a CUDA card would have to be waited for."""
    return _set(_State, "closed", True)


def _computed(func, args, kwargs):
    """What the CPU makes of the numbers, on the card unless another device is asked for."""
    given = [each for each in pytree.tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    if func is torch.ops.prim.layout.default:
        return given[0].host.layout
    _require_possible(func, given, kwargs.get("generator"))
    target = kwargs.get("device")
    leaves = target is not None and torch.device(target).type != "card"
    args, kwargs = pytree.tree_map(_host, (args, kwargs if target is None else {**kwargs, "device": "cpu"}))
    result = func(*args, **kwargs)
    known = {id(_host(each)): each for each in given}
    answer = pytree.tree_map_only(Tensor, lambda t: _found(t, known, leaves), result)
    if _State.closed:
        _require_inside(func, given, answer)
    return answer


def _found(result, known, leaves):
    """A tensor that was given, as it was given; another one on the card, unless it leaves that."""
    same = known.get(id(result))
    if same is None:
        return result if leaves else _State.kind(result)
    if same.shape != result.shape:
        raise NotImplementedError("tensors of the software card cannot be resized")
    return same


def _require_possible(func, given, generator):
    foreign = _foreign(given)
    crosses = func is aten.copy_.default or (func in _INDEXED and isinstance(given[0], CardTensor))
    if foreign and not crosses:
        raise RuntimeError(f"{func}: expected all tensors on one device, got card:0 and {foreign[0].device}")
    if func in _ON_CPU_ONLY:
        raise NotImplementedError(f"{func} has no kernel for a card")
    if generator is not None:
        raise RuntimeError(f"{func}: expected a generator of card:0, got one of {generator.device}")


def _require_inside(func, given, answer):
    numbers = [each for each in pytree.tree_leaves(answer) if each is not None and not isinstance(each, CardTensor)]
    masks = func in _INDEXED and any(each.dtype == torch.bool for each in given[1:])
    if numbers or _foreign(given) or masks or func in _WAITED_FOR:
        raise RuntimeError(f"{func} moves numbers between card and CPU, or waits for the card")


def _foreign(given):
    """Tensors of the CPU that are no single number."""
    return [each for each in given if not isinstance(each, CardTensor) and each.ndim]


def _host(value):
    return value.host if isinstance(value, CardTensor) else value


def _factory(name):
    base, _, overload = name.partition(".")
    function = getattr(getattr(aten, base), overload or "default")

    def make(*args, **kwargs):
        kwargs.pop("pin_memory", None)  # a matter of CPU memory
        return _State.kind(function(*args, **{**kwargs, "device": "cpu"}))

    return make


def _copied(source, target, non_blocking=False):
    """A copy in those places where torch turns to the device itself."""
    if _State.closed:
        raise RuntimeError("a copy moves numbers between card and CPU")
    _host(target).copy_(_host(source))
    return target
