"""Operators as torch tensors and modules, and torch modules as operators; torch is imported on first use."""

from .doors import to_torch as to_torch
from .doors import to_torch_sparse as to_torch_sparse
from .permutation import channels_last as channels_last
from .reading import action as action  # the checks take torch modules from here on
