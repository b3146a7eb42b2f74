"""Convolutions as sparse matrices and linear operators: exact adjoints, exact composition, checks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .algebra import Identity as Identity
from .apply.estimate import Estimate as Estimate
from .composite import Product as Product
from .composite import Sum as Sum
from .convolution import Convolution as Convolution
from .errors import CheckFailed as CheckFailed
from .errors import ConvopError as ConvopError
from .errors import DTypeError as DTypeError
from .errors import GeometryError as GeometryError
from .errors import MemoryBudgetError as MemoryBudgetError
from .errors import MissingDependency as MissingDependency
from .errors import NotConverged as NotConverged
from .errors import NotLinearError as NotLinearError
from .errors import ShapeError as ShapeError
from .explain import explain as explain
from .foreign import as_operator as as_operator
from .layers import conv_layer as conv_layer
from .layers import conv_transpose_layer as conv_transpose_layer
from .operator import Operator as Operator
from .selection import Diagonal as Diagonal
from .selection import Extend as Extend
from .selection import Select as Select
from .selection import Unfold as Unfold
from .sizing import estimate as estimate
from .stacking import block as block
from .stacking import block_diag as block_diag
from .stacking import hstack as hstack
from .stacking import vstack as vstack

if TYPE_CHECKING:
    from . import check as check
    from . import psf as psf
    from .affine import Affine as Affine
    from .differences import gradient as gradient
    from .differences import laplacian as laplacian
    from .order import optimal_order as optimal_order
    from .recognise import as_convolution as as_convolution
    from .solving.door import solve as solve
    from .solving.solution import Solution as Solution
    from .structured.circulant import BlockCirculant as BlockCirculant
    from .structured.circulant_rules import as_circulant as as_circulant
    from .structured.lifted import Lifted as Lifted
    from .structured.lifting import lift as lift
    from .structured.lifting import lower as lower
    from .structured.toeplitz import BlockToeplitz as BlockToeplitz
    from .structured.toeplitz_rules import as_toeplitz as as_toeplitz

__version__ = "0.1.0"

__all__ = [  # also for a star import, which knows nothing of what loads later
    "Affine",
    "BlockCirculant",
    "BlockToeplitz",
    "CheckFailed",
    "Convolution",
    "ConvopError",
    "DTypeError",
    "Diagonal",
    "Estimate",
    "Extend",
    "GeometryError",
    "Identity",
    "Lifted",
    "MemoryBudgetError",
    "MissingDependency",
    "NotConverged",
    "NotLinearError",
    "Operator",
    "Product",
    "Select",
    "ShapeError",
    "Solution",
    "Sum",
    "Unfold",
    "as_circulant",
    "as_convolution",
    "as_operator",
    "as_toeplitz",
    "block",
    "block_diag",
    "check",
    "conv_layer",
    "conv_transpose_layer",
    "estimate",
    "explain",
    "gradient",
    "hstack",
    "laplacian",
    "lift",
    "lower",
    "optimal_order",
    "psf",
    "solve",
    "vstack",
]

# Loaded on first use, so that importing convop stays fast.
_LATER = {
    "check": ".check",
    "psf": ".psf",
    "Affine": ".affine",
    "gradient": ".differences",
    "laplacian": ".differences",
    "optimal_order": ".order",
    "Solution": ".solving.solution",
    "solve": ".solving.door",
    "as_convolution": ".recognise",
    "BlockCirculant": ".structured.circulant",
    "as_circulant": ".structured.circulant_rules",
    "Lifted": ".structured.lifted",
    "lift": ".structured.lifting",
    "lower": ".structured.lifting",
    "BlockToeplitz": ".structured.toeplitz",
    "as_toeplitz": ".structured.toeplitz_rules",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'convop' has no attribute {name!r}")
    module = import_module(_LATER[name], __name__)
    value = globals()[name] = getattr(module, name, module)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
