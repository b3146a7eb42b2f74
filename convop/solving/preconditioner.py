"""`preconditioner`: the door to approximate inverses, and the choice among them by measured clustering."""

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse.linalg import LinearOperator

from ..arguments import as_number, is_one_of
from ..dtypes import Array
from ..errors import GeometryError
from ..foreign import as_operator
from ..spectrum.kinds import NoClosedForm
from .neighbour import NoNeighbour
from .preconditioners import KINDS, Apply, Kind, Plain
from .problem import Problem

LANCZOS_STEPS = 16
FEW_STEPS = 40  # so few that no other kind is asked
EDGES = 10.0  # eigenvalues above this belong to edges that a preconditioner does not see, and cost a step each


class Preconditioner(LinearOperator):
    """An approximate inverse of `A^H A + alpha I` on flat vectors; Hermitian and positive definite.

    Attributes
    ----------
    kind : str
        "dct", "circulant" or "none".
    reason : str
        Why this kind.
    """

    if TYPE_CHECKING:  # scipy's takes what __init__ takes, of which its stubs know nothing

        def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...

    def __init__(self, problem: Problem, apply: Apply, kind: str, reason: str) -> None:
        self.kind, self.reason, self._apply, self._in_shape = kind, reason, apply, problem.A.in_shape
        self._real = np.finfo(problem.dtype).dtype
        shape = problem.A.shape[1], problem.A.shape[1]
        super().__init__(problem.dtype, shape)  # pyright: ignore[reportCallIssue]  # scipy's stubs have no __init__

    def _matvec(self, x: Array) -> Array:
        return self._matmat(np.reshape(x, (-1, 1)))[:, 0]

    def _matmat(self, X: Array) -> Array:
        columns = np.ascontiguousarray(X.T, np.result_type(X.dtype, self._real))
        return self._apply(columns.reshape((-1, *self._in_shape))).reshape((len(columns), -1)).T

    def _rmatvec(self, x: Array) -> Array:
        return self._matvec(x)

    def _rmatmat(self, X: Array) -> Array:
        return self._matmat(X)

    def _adjoint(self) -> "Preconditioner":  # pyright: ignore[reportIncompatibleMethodOverride]
        return self

    def __repr__(self) -> str:
        return f"<Preconditioner {self.kind}: {'x'.join(map(str, self._in_shape))}, {self.dtype}>"


def preconditioner(A: Any, alpha: float, kind: str = "auto") -> Preconditioner:
    """An approximate inverse of `A^H A + alpha I`, for the `M` of any solver of scipy.

    Parameters
    ----------
    A : Operator
        Anything `as_operator` takes.
    alpha : float
        Weight of the identity, 0 or more.
    kind : {"auto", "dct", "circulant", "none"}
        "dct": the autocorrelation of the kernels, made even on every axis, under a half-sample boundary (a
        whole-sample one on axes that mirror); "circulant": the operator on a torus; "none": the identity. "auto" takes
        the one that clusters eigenvalues best, as some steps of Lanczos show.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        Of shape `(N, N)`, Hermitian and positive definite, with `kind` and `reason`.

    Raises
    ------
    GeometryError
        If alpha is negative or no number, or the kind is unknown or cannot serve the operator.

    Examples
    --------
    >>> import numpy as np, convop
    >>> from scipy.sparse.linalg import cg
    >>> A = convop.Convolution(convop.psf.gaussian(9, sigma=1.5), (64, 64))
    >>> M = convop.preconditioner(A, alpha=1e-3)
    >>> M
    <Preconditioner dct: 64x64, float64>
    >>> normal = A.H @ A + 1e-3 * convop.Identity(A.in_shape)
    >>> x, info = cg(normal, A.H @ np.ones(64 * 64), M=M, maxiter=30)
    >>> info
    0
    """
    problem = Problem(as_operator(A))
    number = as_number(alpha, "alpha, a weight,", 0)
    if not is_one_of(kind, ("auto", *KINDS)):
        raise GeometryError(f"unknown kind {kind!r}; use 'auto' or one of {', '.join(map(repr, KINDS))}")
    prepared = Prepared(problem)
    if kind == "auto":
        return Preconditioner(problem, *prepared.best(number))
    obstacle = prepared.obstacles.get(kind)
    if obstacle is not None:
        raise GeometryError(f"preconditioner {kind!r} cannot serve here: {obstacle}; take kind 'none'")
    return Preconditioner(problem, prepared.kinds[kind].at(number), kind, "it was asked for")


