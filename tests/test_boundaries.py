"""What lies outside an axis: names, aliases, sides, any length, and the refusals."""

import numpy as np
import oracle
import pytest
import scipy.ndimage
import scipy.signal
from cases import array
from oracle import error

import convop

ALIASES = {
    "zero": ("numpy:constant", "ndimage:constant", "scipy:fill", "torch:zeros"),
    "periodic": ("numpy:wrap", "ndimage:wrap", "scipy:wrap", "torch:circular"),
    "symmetric": ("numpy:symmetric", "ndimage:reflect", "scipy:symm"),
    "mirror": ("numpy:reflect", "ndimage:mirror", "torch:reflect"),
    "replicate": ("numpy:edge", "ndimage:nearest", "torch:replicate"),
}
LETTERS = {  # the table of the contract, with a b c d = 1 10 100 1000
    "zero": ((0, 0), (0, 0)),
    "periodic": ((100, 1000), (1, 10)),
    "symmetric": ((10, 1), (1000, 100)),
    "mirror": ((100, 10), (100, 10)),
    "replicate": ((1, 1), (1000, 1000)),
    "antireflective": ((2 - 100, 2 - 10), (2000 - 100, 2000 - 10)),
}


def reader(n, offset, boundary, door):
    """The operator `y[i] = x~[i + offset]`, by a kernel with a single one in it."""
    size = 2 * abs(offset) + 1
    kernel = np.zeros(size)
    if door == "layer":
        kernel[abs(offset) + offset] = 1
        return convop.conv_layer(kernel[None, None], (1, n), padding=abs(offset), boundary=boundary)
    kernel[abs(offset) - offset] = 1
    return convop.Convolution(kernel, n, boundary=boundary)


# The oracle itself


@pytest.mark.parametrize("name", oracle.BOUNDARIES)
def test_numpy_pads_as_the_closed_forms_say(name):
    """Also many times longer than the array, where releases of numpy have differed."""
    for n in range(2, 6):
        for before, after in ((0, 1), (1, 0), (3, 14), (17, 2), (20, 20)):
            want = [oracle.extension_row(name, n, j) for j in range(-before, n + after)]
            assert np.array_equal(oracle.extension_matrix(n, before, after, name, name), want)


@pytest.mark.parametrize("mode", ["same", "full", "valid"])
@pytest.mark.parametrize("taps", [(3, 3), (2, 4), (4, 3), (1, 5)])
def test_the_oracle_agrees_with_scipy_signal(mode, taps):
    kernel, x = array(taps, "complex128"), array((6, 7), "complex128", 1)
    want = scipy.signal.convolve(x, kernel, mode, method="direct").ravel()
    assert error(oracle.convolution_matrix(kernel, (6, 7), mode) @ x.ravel(), want) <= 1e-14
    assert error(convop.Convolution(kernel, (6, 7), mode=mode)(x).ravel(), want) <= 1e-14


@pytest.mark.parametrize(("boundary", "mode"), [("symmetric", "reflect"), ("mirror", "mirror"), ("periodic", "wrap")])
@pytest.mark.parametrize("taps", [(3, 5), (2, 4), (4, 3)])
def test_scipy_ndimage(boundary, mode, taps):
    kernel, x = array(taps, "complex128"), array((6, 7), "complex128", 1)
    origin = tuple(0 if k % 2 else -1 for k in taps)  # ndimage centres an even kernel at k // 2, not (k - 1) // 2
    want = scipy.ndimage.convolve(x, kernel, mode=mode, origin=origin)
    assert error(convop.Convolution(kernel, (6, 7), boundary=boundary)(x), want) <= 1e-14


# The names


@pytest.mark.parametrize("door", ["convolution", "layer"])
@pytest.mark.parametrize("name", LETTERS)
def test_the_table(name, door):
    x = np.array([1.0, 10, 100, 1000])
    before, after = LETTERS[name]
    extended = [*before, *x, *after]
    for offset in (-2, -1, 0, 1, 2):
        got = reader(4, offset, name, door)(x[None] if door == "layer" else x)
        assert np.array_equal(got.ravel(), extended[2 + offset : 6 + offset])


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(name):
    kernel = array((4, 3), "complex128")
    want = convop.Convolution(kernel, (5, 6), boundary=name)
    for alias in ALIASES[name]:
        assert np.array_equal(convop.Convolution(kernel, (5, 6), boundary=alias).toarray(), want.toarray())
        pair = ((alias, alias), alias)
        assert np.array_equal(convop.Convolution(kernel, (5, 6), boundary=pair).toarray(), want.toarray())
        assert np.array_equal(
            convop.Extend((5, 6), ((2, 1), (1, 2)), alias).toarray(),
            convop.Extend((5, 6), ((2, 1), (1, 2)), name).toarray(),
        )


