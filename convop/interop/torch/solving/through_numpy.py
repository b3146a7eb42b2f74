"""What has no form in torch, done by numpy for tensors on a CPU."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....errors import GeometryError
from ....solving.solution import Solution


def through_numpy(door: Callable[..., Solution], first: Any, second: Any, options: dict[str, Any]) -> Solution:
    """A door of numpy's, with tensors in place of its arrays, there and back."""
    solution = door(as_host(first), as_host(second), **{name: as_host(each) for name, each in options.items()})
    fields = ("x", "alpha", "error_bound", "scene")
    return replace(solution, **{name: as_tensor(getattr(solution, name)) for name in fields})


def as_host(values: Any) -> Any:
    """A tensor as numpy sees it; anything else as it is."""
    if not isinstance(values, Tensor):
        return values
    if values.device.type != "cpu":
        raise GeometryError(
            f"a tensor is on {values.device}, and this is solved by numpy; move it with .cpu(), or take prior "
            f"'tikhonov' without nonneg, and method 'auto'"
        )
    if values.requires_grad:
        raise GeometryError(
            "a tensor asks for gradients, and this is solved by numpy, through which none pass; detach it with "
            ".detach(), or take prior 'tikhonov' with a number or a tensor for alpha"
        )
    kind = values.float() if values.dtype == torch.bfloat16 else values
    return kind.resolve_conj().resolve_neg().numpy()


def as_tensor(values: Any) -> Any:
    """An array as a tensor; a number or None as it is."""
    return torch.from_numpy(np.ascontiguousarray(values)) if isinstance(values, np.ndarray) else values
