"""The doors from operators to torch; torch is imported when one is used."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._optional import require
from ...affine import Affine
from ...errors import GeometryError
from ...foreign import as_operator

if TYPE_CHECKING:
    from torch import Tensor

    from .module import AffineModule, OperatorModule


def to_torch(
    A: Any, method: str = "auto", device: Any = None, dtype: Any = None, trainable: bool = False
) -> "OperatorModule | AffineModule":
    """An operator as a torch module: the same map, its exact adjoint, differentiable, on any device.

    Parameters
    ----------
    A : Operator or Affine
        Any operator that is not known by its action only; anything else that `as_operator` takes.
    method : {"auto", "conv", "fft", "sparse"}
        How the convolutions in it are applied. "conv": torch's own convolution, for 1 to 3 axes; a single channel on
        a CPU is applied by convop itself. "fft": by their spectrum, which is kept. "sparse": by their matrix, kept
        together with that of the adjoint. Other parts of an operator have one form each.
    device : torch.device or str, optional
        Where it lives; torch's default device if left out.
    dtype : torch.dtype or numpy dtype, optional
        The type that the operator is cast to; its own if left out.
    trainable : bool
        Whether the kernels of the convolutions in it are parameters, by every method; an `Affine` map's offset then
        is one too. Other numbers (diagonals, matrices, spectra of `BlockCirculant`) stay as they are.

    Returns
    -------
    torch.nn.Module
        `M(x)` on tensors of shape `(*batch, *in_shape)`, `M.adjoint(y)`, and `M.H`, the adjoint as a module that
        shares everything with `M`. Results have the type `A(x)` has. Of an `Affine` map, `M.linear` has the adjoint.
        The kernel of a convolution is `M.operator.kernel`, in the shape and order of `A.kernel`.

    Raises
    ------
    GeometryError
        If the method cannot serve the operator, the operator holds functions of numpy arrays, nothing in it can be
        trained, or there is no such device.
    DTypeError
        For a type that is none of the four, or real for a complex operator.
    MissingDependency
        If torch is not installed.

    Notes
    -----
    The gradient of a linear map is its adjoint, so that the backward of a fixed operator is its adjoint applied,
    and that of the adjoint is the operator.

    Examples
    --------
    >>> import torch, convop
    >>> M = convop.to_torch(convop.Convolution([1.0, 2.0, 3.0], 4, boundary="symmetric"))
    >>> x = torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    >>> M(x).detach()
    tensor([5., 3., 1., 3.], dtype=torch.float64)
    >>> torch.equal(torch.autograd.grad(M(x).sum(), x)[0], M.adjoint(torch.ones(4)))
    True
    """
    torch = require("torch", "torch")
    from . import forms
    from .module import AffineModule, OperatorModule
    from .number_types import as_device, as_target, torch_dtype
    from .options import METHODS, Options

    if not isinstance(method, str) or method not in METHODS:
        raise GeometryError(f"method {method!r} is unknown; use one of {', '.join(map(repr, METHODS))}")
    offset = A._given if isinstance(A, Affine) else None
    operator = A.linear if isinstance(A, Affine) else as_operator(A)
    target = as_target(dtype, operator.dtype if offset is None else A.dtype)
    options = Options(method, np.finfo(target).dtype, as_device(device), bool(trainable))
    form = forms.form_of(operator, options)
    own = options.dtype(operator.dtype) if offset is not None else target
    form.precision = torch.empty(0, dtype=torch_dtype(own), device=options.device)
    module = OperatorModule(form)
    if offset is not None:
        return AffineModule(module, options.tensor(offset), options.trainable)
    if options.trainable and not any(True for _ in module.parameters()):
        raise GeometryError(f"{operator!r} holds no convolution, so there is no kernel to train; leave out trainable")
    return module


def to_torch_sparse(
    A: Any, layout: str = "csr", device: Any = None, dtype: Any = None, blocksize: Any = None
) -> "Tensor":
    """The matrix of an operator as a torch sparse tensor of shape `A.shape`.

    Its entries are those of `A.tosparse()`: none twice, ascending, with int32 indices where they fit. For a device
    that is not the CPU, the matrix of a convolution is computed there, from the kernel.

    Parameters
    ----------
    A : Operator
        Any operator with a matrix; anything else that `as_operator` takes.
    layout : {"csr", "csc", "coo", "bsr"}
        torch's layout; "coo" is coalesced, and its indices are int64, as torch demands.
    device : torch.device or str, optional
        Where it lives; torch's default device if left out.
    dtype : torch.dtype or numpy dtype, optional
        The type that values are cast to; the operator's if left out.
    blocksize : int or tuple of int, optional
        For "bsr": rows and columns of a block. Left out, blocks are the dense `C_out x C_in` blocks of a layer (of each
        of its groups), and the tensor is the matrix in channels-last order, that is of
        ``channels_last(A.out_shape) @ A @ channels_last(A.in_shape).T``.

    Returns
    -------
    torch.Tensor

    Raises
    ------
    GeometryError
        For another layout, an operator without a matrix, or blocks that do not fit.
    DTypeError
        For a type that is none of the four, or real for a complex operator.
    MemoryBudgetError
        If the machine has no room for it.
    MissingDependency
        If torch is not installed.

    Examples
    --------
    >>> import convop
    >>> S = convop.to_torch_sparse(convop.Convolution([1.0, 2.0], 3, mode="full"), dtype="float32")
    >>> S.layout, S.col_indices().dtype
    (torch.sparse_csr, torch.int32)
    >>> S.to_dense()
    tensor([[1., 0., 0.],
            [2., 1., 0.],
            [0., 2., 1.],
            [0., 0., 2.]])
    """
    require("torch", "torch")
    from .layouts import LAYOUTS, sparse_tensor
    from .number_types import as_device, as_target, torch_dtype
    from .options import Options

    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise GeometryError(f"layout {layout!r} is unknown; use one of {', '.join(map(repr, LAYOUTS))}")
    operator = as_operator(A)
    target = as_target(dtype, operator.dtype)
    options = Options("sparse", np.finfo(target).dtype, as_device(device), False)
    tensor = sparse_tensor(operator, layout, blocksize, options)
    return tensor.to(torch_dtype(target))
