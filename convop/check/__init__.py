"""Checks that diagnose: is it linear, is its adjoint its adjoint, are two operators equal, does a product associate."""

from .associativity import AssociativeReport as AssociativeReport
from .associativity import associative as associative
from .dot_test import AdjointReport as AdjointReport
from .dot_test import adjoint as adjoint
from .dot_test import assert_adjoint as assert_adjoint
from .equality import EqualReport as EqualReport
from .equality import equal as equal
from .everything import AllReport as AllReport
from .everything import all as all
from .finding import CAUSES as CAUSES
from .linearity import LinearReport as LinearReport
from .linearity import linear as linear
from .report import Report as Report
from .report import Where as Where
