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
    from . import mpi as mpi
    from . import plot as plot
    from . import psf as psf
    from . import spectrum as spectrum
    from .affine import Affine as Affine
    from .blockwise import apply_blocks as apply_blocks
    from .differences import gradient as gradient
    from .differences import laplacian as laplacian
    from .interop.files.doors import load as load
    from .interop.files.doors import save as save
    from .interop.pylops import from_pylops as from_pylops
    from .interop.pylops import to_pylops as to_pylops
    from .interop.torch import channels_last as channels_last
    from .interop.torch import to_torch as to_torch
    from .interop.torch import to_torch_sparse as to_torch_sparse
    from .interop.torch.reading.from_torch import from_torch as from_torch
    from .interop.torch.reading.to_layers import to_layers as to_layers
    from .order import optimal_order as optimal_order
    from .planning import plan as plan
    from .recognise import as_convolution as as_convolution
    from .solving.deconvolution import deconvolve as deconvolve
    from .solving.door import solve as solve
    from .solving.kernel_estimation import estimate_kernel as estimate_kernel
    from .solving.preconditioner import preconditioner as preconditioner
    from .solving.solution import Solution as Solution
    from .spectrum.bounds import norm_bounds as norm_bounds
    from .spectrum.eigen import eigvals as eigvals
    from .spectrum.eigen import symbol as symbol
    from .spectrum.values import cond as cond
    from .spectrum.values import norm as norm
    from .spectrum.values import svdvals as svdvals
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
    "apply_blocks",
    "as_circulant",
    "as_convolution",
    "as_operator",
    "as_toeplitz",
    "block",
    "block_diag",
    "channels_last",
    "check",
    "cond",
    "conv_layer",
    "conv_transpose_layer",
    "deconvolve",
    "eigvals",
    "estimate",
    "estimate_kernel",
    "explain",
    "from_pylops",
    "from_torch",
    "gradient",
    "hstack",
    "laplacian",
    "lift",
    "load",
    "lower",
    "mpi",
    "norm",
    "norm_bounds",
    "optimal_order",
    "plan",
    "plot",
    "preconditioner",
    "psf",
    "save",
    "solve",
    "spectrum",
    "svdvals",
    "symbol",
    "to_layers",
    "to_pylops",
    "to_torch",
    "to_torch_sparse",
    "vstack",
]

# Loaded on first use, so that importing convop stays fast.
_LATER = {
    "check": ".check",
    "mpi": ".mpi",
    "plan": ".planning",
    "plot": ".plot",
    "psf": ".psf",
    "Affine": ".affine",
    "apply_blocks": ".blockwise",
    "gradient": ".differences",
    "laplacian": ".differences",
    "load": ".interop.files.doors",
    "save": ".interop.files.doors",
    "from_pylops": ".interop.pylops",
    "to_pylops": ".interop.pylops",
    "channels_last": ".interop.torch",
    "to_torch": ".interop.torch",
    "to_torch_sparse": ".interop.torch",
    "from_torch": ".interop.torch.reading.from_torch",
    "to_layers": ".interop.torch.reading.to_layers",
    "optimal_order": ".order",
    "Solution": ".solving.solution",
    "deconvolve": ".solving.deconvolution",
    "estimate_kernel": ".solving.kernel_estimation",
    "preconditioner": ".solving.preconditioner",
    "solve": ".solving.door",
    "as_convolution": ".recognise",
    "BlockCirculant": ".structured.circulant",
    "as_circulant": ".structured.circulant_rules",
    "Lifted": ".structured.lifted",
    "lift": ".structured.lifting",
    "lower": ".structured.lifting",
    "BlockToeplitz": ".structured.toeplitz",
    "as_toeplitz": ".structured.toeplitz_rules",
    "spectrum": ".spectrum",
    "cond": ".spectrum.values",
    "eigvals": ".spectrum.eigen",
    "norm": ".spectrum.values",
    "norm_bounds": ".spectrum.bounds",
    "svdvals": ".spectrum.values",
    "symbol": ".spectrum.eigen",
}

import_module(".notebook", __name__)  # how notebooks show operators

# What solves for arrays of other libraries, loaded when one comes.
import_module(".solving.elsewhere", __name__).DOORS["torch"] = "convop.interop.torch.solving"


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'convop' has no attribute {name!r}")
    module = import_module(_LATER[name], __name__)
    value = globals()[name] = getattr(module, name, module)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
