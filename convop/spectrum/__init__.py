"""What a convolution's matrix knows about itself: singular values, norms, eigenvalues."""

from .bounds import NormBounds as NormBounds
from .bounds import norm_bounds as norm_bounds
from .closed_form import ClosedForm as ClosedForm
from .closed_form import closed_form as closed_form
from .eigen import eigvals as eigvals
from .eigen import symbol as symbol
from .gram import gram_spectrum as gram_spectrum
from .layers import clip as clip
from .layers import nearest_orthogonal as nearest_orthogonal
from .values import Form as Form
from .values import cond as cond
from .values import form as form
from .values import norm as norm
from .values import svdvals as svdvals
