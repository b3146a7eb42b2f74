"""Every bad argument of every door: the class of section 9, and a message that names what was given."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import convop
from convop import ConvopError, DTypeError, GeometryError, MemoryBudgetError, ShapeError

ONES = np.ones((3, 3))
WEIGHT = np.ones((4, 2, 3, 3))
UP = np.ones((2, 4, 3, 3))
A = convop.Convolution(ONES, (5, 6), stride=(2, 1))
SQUARE = convop.Convolution(ONES, (5, 6))
LAYER = convop.conv_layer(WEIGHT, (2, 5, 6))


def conv(kernel=ONES, in_shape=(5, 6), **options):
    return lambda: convop.Convolution(kernel, in_shape, **options)


def layer(weight=WEIGHT, in_shape=(2, 5, 6), **options):
    return lambda: convop.conv_layer(weight, in_shape, **options)


def up(weight=UP, in_shape=(2, 5, 6), **options):
    return lambda: convop.conv_transpose_layer(weight, in_shape, **options)


# (call, class, words that the message must hold: what was given, and where it helps what would do)
BAD = {
    # Convolution: kernel and in_shape
    "kernel of fewer axes": (conv(np.ones(3)), GeometryError, ("(3,)", "(5, 6)")),
    "kernel of more axes": (conv(np.ones((3, 3, 3))), GeometryError, ("3", "(5, 6)")),
    "kernel for an int shape": (conv(ONES, 5), GeometryError, ("5",)),
    "kernel without axes": (conv(np.float64(3)), GeometryError, ()),
    "empty kernel": (conv(np.ones((0, 3))), GeometryError, ("(0, 3)",)),
    "NaN in the kernel": (conv([[1.0, np.nan]]), GeometryError, ("nan",)),
    "infinity in the kernel": (conv([[1.0, np.inf]]), GeometryError, ("inf",)),
    "ragged kernel": (conv([[1, 2], [3]]), ConvopError, ()),
    "kernel of None": (conv(None), DTypeError, ()),
    "kernel of text": (conv("abc"), DTypeError, ()),
    "longdouble kernel": (conv(np.ones((3, 3), np.longdouble)), DTypeError, (np.dtype(np.longdouble).name,)),
    "object kernel": (conv(ONES.astype(object)), DTypeError, ("object",)),
    "sparse kernel": (conv(sp.csr_array(ONES)), ConvopError, ()),
    "size zero": (conv(in_shape=(5, 0)), GeometryError, ("0",)),
    "negative size": (conv(in_shape=(5, -6)), GeometryError, ("-6",)),
    "fractional size": (conv(in_shape=(5, 6.5)), GeometryError, ("6.5",)),
    "size of text": (conv(in_shape="56"), GeometryError, ("56",)),
    "size of None": (conv(in_shape=None), GeometryError, ("None",)),
    # Convolution: mode, boundary, centre
    "unknown mode": (conv(mode="circular"), GeometryError, ("circular", "same", "full", "valid")),
    "mode of None": (conv(mode=None), GeometryError, ("None",)),
    "mode of a number": (conv(mode=2), GeometryError, ("2",)),
    "valid with nothing left": (conv(np.ones((6, 1)), mode="valid"), GeometryError, ("6", "5")),
    "valid with nothing left, dilated": (conv(dilation=3, mode="valid"), GeometryError, ("7",)),
    "full with a boundary": (conv(mode="full", boundary="mirror"), GeometryError, ("full", "mirror")),
    "full with one boundary": (conv(mode="full", boundary=("zero", "periodic")), GeometryError, ("full", "periodic")),
    "full with a centre": (conv(mode="full", center=1), GeometryError, ("center",)),
    "valid with a centre": (conv(mode="valid", center=1), GeometryError, ("center",)),
    "unknown boundary": (conv(boundary="bounce"), GeometryError, ("bounce", "zero", "periodic", "antireflective")),
    "unknown alias": (conv(boundary="numpy:bounce"), GeometryError, ("numpy:bounce",)),
    "boundary of None": (conv(boundary=None), GeometryError, ("None",)),
    "bare reflect": (conv(boundary="reflect"), GeometryError, ("reflect", "mirror", "symmetric")),
    "boundary of a number": (conv(boundary=7.5), GeometryError, ("7.5",)),
    "boundaries too few": (conv(boundary=("zero",)), GeometryError, ("zero", "2")),
    "boundaries too many": (conv(boundary=("zero", "mirror", "zero")), GeometryError, ("mirror", "2")),
    "three sides": (conv(boundary=(("zero", "mirror", "zero"), "zero")), GeometryError, ("mirror",)),
    "periodic on one side": (conv(boundary=(("periodic", "zero"), "zero")), GeometryError, ("periodic", "zero")),
    "mirror of one sample": (conv(in_shape=(5, 1), boundary="mirror"), GeometryError, ("mirror", "1")),
    "antireflective of one sample": (
        conv(in_shape=(1, 5), boundary="antireflective"),
        GeometryError,
        ("antireflective",),
    ),
    "centre behind the kernel": (conv(center=3), GeometryError, ("3",)),
    "centre before the kernel": (conv(center=(1, -4)), GeometryError, ("-4",)),
    "centres too many": (conv(center=(1, 1, 1)), GeometryError, ("(1, 1, 1)",)),
    "fractional centre": (conv(center=0.5), GeometryError, ("0.5",)),
    "centre of text": (conv(center="middle"), GeometryError, ("middle",)),
    # Convolution: stride, dilation, method
    "stride zero": (conv(stride=0), GeometryError, ("stride", "0")),
    "negative stride": (conv(stride=(1, -2)), GeometryError, ("stride", "-2")),
    "fractional stride": (conv(stride=1.5), GeometryError, ("stride", "1.5")),
    "strides too many": (conv(stride=(1, 2, 3)), GeometryError, ("(1, 2, 3)",)),
    "stride of text": (conv(stride="two"), GeometryError, ("two",)),
    "stride of None": (conv(stride=None), GeometryError, ("None",)),
    "stride of NaN": (conv(stride=np.nan), GeometryError, ("nan",)),
    "dilation zero": (conv(dilation=0), GeometryError, ("dilation", "0")),
    "negative dilation": (conv(dilation=(-3, 1)), GeometryError, ("dilation", "-3")),
    "fractional dilation": (conv(dilation=(1, 2.5)), GeometryError, ("dilation", "2.5")),
    "dilations too few": (conv(dilation=(2,)), GeometryError, ("(2,)",)),
    "unknown method": (conv(method="magic"), GeometryError, ("magic", "direct", "fft")),
    "a method for other kernels": (conv(np.eye(3), method="separable"), GeometryError, ("separable", "direct", "gemm")),
    "method of None": (conv(method=None), GeometryError, ("None",)),
    # conv_layer
    "weight of too few axes": (layer(np.ones((4, 2))), GeometryError, ("(4, 2)",)),
    "weight for another number of axes": (layer(np.ones((4, 2, 3))), GeometryError, ("(4, 2, 3)", "(2, 5, 6)")),
    "channels that do not fit": (layer(in_shape=(3, 5, 6)), GeometryError, ("3", "2")),
    "in_shape an int": (layer(in_shape=5), GeometryError, ("5",)),
    "groups that do not divide C_out": (layer(np.ones((3, 1, 2, 2)), groups=2), GeometryError, ("3", "2")),
    "groups that do not divide C_in": (layer(np.ones((6, 1, 2, 2)), groups=3), GeometryError, ("3", "2")),
    "no groups": (layer(groups=0), GeometryError, ("groups", "0")),
    "fractional groups": (layer(groups=1.5), GeometryError, ("groups", "1.5")),
    "groups per axis": (layer(groups=(1, 1)), GeometryError, ("groups", "(1, 1)")),
    "unknown padding": (layer(padding="full"), GeometryError, ("full", "same", "valid")),
    "negative padding": (layer(padding=-1), GeometryError, ("padding", "-1")),
    "negative padding on one side": (layer(padding=((0, 0), (0, -2))), GeometryError, ("padding", "-2")),
    "fractional padding": (layer(padding=0.5), GeometryError, ("padding", "0.5")),
    "paddings too many": (layer(padding=(1, 2, 3)), GeometryError, ("(1, 2, 3)",)),
    "three sides of padding": (layer(padding=((1, 2, 3), (0, 0))), GeometryError, ("(1, 2, 3)",)),
    "padding of None": (layer(padding=None), GeometryError, ("None",)),
    "same with a stride": (layer(padding="same", stride=2), GeometryError, ("same", "stride", "2")),
    "kernel larger than the input": (layer(in_shape=(2, 2, 6)), GeometryError, ("3", "2")),
    "layer stride zero": (layer(stride=(0, 1)), GeometryError, ("stride", "0")),
    "layer dilation zero": (layer(dilation=0), GeometryError, ("dilation", "0")),
    "layer boundary unknown": (layer(boundary="reflect"), GeometryError, ("reflect", "mirror", "symmetric")),
    "layer boundary with the channels": (layer(boundary=("zero",) * 3), GeometryError, ("2",)),
    "layer longdouble": (layer(WEIGHT.astype(np.longdouble)), DTypeError, (np.dtype(np.longdouble).name,)),
    "layer NaN": (layer(WEIGHT * np.nan), GeometryError, ("nan",)),
    "layer without outputs": (layer(np.ones((0, 2, 3, 3))), GeometryError, ("(0, 2, 3, 3)",)),
    "layer method unknown": (layer(method="magic"), GeometryError, ("magic", "direct")),
    # conv_transpose_layer
    "transposed channels": (up(in_shape=(3, 5, 6)), GeometryError, ("3", "2")),
    "output padding too large": (up(output_padding=1), GeometryError, ("output_padding", "1")),
    "output padding as stride and dilation": (up(stride=2, dilation=2, output_padding=2), GeometryError, ("2",)),
    "negative output padding": (up(stride=2, output_padding=-1), GeometryError, ("output_padding", "-1")),
    "transposed with nothing left": (up(padding=4, in_shape=(2, 5, 5)), GeometryError, ("padding", "4")),
    "transposed negative padding": (up(padding=(0, -1)), GeometryError, ("padding", "-1")),
    "transposed same": (up(padding="same"), GeometryError, ("same",)),
    "transposed groups": (up(groups=3), GeometryError, ("3", "2")),
    "transposed stride": (up(stride=0), GeometryError, ("stride", "0")),
    "transposed object": (up(UP.astype(object)), DTypeError, ("object",)),
    # Select, Diagonal, Extend, Unfold, Identity
    "select repeats": (lambda: convop.Select((5, 6), [1, 2, 1]), GeometryError, ("1",)),
    "select outside": (lambda: convop.Select((5, 6), 7), GeometryError, ("7", "5")),
    "select outside in a list": (lambda: convop.Select((5, 6), [0, 9]), GeometryError, ("9",)),
    "select too many axes": (lambda: convop.Select((5, 6), (0, 0, 0)), GeometryError, ("(5, 6)",)),
    "select by text": (lambda: convop.Select((5, 6), "all"), GeometryError, ("all",)),
    "select by fractions": (lambda: convop.Select((5, 6), 1.5), GeometryError, ("1.5",)),
    "select by a mask of another shape": (lambda: convop.Select((5, 6), np.ones((6, 5), bool)), GeometryError, ()),
    "select nothing": (lambda: convop.Select((5, 6), slice(0, 0)), GeometryError, ("0",)),
    "select from nothing": (lambda: convop.Select((0, 6), slice(0)), GeometryError, ("0",)),
    "diagonal of objects": (lambda: convop.Diagonal(ONES.astype(object)), DTypeError, ("object",)),
    "diagonal of longdouble": (lambda: convop.Diagonal(ONES.astype(np.longdouble)), DTypeError, ()),
    "extend by a negative width": (lambda: convop.Extend((5,), ((1, -1),), "zero"), GeometryError, ("-1",)),
    "extend by a fraction": (lambda: convop.Extend((5,), ((1, 1.5),), "zero"), GeometryError, ("1.5",)),
    "extend with widths too many": (lambda: convop.Extend((5,), ((1, 1), (2, 2)), "zero"), GeometryError, ("1",)),
    "extend with an unknown boundary": (lambda: convop.Extend((5,), ((1, 1),), "bounce"), GeometryError, ("bounce",)),
    "extend one mirrored sample": (lambda: convop.Extend((1,), ((1, 1),), "mirror"), GeometryError, ("mirror",)),
    "unfold with a window too large": (lambda: convop.Unfold((1, 3, 4), (5, 2)), GeometryError, ("5", "3")),
    "unfold with no window": (lambda: convop.Unfold((1, 3, 4), 0), GeometryError, ("0",)),
    "unfold without space": (lambda: convop.Unfold((4,), 2), GeometryError, ("(4,)",)),
    "unfold with stride zero": (lambda: convop.Unfold((1, 3, 4), 2, stride=0), GeometryError, ("stride", "0")),
    "unfold with windows too many": (lambda: convop.Unfold((1, 3, 4), (2, 2, 2)), GeometryError, ("(2, 2, 2)",)),
    "unfold with negative padding": (lambda: convop.Unfold((1, 3, 4), 2, padding=-1), GeometryError, ("-1",)),
    "identity of a negative size": (lambda: convop.Identity((3, -4)), GeometryError, ("-4",)),
    "identity of text": (lambda: convop.Identity("ab"), GeometryError, ("ab",)),
    "identity of longdouble": (lambda: convop.Identity(3, dtype=np.longdouble), DTypeError, ()),
    "identity of a type of text": (lambda: convop.Identity(3, dtype="U3"), DTypeError, ("U3",)),
    # Arrays that do not fit
    "a signal of another shape": (lambda: A(np.ones((6, 5))), ShapeError, ("(6, 5)", "5, 6)")),
    "a flat signal": (lambda: A(np.ones(30)), ShapeError, ("(30,)", "5, 6)")),
    "a number": (lambda: A(3.0), ShapeError, ("()", "5, 6)")),
    "a signal for the adjoint": (lambda: A.H(np.ones((5, 6))), ShapeError, ("(5, 6)", "3, 6)")),
    "a signal without channels": (lambda: LAYER(np.ones((5, 6))), ShapeError, ("(5, 6)", "2, 5, 6)")),
    "a signal of objects": (lambda: A(np.ones((5, 6), object)), DTypeError, ("object",)),
    "a signal of longdouble": (lambda: A(np.ones((5, 6), np.longdouble)), DTypeError, ()),
    "a signal of text": (lambda: A("text"), DTypeError, ()),
    "a signal of None": (lambda: A(None), DTypeError, ()),
    "matvec of a short vector": (lambda: A.matvec(np.ones(29)), ValueError, ()),
    "rmatvec of a long vector": (lambda: A.rmatvec(np.ones(30)), ValueError, ()),
    "matmat of a vector": (lambda: A.matmat(np.ones(30)), ValueError, ()),
    "a kernel of another shape": (
        lambda: A.with_kernel(np.ones((3, 2))),
        (GeometryError, ShapeError),
        ("(3, 2)", "(3, 3)"),
    ),
    "a kernel of more axes": (lambda: LAYER.with_kernel(ONES), (GeometryError, ShapeError), ("(3, 3)",)),
    "a kernel of objects": (lambda: A.with_kernel(ONES.astype(object)), DTypeError, ("object",)),
    "a method pinned that is none": (lambda: A.using("magic"), GeometryError, ("magic", "direct")),
    "a method pinned that cannot serve": (lambda: LAYER.using("separable"), GeometryError, ("separable", "direct")),
    # Algebra
    "product": (lambda: A @ A, ShapeError, ("(3, 6)", "(5, 6)")),
    "sum": (lambda: A + SQUARE, ShapeError, ("(3, 6)", "(5, 6)")),
    "difference": (lambda: SQUARE - A, ShapeError, ("(3, 6)", "(5, 6)")),
    "product with sparse": (lambda: A @ sp.eye_array(7), ShapeError, ("(7,)", "(5, 6)")),
    "sparse with product": (lambda: sp.eye_array(7).tocsr() @ A, ShapeError, ("(7,)", "(3, 6)")),
    "sum with sparse": (lambda: SQUARE + sp.eye_array(7), ShapeError, ("(7,)", "(5, 6)")),
    "product with scipy": (lambda: A @ aslinearoperator(np.eye(7)), ShapeError, ("(7,)", "(5, 6)")),
    "negative power": (lambda: SQUARE**-1, ValueError, ("-1",)),
    "power of a rectangle": (lambda: A**2, ShapeError, ("(3, 6)", "(5, 6)")),
    "scalar added": (lambda: SQUARE + 1, TypeError, ()),
    "text added": (lambda: SQUARE + "x", TypeError, ()),
    "times text": (lambda: SQUARE * "x", (TypeError, ValueError), ()),
    "divided by an operator": (lambda: SQUARE / SQUARE, TypeError, ()),
    "times longdouble": (lambda: np.longdouble(2) * SQUARE, DTypeError, ()),
    "times NaN": (lambda: np.nan * SQUARE, GeometryError, ("nan",)),
    # Forms
    "unknown format": (lambda: A.tosparse("sparse"), ValueError, ("sparse",)),
    "unknown format to estimate": (lambda: convop.estimate(A, "sparse"), ValueError, ("sparse",)),
    "estimate of no operator": (lambda: convop.estimate("abc"), ConvopError, ()),
    "matrix over budget": (lambda: A.tosparse(max_bytes=64), MemoryBudgetError, ("64",)),
    "dense over budget": (lambda: A.toarray(max_bytes=64), MemoryBudgetError, ("64",)),
    "matrix far over any budget": (
        lambda: convop.Convolution(np.ones((9, 9)), (10**6, 10**6)).tosparse(),
        MemoryBudgetError,
        (),
    ),
    "explain of no operator": (lambda: convop.explain(object()), ConvopError, ()),
    # as_operator
    "wrap nothing": (convop.as_operator, (TypeError, ConvopError), ()),
    "wrap text": (lambda: convop.as_operator("abc"), ConvopError, ()),
    "wrap three axes": (lambda: convop.as_operator(np.ones((2, 3, 4))), ConvopError, ("(2, 3, 4)",)),
    "wrap objects": (lambda: convop.as_operator(ONES.astype(object)), DTypeError, ("object",)),
    "wrap with a wrong in_shape": (
        lambda: convop.as_operator(np.eye(6), in_shape=(2, 4)),
        ConvopError,
        ("(2, 4)", "6"),
    ),
    "wrap with a wrong out_shape": (lambda: convop.as_operator(np.eye(6), out_shape=(5,)), ConvopError, ("5", "6")),
    "wrap a function without shapes": (
        lambda: convop.as_operator(forward=abs, adjoint=abs),
        (TypeError, ConvopError),
        (),
    ),
    "a wrapped function that answers wrongly": (
        lambda: convop.as_operator(
            forward=lambda x: x[:2], adjoint=lambda y: y, in_shape=(4,), out_shape=(4,), dtype="float64"
        )(np.ones(4)),
        ShapeError,
        ("(2,)", "(4,)"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_argument(name):
    call, kind, words = BAD[name]
    with pytest.raises(kind) as refusal:
        call()
    message = str(refusal.value)
    assert len(message) > 15, message
    for word in words:
        assert word.lower() in message.lower(), message


@pytest.mark.parametrize("name", BAD)
def test_our_refusals_are_ours(name):
    """Whatever is refused on shapes, types or sizes is refused by one of convop's own classes, in words of its own."""
    call, kind, _ = BAD[name]
    if not isinstance(kind, type) or not issubclass(kind, ConvopError):
        pytest.skip("scipy or Python refuses this one")
    with pytest.raises(ConvopError) as refusal:
        call()
    for word in ("broadcast", "unpack", "has no attribute", "invalid literal", "not iterable", "subscript"):
        assert word not in str(refusal.value)


