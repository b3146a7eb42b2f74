"""What a convolution's matrix knows about itself: singular values, norms, eigenvalues."""

from .closed_form import ClosedForm as ClosedForm
from .closed_form import closed_form as closed_form
from .gram import gram_spectrum as gram_spectrum
