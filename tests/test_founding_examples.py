"""The examples that the package was founded on, each worked out in full."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.sparse as sp
from cases import array
from oracle import error

import convop

torch = pytest.importorskip("torch")
F = torch.nn.functional

EXACT = 1e-14


def integers(shape, low=-9, high=9, seed=0):
    """Whole numbers in float64: sums and products of these are exact."""
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(np.float64)


def by_torch(x, weight, **options):
    return F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), **options).numpy()


# Convolution as unfold, matrix product and fold


def test_unfold_multiply_fold():
    """The example of torch's own `Unfold` page: 3 channels of 10 x 12, two kernels of 4 x 5."""
    x, weight = array((1, 3, 10, 12)), array((2, 3, 4, 5), seed=1)
    unfold = convop.Unfold((3, 10, 12), (4, 5))
    columns = unfold(x)
    assert columns.shape == (1, 60, 56)
    assert np.array_equal(columns, F.unfold(torch.from_numpy(x), (4, 5)).numpy())
    product = np.swapaxes(np.swapaxes(columns, 1, 2) @ weight.reshape(2, -1).T, 1, 2)
    fold = convop.Unfold((2, 7, 8), 1).H
    assert error(fold(product), by_torch(x, weight)) <= EXACT
    assert error(convop.conv_layer(weight, (3, 10, 12))(x), fold(product)) <= EXACT


def test_unfold_and_product_make_one_operator():
    weight = array((2, 3, 3, 2), "complex128")
    unfold = convop.Unfold((3, 5, 6), (3, 2), padding=1)
    matrix = np.kron(weight.reshape(2, -1), np.eye(unfold.out_shape[1]))
    composed = convop.as_operator(matrix, in_shape=unfold.out_shape) @ unfold
    layer = convop.conv_layer(weight, (3, 5, 6), padding=1)
    assert error(composed.toarray(), layer.toarray()) <= EXACT


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2}, {"padding": 2}, {"dilation": 2}, {"stride": (3, 1), "padding": (1, 2), "dilation": (1, 3)}],
    ids=str,
)
def test_batched_im2col_and_fold(options):
    x = array((5, 3, 9, 8))
    unfold = convop.Unfold((3, 9, 8), (3, 2), **options)
    want = F.unfold(torch.from_numpy(x), (3, 2), **options)
    columns = unfold(x)
    assert np.array_equal(columns, want.numpy())
    back = F.fold(want, (9, 8), (3, 2), **options).numpy()
    assert error(unfold.H(columns), back) <= EXACT
    weight = array((4, 3, 3, 2), seed=1)
    product = (weight.reshape(4, -1) @ columns).reshape(5, 4, *by_torch(x, weight, **options).shape[2:])
    assert error(product, by_torch(x, weight, **options)) <= EXACT


# The kernel unrolled into a matrix


def test_one_channel_valid_toeplitz_matrix():
    """The example of "Dive into Deep Learning", 14.10: a 2 x 2 kernel over 3 x 3."""
    kernel = np.array([[1.0, 2], [3, 4]])
    want = np.array(
        [
            [1, 2, 0, 3, 4, 0, 0, 0, 0],
            [0, 1, 2, 0, 3, 4, 0, 0, 0],
            [0, 0, 0, 1, 2, 0, 3, 4, 0],
            [0, 0, 0, 0, 1, 2, 0, 3, 4],
        ]
    )
    layer = convop.conv_layer(kernel[None, None], (1, 3, 3))
    assert np.array_equal(layer.toarray(), want)
    image = np.arange(9.0)
    assert np.array_equal(layer(image.reshape(1, 3, 3)), [[[27, 37], [57, 67]]])
    assert np.array_equal(layer @ image, want @ image)
    assert np.array_equal(convop.Convolution(kernel[::-1, ::-1], (3, 3), mode="valid").toarray(), want)


def test_kernel_unrolled_into_a_sparse_matrix():
    """Bands: one nonzero for each tap that falls inside, never more."""
    kernel = integers((3, 3), 1, 9)
    matrix = convop.Convolution(kernel, (40, 30)).tosparse()
    assert sp.issparse(matrix)
    assert matrix.shape == (1200, 1200)
    assert matrix.nnz == (3 * 40 - 2) * (3 * 30 - 2)
    image = integers((40, 30), seed=1)
    want = scipy.signal.convolve(image, kernel, "same", method="direct")
    assert np.array_equal((matrix @ image.ravel()).reshape(40, 30), want)
    for lag in ((-1, -1), (0, 1), (1, 0)):
        band = matrix.diagonal(k=-(lag[0] * 30 + lag[1]))
        assert set(band) <= {0, kernel[1 + lag[0], 1 + lag[1]]}


