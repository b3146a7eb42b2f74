"""For tests: random geometries and operators for hypothesis, and the laws that every operator keeps.

It needs the package hypothesis, and is imported by itself: `from convop import testing`.
"""

from .._optional import require

require("hypothesis", "test")  # or say what is missing before any part of this package asks for it

from ..check import assert_adjoint as assert_adjoint  # noqa: E402
from .agreement import NotApplicable as NotApplicable  # noqa: E402
from .draws import convolutions as convolutions  # noqa: E402
from .draws import geometries as geometries  # noqa: E402
from .draws import operators as operators  # noqa: E402
from .laws import LAWS as LAWS  # noqa: E402
from .laws import LawsReport as LawsReport  # noqa: E402
from .laws import check_laws as check_laws  # noqa: E402
