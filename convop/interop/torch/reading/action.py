"""A torch module as the checks see it: by what it answers, so that a check does not rest on how it was read."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....arguments import Shape
from ....check.subject import ACTIONS, Action
from ....errors import NotLinearError, ShapeError


def module_action(module: Any, in_shape: Shape) -> Action | None:
    """What `module` makes of one array; None if it is no torch module."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module):
        return None
    from .traced import as_array, batch_of
    from .tracing import kind_of

    drawing = torch.nn.modules.batchnorm._NormBase, torch.nn.modules.dropout._DropoutNd
    if any(isinstance(layer, drawing) and layer.training for layer in module.modules()):
        raise NotLinearError(
            f"{type(module).__name__} is in training mode, so it changes from call to call; use .eval()"
        )
    own, kind, device = kind_of(module, np.float32)

    def answer(x: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return as_array(module(batch_of(torch.from_numpy(x.copy()).to(device, kind))))[0]

    try:
        out_shape = answer(np.zeros(in_shape)).shape
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise ShapeError(f"{type(module).__name__} does not take arrays of shape {in_shape}: {error}") from error
    return Action(answer, tuple(out_shape), own, type(module).__name__)


ACTIONS.append(module_action)
