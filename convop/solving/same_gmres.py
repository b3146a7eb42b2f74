"""GMRES on a batch of systems at once, for Hermitian systems that are not definite."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import Array

Map = Callable[[Array], Array]  # of arrays (batch, unknowns)
WINDOW = 8  # steps over which progress is judged


@dataclass(frozen=True)
class Reached:
    """The last iterate, the size of each system's residual after each step, and why it ended."""

    x: Array
    residuals: tuple[Array, ...]
    status: str  # "converged", "stalled" or "interrupted"


def gmres(
    descend: Callable[[Array], tuple[Array, Array]],
    right: Array,
    measure: Map,
    tolerance: float,
    steps: int,
    watch: Any = None,
) -> Reached:
    """Solve a system until `measure` of each residual has come down to the tolerance.

    `descend` gives the preconditioner's answer to a residual, and what the system makes of that answer. It ends as
    "stalled" after so many steps, or sooner where its pace would need more. Preconditioned from the right (Y. Saad, "A
    flexible inner-outer preconditioned GMRES algorithm", SIAM J. Sci. Comput. 14, 1993), so that residuals are those of
    the system itself.
    """
    size = np.linalg.norm(right, axis=-1)
    basis, directions = [_divided(right, size)], []
    history, y = [measure(right)], np.zeros((len(right), 0), right.dtype)
    hessenberg = np.zeros((len(right), steps + 1, steps), right.dtype)

    def iterate() -> Array:
        return _combined(y, directions, right)

    try:
        for k in range(steps):
            if (history[-1] <= tolerance).all() or _hopeless(history, tolerance, steps):
                break
            direction, image = descend(basis[k])
            directions.append(direction)
            for _ in range(2):  # once more, so that rounding does not spoil the basis
                for j, vector in enumerate(basis):
                    along = (vector.conj() * image).sum(-1)
                    hessenberg[:, j, k] += along
                    image = image - along[:, None] * vector
            left = np.linalg.norm(image, axis=-1)
            hessenberg[:, k + 1, k] = left
            basis.append(_divided(image, left))
            y, rest = _least(hessenberg[:, : k + 2, : k + 1], size)
            history.append(measure(_combined(rest, basis, right)))
            if watch is not None:
                watch(k + 1, iterate, history[-1])
    except KeyboardInterrupt:
        return Reached(iterate(), tuple(history), "interrupted")
    return Reached(iterate(), tuple(history), "converged" if (history[-1] <= tolerance).all() else "stalled")


def _hopeless(history: list[Array], tolerance: float, steps: int) -> bool:
    """Whether the pace of the last steps would take more than twice the steps that are left."""
    if len(history) <= 2 * WINDOW:
        return False
    pace = np.log(history[-1 - WINDOW] / np.maximum(history[-1], 1e-300)) / WINDOW
    needed = np.log(np.maximum(history[-1] / tolerance, 1))
    return bool((needed > 2 * (steps + 1 - len(history)) * np.maximum(pace, 0)).any())


def _combined(weights: Array, vectors: list[Array], like: Array) -> Array:
    total = np.zeros_like(like)
    for k in range(weights.shape[1]):
        total += weights[:, k, None] * vectors[k]
    return total


def _divided(x: Array, size: Array) -> Array:
    return x / np.where(size == 0, 1, size)[:, None]


def _least(hessenberg: Array, size: Array) -> tuple[Array, Array]:
    """The coefficients that leave the smallest residual, and the residual's in the basis."""
    right = np.zeros(hessenberg.shape[:2], hessenberg.dtype)
    right[:, 0] = size
    y = np.stack([np.linalg.lstsq(H, b, rcond=None)[0] for H, b in zip(hessenberg, right, strict=True)])
    return y, right - (hessenberg @ y[..., None])[..., 0]
