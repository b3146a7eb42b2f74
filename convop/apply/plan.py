"""The one table that chooses a method: what each engine costs, in nanoseconds, for one application."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from ..geometry import Geometry
from . import direct, fft, sparse

# Measured on a two-core x86-64 machine; ratios matter.
_MULTIPLY_ADD = 0.04  # ns, float32, in cache, vectorised
_ENTRY = 1.5  # ns for each stored entry of a sparse matrix
_CALL = {"direct": 20_000.0, "fft": 60_000.0, "sparse": 30_000.0}


@dataclass(frozen=True)
class Method:
    """An engine and the formula for its cost in ns, from the geometry and the bytes of a real number."""

    engine: ModuleType
    cost: Callable[[Geometry, NDArray], float]


def _width(weight: NDArray) -> float:
    """Cost of arithmetic relative to float32."""
    return {"float32": 1, "float64": 2, "complex64": 4, "complex128": 8}[weight.dtype.name]


def _direct(geometry: Geometry, weight: NDArray) -> float:
    return _MULTIPLY_ADD * _width(weight) * geometry.work * math.prod(geometry.out_shape)


def _sparse(geometry: Geometry, weight: NDArray) -> float:
    # The matrix must be built and kept as well: never cheaper than the loops that need none.
    return _ENTRY * _width(weight) * geometry.work * math.prod(geometry.out_shape)


METHODS = {
    "direct": Method(direct, _direct),
    "fft": Method(fft, fft.cost),
    "sparse": Method(sparse, _sparse),
}
_TO_COME = ("gemm", "separable")


def costs(geometry: Geometry, weight: NDArray) -> dict[str, float]:
    """Predicted ns for each method that serves this geometry, cheapest first."""
    predicted = {
        name: _CALL[name] + method.cost(geometry, weight)
        for name, method in METHODS.items()
        if method.engine.applies(geometry)
    }
    return dict(sorted(predicted.items(), key=lambda item: item[1]))


def require_known(method: object) -> None:
    """Raise GeometryError unless `method` is the name of one."""
    if not isinstance(method, str) or method not in ("auto", *METHODS, *_TO_COME):
        raise GeometryError(f"method {method!r} is unknown; use 'auto' or one of {', '.join(map(repr, METHODS))}")


def choose(method: object, geometry: Geometry, weight: NDArray) -> str:
    """The name of the engine: the cheapest for "auto", else `method` if it can serve."""
    if method == "auto":
        return next(iter(costs(geometry, weight)))
    require_known(method)
    able = [name for name, each in METHODS.items() if each.engine.applies(geometry)]
    if method not in able:
        why = "is not built yet" if method in _TO_COME else "cannot serve this operator"
        raise GeometryError(f"method {method!r} {why}; use 'auto' or one of {', '.join(map(repr, able))}")
    return str(method)


def prepare(method: str, geometry: Geometry, weight: NDArray, dtype: np.dtype) -> object:
    """What the engine needs to apply the operator to signals of `dtype`."""
    return METHODS[method].engine.prepare(geometry, weight.astype(dtype, copy=False))
