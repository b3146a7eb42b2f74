"""Matrices as torch sparse tensors: the entries of `tosparse()`, in every layout, and as devices compute them."""

import sys

import numpy as np
import pytest
from cases import CASES, array, sparse_array
from hypothesis import given, settings

import convop
from convop import testing

torch = pytest.importorskip("torch")

from torch_cases import ALL  # noqa: E402

from convop.interop.torch.csr import Rows, by_counting, by_sorting  # noqa: E402
from convop.interop.torch.layouts import bsr_by_sorting  # noqa: E402

CONVOLUTIONS = [case for case in CASES if isinstance(case.operator, convop.Convolution)]
LAYOUTS = {"csr": torch.sparse_csr, "csc": torch.sparse_csc, "coo": torch.sparse_coo, "bsr": torch.sparse_bsr}


def require_equal(rows, matrix):
    """The same entries at the same places, with the same index type; values to rounding."""
    for got, want in ((rows.row_start, matrix.indptr), (rows.column, matrix.indices)):
        assert got.numpy().dtype == want.dtype
        assert np.array_equal(got.numpy(), want)
    scale = np.abs(matrix.data).max(initial=1)
    assert np.abs(rows.values.numpy() - matrix.data).max(initial=0) <= 8 * np.finfo(matrix.dtype).eps * scale


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_entries(case, layout):
    """Stored and dense, they are what scipy has; nothing stands twice."""
    operator, blocks = case.operator, {} if layout != "bsr" else {"blocksize": 1}
    tensor, matrix = convop.to_torch_sparse(operator, layout, **blocks), operator.tosparse()
    assert tensor.layout == LAYOUTS[layout]
    assert tuple(tensor.shape) == operator.shape
    assert np.array_equal(tensor.to_dense().numpy(), matrix.toarray())
    assert tensor._nnz() == matrix.nnz
    if layout == "coo":
        assert tensor.is_coalesced()
        places = tensor.indices().numpy()
        assert (np.diff(places[0].astype(np.int64) * operator.shape[1] + places[1]) > 0).all()
    else:
        indices = tensor.row_indices() if layout == "csc" else tensor.col_indices()
        assert indices.dtype == torch.int32
        torch._validate_compressed_sparse_indices(
            layout != "csc",
            tensor.ccol_indices() if layout == "csc" else tensor.crow_indices(),
            indices,
            *(operator.shape if layout != "csc" else operator.shape[::-1]),
            matrix.nnz,
        )


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_assembly_with_tensors(case):
    """What a device computes from the geometry is what the compiled loops compute, entry for entry."""
    operator = case.operator
    rows = Rows.assembled(operator.geometry, torch.tensor(operator.weight.copy()))
    require_equal(rows, operator.tosparse())
    adjoint = rows.adjoint()
    require_equal(adjoint, operator.tosparse().conj().T.tocsr())


@settings(max_examples=60)
@given(testing.convolutions())
def test_assembly_of_any_convolution(operator):
    weight = np.where(np.abs(operator.weight) < 0.3, 0, operator.weight).astype(operator.dtype)  # taps without entries
    operator = convop.Convolution.of(operator.geometry, weight, operator.convention)
    require_equal(Rows.assembled(operator.geometry, torch.from_numpy(weight)), operator.tosparse())


@pytest.mark.parametrize("case", CONVOLUTIONS[::5])
def test_the_transpose_of_other_devices(case):
    """The sorting that a device does, and the counting of the CPU, order entries alike."""
    matrix = case.operator.tosparse()
    starts, columns = torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices)
    pairs = zip(by_counting(starts, columns, matrix.shape), by_sorting(starts, columns, matrix.shape), strict=True)
    assert all(torch.equal(counted.long(), ordered.long()) for counted, ordered in pairs)


