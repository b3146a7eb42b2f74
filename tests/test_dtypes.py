"""Section 1's rules on types: what kernels become, what results are, what is refused, and where NaN goes."""

import itertools

import numpy as np
import oracle
import pytest
from cases import array
from oracle import error

import convop

TYPES = ("float32", "float64", "complex64", "complex128")


def doors(kernel):
    """The operator of a 2-D kernel through each door."""
    lifted = np.asarray(kernel)[None, None]
    yield convop.Convolution(kernel, (5, 6), boundary="mirror")
    yield convop.conv_layer(lifted, (1, 5, 6), padding=1)
    yield convop.conv_transpose_layer(lifted, (1, 5, 6), stride=2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        *((dtype, dtype) for dtype in TYPES),
        *((dtype, "float64") for dtype in ("bool", "int8", "uint8", "int16", "uint32", "int64", "uint64")),
        ("float16", "float32"),
        (">f8", "float64"),
        (">c8", "complex64"),
        (">i4", "float64"),
    ],
)
def test_kernels(given, kept):
    kernel = np.array([[1, 0, 3], [2, 1, 0]]).astype(given)
    for operator in doors(kernel):
        assert operator.dtype == kept
        assert operator.dtype.isnative
        assert operator.tosparse().dtype == kept
    convolution = convop.Convolution(kernel, (5, 6))
    assert convolution.kernel.dtype == kept
    assert np.array_equal(convolution.kernel, kernel)


def test_lists_are_kernels():
    assert convop.Convolution([1, 2, 3], 5).dtype == np.float64
    assert convop.Convolution([[1, 2j]], (3, 4)).dtype == np.complex128
    assert np.array_equal(convop.Convolution([1, 2, 3], 5)([0, 0, 1, 0, 0]), [0, 1, 2, 3, 0])


@pytest.mark.parametrize("given", ["longdouble", "clongdouble", "object", "U3", "S3", "M8[s]", "m8[s]", "V8"])
def test_kernels_that_are_no_numbers(given):
    kernel = np.zeros((2, 3), given) if given != "object" else np.array([[1, 2, 3], [4, 5, 6]], object)
    for call in (
        lambda: convop.Convolution(kernel, (5, 6)),
        lambda: convop.conv_layer(kernel[None, None], (1, 5, 6)),
        lambda: convop.conv_transpose_layer(kernel[None, None], (1, 5, 6)),
        lambda: convop.Diagonal(kernel),
        lambda: convop.Convolution(np.ones((2, 3)), (5, 6)).with_kernel(kernel),
    ):
        with pytest.raises(convop.DTypeError):
            call()


@pytest.mark.parametrize("given", ["longdouble", "clongdouble", "object", "U3", "M8[s]"])
def test_signals_that_are_no_numbers(given):
    for operator in (*doors(np.ones((3, 2))), convop.Identity((5, 6)), convop.Select((5, 6), slice(2))):
        x = np.zeros(operator.in_shape, given)
        with pytest.raises(convop.DTypeError):
            operator(x)
        with pytest.raises(convop.DTypeError):
            operator.H(np.zeros(operator.out_shape, given))


