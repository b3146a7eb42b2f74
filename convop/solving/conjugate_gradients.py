"""Preconditioned conjugate gradients on a batch of systems at once, each with its own steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PATIENCE = 100  # steps without a new least residual after which a system counts as stalled


@dataclass(frozen=True)
class Stop:
    """When to stop: `residual(r)` gives a number for each system, which has to come down to `tolerance`."""

    residual: Callable[[Any], Any]
    tolerance: float
    maxiter: int
    watch: Callable[[int, Any, float], None] | None = None  # step, iterate, largest residual
    patience: int = PATIENCE


@dataclass(frozen=True)
class Iterations:
    """The iterate of least residual, the largest residual of the batch after each step, and why it ended."""

    x: Any
    residuals: tuple[float, ...]
    status: str  # "converged", "stalled", "max_iterations" or "interrupted"


def conjugate_gradients(descend: Callable[[Any], tuple[Any, Any]], residual: Any, start: Any, stop: Stop) -> Iterations:
    """Solve a Hermitian positive definite system for arrays of shape `(batch, unknowns)`.

    `descend` gives the preconditioner's answer to a residual, and what the system makes of that answer; `residual` is
    that of `start`. Ctrl-C ends it with what there is.
    """
    x = start
    size = stop.residual(residual)
    history, direction, image, energy = [float(size.max())], None, None, None
    best, least = x, history[0]
    status = "converged"
    try:
        while history[-1] > stop.tolerance:
            if len(history) > stop.maxiter:
                status = "max_iterations"
                break
            if len(history) > stop.patience and min(history[-stop.patience :]) >= min(history[: -stop.patience]):
                status = "stalled"
                break
            fresh, its_image = descend(residual)
            now = _inner(residual, fresh)
            if direction is None:
                direction, image = fresh, its_image
            else:
                share = _ratio(now, energy)
                direction, image = fresh + share * direction, its_image + share * image
            energy = now
            # A system that has come down to its tolerance rests, lest rounding carries it away.
            step = _ratio(energy, _inner(direction, image)) * (size > stop.tolerance)[:, None]
            if not float(abs(step).max()) < float("inf"):
                status = "stalled"
                break
            x, residual = x + step * direction, residual - step * image
            size = stop.residual(residual)
            history.append(float(size.max()))
            if history[-1] < least:
                best, least = x, history[-1]
            if stop.watch is not None:
                stop.watch(len(history) - 1, x, history[-1])
    except KeyboardInterrupt:
        status = "interrupted"
    return Iterations(x if status == "converged" else best, tuple(history), status)


def _inner(a: Any, b: Any) -> Any:
    return (a.conj() * b).real.sum(-1)[:, None]


def _ratio(a: Any, b: Any) -> Any:
    """`a / b`, and zero where `b` has become zero."""
    zero = b == 0
    return a / (b + zero) * ~zero
