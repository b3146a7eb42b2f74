"""What can go wrong, by kind. Each message says what was given, what was needed and what to do."""


class ConvopError(Exception):
    """Base class of every error that convop raises."""


class GeometryError(ConvopError, ValueError):
    """Shapes, kernels, boundaries or methods that make no operator."""


class ShapeError(ConvopError, ValueError):
    """An array or operator whose shape does not fit."""


class DTypeError(ConvopError, TypeError):
    """An array whose type convop does not compute with."""


class NotLinearError(ConvopError, TypeError):
    """A module or function that is no linear map."""


class CheckFailed(ConvopError, AssertionError):
    """A check found that an operator does not hold what it promises."""


class MemoryBudgetError(ConvopError, MemoryError):
    """Something that would not fit into the memory at hand."""


class NotConverged(ConvopError, RuntimeError):
    """An iteration that ended before it reached its tolerance."""


class MissingDependency(ConvopError, ImportError):
    """An optional package that a call needs and that is not installed."""
