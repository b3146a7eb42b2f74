"""The sparse matrix: formats, canonical form, the estimate before it is built, and the memory budget."""

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from cases import array
from oracle import error

import convop

FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")


def conv(taps, in_shape, dtype="complex128", seed=0, **options):
    return convop.Convolution(array(taps, dtype, seed), in_shape, **options)


OPERATORS = {
    "convolution": conv((3, 4), (5, 6), boundary="antireflective"),
    "strided": conv((3, 4), (7, 6), "float32", stride=(3, 2), boundary="symmetric"),
    "adjoint": conv((3, 4), (7, 6), stride=(3, 2), boundary="symmetric").H,
    "product": conv((3, 3), (5, 6)) @ conv((2, 3), (5, 6), boundary="mirror"),
    "sum": conv((3, 3), (5, 6)) + conv((2, 3), (5, 6), boundary="mirror"),
    "layer": convop.conv_layer(array((4, 1, 3, 2), "complex128"), (2, 5, 6), padding=2, groups=2),
    "select": convop.Select((5, 6), (slice(None, None, -2), [3, 0])),
    "extend": convop.Extend((5, 6), ((7, 2), (0, 1)), "mirror"),
    "unfold": convop.Unfold((2, 5, 6), (3, 2), padding=1),
    "diagonal": convop.Diagonal(array((5, 6), "complex128")),
    "identity": convop.Identity((5, 6)),
    "wrapped": convop.as_operator(sp.csr_array(np.triu(array((6, 6))))),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("format", FORMATS)
def test_formats(name, format):
    operator = OPERATORS[name]
    matrix = operator.tosparse(format)
    assert isinstance(matrix, sp.sparray)
    assert matrix.format == format
    assert matrix.dtype == operator.dtype
    assert np.array_equal(matrix.toarray(), operator.tosparse().toarray())
    assert np.array_equal(matrix.toarray(), operator.toarray())
    if format in ("csr", "csc"):
        assert sp.csr_array((matrix.data, matrix.indices, matrix.indptr)).has_canonical_format


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("format", ["csr", "csc", "coo"])
def test_estimate_of_every_format(name, format):
    operator = OPERATORS[name]
    matrix, estimate = operator.tosparse(format), convop.estimate(operator, format)
    parts = (matrix.data, *matrix.coords) if format == "coo" else (matrix.data, matrix.indices, matrix.indptr)
    assert estimate.index_dtype == np.int32
    assert estimate.exact or name in ("product", "sum")
    assert matrix.nnz <= estimate.nnz <= np.prod(matrix.shape)
    if estimate.exact:
        assert estimate.nnz == matrix.nnz
        assert estimate.bytes == sum(part.nbytes for part in parts)


@pytest.mark.parametrize("name", oracle.BOUNDARIES)
@pytest.mark.parametrize("options", [{}, {"stride": (2, 3)}, {"dilation": (3, 2)}, {"center": 0, "stride": 2}], ids=str)
def test_estimate_counts_what_merges(name, options):
    """Taps that a boundary folds onto the same sample share one entry; zero taps are counted as they are stored."""
    for kernel in (array((5, 4)), array((7, 9)), np.eye(3), np.zeros((2, 3))):
        operator = convop.Convolution(kernel, (4, 5), boundary=name, **options)
        assert convop.estimate(operator).nnz == operator.tosparse().nnz


@pytest.mark.parametrize("name", oracle.BOUNDARIES)
def test_no_entry_is_stored_where_nothing_is_read(name):
    """With positive taps, what is stored and what is not zero are the same entries."""
    kernel = np.abs(array((4, 3))) + 0.1
    operator = convop.Convolution(kernel, (5, 6), boundary=name)
    want = oracle.convolution_matrix(kernel, (5, 6), boundary=name)
    assert operator.tosparse().nnz >= np.count_nonzero(want)
    if name != "antireflective":  # where copies cancel
        assert operator.tosparse().nnz == np.count_nonzero(want)


def test_cancelled_entries_are_right():
    """An antireflective edge where what the copies add cancels exactly."""
    operator = convop.Convolution(np.array([1.0, 0, 1]), 4, boundary="antireflective")
    want = oracle.convolution_matrix([1.0, 0, 1], 4, boundary="antireflective")
    assert np.array_equal(operator.toarray(), want)
    assert np.array_equal(want[0], [2, 0, 0, 0])


def test_matrices_are_the_callers_own():
    operator = OPERATORS["convolution"]
    first = operator.tosparse()
    before = first.toarray()
    first.data[:] = 0
    assert np.array_equal(operator.tosparse().toarray(), before)
    x = array((5, 6), "complex128", 3)
    assert error(operator(x).ravel(), before @ x.ravel()) <= 1e-14
    pinned = operator.using("sparse")
    before = pinned(x)
    matrix = pinned.tosparse()
    matrix.data[:] = 0
    assert np.array_equal(pinned(x), before)


# Before anything is built


def test_estimate_of_what_nobody_could_build():
    big = convop.Convolution(np.ones((3, 3)), (50_000, 40_000))
    estimate = convop.estimate(big)
    assert estimate.nnz == (3 * 50_000 - 2) * (3 * 40_000 - 2)
    assert estimate.index_dtype == np.int64
    assert estimate.bytes >= estimate.nnz * (8 + 8)


def test_int64_indices_only_when_needed():
    for in_shape, dtype in (((40_000, 40_000), np.int32), ((50_000, 50_000), np.int64)):
        estimate = convop.estimate(convop.Convolution(np.ones((1, 1), "float32"), in_shape))
        assert estimate.nnz == in_shape[0] * in_shape[1]
        assert estimate.index_dtype == dtype
    assert convop.estimate(conv((3, 3), (40, 50))).index_dtype == np.int32


def test_wide_rows_need_int64_too():
    """Few entries, but column numbers past 2**31."""
    crop = convop.Convolution(np.ones((1, 1), "float32"), (50_000, 50_000), stride=10_000)
    estimate = convop.estimate(crop)
    assert estimate.nnz == 25
    assert estimate.index_dtype == np.int64
    matrix = crop.tosparse()
    assert matrix.indices.dtype == np.int64
    rows = 10_000 * np.arange(5)
    assert np.array_equal(matrix.indices, np.add.outer(50_000 * rows, rows).ravel())


@pytest.mark.parametrize("name", ["convolution", "strided", "layer", "product", "sum", "adjoint", "unfold", "extend"])
def test_memory_budget(name):
    operator = OPERATORS[name]
    needed = convop.estimate(operator).bytes
    with pytest.raises(convop.MemoryBudgetError) as refusal:
        operator.tosparse(max_bytes=100)
    assert "100" in str(refusal.value)
    with pytest.raises(convop.MemoryBudgetError):
        operator.toarray(max_bytes=100)
    assert operator.tosparse(max_bytes=50 * needed).nnz > 0
    assert operator.toarray(max_bytes=10**6).shape == operator.shape


def test_what_does_not_fit_is_refused_before_it_is_built():
    big = convop.Convolution(np.ones((5, 5)), (30_000, 30_000))
    for call in (
        lambda: big.tosparse(max_bytes=10**9),
        lambda: big.H.tosparse(max_bytes=10**9),
        lambda: (big + 2 * big.H).tosparse(max_bytes=10**9),
        lambda: (big @ big).tosparse(max_bytes=10**9),
        big.toarray,  # 6.5e18 bytes: no machine has them
    ):
        with pytest.raises(MemoryError) as refusal:
            call()
        assert isinstance(refusal.value, convop.MemoryBudgetError)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_types(dtype):
    for boundary in oracle.BOUNDARIES:
        operator = conv((4, 3), (5, 6), dtype, boundary=boundary)
        matrix = operator.tosparse()
        assert matrix.dtype == operator.toarray().dtype == dtype
        want = oracle.convolution_matrix(array((4, 3), dtype), (5, 6), boundary=boundary)
        assert error(matrix.toarray(), want) <= 20 * np.finfo(dtype).eps


def test_the_matrix_of_integers_is_exact():
    kernel = np.random.default_rng(0).integers(-9, 10, (4, 5))
    for boundary in oracle.BOUNDARIES:
        want = oracle.convolution_matrix(kernel, (3, 6), boundary=boundary, stride=(1, 2), dilation=(2, 1))
        operator = convop.Convolution(kernel, (3, 6), boundary=boundary, stride=(1, 2), dilation=(2, 1))
        assert np.array_equal(operator.tosparse().toarray(), want)


@pytest.mark.parametrize("name", OPERATORS)
def test_built_not_probed(name, monkeypatch):
    """The matrix comes from the kernel: nothing is applied to build it."""
    if name == "wrapped":
        pytest.skip("is its own matrix")
    operator = OPERATORS[name]

    def refuse(*arguments, **keywords):
        raise AssertionError("applied")

    for kind in {type(operator), *type(operator).__mro__}:
        for method in ("_forward", "_adjoint_forward", "_matvec", "_matmat", "__call__"):
            if method in vars(kind) and kind.__module__.startswith("convop"):
                monkeypatch.setattr(kind, method, refuse)
    assert operator.tosparse().nnz > 0


def test_lazy_products_keep_to_the_budget():
    """One full row of a matrix that is empty otherwise: an average over rows would not see it."""
    rows = sp.lil_array((1000, 1000))
    rows[0, :] = 1.0
    product = convop.Select(1000, [0]) @ convop.as_operator(sp.csr_array(rows))
    assert convop.estimate(product).nnz == 1000
    with pytest.raises(convop.MemoryBudgetError, match="max_bytes"):
        product.tosparse(max_bytes=11_000)
    assert product.tosparse(max_bytes=10**6).nnz == 1000


def test_bounds_of_lazy_products_are_bounds():
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = tuple(int(v) for v in rng.integers(2, 8, 2))
        boundary = str(rng.choice(oracle.BOUNDARIES))
        a, b = (
            convop.Convolution(rng.integers(1, 4, rng.integers(1, 4, 2)), n, boundary=boundary, stride=int(s))
            for s in (1, rng.integers(1, 3))
        )
        for operator in (b, b.H, b @ a, a.H @ b.H, a.H @ b.H @ b @ a, b @ (a + a.H)):
            matrix = operator.tosparse()
            row, column = operator._widest()
            assert matrix.nnz <= convop.estimate(operator).nnz
            assert np.diff(matrix.indptr).max() <= row
            assert np.diff(matrix.tocsc().indptr).max() <= column


def test_long_kernels_under_folding_boundaries_are_counted_and_refused():
    """Far more entries than fit: they are counted without looking at each."""
    n, k = 10**6, 400_001
    huge = convop.Convolution(np.ones(k), n, boundary="symmetric")
    # Output i reads from sample i - h to i + h; what is outside is folded onto samples that it reads already.
    h = k // 2
    assert convop.estimate(huge).nnz == n * k - h * (h + 1)
    with pytest.raises(convop.MemoryBudgetError, match="entries needs"):
        huge.tosparse()
    assert huge.method == "fft"
