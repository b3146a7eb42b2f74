"""The one table that chooses a method: what each engine costs, in nanoseconds, for one application."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from ..arguments import is_one_of
from ..dtypes import Array, DType
from ..errors import GeometryError
from ..geometry import Geometry
from . import direct, fft, gemm, separable, sparse
from .machine import arithmetic, constants

_CALLS = {"direct": 1.0, "fft": 3.0, "sparse": 2.0, "gemm": 2.0, "separable": 2.5}  # overhead of a call, in plain ones
_ROWS_AT_ONCE = 0.6  # of the time of loops over single rows, where four rows share what they read
_WORTH_FACTORING = 100  # taps below which the passes of a separable kernel gain too little to look for them


@dataclass(frozen=True)
class Method:
    """An engine, the formula for its cost in ns, what it does, and whether the numbers in the kernel let it serve.

    An engine has `applies(geometry)`, whether it can serve; `prepare(geometry, weight)`, what it keeps for one dtype;
    and `forward(prepared, x)` and `adjoint(prepared, y)` on arrays `(batch, channels, *spatial)`.
    """

    engine: ModuleType
    cost: Callable[[Geometry, Array], float]
    how: Callable[[Geometry, Array], str]
    fits: Callable[[Geometry, Array], bool] = lambda geometry, weight: True

    def serves(self, geometry: Geometry, weight: Array) -> bool:
        """Whether the engine can apply this kernel in this geometry."""
        return self.engine.applies(geometry) and self.fits(geometry, weight)


def _outputs(geometry: Geometry) -> int:
    return math.prod(geometry.out_shape)


def _direct(geometry: Geometry, weight: Array) -> float:
    # Samples are brought to the loops and back as well, which costs as much as a few taps.
    taps = geometry.work + 3 * geometry.channels_in / geometry.groups
    rows = geometry.kernel[-2] if geometry.ndim > 1 else 1
    unit = constants().multiply_add * (_ROWS_AT_ONCE if rows > 5 and math.prod(geometry.stride) == 1 else 1)
    return unit * arithmetic(weight.dtype) * taps * _outputs(geometry)


def _sparse(geometry: Geometry, weight: Array) -> float:
    # The matrix must be built and kept as well: never cheaper than the loops that need none.
    return constants().entry * arithmetic(weight.dtype) * geometry.work * _outputs(geometry)


def _separable(geometry: Geometry, weight: Array) -> float:
    passes = separable.passes(geometry, weight) if geometry.taps >= _WORTH_FACTORING else None
    return math.inf if passes is None else sum(itertools.starmap(_direct, passes))


def _how_direct(geometry: Geometry, weight: Array) -> str:
    return f"compiled loops, {geometry.work:,} multiply-adds for each output"


def _how_sparse(geometry: Geometry, weight: Array) -> str:
    return f"a matrix of at most {geometry.work * _outputs(geometry):,} entries, built and kept"


def _how_separable(geometry: Geometry, weight: Array) -> str:
    found = separable.passes(geometry, weight) or []
    return f"{len(found)} passes along axes, {max((g.channels_out for g, _ in found[:-1]), default=1)} terms"


def _how_gemm(geometry: Geometry, weight: Array) -> str:
    return f"matrix products on tiles, {geometry.channels_in} -> {geometry.channels_out} channels"


METHODS = {
    "direct": Method(direct, _direct, _how_direct),
    "fft": Method(fft, fft.cost, fft.how),
    "sparse": Method(sparse, _sparse, _how_sparse),
    "gemm": Method(gemm, gemm.cost, _how_gemm),
    "separable": Method(separable, _separable, _how_separable, separable.fits),
}


def costs(geometry: Geometry, weight: Array) -> dict[str, float]:
    """Predicted ns for each method that serves this geometry, cheapest first."""
    predicted = {
        name: _CALLS[name] * constants().call + method.cost(geometry, weight)
        for name, method in METHODS.items()
        if method.engine.applies(geometry)
    }
    return dict(sorted(((name, ns) for name, ns in predicted.items() if ns < math.inf), key=lambda item: item[1]))


def require_known(method: object) -> None:
    """Raise GeometryError unless `method` is the name of one."""
    if not is_one_of(method, ("auto", *METHODS)):
        raise GeometryError(f"method {method!r} is unknown; use 'auto' or one of {', '.join(map(repr, METHODS))}")


def require(method: object, geometry: Geometry, weight: Array) -> None:
    """Raise GeometryError unless `method` is "auto" or can serve."""
    require_known(method)
    if method != "auto" and not METHODS[str(method)].serves(geometry, weight):
        able = [name for name, each in METHODS.items() if each.serves(geometry, weight)]
        raise GeometryError(
            f"method {method!r} cannot serve this operator; use 'auto' or one of {', '.join(map(repr, able))}"
        )


def choose(method: str, geometry: Geometry, weight: Array) -> str:
    """The name of the engine: the cheapest for "auto", else `method`, which is one that can serve (`require`)."""
    return next(iter(costs(geometry, weight))) if method == "auto" else method


def kept(method: str, geometry: Geometry, weight: Array) -> str:
    """A pinned method for an operator made from one that had it pinned: "auto" if it can't serve this one."""
    return method if method == "auto" or METHODS[method].serves(geometry, weight) else "auto"


def prepare(method: str, geometry: Geometry, weight: Array, dtype: DType) -> object:
    """What the engine needs to apply the operator to signals of `dtype`."""
    return METHODS[method].engine.prepare(geometry, weight.astype(dtype, copy=False))
