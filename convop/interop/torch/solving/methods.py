"""The methods that solve normal equations on tensors; each is prepared by numpy, and then lives on the device."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....solving.diagonal import DiagonalState
from ....solving.frame import FrameState
from ....solving.krylov import iterated
from ....solving.normal import Answer, Factor, State, Watch
from ....solving.pinned import PinnedState
from ....solving.preconditioner import Prepared
from ....solving.preconditioners import Circulant, Cosine, Kind, Plain
from ....solving.torus import Torus
from .equations import Equations
from .tensors import Tensors
from .transforms import Basis, cosine, in_parts


def multiplied(blocks: Tensor, spectrum: Tensor) -> Tensor:
    """The block at each frequency, `(*freq, C, C)`, times `(batch, *freq, C)`."""
    if blocks.shape[-1] == 1:
        return spectrum * blocks[..., 0]
    dtype = torch.promote_types(blocks.dtype, spectrum.dtype)
    return (blocks.to(dtype) @ spectrum.to(dtype)[..., None])[..., 0]


class DiagonalTensors(State):
    """The blocks of `A^H A` and of `L^H L` at each frequency."""

    def __init__(self, equations: Equations, arrays: Tensors) -> None:
        host = DiagonalState(equations.problem)
        self.basis, self.arrays = Basis(host.form), arrays
        self.blur_gram, self.penalty_gram = map(arrays.native, (host.blur_gram, host.penalty_gram))
        self.precision = float(np.finfo(host.form.blocks.dtype).eps)

    def at(self, alpha: float) -> "DiagonalFactor":
        return DiagonalFactor(self, alpha)


class DiagonalFactor(Factor):
    """The inverse of each block, on the directions that the data or the penalty determine."""

    def __init__(self, state: DiagonalTensors, alpha: float) -> None:
        self.basis = state.basis
        inverse = _pseudo_inverse(state.blur_gram + alpha * state.penalty_gram, state.precision)
        self.inverse = state.arrays.working(inverse)

    def solve(self, f: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        x: Any = self.basis.synthesise(multiplied(self.inverse, self.basis.analyse(f)))
        return Answer(x, (0.0,), "converged")


def _pseudo_inverse(gram: Tensor, eps: float) -> Tensor:
    """The inverse of each Hermitian block but for directions that nothing determines, to which it gives zero."""
    alone = gram.shape[-1] == 1
    values, vectors = (gram[..., 0].real, None) if alone else torch.linalg.eigh(gram)
    determined = values > values.max() * eps * math.sqrt(values.numel())
    inverses = torch.where(determined, 1 / torch.where(determined, values, torch.ones_like(values)), 0)
    return inverses[..., None] if vectors is None else (vectors * inverses[..., None, :]) @ vectors.mH


class KrylovTensors(State):
    """Conjugate gradients, with the preconditioner that numpy's own solver would choose."""

    def __init__(self, equations: Equations, arrays: Tensors) -> None:
        self.equations, self.arrays = equations, arrays
        self.prepared = Prepared(equations.problem) if equations.known else None

    def at(self, alpha: float) -> "KrylovFactor":
        return KrylovFactor(self, alpha)


class KrylovFactor(Factor):
    """The preconditioner for one `alpha`."""

    def __init__(self, state: KrylovTensors, alpha: float) -> None:
        self.equations, self.arrays, self.alpha = state.equations, state.arrays, alpha
        kind: Kind | Plain | None = None
        self.remark = "no preconditioner: the module is no single convolution, whose structure would be known"
        if state.prepared is not None:
            _, name, self.remark = state.prepared.best(alpha)
            kind = state.prepared.kinds[name]
        self.apply = _preconditioner(kind, alpha, state.arrays) if isinstance(kind, Kind) else lambda r: r

    def solve(self, f: Any, tol: float, maxiter: int, start: Any = None, watch: Watch | None = None) -> Answer:
        def normal(x: Any) -> Any:
            return self.equations.normal(x, self.alpha)

        return iterated(normal, self.apply, f, tol, maxiter, start, watch)


def _preconditioner(kind: Kind, alpha: float, arrays: Tensors) -> Callable[[Tensor], Tensor]:
    """A neighbour's inverse on tensors."""
    assert isinstance(kind, (Circulant, Cosine))
    inverse = arrays.working(arrays.native(kind.inverse(alpha)))
    analyse, synthesise = (_on_torus if isinstance(kind, Circulant) else _by_cosines)(kind, arrays)  # pyright: ignore

    def apply(x: Tensor) -> Tensor:
        return synthesise(multiplied(inverse, analyse(x)))

    real = kind.dtype.kind != "c"
    return lambda x: in_parts(apply, x, real)


Pair = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


def _on_torus(kind: Circulant, arrays: Tensors) -> Pair:
    basis, torus = Basis(kind.form), Torus(kind.torus.sizes, kind.torus.real, arrays)
    embedded = kind.form.in_shape

    def analyse(x: Tensor) -> Tensor:
        return basis.analyse(torus.embed(x))

    def synthesise(c: Tensor) -> Tensor:
        return torus.crop(basis.synthesise(c).reshape(c.shape[0], *embedded), kind.spatial)

    return analyse, synthesise


def _by_cosines(kind: Cosine, arrays: Tensors) -> Pair:
    weight = arrays.working(arrays.native(kind.weight))

    def transformed(u: Tensor, inverse: bool) -> Tensor:
        for number, axes in kind.axes.items():
            for axis in axes:
                u = cosine(u, axis, number, inverse)
        return u

    def analyse(x: Tensor) -> Tensor:
        return transformed(x.reshape(len(x), -1, *kind.spatial) * weight, False).movedim(1, -1)

    def synthesise(c: Tensor) -> Tensor:
        u = transformed(c.movedim(-1, 1), True) * weight
        return u.reshape(len(c), *kind.lead, *kind.spatial)

    return analyse, synthesise


# By the names that `solve` knows them by; which can serve, and why, numpy's own table says.
TENSOR_METHODS: dict[str, Callable[[Equations, Tensors], State]] = {
    "diagonal": DiagonalTensors,
    "frame": lambda equations, arrays: FrameState(equations.problem, arrays),
    "pinned": lambda equations, arrays: PinnedState(equations.problem, arrays),
    "krylov": KrylovTensors,
}
