"""Run the code of a module on a traced tensor, and say which layer could not be read.

The code runs as it is, so whatever depends on sizes only (branches, loops, padding to a multiple) is followed. What
never reaches `__torch_function__` (scripted functions, C++ extensions) would look like a constant; therefore what was
read is compared once with what torch finds.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ....dtypes import DType, as_dtype, working
from ....errors import ConvopError, GeometryError, NotLinearError
from ....operator import Operator
from ..number_types import torch_dtype

# These fill the table of readers.
from . import along_axes as along_axes
from . import arithmetic as arithmetic
from . import arranging as arranging
from . import contracting as contracting
from . import convolving as convolving
from . import linearising as linearising
from . import masking as masking
from . import pooling as pooling
from . import resampling as resampling
from .branch import Settings
from .traced import Refusal, Traced, as_array, batch_of, require_fresh, traced_input

SINGLE = np.dtype(np.float32)
MISREAD = 1e-2  # far above rounding, far below what a missing part of a network changes


def kind_of(module: nn.Module, dtype: Any) -> tuple[DType, torch.dtype, torch.device]:
    """The type that a module computes in, in numpy's and torch's words, and where; `dtype` if it has no parameters."""
    tensors = list(chain(module.parameters(), module.buffers()))
    if any(map(is_lazy, tensors)):
        raise GeometryError(f"{type(module).__name__} has parameters without a shape yet; run it once on a batch")
    numbers = [tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()]
    if not numbers:
        device = tensors[0].device if tensors else torch.get_default_device()  # there may be indices, or a mask
        return as_dtype(dtype), torch_dtype(as_dtype(dtype)), device
    types = {working(as_array(torch.empty(0, dtype=t.dtype)).dtype, SINGLE, "the module") for t in numbers}
    return np.result_type(*types), max((t.dtype for t in numbers), key=_width), numbers[0].device


def _width(dtype: torch.dtype) -> tuple[bool, int]:
    return dtype.is_complex, dtype.itemsize


def run(module: nn.Module, point: Tensor, settings: Settings) -> tuple[Operator, bool, NDArray[Any]]:
    """The linear map that the module is around `point`, whether it adds an offset, and its value at `point`."""
    _require_code(module)
    with torch.inference_mode(False), _as_written(), _unchanged(module):
        given = traced_input(point, settings)
        root = given.branch
        answer = _followed(module, given)
        operator, shifts = answer.branch.since(root)
        value = as_array(answer)[0]
        _compare(module, point, operator, value, settings.linearise)
    return operator, shifts, value


def _require_code(module: nn.Module) -> None:
    """Refuse what is compiled to a form that no tensor can look into."""
    for path, layer in module.named_modules():
        if isinstance(layer, torch.jit.ScriptModule):
            where = f"{path} ({type(layer).__name__})" if path else type(layer).__name__
            raise NotLinearError(
                f"{where} is scripted or traced by torch.jit, so that its code cannot be followed; give the module "
                f"that it was made from"
            )


def _as_written() -> AbstractContextManager[Any]:
    """What torch.compile made of a module is not called, but the module's own code."""
    compiles = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")  # from torch 2.6 on
    return torch.compiler.set_stance("force_eager") if compiles else nullcontext()


@contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Refuse a module that writes into its own tensors: the next call would find another map."""
    before = {name: (tensor, tensor._version) for name, tensor in _counted(module)}
    yield
    for name, tensor in _counted(module):
        if name not in before or before[name][0] is not tensor or before[name][1] != tensor._version:
            raise NotLinearError(
                f"{type(module).__name__} changes {name} at each call, so it is another map each time; use "
                f"module.eval()"
            )


def _counted(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a module whose changes torch counts; integers count calls."""
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if not tensor.is_inference() and (tensor.is_floating_point() or tensor.is_complex()):
            yield name, tensor


def _followed(module: nn.Module, given: Traced) -> Traced:
    """The answer of the module, with its place among the values."""
    shape, dtype = given.branch.shape, given.dtype
    try:
        with torch.no_grad():
            answer = module(given)
            if isinstance(answer, Traced):
                require_fresh(answer)
                return answer
    except (Refusal, ConvopError) as error:
        reason = error.reason if isinstance(error, Refusal) else error
        raise type(reason)(f"{_where(module, error)}: {error}") from error
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise GeometryError(
            f"{_where(module, error)}: torch refuses an input of shape {shape} and {dtype}, with a batch axis in front "
            f"({str(error).strip().splitlines()[0]}); give in_shape without the batch axis"
        ) from error
    raise NotLinearError(
        f"{type(module).__name__} returns {_described(answer)}, needed one tensor that is made of its input; wrap the "
        f"module in one that returns a single tensor"
    )


def _described(answer: Any) -> str:
    return "a constant tensor" if isinstance(answer, Tensor) else f"an object of type {type(answer).__name__}"


def _where(module: nn.Module, error: Exception) -> str:
    """The innermost layer that was running when the error came up: `features.3 (ReLU)`."""
    paths = {id(layer): path for path, layer in module.named_modules()}
    owners = [module, *(frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__))]
    layer = [owner for owner in owners if isinstance(owner, nn.Module) and id(owner) in paths][-1]
    path, kind = paths[id(layer)], type(layer).__name__
    return f"{path} ({kind})" if path else kind


def _compare(module: nn.Module, point: Tensor, operator: Operator, value: NDArray[Any], linearise: bool) -> None:
    """Whether torch finds the same on one random array: the change of the answer, or the gradient at a point."""
    random = {"generator": torch.Generator().manual_seed(0), "dtype": point.dtype, "device": "cpu"}
    if linearise:
        y = torch.randn(operator.out_shape, **random).to(point.device)
        want, got = _gradient(module, point, y), operator.H(as_array(y))
    else:
        x = torch.randn(operator.in_shape, **random).to(point.device)
        with torch.no_grad():
            want, got = as_array(module(batch_of(x))[0]) - value, operator(as_array(x))
    rounding = 100 * np.finfo(value.dtype).eps * np.linalg.norm(value)
    if np.linalg.norm(got - want) > MISREAD * np.linalg.norm(want) + rounding:
        raise NotLinearError(
            f"{type(module).__name__} was read as {operator!r}, and torch finds something else: part of its code is "
            f"random or hidden from from_torch (scripted functions, C++ extensions); write that part with plain torch "
            f"functions, in eval mode"
        )


def _gradient(module: nn.Module, point: Tensor, y: Tensor) -> NDArray[Any]:
    with torch.enable_grad():
        x = batch_of(point).requires_grad_()
        result = module(x.clone())  # a module may overwrite what it is given
        if not result.requires_grad:
            return np.zeros(tuple(point.shape))
        return as_array(torch.autograd.grad(result, x, batch_of(y), materialize_grads=True, allow_unused=True)[0])[0]
