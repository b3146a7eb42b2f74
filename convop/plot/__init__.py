"""Pictures of operators, with matplotlib: matrices, kernels, spectra, how alpha is chosen, and what keeps two apart.

Every function draws into `ax` (a new figure by default) and returns it.
"""

from .kernels import kernel as kernel
from .kernels import row as row
from .matrix import spy as spy
from .panels import panels as panels
from .parameters import gcv as gcv
from .parameters import lcurve as lcurve
from .parameters import picard as picard
from .seams import explain as explain
from .spectra import singular_values as singular_values
from .spectra import symbol as symbol