def test_full_doubly_blocked_toeplitz():
    image = np.array([[5.0, 1, 3], [1, 1, 2], [2, 1, 3]])
    kernel = np.array([[4.0, 3], [1, 2]])
    want = np.array([[20, 19, 15, 9], [9, 18, 16, 12], [9, 13, 19, 13], [2, 5, 5, 6]])
    assert np.array_equal(scipy.signal.convolve2d(image, kernel), want)

    of_kernel = convop.Convolution(kernel, (3, 3), mode="full")
    assert np.array_equal(of_kernel(image), want)
    row = [scipy.linalg.toeplitz([*line, 0, 0], [line[0], 0, 0]) for line in kernel]
    nothing = np.zeros((4, 3))
    blocks = [[row[i - j] if i - j in (0, 1) else nothing for j in range(3)] for i in range(4)]
    assert np.array_equal(of_kernel.toarray(), np.block(blocks))
    assert np.array_equal(of_kernel.tosparse().toarray(), np.block(blocks))

    of_image = convop.Convolution(image, (2, 2), mode="full")
    assert np.array_equal(of_image(kernel), want)
    row = [scipy.linalg.toeplitz([*line, 0], [line[0], 0]) for line in image]
    nothing = np.zeros((4, 2))
    blocks = [[row[i - j] if 0 <= i - j <= 2 else nothing for j in range(2)] for i in range(4)]
    assert np.array_equal(of_image.toarray(), np.block(blocks))


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("padding", [0, 1, (2, 0)])
def test_multichannel_lifted_matrix(dtype, stride, padding):
    weight, x = array((4, 3, 3, 2), dtype), array((3, 7, 6), dtype, 1)
    layer = convop.conv_layer(weight, (3, 7, 6), stride=stride, padding=padding)
    want = by_torch(x[None], weight, stride=stride, padding=padding)[0]
    assert layer.shape == (4 * want[0].size, 3 * 7 * 6)
    for answer in (layer(x), (layer.tosparse() @ x.ravel()).reshape(want.shape)):
        assert np.linalg.norm(answer - want) <= EXACT * np.linalg.norm(want)


def test_lifted_matrix_is_a_grid_of_blocks():
    """Block (o, i) is the single-channel matrix of `weight[o, i]`."""
    weight = array((2, 3, 3, 2), "complex128")
    dense = convop.conv_layer(weight, (3, 5, 4), padding=1).toarray().reshape(2, 25, 3, 20)
    for o, i in itertools.product(range(2), range(3)):
        block = convop.conv_layer(weight[o : o + 1, i : i + 1], (1, 5, 4), padding=1).toarray()
        assert np.array_equal(dense[o, :, i], block)


# Circulant matrices


def test_circulant_1d():
    column = array(6, "complex128")
    circular = convop.Convolution(column, 6, boundary="periodic", center=0)
    assert np.array_equal(circular.toarray(), scipy.linalg.circulant(column))
    x = array(6, "complex128", 1)
    assert error(circular(x), np.fft.ifft(np.fft.fft(column) * np.fft.fft(x))) <= EXACT
    short = convop.Convolution(column[:4], 6, boundary="periodic", center=0)
    assert np.array_equal(short.toarray(), scipy.linalg.circulant([*column[:4], 0, 0]))


