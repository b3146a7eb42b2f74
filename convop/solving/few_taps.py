r"""Maps of a kernel of few taps: normal equations as one small dense matrix, made of sums of products of the signal.

An entry of `U^H U` for taps `s` and `t` is a sum over all outputs `i` of ``conj(x[i + s]) x[i + t]``. For one lag
`t - s` these are windows of the same product of the signal with itself, which have all but their ends in common (the
covariance method of linear prediction: J. Makhoul, "Linear Prediction: A Tutorial Review", Proc. IEEE 63, 1975). So the
matrix costs a pass over the signal for each lag, and every solution and every rule for alpha next to nothing after it.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from ..arguments import Shape
from ..dtypes import Array
from ..kernel_side import KernelOperator
from .normal import Answer, Factor, Method, State, Watch
from .problem import Problem

MOST = 1024  # taps, whose eigenvectors take a second


def obstacle(problem: Problem, alpha: float) -> str | None:
    """What keeps the method from serving."""
    U = problem.A
    if not isinstance(U, KernelOperator):
        return "the operator is no map of a kernel"
    g = U.geometry
    if (g.channels_out, g.channels_in) != (1, 1) or any(s != 1 for s in g.stride):
        return f"the kernel mixes channels, {g.channels_in} to {g.channels_out}, or has stride {g.stride}"
    return f"{g.taps} taps are more than {MOST}" if g.taps > MOST else None


def normal_matrix(U: KernelOperator) -> Array:
    """`U^H U` in double precision, for a kernel of one channel that moves by one sample."""
    g = U.geometry
    wide = np.result_type(U.dtype, np.float64)
    signals = U.signal[:, 0].astype(wide, copy=False)
    taps = np.stack(np.unravel_index(np.arange(g.taps), g.kernel), -1)
    if U.convention == "convolution":
        taps = taps[::-1]
    matrix = np.zeros((g.taps, g.taps), wide)
    for lag in itertools.product(*(range(-(k - 1), k) for k in g.kernel)):
        if lag < (0,) * g.ndim:  # the adjoint of another
            continue
        distance = np.array(lag, np.intp) * np.array(g.dilation, np.intp)
        windows = _windows(signals, distance, g.out_spatial)
        first = np.flatnonzero(((taps + lag >= 0) & (taps + lag < g.kernel)).all(1))
        place = np.ravel_multi_index(tuple((taps[first] + lag).T), g.kernel)
        second = g.taps - 1 - place if U.convention == "convolution" else place
        values = windows[tuple((taps[first] * g.dilation + np.minimum(distance, 0)).T)]
        matrix[first, second] = values
        matrix[second, first] = values.conj()
    return matrix


def _windows(signals: Array, lag: NDArray[np.intp], window: Shape) -> Array:
    """The sums of `conj(x[i]) x[i + lag]` over all windows of this shape, all signals together."""
    ends = [(max(0, -d), n - max(0, d)) for d, n in zip(lag.tolist(), signals.shape[1:], strict=True)]
    before, after = (
        signals[(slice(None), *(slice(start + d, stop + d) for (start, stop), d in zip(ends, shift, strict=True)))]
        for shift in (0 * lag, lag)
    )
    product = np.einsum("b...,b...->...", before.conj(), after)
    for axis, length in enumerate(window):
        product = _moving_sums(product, length, axis)
    return product


def _moving_sums(values: Array, length: int, axis: int) -> Array:
    """The sums over windows of this length along an axis: of what all share, and of the ends of each."""
    values = np.moveaxis(values, axis, 0)
    count = len(values) - length + 1
    if count >= length:  # nothing is shared by all
        whole = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, 0)])
        return np.moveaxis(whole[length:] - whole[:-length], 0, axis)
    shared = values[count - 1 : length].sum(0)
    zero = np.zeros_like(values[:1])
    heads = np.concatenate([np.cumsum(values[: count - 1][::-1], 0)[::-1], zero])
    tails = np.concatenate([zero, np.cumsum(values[length:], 0)])
    return np.moveaxis(shared + heads + tails, 0, axis)


class TapsState(State):
    """`U^H U` and `L^H L` as matrices."""

    def __init__(self, problem: Problem) -> None:
        self.normal, self.penalty = matrices(problem)

    def at(self, alpha: float) -> "TapsFactor":
        return TapsFactor(self, alpha)


def matrices(problem: Problem) -> tuple[Array, Array]:
    """`U^H U` and `L^H L`."""
    U = problem.A
    assert isinstance(U, KernelOperator)
    units = np.eye(U.shape[1], dtype=np.float64).reshape(-1, *U.in_shape)
    return normal_matrix(U), problem.gram(units).reshape(U.shape[1], -1).T


class TapsFactor(Factor):
    """The inverse for one `alpha`, on the directions that the signal or the penalty determine."""

    def __init__(self, state: TapsState, alpha: float) -> None:
        values, vectors = np.linalg.eigh(state.normal + alpha * state.penalty)
        known = values > len(values) * np.finfo(values.dtype).eps * values.max()
        self.values, self.vectors = values[known], vectors[:, known]

    def solve(
        self, f: Array, tol: float, maxiter: int, start: Array | None = None, watch: Watch | None = None
    ) -> Answer:
        along = f.reshape(len(f), -1) @ self.vectors.conj() / self.values
        return Answer((along @ self.vectors.T).reshape(f.shape).astype(f.dtype, copy=False), (0.0,), "converged")


METHOD = Method(
    "taps",
    "the kernel has so few taps that its normal equations are solved as a matrix of sums of products of the signal",
    obstacle,
    TapsState,
)
