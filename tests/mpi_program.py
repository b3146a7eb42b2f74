"""What every rank does in `test_mpi.py`: mpiexec -n 4 python -m mpi4py tests/mpi_program.py DIRECTORY

Four ranks together, then three and one, then two and two: starting them is what takes time.
"""

import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pylops
import pylops_mpi
from cases import CASES, array, signal_like
from mpi4py import MPI
from oracle import error
from pylops_mpi.utils.dottest import dottest

import convop
from convop.mpi.exchange import Exchange, Travelling
from convop.part import Part

WORLD = MPI.COMM_WORLD


def applied(D, x):
    return convop.mpi.gather(D, D @ convop.mpi.scatter(D, x))


@contextmanager
def raises(kind, *words):
    """pytest's, in a program that loads fast."""
    raised = None
    try:
        yield
    except kind as given:
        raised = str(given)
    assert raised is not None, f"nothing was raised, expected {kind.__name__}"
    assert all(word in raised for word in words), raised


def rows(operator):
    """The fewest rows that it takes or gives along the first spatial axis, or 0 where it is no convolution."""
    whole = getattr(operator, "operator", operator)
    geometry = getattr(whole, "geometry", None)
    if not isinstance(whole, convop.Convolution) or geometry is None:
        return 0
    return min(geometry.spatial[0], geometry.out_spatial[0])


def every_case_is_its_matrix(comm, _):
    """Every boundary, stride, dilation, mode, channels, also where the kernel is longer than a rank's rows."""
    seen = 0
    for case in CASES if comm.size == 3 else CASES[comm.size :: 3]:  # all of them once
        for operator in (case.operator, case.operator.H):
            if rows(operator) < comm.size:
                continue
            seen += 1
            D = convop.mpi.distribute(operator, comm)
            assert isinstance(D, pylops_mpi.MPILinearOperator)
            assert (D.dims, D.dimsd, D.dtype) == (operator.in_shape, operator.out_shape, operator.dtype)
            x = signal_like(operator, operator.in_shape)
            y = applied(D, x)
            assert y.dtype == operator.dtype
            if comm.rank == 0:
                matrix = case.matrix if operator is case.operator else case.matrix.conj().T
                assert error(y.ravel(), matrix @ x.ravel(), matrix, x.ravel()) <= 200 * np.finfo(y.dtype).eps, case
    assert seen >= {1: 40, 2: 40, 3: 150, 4: 20}[comm.size], seen


def adjoints_pass(comm, _):
    strided = {"stride": (3, 2), "dilation": (2, 1)}
    for boundary, options in (
        ("zero", {}), ("periodic", strided), ("symmetric", {}), ("mirror", strided), ("replicate", {}),
        ("antireflective", strided),
    ):  # fmt: skip
        A = convop.Convolution(array((4, 3), "complex128"), (23, 5), boundary=boundary, **options)
        D = convop.mpi.distribute(A, comm)
        convop.check.adjoint(D, trials=1).raise_if_failed()
        u = convop.mpi.scatter(D, array(A.in_shape, "complex128", 1))
        v = convop.mpi.scatter(D.H, array(A.out_shape, "complex128", 2))
        assert dottest(D, u, v)
        assert D.H.H is D
    layer = convop.conv_layer(array((4, 2, 3, 3)), (2, 9, 6), stride=2, padding=1, groups=1, boundary="mirror")
    convop.check.adjoint(convop.mpi.distribute(layer, comm), trials=1).raise_if_failed()


def types_follow_the_operator(comm, _):
    A = convop.Convolution(array((3, 3), "float32"), (9, 4), boundary="antireflective")
    D = convop.mpi.distribute(A, comm)
    for dtype, expected in (("float32", "float32"), ("float64", "float64"), ("complex64", "complex64")):
        x = array((9, 4), dtype)
        y = applied(D, x)
        assert y.dtype == expected
        assert error(y, A(x)) <= 1e-6
    counts = np.arange(36, dtype=np.uint8).reshape(9, 4)
    assert applied(D, counts).dtype == np.float32
    assert error(applied(D, counts), A(counts)) <= 1e-6


