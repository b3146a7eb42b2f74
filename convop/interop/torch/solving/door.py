"""`solve` for tensors: what runs in torch, and what numpy does for tensors on a CPU."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from ....affine import Affine
from ....arguments import Shape
from ....errors import DTypeError, GeometryError, ShapeError
from ....operator import Operator
from ....solving import door as numpy_door
from ....solving.door import as_rule, progress_bar
from ....solving.normal import Watch
from ....solving.problem import as_regularizer
from ....solving.rules import Choice, Rule
from ....solving.solution import Solution
from ....solving.task import Progress, Task, as_callback, as_steps, as_tolerance, require_finite_start
from ..module import AffineModule, OperatorModule, checked, require_same_device
from .call import Call, together
from .equations import Equations
from .maps import Map, as_map
from .methods import TENSOR_METHODS
from .through_numpy import through_numpy


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
        raise DTypeError(f"with torch tensors or modules, b must be a tensor as well, got {type(b).__name__}")
    A, b = _linear(A, b)
    alpha = alpha.to(b.device) if isinstance(alpha, Tensor) else alpha
    if not runs_in_torch(prior, nonneg, method):
        options = {"alpha": alpha, "prior": prior, "nonneg": nonneg, "noise": noise, "method": method, "tol": tol,
                   "maxiter": maxiter, "x0": x0, "callback": callback, "progress": progress}  # fmt: skip
        options["regularizer"] = _for_numpy(regularizer)
        return through_numpy(numpy_door.solve, _for_numpy(A), b, options)
    blur = as_map(A, b.device)
    penalty = _as_penalty(regularizer, blur, b.device)
    data, batch = _as_data(blur, b)
    rule = as_rule(_as_number(alpha) if isinstance(alpha, Tensor) else alpha)
    if data.numel() == 0:
        x, nothing = blur.adjoint(data).reshape(*batch, *blur.in_shape), data.real.new_zeros(batch)
        weight = nothing if isinstance(rule, Rule) else alpha
        return Solution(x, weight, "converged", "none", "b holds nothing", 0, (), nothing)
    equations = Equations(blur, penalty, data.is_complex())
    data = data.to(equations.dtype(data.dtype))
    call = Call(equations, data, batch, method, as_tolerance(tol), as_steps(maxiter))
    start = None if x0 is None else _as_start(x0, call)
    with progress_bar(progress) as bar:
        watch = _watch(as_callback(callback), bar, call)
        if not isinstance(rule, Rule):
            return call.solved(alpha if isinstance(alpha, Tensor) else rule, start, watch)
        choice = _choice(rule, call, start, noise, prior)
        starts = [None if item.start is None else torch.from_numpy(item.start).to(data) for item in choice.items]
        pairs = enumerate(zip(choice.alphas, starts, strict=True))
        found = [call.item(k).solved(weight, begin, watch) for k, (weight, begin) in pairs]
        alphas = torch.tensor(choice.alphas, device=b.device, dtype=torch.float64).reshape(batch)
        return together(found, batch, alphas if batch else choice.alphas[0], choice.reason)


def runs_in_torch(prior: Any, nonneg: bool, method: str) -> bool:
    """Whether a problem is solved in torch; the others are numpy's."""
    return prior == "tikhonov" and not nonneg and method in ("auto", *TENSOR_METHODS)


def _linear(A: Any, b: Tensor) -> tuple[Any, Tensor]:
    """The linear part of an affine map, and data without its offset."""
    if isinstance(A, Affine):
        return A.linear, b - torch.from_numpy(A.offset.copy()).to(b.device)
    if isinstance(A, AffineModule):
        offset = A.offset
        require_same_device(b, offset)
        wide = offset if offset.shape == A.out_shape else offset.reshape(-1, *(1,) * (len(A.out_shape) - 1))
        return A.linear, b - wide
    return A, b


def _as_penalty(regularizer: Any, blur: Map, device: torch.device) -> Map | None:
    if regularizer is None:
        return None
    if isinstance(regularizer, OperatorModule):
        penalty = as_map(regularizer, device)
        if penalty.in_shape != blur.in_shape:
            raise ShapeError(
                f"the regularizer acts on tensors of shape {penalty.in_shape}, and the solution has shape "
                f"{blur.in_shape}; give one with in_shape={blur.in_shape}"
            )
        return penalty
    if blur.operator is None and isinstance(regularizer, str):
        raise GeometryError(
            f"regularizer {regularizer!r} takes the boundary of a Convolution, and nothing but its products is known "
            f"of this module; build it with convop.{regularizer}(shape, boundary) and pass the operator"
        )
    # An operator takes nothing else of the first one than its shape.
    L = as_regularizer(regularizer, blur.operator or cast(Operator, blur))
    return None if L is None else as_map(L, device)


