"""`solve` and `deconvolve` for torch tensors, which the doors of the same names leave to these."""

from .deconvolution import deconvolve as deconvolve
from .door import solve as solve