def splits_are_pylops_own_where_these_are_whole_rows(comm, _):
    A = convop.Convolution(array((3, 3)), (4 * comm.size, 5))
    D = convop.mpi.distribute(A, comm)
    theirs = pylops_mpi.DistributedArray.to_dist(array(20 * comm.size), comm)
    assert theirs.local_shape == (np.prod(D.local_in_shapes[D.rank]),)
    assert error((D @ theirs).asarray(), A @ theirs.asarray()) <= 1e-13
    uneven = convop.mpi.distribute(convop.Convolution(array((3, 3)), (4 * comm.size + 1, 5)), comm)
    assert [shape[0] for shape in uneven.local_in_shapes] == [5] + [4] * (comm.size - 1)
    channels = convop.mpi.distribute(convop.conv_layer(array((3, 2, 3, 3)), (2, 4 * comm.size + 1, 5), padding=1), comm)
    assert channels.local_out_shapes == tuple((3, n, 5) for n in [5] + [4] * (comm.size - 1))


def refusals(comm, _):
    kernel = array((3, 3))
    if comm.size > 1:
        with raises(convop.GeometryError, f"{comm.size} ranks", f"{comm.size - 1} rows"):
            convop.mpi.distribute(convop.Convolution(kernel, (comm.size - 1, 9)), comm)
        with raises(convop.GeometryError, f"{comm.size} ranks", "1 rows that the output"):
            convop.mpi.distribute(convop.Convolution(kernel, (comm.size, 9), stride=(comm.size, 1)), comm)
    with raises(convop.GeometryError, "neither a convolution", "D1 @ D2"):
        convop.mpi.distribute(convop.Diagonal(np.ones((8, 3))), comm)
    with raises(convop.GeometryError, "communicator"):
        convop.mpi.distribute(convop.Convolution(kernel, (8, 9)), comm=3)
    D = convop.mpi.distribute(convop.Convolution(kernel, (8, 9)), comm)
    with raises(convop.ShapeError, "(8, 9)"):
        convop.mpi.scatter(D, np.ones((9, 8)))
    with raises(convop.DTypeError, str(np.dtype(np.longdouble))):
        convop.mpi.scatter(D, np.ones((8, 9), np.longdouble))
    with raises(convop.GeometryError, "scatter with D2"):
        convop.mpi.scatter(D @ D, np.ones((8, 9)))
    with raises(convop.ShapeError, "got ndarray"):
        convop.mpi.gather(D, np.ones((8, 9)))
    with raises(convop.ShapeError, "vector of length 72"):
        D.matvec(np.ones(71))
    everywhere = pylops_mpi.DistributedArray(72, comm, partition=pylops_mpi.Partition.BROADCAST)
    with raises(convop.ShapeError, "Broadcast", "scatter"):
        D @ everywhere
    if comm.size > 1:
        valid = convop.mpi.distribute(convop.Convolution(kernel, (8 * comm.size, 9), mode="valid"), comm)
        with raises(convop.ShapeError, "gather(D.H, x)"):
            convop.mpi.gather(valid, convop.mpi.scatter(valid, np.ones((8 * comm.size, 9))))


def pylops_mpi_solves_as_one_process_does(comm, _):
    shape = (37, 11)
    A = convop.Convolution(convop.psf.gaussian(5, sigma=1.0), shape, boundary="symmetric")
    scene = array(shape, seed=3)
    blurred = A(scene)
    one = pylops.optimization.basic.cgls(
        convop.to_pylops(A), blurred.ravel(), np.zeros(A.shape[1]), niter=12, damp=0.1, tol=0
    )[0]
    D = convop.mpi.distribute(A, comm)
    start = convop.mpi.scatter(D, np.zeros(shape))
    many = pylops_mpi.cgls(D, convop.mpi.scatter(D.H, blurred), start, niter=12, damp=0.1, tol=0)[0]
    found = convop.mpi.gather(D.H, many)
    assert error(found, one.reshape(shape)) <= 1e-10
    assert error(found, scene) < error(blurred, scene)


def products_and_sums_are_theirs(comm, _):
    A = convop.Convolution(array((3, 2), "complex128"), (12, 5))
    B = convop.Convolution(array((2, 3), "complex128", 1), (12, 5), boundary="mirror")
    D, E = convop.mpi.distribute(A, comm), convop.mpi.distribute(B, comm)
    x = array((12, 5), "complex128", 2)
    for combined, want in (
        (D @ E, A(B(x))),
        (D + E, A(x) + B(x)),
        (2j * D, 2j * A(x)),
        ((D @ E).H, B.H(A.H(x))),
        (D.T, A.T(x)),
        (D.conj(), A.conj()(x)),
    ):
        assert isinstance(combined, pylops_mpi.MPILinearOperator)
        got = combined @ convop.mpi.scatter(E, x)
        assert error(convop.mpi.gather(D, got), want) <= 1e-13


