"""Checks that diagnose: is it linear, is its adjoint its adjoint, are two operators equal, does a product associate."""

from .associativity import AssociativeReport, associative
from .dot_test import AdjointReport, adjoint, assert_adjoint
from .equality import EqualReport, equal
from .everything import AllReport, all
from .finding import CAUSES
from .linearity import LinearReport, linear
from .report import Report, Where

__all__ = [
    "CAUSES",
    "AdjointReport",
    "AllReport",
    "AssociativeReport",
    "EqualReport",
    "LinearReport",
    "Report",
    "Where",
    "adjoint",
    "all",
    "assert_adjoint",
    "associative",
    "equal",
    "linear",
]
