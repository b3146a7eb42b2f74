"""What stands for each `prior` of `solve`."""

from collections.abc import Callable

from . import tikhonov, truncated
from .task import Found, Task

# Each minimises for one alpha, a whole batch at once.
PRIORS: dict[str, Callable[[Task, float], Found]] = {"tikhonov": tikhonov.minimise, "truncated": truncated.minimise}
