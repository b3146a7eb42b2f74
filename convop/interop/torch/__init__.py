"""Operators as torch tensors and modules, and torch modules as operators. Nothing here imports torch before it is used."""

from .doors import to_torch as to_torch
from .doors import to_torch_sparse as to_torch_sparse
from .permutation import channels_last as channels_last