@pytest.mark.parametrize("case", [case for case in CASES if case.name.startswith(("layer", "transpose layer"))])
def test_blocks_of_channels(case):
    """Left alone, a layer's blocks are its channels, and the permutations bring the operator's own order back."""
    operator = case.operator
    tensor = convop.to_torch_sparse(operator, "bsr")
    last_out, last_in = convop.channels_last(operator.out_shape), convop.channels_last(operator.in_shape)
    own = last_out.T.toarray() @ tensor.to_dense().numpy() @ last_in.toarray()
    assert np.allclose(own, case.matrix, rtol=1e-5, atol=1e-5)
    c_out, c_in = operator.out_shape[0], operator.in_shape[0]
    groups = c_out // tensor.values().shape[1]
    assert tensor.values().shape[1:] == (c_out // groups, c_in // groups)
    assert len(tensor.values()) * c_out * c_in // groups**2 == operator.tosparse().nnz  # no block holds a zero
    assert tensor.col_indices().dtype == torch.int32


def test_blocks_of_a_layer_without_some_taps():
    weight = array((2, 3, 3, 3))
    weight[:, :, 0, 1] = 0
    weight[0, 0, 2, 2] = 0
    operator = convop.conv_layer(weight, (3, 5, 6), padding=1, stride=2)
    tensor = convop.to_torch_sparse(2 * operator.H.H, "bsr")
    last = convop.channels_last(operator.out_shape) @ (2 * operator) @ convop.channels_last(operator.in_shape).T
    assert np.array_equal(tensor.to_dense().numpy(), last.toarray())
    taps = np.broadcast_to(weight.any((0, 1)), weight.shape)  # a block stands where any of its channels has a tap
    assert 6 * len(tensor.values()) == operator.with_kernel(taps).tosparse().nnz


@pytest.mark.parametrize("block", [(1, 1), (2, 1), (1, 3), (2, 3), (10, 9)])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.filterwarnings("ignore:Sparse BSR tensor support is in beta:UserWarning")
def test_blocks_of_other_devices(block, dtype):
    """What a device makes by sorting is what torch makes on a CPU; the matrix has empty rows and empty blocks."""
    matrix = (sparse_array((10, 18), 0.1) * array((10, 18), dtype)).tocsr().astype(dtype)
    matrix.data[0] = 0  # a stored zero has its place, too
    rows = Rows.of_scipy(matrix)
    got, want = bsr_by_sorting(rows, block), rows.tensor().to_sparse_bsr(block)
    assert (got.layout, got.dtype, tuple(got.shape)) == (torch.sparse_bsr, want.dtype, (10, 18))
    for part in ("crow_indices", "col_indices", "values"):
        assert torch.equal(getattr(got, part)(), getattr(want, part)())
        assert getattr(got, part)().dtype == getattr(want, part)().dtype


def test_types():
    operator = convop.Convolution(array((3, 2)), (5, 6), boundary="mirror")
    for dtype in (torch.float32, "float32", "c8", torch.complex128):
        for layout in LAYOUTS:
            blocks = {"blocksize": (5, 6)} if layout == "bsr" else {}
            tensor = convop.to_torch_sparse(operator, layout, dtype=dtype, **blocks)
            assert tensor.dtype == getattr(torch, np.dtype(str(dtype).removeprefix("torch.")).name)
            assert np.allclose(tensor.to_dense().numpy(), operator.toarray(), rtol=1e-6, atol=1e-6)
    with pytest.raises(convop.DTypeError, match="imaginary"):
        convop.to_torch_sparse(1j * operator, dtype="float64")


def test_products_with_torch():
    operator = convop.Convolution(array((3, 2)), (5, 6), boundary="antireflective", stride=2)
    x = torch.from_numpy(array((30, 4)))
    for layout in ("csr", "csc", "coo"):
        y = convop.to_torch_sparse(operator, layout) @ x
        assert np.allclose(y.numpy(), operator @ x.numpy())


def test_refusals():
    operator = convop.Convolution(array((3, 2)), (5, 6))
    with pytest.raises(convop.GeometryError, match="'csr', 'csc', 'coo', 'bsr'"):
        convop.to_torch_sparse(operator, "dia")
    with pytest.raises(convop.GeometryError, match=r"give blocksize=\(r, c\)"):
        convop.to_torch_sparse(operator, "bsr")
    for blocksize in (7, (5, 4)):
        with pytest.raises(convop.GeometryError, match="does not divide"):
            convop.to_torch_sparse(operator, "bsr", blocksize=blocksize)
    for blocksize in (0, (1, 2, 3), "a", 1.5):
        with pytest.raises(convop.GeometryError, match="blocksize"):
            convop.to_torch_sparse(operator, "bsr", blocksize=blocksize)
    with pytest.raises(convop.GeometryError, match="layout 'bsr' only"):
        convop.to_torch_sparse(operator, "csr", blocksize=2)
    with pytest.raises(convop.GeometryError, match="action only"):
        convop.to_torch_sparse(convop.as_operator(forward=np.copy, in_shape=3, out_shape=3))
    with pytest.raises(convop.GeometryError, match="spatial"):
        convop.channels_last(5)


def test_scipy_matrices_come_along():
    matrix = sparse_array((6, 7), density=0.4).tocoo()
    assert np.array_equal(convop.to_torch_sparse(matrix).to_dense().numpy(), matrix.toarray())


def test_a_missing_torch_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for door in (convop.to_torch, convop.to_torch_sparse):
        with pytest.raises(convop.MissingDependency, match=r"convop\[torch\]"):
            door(convop.Identity(3))