class Elsewhere:
    """An array that numpy may not read, like one on a card."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("not in this memory")


def test_arrays_that_numpy_cannot_read():
    operator = convop.Convolution(np.ones((2, 3)), (5, 6))
    said = r"Elsewhere that numpy cannot read: not in this memory; .*to_torch"
    for call in (operator, operator.H, lambda x: convop.Convolution(x, (5, 6)), convop.Diagonal):
        with pytest.raises(convop.DTypeError, match=said):
            call(Elsewhere())


def test_tensors_with_gradients():
    torch = pytest.importorskip("torch")
    operator = convop.Convolution(np.ones((2, 3)), (5, 6))
    with pytest.raises(convop.DTypeError, match=r"torch\.Tensor .*detach"):
        operator(torch.ones(5, 6, requires_grad=True))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, complex(0, np.nan), complex(np.inf, 0)], ids=str)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_kernels_that_are_not_finite(bad, dtype):
    kernel = np.ones((2, 3), dtype)
    kernel[1, 2] = bad
    for call in (
        lambda: convop.Convolution(kernel, (5, 6)),
        lambda: convop.conv_layer(kernel[None, None], (1, 5, 6)),
        lambda: convop.conv_transpose_layer(kernel[None, None], (1, 5, 6)),
        lambda: convop.Convolution(np.ones((2, 3)), (5, 6)).with_kernel(kernel),
    ):
        with pytest.raises(convop.GeometryError, match=r"(?i)nan|inf|finite"):
            call()


@pytest.mark.parametrize(("kernel", "x"), [*itertools.product(TYPES, (*TYPES, "float16"))])
@pytest.mark.parametrize("method", ["direct", "fft", "sparse"])
def test_results(kernel, x, method):
    operator = convop.Convolution(array((3, 4), kernel), (5, 6), boundary="periodic").using(method)
    signal = array((2, 5, 6), x, 1)
    want = np.result_type(kernel, x)
    assert operator(signal).dtype == operator.H(signal).dtype == want
    matrix = operator.toarray()
    columns = signal.reshape(2, -1).T.astype(np.complex128)
    assert error(operator(signal).reshape(2, -1).T, matrix @ columns, matrix, columns) <= 100 * np.finfo(want).eps


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64", "uint64"])
def test_integer_signals_take_the_operators_precision(dtype):
    x = np.random.default_rng(0).integers(0, 100, (5, 6)).astype(dtype)
    for kernel in TYPES:
        for operator in doors(array((3, 2), kernel)):
            signal = x.reshape(operator.in_shape)
            assert operator(signal).dtype == kernel
            assert error(operator(signal), operator(signal.astype(kernel))) <= 10 * np.finfo(kernel).eps


def test_large_integers_are_not_squeezed():
    """An int64 signal on a float32 operator is rounded once, not wrapped around."""
    operator = convop.Convolution(np.array([1, 1], "float32"), 3, mode="valid")
    assert np.array_equal(operator(np.array([2**40, 2**40, -(2**41)])), np.array([2**41, -(2**40)], "float32"))


@pytest.mark.parametrize("method", ["direct", "fft", "sparse"])
def test_single_precision_never_widens(method):
    for dtype in ("float32", "complex64"):
        operator = convop.Convolution(array((3, 4), dtype), (6, 5), boundary="periodic").using(method)
        x = array((6, 5), dtype, 1)
        for derived in (operator, operator.H, operator.T, operator.conj(), 2 * operator, -operator, operator / 3):
            assert derived.dtype == dtype
            assert derived(x).dtype == dtype
        for product in (operator @ operator, operator + operator.H, operator**2, operator.H @ operator):
            assert product.dtype == dtype
            assert product(x).dtype == product.tosparse().dtype == product.toarray().dtype == dtype
        assert (operator @ x.ravel()).dtype == operator.matmat(x.reshape(30, 1)).dtype == dtype
        assert operator.rmatvec(x.ravel()).dtype == dtype
        widened = convop.Extend((6, 5), ((1, 1), (2, 0)), "mirror")
        assert (widened @ operator)(x).dtype == dtype


def test_a_double_signal_is_computed_in_double():
    """The result of a float32 operator on float64 data is accurate to float64, not float32 in a wider coat."""
    kernel, x = array((3, 4), "float32"), array((6, 5), "float64", 1)
    matrix = oracle.convolution_matrix(kernel, (6, 5), boundary="mirror")
    for method in ("direct", "fft", "sparse"):
        got = convop.Convolution(kernel, (6, 5), boundary="mirror").using(method)(x)
        assert got.dtype == np.float64
        assert error(got.ravel(), matrix @ x.ravel()) <= 1e-14


def test_complex_signal_on_a_real_operator():
    operator = convop.Convolution(array((3, 4)), (6, 5), boundary="symmetric")
    x = array((6, 5), "complex128", 1)
    assert error(operator(x), operator(x.real) + 1j * operator(x.imag)) <= 1e-14
    assert error(operator.H(x), operator.H(x.real) + 1j * operator.H(x.imag)) <= 1e-14


# NaN and infinity in a signal


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
@pytest.mark.parametrize("options", [{}, {"stride": (2, 3)}, {"dilation": 2}], ids=str)
def test_nan_stays_local(bad, boundary, options):
    kernel = np.abs(array((3, 2))) + 0.1
    matrix = oracle.convolution_matrix(kernel, (7, 8), boundary=boundary, **options)
    operator = convop.Convolution(kernel, (7, 8), boundary=boundary, **options).using("direct")
    clean = array((7, 8), seed=1)
    for place in ((0, 0), (3, 4), (6, 7), (0, 5)):
        x = clean.copy()
        x[place] = bad
        reads = matrix[:, np.ravel_multi_index(place, (7, 8))] != 0
        got = operator(x).ravel()
        assert np.all(~np.isfinite(got[reads]))
        if boundary != "antireflective":  # there a combination reads a sample whose weights cancel
            assert np.array_equal(got[~reads], operator(clean).ravel()[~reads])


def test_nan_in_one_channel_and_in_one_item_of_a_batch():
    layer = convop.conv_layer(np.abs(array((4, 1, 3, 2))) + 0.1, (2, 5, 6), groups=2, padding=1).using("direct")
    x = array((3, 2, 5, 6), seed=1)
    clean = layer(x)
    x[1, 0, 2, 2] = np.nan
    got = layer(x)
    assert np.array_equal(got[[0, 2]], clean[[0, 2]])
    assert np.array_equal(got[1, 2:], clean[1, 2:])
    assert np.isnan(got[1, :2]).sum() == 2 * 3 * 2


def test_nan_through_fft_is_no_error():
    operator = convop.Convolution(array((3, 2)), (5, 6)).using("fft")
    x = array((5, 6), seed=1)
    x[2, 2] = np.nan
    assert np.isnan(operator(x)).any()


def test_the_kernel_is_a_copy():
    kernel = array((3, 4), "complex128")
    operator, before = convop.Convolution(kernel, (5, 6)), kernel.copy()
    kernel[:] = 0
    assert np.array_equal(operator.kernel, before)
    assert not operator.kernel.flags.writeable
    assert error(operator.toarray(), oracle.convolution_matrix(before, (5, 6))) <= 1e-14
    weight = array((2, 1, 3, 4), "complex128")
    layer, before = convop.conv_layer(weight, (1, 5, 6)), weight.copy()
    weight[:] = 0
    assert np.array_equal(layer.kernel, before)


def test_kernels_of_any_layout():
    kernel = array((4, 6), "complex128")
    want = convop.Convolution(np.ascontiguousarray(kernel[::2, ::-2]), (5, 6)).toarray()
    readonly = kernel[::2, ::-2].copy()
    readonly.flags.writeable = False
    for given in (kernel[::2, ::-2], np.asfortranarray(kernel[::2, ::-2]), readonly, kernel[::2, ::-2].tolist()):
        operator = convop.Convolution(given, (5, 6))
        assert np.array_equal(operator.toarray(), want)
        assert operator.kernel.flags.c_contiguous