def all_ranks_by_default(comm, _):
    A = convop.Convolution(array((3, 3)), (7, 4), boundary="periodic")
    if comm.size == WORLD.size:
        D = convop.mpi.distribute(A)
        assert len(D.local_in_shapes) == WORLD.size
        assert error(applied(D, array((7, 4))), A(array((7, 4)))) <= 1e-13


class Counting(MPI.Intracomm):
    """A communicator that counts what this rank sends."""

    def __new__(cls, comm):
        self = super().__new__(cls, comm)
        self.sent = 0
        return self

    def Isend(self, buf, dest, tag=0):
        self.sent += buf.nbytes
        return super().Isend(buf, dest, tag)


def bytes_follow_the_formula(comm, _):
    """`faces * (reach - 1)` rows of all channels, there and back: one face between neighbours, one more if periodic."""
    between = comm.size - 1
    for boundary, faces in (("mirror", between), ("zero", between), ("periodic", between + (between > 0))):
        for dtype, dilation in (("float32", 1), ("complex128", 2)):
            weight = array((4, 3, 5, 3), dtype)
            options = {"padding": "same", "dilation": dilation, "boundary": boundary}
            A = convop.conv_layer(weight, (3, 8 * comm.size + 3, 6), **options)
            counting = Counting(comm)
            D = convop.mpi.distribute(A, counting)
            expected = faces * (4 * dilation) * 3 * 6 * A.dtype.itemsize
            for operator in (D, D.H):
                x = convop.mpi.scatter(operator, array(operator.dims, dtype))
                counting.sent = 0
                operator @ x
                assert comm.allreduce(counting.sent) == expected, (boundary, comm.allreduce(counting.sent), expected)
            assert comm.allreduce(D.halo_rows) == faces * 4 * dilation


def memory_is_the_share_and_its_halo(comm, directory):
    """From a file to a file: no rank ever holds more than a few times its rows and those it borrows."""
    shape, reach = (1024, 512), 9
    x = np.memmap(directory / "x.npy", np.float64, "r", shape=shape)
    A = convop.Convolution(array((reach, 3)), shape, boundary="symmetric").using("direct")
    share = (shape[0] // comm.size + reach) * shape[1] * 8
    for transposed in (False, True):
        D = convop.mpi.distribute(A, comm)
        D @ convop.mpi.scatter(D, x)  # compiles
        tracemalloc.start()
        D = convop.mpi.distribute(A, comm)
        operator = D.H if transposed else D
        local = convop.mpi.scatter(operator, x)
        y = operator @ local
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert y.local_array.nbytes <= share
        assert peak <= 6 * share, (peak / share, transposed)  # input, its extension, two results, the sum
        comm.Barrier()


def the_interior_is_computed_while_the_halo_travels(comm, _):
    if comm.size == 1:
        return
    A = convop.Convolution(array((3, 3)), (8 * comm.size, 5), boundary="periodic")
    D = convop.mpi.distribute(A, comm)
    events = []

    def watched(owner, name):
        original = getattr(owner, name)

        def call(self, *arguments):
            events.append((name, len(self.windows[0].outputs)) if owner is Part else name)
            return original(self, *arguments)

        return mock.patch.object(owner, name, call)

    x = convop.mpi.scatter(D, array((8 * comm.size, 5)))
    with watched(Exchange, "fetch"), watched(Travelling, "arrived"), watched(Part, "forward"):
        D @ x
    assert events == ["fetch", ("forward", 6), "arrived", ("forward", 1), ("forward", 1)]
    events.clear()
    with watched(Exchange, "give_back"), watched(Travelling, "arrived"), watched(Part, "adjoint"):
        D.H @ x
    assert events == [("adjoint", 1), ("adjoint", 1), "give_back", ("adjoint", 6), "arrived"]


TESTS = (
    every_case_is_its_matrix,
    adjoints_pass,
    types_follow_the_operator,
    splits_are_pylops_own_where_these_are_whole_rows,
    refusals,
    pylops_mpi_solves_as_one_process_does,
    products_and_sums_are_theirs,
    all_ranks_by_default,
    bytes_follow_the_formula,
    memory_is_the_share_and_its_halo,
    the_interior_is_computed_while_the_halo_travels,
)

if __name__ == "__main__":
    for sizes in ((4,), (3, 1), (2, 2)):
        group = next(k for k in range(len(sizes)) if WORLD.rank < sum(sizes[: k + 1]))
        comm = WORLD.Split(group, WORLD.rank)
        assert comm.size == sizes[group]
        for test in TESTS:
            test(comm, Path(sys.argv[1]))
        if comm.rank == 0:
            print(f"{len(TESTS)} tests on {comm.size} ranks\n", end="", flush=True)
        comm.Free()
