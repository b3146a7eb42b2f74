"""Operators whose matrix repeats itself, known by what repeats.

The rules of products and sums come with the classes, also where unpickling is what imports them.
"""

from . import circulant_rules as circulant_rules
from . import toeplitz_rules as toeplitz_rules