def test_the_two_meanings_of_reflect():
    x, kernel = array(6), array(5, seed=1)
    by_ndimage = convop.Convolution(kernel, 6, boundary="ndimage:reflect")
    by_numpy = convop.Convolution(kernel, 6, boundary="numpy:reflect")
    assert error(by_ndimage(x), scipy.ndimage.convolve(x, kernel, mode="reflect")) <= 1e-14
    assert error(by_numpy(x), np.convolve(np.pad(x, 2, "reflect"), kernel, "valid")) <= 1e-14
    assert error(by_numpy(x), by_ndimage(x)) > 0.01


@pytest.mark.parametrize("place", ["reflect", ("reflect", "zero"), (("zero", "reflect"), "zero")], ids=str)
def test_bare_reflect_is_refused_with_both_meanings(place):
    for call in (
        lambda: convop.Convolution(np.ones((3, 3)), (5, 6), boundary=place),
        lambda: convop.conv_layer(np.ones((1, 1, 3, 3)), (1, 5, 6), padding=1, boundary=place),
        lambda: convop.Extend((5, 6), ((1, 1), (1, 1)), place),
    ):
        with pytest.raises(convop.GeometryError) as refusal:
            call()
        for word in ("reflect", "mirror", "symmetric", "numpy:reflect", "ndimage:reflect"):
            assert word in str(refusal.value)


@pytest.mark.parametrize("value", [1.0, 3, ("constant", 1), "constant:1"], ids=str)
def test_a_constant_is_refused(value):
    with pytest.raises(convop.GeometryError):
        convop.Convolution(np.ones(3), 5, boundary=value)


def test_why_a_constant_is_refused():
    with pytest.raises(convop.GeometryError, match=r"affine|linear"):
        convop.Convolution(np.ones((3, 3)), (5, 5), boundary=1.0)


# The sides


@pytest.mark.parametrize("before", oracle.ONE_SIDED)
@pytest.mark.parametrize("after", oracle.ONE_SIDED)
def test_each_side_has_its_own_rule(before, after):
    kernel = array((4, 9), "complex128")
    names = ((before, after), (after, before))
    got = convop.Convolution(kernel, (5, 3), boundary=names, stride=(1, 2))
    assert error(got.toarray(), oracle.convolution_matrix(kernel, (5, 3), boundary=names, stride=(1, 2))) <= 1e-14
    extended = convop.Extend((5, 3), ((4, 2), (0, 9)), names)
    assert np.array_equal(extended.toarray(), oracle.extend_matrix((5, 3), ((4, 2), (0, 9)), names))


@pytest.mark.parametrize(
    "pair", [("periodic", "zero"), ("mirror", "periodic"), ("torch:circular", "symmetric")], ids=str
)
def test_periodic_cannot_stand_on_one_side(pair):
    for call in (
        lambda: convop.Convolution(np.ones(3), 5, boundary=(pair,)),
        lambda: convop.conv_layer(np.ones((1, 1, 3, 2)), (1, 5, 6), padding=1, boundary=("zero", pair)),
        lambda: convop.Extend((5,), ((1, 1),), (pair,)),
    ):
        with pytest.raises(convop.GeometryError, match=r"periodic|circular"):
            call()


def test_a_pair_of_names_is_two_axes_not_two_sides():
    kernel = array((3, 3), "complex128")
    per_axis = convop.Convolution(kernel, (4, 5), boundary=("mirror", "zero"))
    spelled = convop.Convolution(kernel, (4, 5), boundary=(("mirror", "mirror"), ("zero", "zero")))
    assert np.array_equal(per_axis.toarray(), spelled.toarray())
    with pytest.raises(convop.GeometryError):
        convop.Convolution(np.ones(3), 5, boundary=("mirror", "zero"))
    one = convop.Convolution(np.ones(3), 5, boundary=("mirror",))
    assert np.array_equal(one.toarray(), convop.Convolution(np.ones(3), 5, boundary="mirror").toarray())


