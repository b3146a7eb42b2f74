"""Operators that a unitary transform makes a small block for each frequency: one system for each, no iteration."""

from typing import Any

import numpy as np

from ..dtypes import Array
from ..operator import Operator
from ..spectrum.closed_form import ClosedForm, closed_form
from ..spectrum.gram import gram_spectrum
from .normal import Answer, Factor, Method, State, Watch
from .problem import Problem


def obstacle(problem: Problem, alpha: float) -> str | None:
    """What keeps the method from serving."""
    form = closed_form(problem.A)
    if form is None:
        return "no unitary transform known here makes the operator diagonal"
    if problem.L is not None and _gram(problem.L, form) is None:
        return f"the {' and '.join(form.axes_names)} that makes the operator diagonal does not do so to L^H L"
    return None


class DiagonalState(State):
    """The blocks of `A^H A` and of `L^H L` at each frequency."""

    def __init__(self, problem: Problem) -> None:
        form = closed_form(problem.A)
        assert form is not None
        self.form: ClosedForm = form.whole() if problem.dtype.kind == "c" else form
        blocks = self.form.blocks.astype(np.result_type(self.form.blocks, np.float64))
        self.blur_gram = blocks.conj().swapaxes(-1, -2) @ blocks
        self.penalty_gram = np.eye(blocks.shape[-1]) if problem.L is None else _gram(problem.L, self.form)

    def at(self, alpha: float) -> "DiagonalFactor":
        return DiagonalFactor(self, alpha)


def _gram(L: Operator, form: ClosedForm) -> Any:
    """The blocks of `L^H L` where `form` has its own, or None."""
    gram = gram_spectrum(L, form.axes_names, base=form.layout.base, whole=not form.basis.real)
    if gram is not None and gram.ndim == len(form.frequencies):
        gram = gram[..., None, None]
    columns = form.blocks.shape[-1]
    return gram if gram is not None and gram.shape[-2:] == (columns, columns) else None


class DiagonalFactor(Factor):
    """The inverse of each block, on the directions that the data or the penalty determine."""

    def __init__(self, state: DiagonalState, alpha: float) -> None:
        self.form = state.form
        precision = np.finfo(self.form.blocks.dtype).dtype
        inverse = _pseudo_inverse(state.blur_gram + alpha * state.penalty_gram, float(np.finfo(precision).eps))
        self.inverse = inverse.astype(
            np.result_type(precision, np.complex64 if np.iscomplexobj(inverse) else precision)
        )

    def solve(self, f: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        spectrum = self.form.analyse_in(f)
        x = self.form.synthesise_in((self.inverse @ spectrum[..., None])[..., 0])
        return Answer(x, (0.0,), "converged")


def _pseudo_inverse(gram: Array, eps: float) -> Array:
    """The inverse of each Hermitian block but for directions that nothing determines, to which it gives zero."""
    values, vectors = np.linalg.eigh(gram)
    determined = values > values.max(initial=0.0) * eps * values.size**0.5
    inverses = np.divide(1, values, where=determined, out=np.zeros_like(values))
    return (vectors * inverses[..., None, :]) @ vectors.conj().swapaxes(-1, -2)


METHOD = Method(
    "diagonal",
    "a unitary transform makes the normal equations one small system for each frequency",
    obstacle,
    DiagonalState,
)
