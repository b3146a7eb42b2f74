"""`solve` for tensors: what runs in torch, and what numpy does for tensors on a CPU."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ....affine import Affine
from ....arguments import Shape
from ....errors import DTypeError, GeometryError
from ....solving import door as numpy_door
from ....solving.door import ADVICE, WORST_FIRST, as_rule, progress_bar
from ....solving.normal import State, Watch
from ....solving.problem import Problem, as_regularizer
from ....solving.rules import Rule
from ....solving.solution import Solution
from ....solving.table import METHODS, choose
from ....solving.task import Found, Progress, Task, as_steps, as_tolerance
from ....solving.tikhonov import error_bound
from ..module import AffineModule, OperatorModule, checked
from ..number_types import numpy_dtype
from .equations import Equations, System
from .maps import Map, as_map
from .methods import TENSOR_METHODS
from .tensors import Tensors
from .through_numpy import as_host, as_tensors


def solve(
    A: Any,
    b: Any,
    *,
    alpha: Any = None,
    regularizer: Any = None,
    prior: str = "tikhonov",
    nonneg: bool = False,
    noise: float | None = None,
    method: str = "auto",
    tol: float = 1e-6,
    maxiter: int | None = None,
    x0: Any = None,
    callback: Callable[[Progress], Any] | None = None,
    progress: bool = False,
) -> Solution:
    """`convop.solve` for a tensor `b`; `A` and `regularizer` may also be modules that `to_torch` made."""
    if not isinstance(b, Tensor):
        raise DTypeError(f"with a torch tensor or module, b must be a tensor as well, got {type(b).__name__}")
    options = {
        "regularizer": regularizer, "prior": prior, "nonneg": nonneg, "noise": noise, "method": method, "tol": tol,
        "maxiter": maxiter, "x0": x0, "callback": callback, "progress": progress,
    }  # fmt: skip
    A, b = _linear(A, b)
    blur = as_map(A, b.device)
    penalty = _as_penalty(regularizer, blur, b.device)
    if not runs_in_torch(prior, nonneg, method):
        return _through_numpy(blur, penalty, b, alpha, options)
    data, batch = _as_data(blur, b)
    whole = data.is_complex()
    rule = as_rule(float(_scalar(alpha)) if isinstance(alpha, Tensor) else alpha)
    if data.numel() == 0:
        x = blur.adjoint(data).reshape(*batch, *blur.in_shape)
        return Solution(x, alpha, "converged", "none", "b holds nothing", 0, (), data.new_zeros(batch).real)
    equations = Equations(blur, penalty, whole)
    call = Call(equations, data, batch, method, as_tolerance(tol), as_steps(maxiter))
    start = None if x0 is None else _as_start(x0, call)
    with progress_bar(progress) as bar:
        watch = _watch(callback, bar, call)
        if not isinstance(rule, Rule):
            return call.solved(alpha, rule, start, watch)
        choice = _chosen(rule, call, start, noise, prior)
        items = [replace(call, data=data[k : k + 1], batch=()) for k in range(len(data))]
        starts = [None if start is None else start[k : k + 1] for k in range(len(data))]
        each = zip(items, choice.alphas, starts, strict=True)
        found = [item.solved(chosen, chosen, begin, watch) for item, chosen, begin in each]
        alphas = torch.tensor(choice.alphas, device=b.device, dtype=data.real.dtype).reshape(batch)
        return together(found, batch, alphas if batch else choice.alphas[0], choice.reason)