def test_there_are_enough_bad_arguments():
    assert len(BAD) >= 80


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        ("GeometryError", ValueError),
        ("ShapeError", ValueError),
        ("DTypeError", TypeError),
        ("NotLinearError", TypeError),
        ("CheckFailed", AssertionError),
        ("MemoryBudgetError", MemoryError),
        ("NotConverged", RuntimeError),
        ("MissingDependency", ImportError),
    ],
)
def test_the_tree(ours, builtin):
    kind = getattr(convop, ours)
    assert issubclass(kind, convop.ConvopError)
    assert issubclass(kind, builtin)
    assert issubclass(convop.ConvopError, Exception)


def test_numpy_integers_are_integers():
    one, two = np.int64(1), np.uint8(2)
    got = convop.Convolution(ONES, (np.int32(5), np.int64(6)), stride=two, dilation=(one, two), center=(two, one))
    want = convop.Convolution(ONES, (5, 6), stride=2, dilation=(1, 2), center=(2, 1))
    assert np.array_equal(got.toarray(), want.toarray())
    lists = convop.Convolution(ONES, [5, 6], stride=[2, 2], dilation=np.array([1, 2]), center=[2, 1])
    assert np.array_equal(lists.toarray(), want.toarray())


def test_options_are_keywords():
    with pytest.raises(TypeError):
        convop.Convolution(ONES, (5, 6), "same")
    with pytest.raises(TypeError):
        convop.conv_layer(WEIGHT, (2, 5, 6), 1)
    with pytest.raises(TypeError):
        convop.Convolution(ONES, (5, 6), strides=2)


