"""The door from one process to many."""

from typing import TYPE_CHECKING, Any

from .._optional import require
from ..errors import GeometryError
from ..foreign import as_operator
from ..part import convolution_of
from .local import LocalConvolution, with_rows
from .shares import share, split

if TYPE_CHECKING:
    from .operator import DistributedConvolution


def distribute(A: Any, comm: Any = None) -> "DistributedConvolution":
    """A convolution as an operator of PyLops-MPI, whose arrays are spread over the processes of a communicator.

    Every rank calls it with the same operator. Arrays are split along their first spatial axis into blocks of whole
    rows, as even as they come; each apply exchanges the rows that a kernel at the edge of a block reads beyond it.

    Parameters
    ----------
    A : Operator
        A convolution or the adjoint of one, with any boundary, stride, dilation and channels.
    comm : mpi4py.MPI.Comm, optional
        The communicator; `MPI.COMM_WORLD` by default.

    Returns
    -------
    DistributedConvolution
        A `pylops_mpi.MPILinearOperator` with `dims`, `dimsd`, `dtype`, `.H`, `local_in_shapes` and
        `local_out_shapes`. Products and sums with others, and solvers, are those of PyLops-MPI.

    Raises
    ------
    GeometryError
        If there are more ranks than rows, or `A` is no convolution nor the adjoint of one.
    MissingDependency
        If PyLops-MPI is not installed.

    Notes
    -----
    Where kernel and strides are long, or blocks short, the rows may belong to several ranks; then each of these
    sends its own. The adjoint sends the same rows the other way and adds them to those of their owners: a halo that is
    cropped instead is no adjoint.

    Examples
    --------
    >>> import numpy as np, convop  # in each process of `mpiexec -n 4 python -m mpi4py program.py`
    >>> A = convop.Convolution(np.ones((3, 3)) / 9, (60, 80), boundary="symmetric")
    >>> D = convop.mpi.distribute(A)
    >>> x = convop.mpi.scatter(D, np.ones((60, 80)))
    >>> y = convop.mpi.gather(D, D @ x)
    >>> np.allclose(y, 1)
    True
    """
    mpi = require("mpi4py.MPI", "mpi")
    require("pylops_mpi", "mpi")
    from .operator import DistributedConvolution

    comm = mpi.COMM_WORLD if comm is None else comm
    if not isinstance(comm, mpi.Intracomm):
        raise GeometryError(f"comm must be an mpi4py communicator such as MPI.COMM_WORLD, got {comm!r}")
    advice = "distribute its factors or terms and combine them: D1 @ D2, D1 + D2, 2 * D"
    convolution, adjoint = convolution_of(as_operator(A), advice)
    g = convolution.geometry
    rows = split(g.spatial[0], comm.Get_size(), "input")
    outputs = split(g.out_spatial[0], comm.Get_size(), "output")
    local = LocalConvolution(convolution, comm, [share(g, *each) for each in zip(rows, outputs, strict=True)])
    shapes = (
        tuple(with_rows(convolution.in_shape, local.axis, each) for each in rows),
        tuple(with_rows(convolution.out_shape, local.axis, each) for each in outputs),
    )
    D = DistributedConvolution(local, convolution.in_shape, convolution.out_shape, shapes, comm)
    return D.H if adjoint else D