# Any length


@pytest.mark.parametrize("door", ["convolution", "layer"])
@pytest.mark.parametrize("name", oracle.BOUNDARIES)
def test_longer_than_the_array(name, door):
    for n in (2, 3, 5):
        for offset in range(-3 * n - 1, 3 * n + 2):
            want = [oracle.extension_row(name, n, i + offset) for i in range(n)]
            got = reader(n, offset, name, door)
            assert np.array_equal(got.toarray(), want), (n, offset)
            assert np.array_equal(got.H.toarray(), np.transpose(want)), (n, offset)


@pytest.mark.parametrize("name", oracle.BOUNDARIES)
def test_extend_as_numpy_pads(name):
    x = array((2, 3, 4), "complex128")
    for widths in (((0, 0), (2, 1)), ((1, 0), (0, 3)), ((7, 13), (10, 2)), ((0, 20), (31, 0))):
        got = convop.Extend((3, 4), widths, name)
        want = np.pad(x, ((0, 0), *widths), **oracle.PAD_MODE[name])
        assert got.out_shape == want.shape[1:]
        assert error(got(x), want) <= 1e-14


@pytest.mark.parametrize("name", ["zero", "periodic", "symmetric", "replicate"])
def test_one_sample(name):
    kernel = array(5, "complex128")
    got = convop.Convolution(kernel, 1, boundary=name)
    assert error(got.toarray(), oracle.convolution_matrix(kernel, 1, boundary=name)) <= 1e-14


@pytest.mark.parametrize("name", ["mirror", "antireflective"])
def test_one_sample_mirrored_is_refused_only_where_it_is_read_outside(name):
    kernel = array(3)
    for options in ({}, {"center": 0}, {"center": 2}, {"stride": 2}, {"dilation": 2}):
        with pytest.raises(convop.GeometryError, match=name):
            convop.Convolution(kernel, 1, boundary=name, **options)
    with pytest.raises(convop.GeometryError, match=name):
        convop.conv_layer(kernel[None, None], (1, 1), padding=1, boundary=name)
    with pytest.raises(convop.GeometryError, match=name):
        convop.Extend((4, 1), ((0, 0), (1, 0)), name)

    assert np.array_equal(convop.Convolution(kernel[:1], 1, boundary=name).toarray(), [kernel[:1]])
    wide = convop.Convolution(array((3, 1)), (4, 1), boundary=name)
    assert error(wide.toarray(), oracle.convolution_matrix(array((3, 1)), (4, 1), boundary=name)) <= 1e-14
    unread = convop.Convolution(kernel, 1, boundary=((name, "zero"),), center=2)  # reads 0, 1 and 2
    assert np.array_equal(unread.toarray(), [kernel[2:]])
    unread = convop.Convolution(kernel, 1, boundary=(("zero", name),), center=0)
    assert np.array_equal(unread.toarray(), [kernel[:1]])
    assert np.array_equal(convop.Extend((1,), ((2, 0),), (("zero", name),)).toarray(), [[0], [0], [1]])
    assert convop.conv_layer(kernel[None, None, :1], (1, 1), boundary=name).shape == (1, 1)


def test_what_no_output_reads_is_not_refused():
    """A stride may skip the outputs that read outside, and a valid convolution reads nothing there."""
    for name in oracle.BOUNDARIES:
        valid = convop.Convolution(array((1, 3)), (1, 4), mode="valid", boundary=name)
        assert valid.out_shape == (1, 2)


@pytest.mark.parametrize("name", oracle.BOUNDARIES[2:])
def test_correlating_with_the_same_boundary_is_not_the_adjoint(name):
    """DESIGN's table: several released libraries made this mistake."""
    kernel = array((3, 3), "complex128")
    operator = convop.Convolution(kernel, (5, 6), boundary=name)
    flipped = convop.Convolution(kernel[::-1, ::-1].conj(), (5, 6), boundary=name)
    y = array((5, 6), "complex128", 1)
    matrix = oracle.convolution_matrix(kernel, (5, 6), boundary=name)
    assert error(operator.H(y).ravel(), matrix.conj().T @ y.ravel()) <= 1e-14
    assert error(operator.H(y), flipped(y)) > 0.05
