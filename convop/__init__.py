"""Convolutions as sparse matrices and linear operators: exact adjoints, exact composition, checks."""

from . import check as check
from . import psf as psf
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
from .operator import estimate as estimate
from .selection import Diagonal as Diagonal
from .selection import Extend as Extend
from .selection import Select as Select
from .selection import Unfold as Unfold

__version__ = "0.1.0"