def _for_numpy(A: Any) -> Any:
    """The operator that a module is, where nothing asks for gradients; anything else as it is."""
    if not isinstance(A, OperatorModule):
        return A
    each = as_map(A, A.operator.precision.device)  # pyright: ignore[reportArgumentType]
    instead = "give the operator itself, or take prior 'tikhonov' with method 'auto'"
    if each.operator is None:
        raise GeometryError(f"this is solved by numpy, which cannot apply the module; {instead}")
    if each.learns and torch.is_grad_enabled():
        raise GeometryError(
            f"a kernel asks for gradients, and this is solved by numpy, through which none pass; {instead}"
        )
    return each.operator


def _as_data(A: Map, b: Tensor) -> tuple[Tensor, Shape]:
    """`b` with one batch axis, in the type of the solution, and the batch axes it had."""
    if b.shape == (math.prod(A.out_shape),) and len(A.out_shape) > 1:
        b = b.reshape(A.out_shape)
    precision: Any = A.fixed.operator.precision
    data = checked(b, precision, A.out_shape)
    finite = torch.isfinite(data.detach())
    if not bool(finite.all()):
        raise GeometryError(
            f"b holds {int((~finite).sum())} samples that are NaN or inf, and a solution would spread them everywhere; "
            f"replace them, or leave them out with convop.Select(A.out_shape, mask) @ A"
        )
    batch = tuple(data.shape[: data.ndim - len(A.out_shape)])
    return data.to(torch.promote_types(data.dtype, precision.dtype)).reshape(-1, *A.out_shape), batch


def _as_number(alpha: Tensor) -> float:
    if alpha.ndim or alpha.is_complex() or alpha.dtype == torch.bool:
        raise GeometryError(
            f"alpha is a tensor of shape {tuple(alpha.shape)} and type {alpha.dtype}; give a single real number, or "
            f"solve item by item"
        )
    return float(alpha.detach())


def _as_start(x0: Any, call: Call) -> Tensor:
    shape, data = call.equations.A.in_shape, call.data
    start = torch.as_tensor(x0, device=data.device).detach()
    dtype = call.equations.dtype(data.dtype)
    if start.is_complex() and not dtype.is_complex:
        raise DTypeError(f"x0 is {start.dtype}, but the solution is real, as A and b are; give x0.real")
    require_finite_start(bool(torch.isfinite(start).all()))
    start = start.to(dtype)
    if start.shape == shape:
        return start.expand(len(data), *shape)
    if start.shape[-len(shape) :] != shape or start.numel() != len(data) * math.prod(shape):
        raise ShapeError(
            f"x0 has shape {tuple(start.shape)}, needed {shape}, or that with the batch axes of b in front"
        )
    return start.reshape(len(data), *shape)


def _choice(rule: Rule, call: Call, start: Tensor | None, noise: Any, prior: str) -> Choice:
    """What a rule chooses, by numpy."""
    if not call.equations.known:
        raise GeometryError(
            "rules for alpha need the operator, and this module is no single convolution; give a number"
        )
    if call.graded:
        raise GeometryError(
            "alpha by a rule depends on b and on kernels in ways through which no gradient passes; choose it first, "
            "with alpha=convop.solve(A, b.detach()).alpha"
        )
    begin = None if start is None else start.numpy(force=True)
    b = call.data.numpy(force=True)
    task = Task(
        call.equations.problem, b, call.batch, "auto", call.tol, call.maxiter, begin, False,
        numpy_door.as_noise(noise), None,
    )  # fmt: skip
    return rule.choose(task, prior)


def _watch(callback: Callable[[Progress], Any] | None, bar: Any, call: Call) -> Watch | None:
    """What draws and calls back after each step; an iterate has the shape of all of `x`, or of the item at hand."""
    if callback is None and bar is None:
        return None
    item = call.equations.A.in_shape

    def watch(step: int, iterate: Callable[[], Any], residual: float) -> None:
        if bar is not None:
            bar.set_postfix_str(f"residual {residual:.1e}")
            bar.update()
        if callback is not None:
            callback(Progress(step, residual, lambda: shaped(iterate())))

    def shaped(x: Tensor) -> Any:
        return x.reshape(*call.batch, *item) if len(x) == len(call.data) else x.reshape(item)

    return watch
