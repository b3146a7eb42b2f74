"""Run the code of a module on a traced tensor, and say which layer could not be read.

The code runs as it is, so whatever depends on sizes only (branches, loops, padding to a multiple) is followed. What
never reaches `__torch_function__` (scripted functions, C++ extensions) would look like a constant; therefore what was
read is compared with what torch differentiates, once.
"""

import traceback
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ....dtypes import as_dtype, working
from ....errors import ConvopError, GeometryError, NotLinearError
from ....operator import Operator

# These fill the table of readers.
from . import arithmetic as arithmetic
from . import arranging as arranging
from . import convolving as convolving
from . import linearising as linearising
from . import pooling as pooling
from . import resampling as resampling
from .branch import Settings
from .traced import Refusal, Traced, as_array, plain, require_fresh, traced_input

SINGLE = np.dtype(np.float32)
MISREAD = 1e-2  # far above rounding, far below what a missing part of a network changes


def kind_of(module: nn.Module, dtype: Any) -> tuple[np.dtype[Any], torch.dtype, torch.device]:
    """The type that a module computes in, in numpy's and torch's words, and where; `dtype` if it has no parameters."""
    tensors = list(chain(module.parameters(), module.buffers()))
    if any(map(is_lazy, tensors)):
        raise GeometryError(f"{type(module).__name__} has parameters without a shape yet; run it once on a batch")
    tensors = [tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()]
    if not tensors:
        return as_dtype(dtype), torch.from_numpy(np.empty(0, as_dtype(dtype))).dtype, torch.device("cpu")
    types = {working(as_array(torch.empty(0, dtype=t.dtype)).dtype, SINGLE, "the module") for t in tensors}
    return np.result_type(*types), max((t.dtype for t in tensors), key=_width), tensors[0].device


def _width(dtype: torch.dtype) -> tuple[bool, int]:
    return dtype.is_complex, dtype.itemsize


def run(module: nn.Module, point: Tensor, settings: Settings) -> tuple[Operator, bool, Tensor]:
    """The linear map that the module is around `point`, whether it adds an offset, and its value at `point`."""
    given = traced_input(point, settings)
    root = given.branch
    try:
        with torch.inference_mode(False), torch.no_grad():
            answer = module(given)
            if isinstance(answer, Traced):
                require_fresh(answer)
    except (Refusal, ConvopError) as error:
        reason = error.reason if isinstance(error, Refusal) else error
        raise type(reason)(f"{_where(module, error)}: {error}") from error
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise GeometryError(
            f"{_where(module, error)}: torch refuses an input of shape {tuple(point.shape)} and {point.dtype}, with a "
            f"batch axis in front ({str(error).strip().splitlines()[0]}); give in_shape without the batch axis"
        ) from error
    if not isinstance(answer, Traced):
        raise NotLinearError(
            f"{type(module).__name__} returns {_described(answer)}, needed one tensor that is made of its input; wrap "
            f"the module in one that returns a single tensor"
        )
    operator, shifts = answer.branch.since(root)
    _compare(module, point, operator)
    return operator, shifts, plain(answer)[0]


def _described(answer: Any) -> str:
    return "a constant tensor" if isinstance(answer, Tensor) else f"an object of type {type(answer).__name__}"


def _where(module: nn.Module, error: Exception) -> str:
    """The innermost layer that was running when the error came up: `features.3 (ReLU)`."""
    paths = {id(layer): path for path, layer in module.named_modules()}
    owners = [module, *(frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__))]
    layer = [owner for owner in owners if isinstance(owner, nn.Module) and id(owner) in paths][-1]
    path, kind = paths[id(layer)], type(layer).__name__
    return f"{path} ({kind})" if path else kind


def _compare(module: nn.Module, point: Tensor, operator: Operator) -> None:
    """Whether the adjoint is the gradient that torch finds, as far as one random vector shows."""
    with torch.inference_mode(False), torch.enable_grad():
        x = point[None].clone().requires_grad_()
        result = module(x.clone())  # a module may overwrite what it is given
        y = torch.randn(result.shape, generator=torch.Generator().manual_seed(0), dtype=result.dtype).to(result)
        inputs = {"allow_unused": True, "materialize_grads": True}
        wanted = torch.autograd.grad(result, x, y, **inputs)[0] if result.requires_grad else torch.zeros_like(x)
    want, got = as_array(wanted)[0], operator.H(as_array(y)[0])
    if np.linalg.norm(got - want) > MISREAD * np.linalg.norm(want):
        raise NotLinearError(
            f"{type(module).__name__} was read as {operator!r}, and torch differentiates something else: part of its "
            f"code is random or hidden from from_torch (scripted functions, C++ extensions); write that part with "
            f"plain torch functions, in eval mode"
        )