class Prepared:
    """The kinds that can serve a problem, prepared for every alpha; and what keeps the others from it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.kinds: dict[str, Kind | Plain] = {}
        self.obstacles: dict[str, str] = {}
        for name, prepare in KINDS.items():
            try:
                self.kinds[name] = prepare(problem)
            except (NoNeighbour, NoClosedForm) as reason:
                self.obstacles[name] = str(reason)

    def best(self, alpha: float) -> tuple[Apply, str, str]:
        """The kind that promises the fewest steps, its name, and the promise."""
        if len(self.kinds) == 1 or not alpha > 0:
            why = "alpha is 0" if not alpha > 0 else next(iter(self.obstacles.values()))
            return self.kinds["none"].at(alpha), "none", f"no preconditioner: {why}"
        promised: dict[str, float] = {}
        applied: dict[str, Apply] = {}
        for name, kind in self.kinds.items():
            applied[name] = kind.at(alpha)
            values = ritz_values(self.problem, applied[name], alpha)
            promised[name] = _steps(float(values[0]), float(values[-1]), alpha, name)
            if promised[name] < FEW_STEPS:
                break
        name = min(promised, key=lambda each: promised[each])
        text = ", ".join(f"{each} {steps:.0f}" for each, steps in promised.items())
        return applied[name], name, f"preconditioner {name} (steps expected: {text})"


def _steps(least: float, largest: float, alpha: float, kind: str) -> float:
    """Steps to expect of conjugate gradients, to about 1e-6, from the extreme Ritz values.

    Without preconditioner the least eigenvalue is alpha, or soon seems so. With one, Ritz values tell the largest one
    well and the least one less so; constants are those of measurements.
    """
    if kind == "none":
        return 3.5 * math.sqrt(largest / alpha)
    return 10 * math.sqrt(max(largest, 1e-300) / max(least, 1e-300)) * math.sqrt(max(1, largest / EDGES))


def ritz_values(problem: Problem, apply: Apply, alpha: float, steps: int = LANCZOS_STEPS) -> Array:
    """Approximate eigenvalues of the preconditioned normal equations, ascending, from steps of conjugate gradients.

    See Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., section 6.7.3.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    rng = np.random.default_rng(0)
    r = rng.standard_normal((1, *problem.A.in_shape)).astype(problem.dtype)
    lengths: list[float] = []
    turns: list[float] = []
    direction, energy, first = None, 0.0, 0.0
    for _ in range(min(steps, problem.A.shape[1])):
        z = apply(r)
        now = float(np.vdot(r, z).real)
        first = first or now
        if not now > np.finfo(problem.dtype).eps ** 2 * first:
            break  # an invariant space: the values are exact
        if direction is None:
            direction = z
        else:
            turns.append(now / energy)
            direction = z + turns[-1] * direction
        energy, image = now, problem.normal(direction, alpha)
        curvature = float(np.vdot(direction, image).real)
        if not curvature > 0:
            break
        lengths.append(energy / curvature)
        r = r - lengths[-1] * image
    if not lengths:  # all of it underflows
        return np.zeros(1)
    a, b = np.array(lengths), np.array(turns[: len(lengths) - 1])
    diagonal = 1 / a + np.concatenate([[0.0], b / a[:-1]])
    return np.asarray(eigvalsh_tridiagonal(diagonal, np.sqrt(b) / a[:-1]))
