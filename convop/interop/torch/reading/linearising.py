"""Layers that are not linear, replaced by their derivative at a point where one is given."""

import math
from typing import Any

import numpy as np
import torch

from ....errors import NotLinearError
from ....selection import Diagonal
from .arranging import picking
from .branch import Branch
from .traced import Call, as_array, plain, plainly, reads


def _require_point(call: Call) -> None:
    if not call.settings.linearise:
        raise NotLinearError(f"{call.name} is not linear; give at=x for the Jacobian at a point x")


@reads(
    "relu", "relu6", "leaky_relu", "prelu", "hardtanh", "_threshold", "threshold", "abs", "absolute", "clamp", "clip",
    "clamp_min", "clamp_max", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "sigmoid", "tanh",
    "hardsigmoid", "hardswish", "softsign", "tanhshrink", "softshrink", "hardshrink", "logsigmoid", "log_sigmoid",
    "exp", "expm1", "log", "log1p", "sin", "cos", "sqrt", "rsqrt", "square", "pow", "reciprocal", "__rdiv__", "erf",
    "atan", "arctan", "maximum", "minimum",
)  # fmt: skip
def derivative(call: Call, x: Any, *args: Any, **kwargs: Any) -> Branch:
    """A function of each sample: its derivative, found by autograd, weighs the samples."""
    _require_point(call)
    if len(call.operands) != 1:
        raise NotLinearError(f"{call.name} of several values that depend on the input is not read; use layers of one")
    (value,) = call.operands
    if call.dtype.kind == "c":
        raise NotLinearError(f"{call.name} of complex values has no complex derivative in general; use a real network")
    point = plain(value).clone().requires_grad_()
    with torch.enable_grad():
        # A copy of the point, so that a function that works in place has something to overwrite.
        positional = [point.clone() if each is value else each for each in call.args]
        named = {key: point.clone() if each is value else each for key, each in call.kwargs.items()}
        result = plainly(call.func, *positional, **named)
    if result.shape != point.shape:
        raise NotLinearError(f"{call.name} changes the shape of its input, so it is no function of each sample")
    (slopes,) = torch.autograd.grad(result, point, torch.ones_like(result))
    return value.branch.then(Diagonal(as_array(slopes)[0].astype(call.dtype)))


@reads(
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"
)  # fmt: skip
def maxima(call: Call, x: Any, *args: Any, **kwargs: Any) -> Branch:
    """The samples that are the largest of their window, as torch names them."""
    _require_point(call)
    pool = getattr(torch.nn.functional, call.name)
    _, chosen = plainly(pool, x, *args, **{**kwargs, "return_indices": True})
    channels, *spatial = x.branch.shape
    first = np.arange(channels).reshape(channels, *(1,) * len(spatial)) * math.prod(spatial)
    return x.branch.then(picking(as_array(chosen)[0] + first, x.branch.shape, call.dtype))
