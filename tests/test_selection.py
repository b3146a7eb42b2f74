"""Select, Diagonal, Extend, Unfold and Identity against numpy and torch."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from cases import array
from oracle import BOUNDARIES, PAD_MODE, error, extend_matrix

import convop

SHAPE = (4, 5, 6)
MASK = np.random.default_rng(0).random(SHAPE) < 0.4
INDICES = {
    "slice": slice(1, 3),
    "step": (slice(None, None, 3), slice(1, None, 2)),
    "negative step": (slice(None, None, -1), slice(-1, 0, -3)),
    "ellipsis": (Ellipsis, slice(2, 5)),
    "integer": 2,
    "negative integer": (-1, slice(None), -2),
    "integers": [3, 0, 2],
    "negative integers": (slice(None), [-1, 0, -3]),
    "an array of integers": (np.array([[0, 1], [2, 3]]),),
    "integers together": ([0, 3, 0], [1, 1, 4]),
    "integers apart": ([0, 3], slice(None), [1, 5]),
    "open mesh": np.ix_([3, 1], [4, 0, 2], [5]),
    "mask": MASK,
    "mask on one axis": (slice(None), np.array([1, 0, 1, 1, 0], bool)),
    "mask and slice": (MASK[:, :, 0], slice(0, 6, 4)),
    "new axis": (slice(0, 2), None, 3),
    "everything": Ellipsis,
    "numpy integer": np.int64(1),
}


@pytest.mark.parametrize("name", INDICES)
def test_select(name):
    index, x = INDICES[name], array((2, *SHAPE), "complex128")
    select = convop.Select(SHAPE, index)
    want = np.stack([item[index] for item in x])
    assert select.in_shape == SHAPE
    assert select.out_shape == want.shape[1:]
    assert np.array_equal(select(x), want)
    back = np.zeros_like(x)
    for item, kept in zip(back, want, strict=True):
        item[index] = kept
    assert np.array_equal(select.H(want), back)
    matrix = select.tosparse()
    assert matrix.nnz == want[0].size == convop.estimate(select).nnz
    assert np.array_equal(matrix @ x[0].ravel(), want[0].ravel())


@pytest.mark.parametrize(
    "index",
    [[1, 1], ([0, 1, 0], [2, 3, 2]), [0, -4], np.ix_([0, 2, 0], [1]), (slice(None), np.zeros((2, 2), int))],
    ids=str,
)
def test_select_refuses_repeats(index):
    with pytest.raises(convop.GeometryError, match=r"repeat|twice|more than once"):
        convop.Select(SHAPE, index)


def test_select_keeps_its_own_index():
    index, mask = np.array([2, 0]), MASK.copy()
    by_index, by_mask = convop.Select(SHAPE, index), convop.Select(SHAPE, mask)
    before = by_mask.toarray()
    index[:] = 3
    mask[:] = False
    x = array(SHAPE)
    assert np.array_equal(by_index(x), x[[2, 0]])
    assert np.array_equal(by_mask(x), x[MASK])
    assert np.array_equal(by_mask.toarray(), before)


def test_select_of_a_line():
    x = array(9)
    assert np.array_equal(convop.Select(9, slice(None, None, 2))(x), x[::2])
    one = convop.Select(9, 4)
    assert one.out_shape == ()
    assert one.shape == (1, 9)
    assert one(x) == x[4]
    assert np.array_equal(one.H(np.float64(3)), 3 * (np.arange(9) == 4))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_diagonal(dtype):
    values, x = array(SHAPE, dtype), array((3, *SHAPE), dtype, 1)
    diagonal = convop.Diagonal(values)
    assert diagonal.dtype == dtype
    assert diagonal.in_shape == diagonal.out_shape == SHAPE
    assert np.array_equal(diagonal(x), values * x)
    assert np.array_equal(diagonal.H(x), values.conj() * x)
    assert np.array_equal(diagonal.T(x), values * x)
    assert np.array_equal(diagonal.conj()(x), values.conj() * x)
    assert np.array_equal(diagonal.tosparse().diagonal(), values.ravel())


def test_diagonal_types_and_copies():
    values = np.arange(1, 6)
    diagonal = convop.Diagonal(values)
    assert diagonal.dtype == np.float64
    assert convop.Diagonal(values > 2).dtype == np.float64
    assert convop.Diagonal(values.astype(np.float16)).dtype == np.float32
    values[:] = 0
    assert np.array_equal(diagonal @ np.ones(5), [1, 2, 3, 4, 5])


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_extend(boundary):
    x = array((2, 3, 4, 2), "complex128")
    widths = ((1, 2), (5, 0), (0, 3))
    extend = convop.Extend((3, 4, 2), widths, boundary)
    assert error(extend(x), np.pad(x, ((0, 0), *widths), **PAD_MODE[boundary])) <= 1e-14
    matrix = extend_matrix((3, 4, 2), widths, boundary)
    y = array((6, 9, 5), "complex128", 2)
    assert error(extend.H(y).ravel(), matrix.T @ y.ravel()) <= 1e-14


def test_extend_by_one_number():
    x = array((3, 4))
    assert np.array_equal(convop.Extend((3, 4), 2, "mirror")(x), np.pad(x, 2, "reflect"))


def test_extend_adjoint_adds_the_copies_back():
    extend = convop.Extend((3,), ((1, 2),), "replicate")
    assert np.array_equal(extend.H @ np.array([1.0, 10, 100, 1000, 10000, 100000]), [11, 100, 111000])


def test_crop_undoes_extend():
    extend = convop.Extend((3, 4), ((1, 2), (0, 3)), "antireflective")
    crop = convop.Select(extend.out_shape, (slice(1, 4), slice(0, 4)))
    assert np.array_equal((crop @ extend).toarray(), np.eye(12))


@pytest.mark.parametrize("kernel_size", [2, (3, 2), (1, 4)])
@pytest.mark.parametrize("stride", [1, (3, 2)])
@pytest.mark.parametrize("padding", [0, (2, 1)])
@pytest.mark.parametrize("dilation", [1, (1, 2)])
def test_unfold(kernel_size, stride, padding, dilation):
    torch = pytest.importorskip("torch")
    x = array((3, 2, 8, 9), "complex128")
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    unfold = convop.Unfold((2, 8, 9), kernel_size, **options)
    want = torch.nn.functional.unfold(torch.from_numpy(x), kernel_size, **options)
    assert unfold.out_shape == tuple(want.shape[1:])
    assert np.array_equal(unfold(x), want.numpy())
    back = torch.nn.functional.fold(want, (8, 9), kernel_size, **options).numpy()
    assert error(unfold.H(want.numpy()), back) <= 1e-14
    assert np.array_equal(unfold.tosparse() @ x[0].ravel(), want[0].numpy().ravel())


def test_unfold_takes_positions_in_torch_order():
    x = array((2, 8, 9))
    by_name = convop.Unfold((2, 8, 9), (2, 3), stride=2, padding=1, dilation=3)
    assert np.array_equal(convop.Unfold((2, 8, 9), (2, 3), 2, 1, 3)(x), by_name(x))


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4, 2)])
def test_identity(shape):
    identity, x = convop.Identity(shape), array((2, *shape), "complex128")
    assert np.array_equal(identity(x), x)
    assert np.array_equal(identity.toarray(), np.eye(identity.shape[0]))
    result = identity(x)
    result[...] = 0
    assert np.abs(x).min() > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda **dtype: convop.Identity((3, 4), **dtype),
        lambda **dtype: convop.Select((3, 4), slice(2), **dtype),
        lambda **dtype: convop.Extend((3, 4), ((1, 1), (0, 2)), "mirror", **dtype),
        lambda **dtype: convop.Unfold((1, 3, 4), 2, **dtype),
    ],
    ids=["Identity", "Select", "Extend", "Unfold"],
)
def test_without_a_kernel_the_type_is_float32_unless_told(make):
    plain, wide = make(), make(dtype="complex128")
    assert plain.dtype == np.float32
    assert wide.dtype == np.complex128
    for dtype in ("float32", "float64", "complex64"):
        assert plain(array(plain.in_shape, dtype)).dtype == dtype
        assert wide(array(plain.in_shape, dtype)).dtype == np.complex128
    assert plain.tosparse().dtype == np.float32


def test_select_keeps_what_it_was_given():
    index = np.array([0, 2])
    select = convop.Select(5, index)
    index[0] = 4
    assert np.array_equal(pickle.loads(pickle.dumps(select))(np.arange(5.0)), [0, 2])
    with pytest.raises(ValueError, match="read-only"):
        select.samples[0] = 4


def test_a_matrix_handed_out_is_a_copy():
    wrapped = convop.as_operator(scipy.sparse.csr_array(np.diag([1.0, 2.0, 3.0])))
    for operator in (wrapped, 2 * wrapped, wrapped.H, convop.Select(3, [2, 0]), convop.Diagonal([1.0, 2.0, 3.0])):
        before, matrix = operator.toarray(), operator.tosparse()
        matrix.indices[:] = 0
        matrix.data[:] = 7
        assert np.array_equal(operator.toarray(), before)