def test_operators_do_not_change():
    """Immutable: nothing can be assigned to that would change what an operator is."""
    operator = convop.Convolution(ONES, (5, 6))
    for name, value in (("kernel", 2 * ONES), ("in_shape", (6, 5)), ("out_shape", (6, 5)), ("method", "fft")):
        with pytest.raises(AttributeError):
            setattr(operator, name, value)


class OnlyForward(LinearOperator):
    def __init__(self):
        super().__init__(np.float64, (3, 3))

    def _matvec(self, x):
        return x


MISTAKES = {
    "an int that no float holds": (lambda: 10**400 * SQUARE, GeometryError, "no float"),
    "too large for float32": (lambda: 1e39 * convop.Identity(3), GeometryError, "1e[+]39"),
    "nothing to multiply with": (lambda: SQUARE @ None, ShapeError, "None"),
    "a method that is no name": (lambda: SQUARE.using([]), GeometryError, r"\[\]"),
    "a method that nobody knows": (lambda: convop.Identity(3).using("fast"), GeometryError, "fast"),
    "a masked signal": (lambda: SQUARE(np.ma.masked_equal(np.eye(5, 6), 1)), DTypeError, "masked"),
    "a sparse signal": (lambda: SQUARE(sp.eye_array(5, 6)), DTypeError, "A @ S"),
    "an empty shape to wrap in": (lambda: convop.as_operator(SQUARE, in_shape=()), GeometryError, "empty"),
    "budget in words": (lambda: SQUARE.toarray(max_bytes="all"), GeometryError, "'all'"),
    "no chain": (lambda: convop.optimal_order(SQUARE), GeometryError, "list"),
    "every diagonal whole": (
        lambda: convop.Convolution(ONES, (256, 256), stride=2).tosparse("dia", max_bytes=10**8),
        MemoryBudgetError,
        "'csr'",
    ),
    "no adjoint": (lambda: convop.as_operator(OnlyForward()).H(np.ones(3)), GeometryError, "rmatvec"),
    "a function that returns nothing": (
        lambda: convop.as_operator(forward=print, in_shape=1, out_shape=1)([1.0]),
        DTypeError,
        "None",
    ),
    "a weight of another shape": (
        lambda: convop.Convolution.of(SQUARE.geometry, np.ones((1, 1, 9)), "convolution"),
        GeometryError,
        r"\(1, 1, 9\)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name):
    call, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        call()


def test_numbers_of_any_kind_scale():
    assert (10**30 * SQUARE).kernel[0, 0] == 1e30
    assert (Fraction(1, 2) * SQUARE).kernel[0, 0] == 0.5