@pytest.mark.parametrize("taps", [(3, 3), (2, 4), (4, 1), (5, 6)])
def test_circulant_2d(taps):
    """Block circulant with circulant blocks: blocks by the row lag, wrapped, and so within each block."""
    kernel, (height, width) = array(taps, "complex128"), (5, 7)
    padded = np.zeros((height, width), complex)
    padded[: taps[0], : taps[1]] = kernel
    rows = [scipy.linalg.circulant(line) for line in padded]
    want = np.block([[rows[(i - j) % height] for j in range(height)] for i in range(height)])
    circular = convop.Convolution(kernel, (height, width), boundary="periodic", center=0)
    assert np.array_equal(circular.toarray(), want)
    centred = convop.Convolution(kernel, (height, width), boundary="periodic")
    shift = [-((k - 1) // 2) for k in taps]
    spectrum = np.fft.fft2(np.roll(padded, shift, (0, 1)))
    transform = np.kron(scipy.linalg.dft(height), scipy.linalg.dft(width))
    diagonal = transform @ centred.toarray() @ transform.conj().T / (height * width)
    assert error(diagonal, np.diag(spectrum.ravel())) <= 10 * EXACT


@pytest.mark.parametrize("taps", [(3, 3), (2, 4), (4, 3)])
def test_circulant_multichannel_is_circular_padding(taps):
    weight, x = array((3, 2, *taps), "complex128"), array((2, 2, 5, 8), "complex128", 1)
    before = [(k - 1) // 2 for k in taps]
    after = [k // 2 for k in taps]
    padded = F.pad(torch.from_numpy(x), (before[1], after[1], before[0], after[0]), mode="circular")
    want = F.conv2d(padded, torch.from_numpy(weight)).numpy()
    layer = convop.conv_layer(weight, (2, 5, 8), padding="same", boundary="periodic")
    assert error(layer(x), want) <= EXACT
    blocks = layer.toarray().reshape(3, 40, 2, 40)
    for o, i in itertools.product(range(3), range(2)):
        kernel = np.zeros((5, 8), complex)
        kernel[: taps[0], : taps[1]] = weight[o, i]
        first = np.roll(kernel, [-b for b in before], (0, 1))
        rows = [scipy.linalg.circulant(np.roll(line[::-1], 1)) for line in first]
        block = np.block([[rows[(b - a) % 5] for b in range(5)] for a in range(5)])
        assert np.array_equal(blocks[o, :, i], block)


# The sliding window


def slide(x, weight, bias, stride, padding, dilation, groups):
    """A window that slides over the padded image, stopping at every place of the output."""
    c_out, per_group, height, width = weight.shape
    padded = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    rows = (padded.shape[1] - (height - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (padded.shape[2] - (width - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((c_out, rows, columns), weight.dtype)
    for o, r, c in np.ndindex(out.shape):
        group = o // (c_out // groups)
        for i, u, v in np.ndindex(per_group, height, width):
            sample = padded[group * per_group + i, r * stride[0] + u * dilation[0], c * stride[1] + v * dilation[1]]
            out[o, r, c] += weight[o, i, u, v] * sample
        out[o, r, c] += bias[o]
    return out


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize(("stride", "padding", "dilation"), [((1, 1), (0, 0), (1, 1)), ((3, 2), (2, 1), (1, 3))])
@pytest.mark.parametrize("groups", [1, 2])
def test_sliding_window(dtype, stride, padding, dilation, groups):
    weight, bias, x = array((4, 4 // groups, 3, 2), dtype), array(4, dtype, 1), array((4, 9, 10), dtype, 2)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    want = slide(x, weight, bias, **options)
    assert error(by_torch(x[None], weight, bias=torch.from_numpy(bias), **options)[0], want) <= EXACT
    layer = convop.conv_layer(weight, x.shape, **options)
    assert error(layer(x) + bias[:, None, None], want) <= EXACT


def test_depthwise_then_pointwise_is_one_convolution():
    depthwise, pointwise = array((6, 1, 3, 2), "complex128"), array((4, 6, 1, 1), "complex128", 1)
    x = array((3, 7, 8), "complex128", 2)
    inner = convop.conv_layer(depthwise, (3, 7, 8), groups=3, padding=(1, 2), stride=(2, 1), dilation=(1, 2))
    outer = convop.conv_layer(pointwise, inner.out_shape)
    fused = outer @ inner
    assert isinstance(fused, convop.Convolution)
    per_group = depthwise.reshape(3, 2, 3, 2)
    kernel = np.einsum("ogm,gmuv->oguv", pointwise.reshape(4, 3, 2), per_group)
    assert fused.kernel.shape == (4, 3, 3, 2)
    assert error(fused.kernel, kernel) <= EXACT
    hidden = by_torch(x[None], depthwise, groups=3, padding=(1, 2), stride=(2, 1), dilation=(1, 2))
    assert error(fused(x), by_torch(hidden, pointwise)[0]) <= EXACT


# The transpose


def test_transposed_convolution_is_the_transposed_matrix():
    """ "Dive into Deep Learning", 14.10: its numbers without and with a stride of 2."""
    x = kernel = np.array([[0.0, 1], [2, 3]])
    plain = convop.conv_transpose_layer(kernel[None, None], (1, 2, 2))
    assert np.array_equal(plain(x[None])[0], [[0, 0, 1], [0, 4, 6], [4, 12, 9]])
    strided = convop.conv_transpose_layer(kernel[None, None], (1, 2, 2), stride=2)
    want = [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]
    assert np.array_equal(strided(x[None])[0], want)
    padded = convop.conv_transpose_layer(kernel[None, None], (1, 2, 2), padding=1)
    assert np.array_equal(padded(x[None])[0], [[4]])
    for transposed, stride, size in ((plain, 1, 3), (strided, 2, 4)):
        matrix = convop.conv_layer(kernel[None, None], (1, size, size), stride=stride).tosparse()
        assert np.array_equal(transposed.toarray(), matrix.T.toarray())


def test_upsampling_by_the_transposed_matrix():
    """A strided layer makes a picture smaller; the transpose of its matrix makes it larger again."""
    weight, y = array((3, 2, 4, 4), "complex128"), array((3, 4, 5), "complex128", 1)
    down = convop.conv_layer(weight, (2, 8, 10), stride=2, padding=1)
    assert down.out_shape == (3, 4, 5)
    up = F.conv_transpose2d(torch.from_numpy(y)[None], torch.from_numpy(weight), stride=2, padding=1)[0].numpy()
    assert up.shape == (2, 8, 10)
    door = convop.conv_transpose_layer(weight, (3, 4, 5), stride=2, padding=1)
    for answer in (down.T(y), door(y), (down.tosparse().T @ y.ravel()).reshape(up.shape)):
        assert error(answer, up) <= EXACT
    assert error(down.H(y), down.T(y.conj()).conj()) <= EXACT
    assert error(down.H(y), up) > 0.1  # H conjugates the weights, T does not


# Associativity


def test_associativity_of_full_convolutions():
    """(K2 K1) x and K2 (K1 x): kernels composed by conv2d as they stand miss the flip, and the map with it."""
    x, first, second = integers((4, 7, 7)), integers((7, 4, 3, 3), seed=1), integers((3, 7, 3, 3), seed=2)
    hidden = by_torch(x[None], first, padding=2)
    want = by_torch(hidden, second, padding=2)[0]
    assert want.shape == (3, 11, 11)

    naive = by_torch(np.swapaxes(first, 0, 1), second, padding=2)
    naive = np.swapaxes(naive, 0, 1)
    assert naive.shape == (3, 4, 5, 5)
    assert np.abs(by_torch(x[None], naive, padding=4)[0] - want).max() > 100

    inner = convop.conv_layer(first, (4, 7, 7), padding=2)
    outer = convop.conv_layer(second, inner.out_shape, padding=2)
    fused = outer @ inner
    assert isinstance(fused, convop.Convolution)
    assert fused.kernel.shape == (3, 4, 5, 5)
    flipped = by_torch(np.swapaxes(first, 0, 1), second[:, :, ::-1, ::-1].copy(), padding=2)
    assert np.array_equal(fused.kernel, np.swapaxes(flipped, 0, 1))
    scale = np.abs(want).max()
    assert np.abs(fused(x) - want).max() <= EXACT * scale
    assert np.abs(outer(inner(x)) - want).max() <= EXACT * scale
    assert np.abs((fused.tosparse() @ x.ravel()).reshape(want.shape) - want).max() <= EXACT * scale
    assert np.array_equal((outer.tosparse() @ inner.tosparse()).toarray(), fused.toarray())


def test_associativity_of_three_layers():
    weights = [
        array(shape, "complex128", seed) for seed, shape in enumerate(((5, 2, 3, 2), (3, 5, 2, 2), (4, 3, 2, 3)))
    ]
    a = convop.conv_layer(weights[0], (2, 6, 5), padding=(2, 1))
    b = convop.conv_layer(weights[1], a.out_shape, padding=1)
    c = convop.conv_layer(weights[2], b.out_shape, padding=(1, 2))
    left, right = (c @ b) @ a, c @ (b @ a)
    assert isinstance(left, convop.Convolution)
    assert isinstance(right, convop.Convolution)
    assert error(left.kernel, right.kernel) <= EXACT
    x = array((2, 6, 5), "complex128", 9)
    assert error(left(x), c(b(a(x)))) <= EXACT
    assert error(right(x), c(b(a(x)))) <= EXACT
