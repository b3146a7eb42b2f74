"""A tensor that knows by which linear map it came from the input of a network.

`__torch_function__` sees every torch function that a layer calls, and asks the table of readers what linear map that
is. torch itself computes the numbers along the way, on a batch of two, so shapes, refusals and offsets are torch's own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ....arguments import Shape
from ....dtypes import DType
from ....errors import ConvopError, DTypeError, GeometryError, NotLinearError
from .branch import Branch, Settings

BATCH = 2  # arrays at a time, so that a layer that mixes or drops the batch axis shows it
T = TypeVar("T", bound=Callable[..., Any])

# By the name of a torch function, in its module, its method and its operator form: what a call of it maps to.
READERS: dict[str, Callable[..., Any]] = {}
# Functions that ask for sizes and types, or make constants of them, and do not read the values.
_ASKING = """
    size dim ndimension ndim shape numel nelement __len__ dtype device layout is_cuda requires_grad get_device
    is_floating_point is_complex element_size stride is_contiguous names is_sparse is_quantized is_nested is_meta
    zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty new_tensor __format__ __repr__
"""
# Functions that turn values into what code can branch by.
_DECIDING = """
    __bool__ __int__ __float__ __complex__ __index__ __contains__ item tolist numpy __array__ equal allclose nonzero
    gt lt ge le eq ne greater less greater_equal less_equal any all isnan isinf isfinite isclose argmax argmin
"""
# Arguments that say how a result is to be stored.
_HOW = ("inplace", "out")
ASKING, DECIDING = frozenset(_ASKING.split()), frozenset(_DECIDING.split())


def reads(*names: str) -> Callable[[T], T]:
    """Register `reader(call, *args, **kwargs)`, with the arguments of the torch functions called `names`.

    It answers the Branch of the result, or a list of them.
    """

    def register(reader: T) -> T:
        READERS.update(dict.fromkeys(names, reader))
        return reader

    return register


class Refusal(Exception):
    """Carries an error out of torch, whose operators would take a TypeError for an operand they do not know."""

    def __init__(self, reason: ConvopError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Traced(torch.Tensor):
    """A tensor of shape `(BATCH, *shape)` and its place among the values of the network."""

    branch: Branch
    version: int

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return cls._answer(Call(func, args, kwargs or {}))
        except ConvopError as error:
            raise Refusal(error) from error

    @staticmethod
    def _answer(call: "Call") -> Any:
        if call.name in ASKING:
            return call.result
        if call.name in DECIDING:
            raise NotLinearError(
                f"the code of the module reads values ({call.name}), so what it does depends on them; a linear map "
                f"does the same for all inputs"
            )
        return call.traced(call.read())


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a torch function on traced tensors."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @cached_property
    def name(self) -> str:
        """The function's name; that of the attribute for one that is looked up."""
        name = getattr(self.func, "__name__", type(self.func).__name__)
        return self.func.__self__.__name__ if name == "__get__" else name

    @cached_property
    def settings(self) -> Settings:
        return self.operands[0].branch.settings

    @property
    def dtype(self) -> DType:
        return self.settings.dtype

    @cached_property
    def operands(self) -> list[Traced]:
        """The traced tensors among the arguments."""
        return [value for value in _leaves((self.args, self.kwargs)) if isinstance(value, Traced)]

    @cached_property
    def result(self) -> Any:
        """What torch makes of it."""
        return plainly(self.func, *self.args, **self.kwargs)

    @cached_property
    def out_shape(self) -> Shape:
        """Shape of the result without the batch axis."""
        return tuple(self.result.shape[1:])

    def read(self) -> list[Branch]:
        """The place of each tensor in the result, before torch is asked for any."""
        for operand in self.operands:
            require_fresh(operand)
        if self.in_place and not isinstance(self.args[0], Traced):
            raise NotLinearError(f"{self.name} writes into a tensor that does not come from the input; add to a clone")
        reader = READERS.get(self.name.removesuffix("_") if self.in_place else self.name)
        if reader is None or self.kwargs.get("out") is not None:
            raise NotLinearError(
                f"{self.name} is none of the linear functions that from_torch knows; where it is linear all the same, "
                f"write it with functions that are, or give its matrix to convop.as_operator"
            )
        named = {"x" if key == "input" else key: v for key, v in self.kwargs.items() if key not in _HOW}
        branches = reader(self, *self.args, **named)
        return branches if isinstance(branches, list) else [branches]

    @property
    def in_place(self) -> bool:
        return bool(self.kwargs.get("inplace")) or (self.name.endswith("_") and not self.name.endswith("__"))

    def traced(self, branches: list[Branch]) -> Any:
        """torch's result with the places of its tensors."""
        many = isinstance(self.result, (tuple, list))
        results = self.result if many else (self.result,)
        if len(results) != len(branches):
            raise NotLinearError(f"{self.name} also returns what is no linear map of its input; use its tensor only")
        given = self.operands[0].dtype
        for result in results:
            if result.dtype != given:
                raise DTypeError(
                    f"{self.name} turns {given} into {result.dtype}; an operator computes in one type, so let all "
                    f"constants have the type of the parameters"
                )
        traced = [_with_branch(result, branch, self.name) for result, branch in zip(results, branches, strict=True)]
        return type(self.result)(traced) if many else traced[0]

    def constant(self, value: Any, what: str) -> NDArray[Any]:
        """A weight or another constant as an array."""
        if isinstance(value, Traced):
            raise NotLinearError(f"{self.name} with {what} that depends on the input is not linear in the input")
        return as_array(value)


def traced_input(point: torch.Tensor, settings: Settings) -> Traced:
    """The input of a network: the root of the tree."""
    return _with_branch(batch_of(point), Branch(tuple(point.shape), settings), "the input")


def batch_of(point: torch.Tensor) -> torch.Tensor:
    return point.expand(BATCH, *point.shape).clone()


def _with_branch(result: torch.Tensor, branch: Branch, name: str) -> Traced:
    if tuple(result.shape) != (BATCH, *branch.shape):
        raise GeometryError(
            f"{name} makes an array of shape {tuple(result.shape)} of a batch of {BATCH}, needed "
            f"{(BATCH, *branch.shape)}: one result for each array of the batch, which stays the first axis"
        )
    traced = result if isinstance(result, Traced) else result.as_subclass(Traced)
    traced.branch = branch
    traced.version = _version(traced)
    return traced


def require_fresh(tensor: Traced) -> None:
    """Refuse a tensor whose memory was written to under another name, so that its place is out of date."""
    if _version(tensor) != tensor.version:
        raise NotLinearError(
            "a tensor was changed in place under another name (a view of it), and used under this one; change a clone"
        )


def _version(tensor: torch.Tensor) -> int:
    """How often its memory was written to, under any name."""
    return plainly(getattr, tensor, "_version")


def plainly(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function with traced tensors taken as the plain tensors that they also are."""
    with torch._C.DisableTorchFunctionSubclass():
        return func(*args, **kwargs)


def plain(value: Any) -> Any:
    """A traced tensor as a plain one, sharing its memory; anything else as it is."""
    return plainly(lambda: value.as_subclass(torch.Tensor)) if isinstance(value, Traced) else value


def as_array(value: Any) -> NDArray[Any]:
    """A tensor or a number as an array; bfloat16, which numpy lacks, as float32."""
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    tensor = plain(value).detach().cpu().resolve_conj().resolve_neg()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, (tuple, list)):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, dict):
        yield from _leaves(tuple(value.values()))
    else:
        yield value
