"""The reference: dense matrices by the formulas of the contract, in plain loops, sharing no code with convop.

`numpy.pad` decides what lies outside an axis. Where numpy had bugs in older releases (long odd, reflected and
wrapped pads), `extension_row` gives the same in closed form; `test_boundaries.py` compares the two.
"""

import itertools
from functools import reduce

import numpy as np

PAD_MODE = {
    "zero": {"mode": "constant"},
    "periodic": {"mode": "wrap"},
    "symmetric": {"mode": "symmetric"},
    "mirror": {"mode": "reflect"},
    "replicate": {"mode": "edge"},
    "antireflective": {"mode": "reflect", "reflect_type": "odd"},
}
BOUNDARIES = tuple(PAD_MODE)
ONE_SIDED = tuple(name for name in BOUNDARIES if name != "periodic")


def extension_matrix(n, before, after, name_before, name_after):
    """Matrix `(before + n + after, n)`: row `before + j` says which samples stand at position `j`."""
    both = max(before, after)
    rows = {}
    for name in (name_before, name_after):
        columns = [np.pad(unit, (both, both), **PAD_MODE[name]) for unit in np.eye(n)]
        rows[name] = np.stack(columns, axis=1)
    left = rows[name_before][both - before : both]
    right = rows[name_after][both + n : both + n + after]
    return np.concatenate([left, np.eye(n), right])


def extension_row(name, n, j):
    """The samples at position `j` by the closed form of each boundary: its period, and where in it `j` falls."""
    row = np.zeros(n)
    if name == "zero":
        if 0 <= j < n:
            row[j] = 1
    elif name == "periodic":
        row[j % n] = 1
    elif name == "symmetric":
        m = j % (2 * n)
        row[m if m < n else 2 * n - 1 - m] = 1
    elif name == "mirror":
        m = j % (2 * (n - 1))
        row[m if m < n else 2 * (n - 1) - m] = 1
    elif name == "replicate":
        row[min(max(j, 0), n - 1)] = 1
    else:  # x~[j + P] = x~[j] + 2 (x[n - 1] - x[0]) with P = 2 (n - 1), and x~[n - 1 + j] = 2 x[n - 1] - x~[n - 1 - j]
        turns, m = divmod(j, 2 * (n - 1))
        row[n - 1] += 2 * turns
        row[0] -= 2 * turns
        if m < n:
            row[m] += 1
        else:
            row[n - 1] += 2
            row[2 * (n - 1) - m] -= 1
    return row


def per_axis(value, ndim):
    """An int for every axis, or one per axis."""
    return (int(value),) * ndim if np.ndim(value) == 0 else tuple(int(v) for v in value)


def per_side(boundary, ndim):
    """A name for every axis, or per axis a name or a pair of names, as pairs."""
    names = (boundary,) * ndim if isinstance(boundary, str) else tuple(boundary)
    assert len(names) == ndim
    return [(name, name) if isinstance(name, str) else tuple(name) for name in names]


