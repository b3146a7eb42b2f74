"""All forms: importing this fills the table."""

from . import by_kernel as by_kernel
from . import composites as composites
from . import kinds as kinds
from . import structures as structures
from .table import form_of as form_of
