"""The door back: torch layers that compute an operator."""

from typing import TYPE_CHECKING, Any

from ...._optional import require
from ....affine import Affine
from ....foreign import as_operator

if TYPE_CHECKING:
    import torch


def to_layers(A: Any) -> "torch.nn.Module":
    """An operator as layers of `torch.nn`: one convolutional layer for a convolution, a Sequential for a product.

    Convolutions that were fused are one layer. A boundary or widths that a convolutional layer has no word for become
    padding layers before it, offsets become biases. `Convolution` operators that have no channel axis get one inside,
    so that layers take and give arrays of shape `(batch, *in_shape)` and `(batch, *out_shape)` in any case.

    Parameters
    ----------
    A : Operator or Affine
        Also anything else that `as_operator` takes.

    Returns
    -------
    torch.nn.Module
        With parameters of the operator's dtype, on torch's default device; `from_torch(to_layers(A), A.in_shape)` is
        the same map.

    Raises
    ------
    GeometryError
        If no layer of torch does this; then `to_torch` makes a module that does.
    MissingDependency
        If torch is not installed.

    Examples
    --------
    >>> import numpy as np, convop
    >>> blur = convop.conv_layer(np.ones((1, 1, 3, 3)), (1, 9, 8), padding=1, boundary="mirror")
    >>> convop.to_layers(blur)
    Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False, padding_mode=reflect)
    """
    torch = require("torch", "torch")
    from . import convolutional_layers as convolutional_layers  # fills the table
    from .layering import layers_of, with_bias

    if isinstance(A, Affine):
        layers = with_bias(layers_of(A.linear, A.dtype), A.offset.astype(A.dtype))
    else:
        operator = as_operator(A)
        layers = layers_of(operator, operator.dtype)
    if not layers:
        return torch.nn.Identity()
    return layers[0] if len(layers) == 1 else torch.nn.Sequential(*layers)