def padding_pairs(padding, kernel_shape, dilation):
    """An int, one per axis, `(before, after)` per axis, "same" or "valid", as pairs."""
    if padding == "valid":
        return [(0, 0)] * len(kernel_shape)
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel_shape, dilation, strict=True)]
        return [(t // 2, t - t // 2) for t in total]
    if np.ndim(padding) == 0:
        return [(padding, padding)] * len(kernel_shape)
    return [(p, p) if np.ndim(p) == 0 else tuple(p) for p in padding]


def _axis_rows(n, names, positions):
    """For one axis: which samples stand at each of the positions read."""
    flat = np.asarray(positions).ravel()
    before = max(0, -int(flat.min()))
    after = max(0, int(flat.max()) - (n - 1))
    return before, extension_matrix(n, before, after, *names)


def _gather(shape, boundary, out_shape, kernel_shape, position):
    """`(output, tap, row)` with `row` the samples that the tap reads, for `position(axis, o, t)`."""
    ndim = len(shape)
    names = per_side(boundary, ndim)
    axes = []
    for axis in range(ndim):
        read = [[position(axis, o, t) for t in range(kernel_shape[axis])] for o in range(out_shape[axis])]
        axes.append(_axis_rows(shape[axis], names[axis], read))
    for o in itertools.product(*map(range, out_shape)):
        for t in itertools.product(*map(range, kernel_shape)):
            rows = []
            for axis, (before, matrix) in enumerate(axes):
                rows.append(matrix[before + position(axis, o[axis], t[axis])])
            yield o, t, reduce(np.multiply.outer, rows)


def _wide(array):
    return np.asarray(array, np.result_type(np.asarray(array).dtype, np.float64))


def convolution_shape(kernel_shape, in_shape, mode, center, stride, dilation):
    """Per axis the offset `c` and the number of outputs."""
    ndim = len(kernel_shape)
    stride, dilation = per_axis(stride, ndim), per_axis(dilation, ndim)
    center = [(k - 1) // 2 for k in kernel_shape] if center is None else per_axis(center, ndim)
    offsets, sizes = [], []
    for k, n, c, s, d in zip(kernel_shape, in_shape, center, stride, dilation, strict=True):
        reach = (k - 1) * d + 1
        length = {"same": n, "full": n + reach - 1, "valid": n - reach + 1}[mode]
        offsets.append({"same": c * d, "full": 0, "valid": reach - 1}[mode])
        sizes.append(-(-length // s))
    return tuple(offsets), tuple(sizes)


def convolution_matrix(kernel, in_shape, mode="same", boundary="zero", center=None, stride=1, dilation=1):
    """The matrix of `convop.Convolution`: `z[i] = sum_t kernel[t] x~[i + c - t d]`, `y[i] = z[i s]`."""
    kernel = _wide(kernel)
    ndim = kernel.ndim
    in_shape = per_axis(in_shape, ndim)
    s, d = per_axis(stride, ndim), per_axis(dilation, ndim)
    c, out_shape = convolution_shape(kernel.shape, in_shape, mode, center, stride, dilation)

    def position(axis, o, t):
        return o * s[axis] + c[axis] - t * d[axis]

    matrix = np.zeros((*out_shape, *in_shape), kernel.dtype)
    for o, t, row in _gather(in_shape, boundary, out_shape, kernel.shape, position):
        matrix[o] += kernel[t] * row
    return matrix.reshape(int(np.prod(out_shape)), int(np.prod(in_shape)))


def layer_shape(weight_shape, in_shape, stride, padding, dilation):
    """The output shape of a deep-learning convolution, channels first."""
    k = weight_shape[2:]
    s, d = per_axis(stride, len(k)), per_axis(dilation, len(k))
    pads = padding_pairs(padding, k, d)
    sizes = []
    for axis, (before, after) in enumerate(pads):
        sizes.append((in_shape[1 + axis] + before + after - (k[axis] - 1) * d[axis] - 1) // s[axis] + 1)
    return (weight_shape[0], *sizes)


def layer_matrix(weight, in_shape, stride=1, padding=0, dilation=1, groups=1, boundary="zero"):
    """The matrix of `convop.conv_layer`: `y[o, i] = sum_{c, t} weight[o, c, t] x~[c, i s + t d - before]`."""
    weight = _wide(weight)
    k, spatial = weight.shape[2:], tuple(in_shape[1:])
    s, d = per_axis(stride, len(k)), per_axis(dilation, len(k))
    pads = padding_pairs(padding, k, d)
    out_shape = layer_shape(weight.shape, in_shape, stride, padding, dilation)
    per_group_in, per_group_out = weight.shape[1], weight.shape[0] // groups

    def position(axis, o, t):
        return o * s[axis] + t * d[axis] - pads[axis][0]

    matrix = np.zeros((*out_shape, *in_shape), weight.dtype)
    for o, t, row in _gather(spatial, boundary, out_shape[1:], k, position):
        for c_out in range(weight.shape[0]):
            first = (c_out // per_group_out) * per_group_in
            for c in range(per_group_in):
                matrix[(c_out, *o, first + c)] += weight[(c_out, c, *t)] * row
    return matrix.reshape(int(np.prod(out_shape)), int(np.prod(in_shape)))


def transpose_layer_shape(weight_shape, in_shape, stride, padding, output_padding, dilation, groups):
    """The output shape of a transposed convolution, channels first."""
    k = weight_shape[2:]
    sizes = []
    for n, size, s, p, more, d in zip(
        in_shape[1:],
        k,
        per_axis(stride, len(k)),
        per_axis(padding, len(k)),
        per_axis(output_padding, len(k)),
        per_axis(dilation, len(k)),
        strict=True,
    ):
        sizes.append((n - 1) * s - 2 * p + d * (size - 1) + more + 1)
    return (weight_shape[1] * groups, *sizes)


def transpose_layer_matrix(weight, in_shape, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """The matrix of `convop.conv_transpose_layer`: each input sample throws the kernel at `i s + t d - p`."""
    weight = _wide(weight)
    k, spatial = weight.shape[2:], tuple(in_shape[1:])
    s, p, d = (per_axis(value, len(k)) for value in (stride, padding, dilation))
    out_shape = transpose_layer_shape(weight.shape, in_shape, stride, padding, output_padding, dilation, groups)
    per_group_in, per_group_out = weight.shape[0] // groups, weight.shape[1]
    matrix = np.zeros((*out_shape, *in_shape), weight.dtype)
    for i in itertools.product(*map(range, spatial)):
        for t in itertools.product(*map(range, k)):
            o = tuple(i[a] * s[a] + t[a] * d[a] - p[a] for a in range(len(k)))
            if any(not 0 <= o[a] < out_shape[1 + a] for a in range(len(k))):
                continue
            for c in range(weight.shape[0]):
                first = (c // per_group_in) * per_group_out
                for c_out in range(per_group_out):
                    matrix[(first + c_out, *o, c, *i)] += weight[(c, c_out, *t)]
    return matrix.reshape(int(np.prod(out_shape)), int(np.prod(in_shape)))


def extend_matrix(in_shape, widths, boundary):
    """The matrix of `convop.Extend`: the Kronecker product of what happens along each axis."""
    names = per_side(boundary, len(in_shape))
    axes = []
    for n, (before, after), pair in zip(in_shape, widths, names, strict=True):
        axes.append(extension_matrix(n, before, after, *pair))
    return reduce(np.kron, axes)


def select_matrix(in_shape, index):
    """The matrix of `convop.Select`: a unit row for each sample that numpy's indexing keeps."""
    numbers = np.arange(int(np.prod(in_shape))).reshape(in_shape)
    return np.eye(numbers.size)[np.ravel(numbers[index])]


def unfold_matrix(in_shape, kernel_size, stride=1, padding=0, dilation=1):
    """The matrix of `convop.Unfold`, torch's im2col: rows run over channel, tap, then place."""
    spatial = tuple(in_shape[1:])
    k = per_axis(kernel_size, len(spatial))
    channels, taps = in_shape[0], int(np.prod(k))
    weight = np.zeros((channels * taps, channels, *k))
    for c in range(channels):
        for number, t in enumerate(itertools.product(*map(range, k))):
            weight[(c * taps + number, c, *t)] = 1
    return layer_matrix(weight, in_shape, stride, padding, dilation)


def error(got, want, matrix=None, x=None):
    """Largest difference, relative to the sizes of the numbers that entered.

    For `matrix @ x` these are the largest of `|matrix| @ |x|` and the largest entry of each: a method that computes
    more outputs than are kept, as FFT does, rounds at the scale of those.
    """
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    if got.size == 0:
        return 0.0
    scale = np.abs(want).max()
    if matrix is not None:
        scale = max(scale, (np.abs(matrix) @ np.abs(x)).max(), np.abs(matrix).max() * np.abs(x).max())
    worst = np.abs(got - want).max()
    return float(worst / scale) if scale else float(worst)
