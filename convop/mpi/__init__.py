"""Convolutions of arrays that are spread over many processes, as PyLops-MPI operators.

PyLops-MPI and mpi4py are imported by `distribute`, not before.
"""

from .arrays import gather as gather
from .arrays import scatter as scatter
from .doors import distribute as distribute
