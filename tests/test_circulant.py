"""Block circulant operators: their symbol, their algebra, inverses and functions, against dense matrices."""

import itertools
import pickle

import numpy as np
import oracle
import pytest
import scipy.linalg
from cases import array
from oracle import error

import convop
from convop import BlockCirculant, GeometryError, as_circulant

TOL = {"float32": 3e-6, "complex64": 3e-6, "float64": 1e-13, "complex128": 1e-13}
DTYPES = tuple(TOL)


def conv(taps, in_shape, seed=0, dtype="float64", **options):
    return convop.Convolution(array(taps, dtype, seed), in_shape, boundary="periodic", **options)


def layer(channels, taps, spatial, seed=0, dtype="float64", groups=1, stride=1, **options):
    """A layer with an output for every `stride` samples."""
    c_out, c_in = channels
    weight = array((c_out, c_in // groups, *taps), dtype, seed)
    steps = map(int, np.broadcast_to(stride, len(taps)))
    padding = tuple(((k - 1) // 2, max(k - s - (k - 1) // 2, 0)) for k, s in zip(taps, steps, strict=True))
    return convop.conv_layer(
        weight, (c_in, *spatial), stride=stride, groups=groups, boundary="periodic", padding=padding, **options
    )


def check(operator, dense, dtype="float64", loss=1.0):
    """The operator, its adjoint, its sparse matrix and what it says of itself are what the dense algebra says."""
    tol = 10 * loss * TOL[dtype]
    assert type(operator) is BlockCirculant
    assert operator.dtype == dtype
    assert operator.shape == dense.shape
    assert error(operator.toarray(), dense) <= tol
    assert error(operator.H.toarray(), dense.conj().T) <= tol
    assert operator.H.H is operator
    assert error(operator.T.toarray(), dense.T) <= tol
    assert error(operator.conj().toarray(), dense.conj()) <= tol
    for kind in ("complex128", "float64", dtype):
        x, y = array((2, *operator.in_shape), kind, 9), array((2, *operator.out_shape), kind, 8)
        result = operator(x)
        assert result.shape == y.shape
        assert result.dtype == np.result_type(operator.dtype, kind)
        assert error(result.reshape(2, -1), x.reshape(2, -1) @ dense.T) <= tol
        for adjoint in (operator.H(y).reshape(2, -1), operator.rmatmat(y.reshape(2, -1).T).T):
            assert adjoint.dtype == np.result_type(operator.dtype, kind)
            assert error(adjoint, y.reshape(2, -1) @ dense.conj()) <= tol
    matrix = operator.tosparse()
    assert matrix.dtype == dtype
    assert convop.estimate(operator).nnz == matrix.nnz
    rebuilt = type(matrix)((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert rebuilt.has_canonical_format


# Which operators are circulant


CONVOLUTIONS = [
    conv((3,), 8),
    conv((4,), 7),
    conv((1,), 1),
    conv((5,), 2),
    conv((9,), 4, dilation=3),
    conv((4,), 9, center=3),
    conv((2,), 6, center=0, dilation=5),
    conv((3, 2), (4, 5)),
    conv((2, 4), (5, 3), dilation=(2, 3)),
    conv((7, 9), (3, 4)),
    conv((2, 3, 2), (3, 2, 4)),
    *(conv((4,), 12, stride=s) for s in (1, 2, 3, 4, 6, 12)),
    *(conv((3, 2), (4, 6), stride=s, dilation=2) for s in itertools.product((1, 2, 4), (1, 2, 3, 6))),
    conv((15,), 6, stride=3),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("A", CONVOLUTIONS, ids=repr)
def test_one_channel(A, dtype):
    A = A.with_kernel(array(A.kernel.shape, dtype, 3))
    check(as_circulant(A), A.toarray(), dtype)


def test_the_dense_oracle():
    """The same by scipy's circulant, and by loops that share nothing with the package."""
    A = conv((3,), 8)
    column = np.roll(np.r_[A.kernel, np.zeros(5)], -1)
    assert error(as_circulant(A).toarray(), scipy.linalg.circulant(column)) <= 1e-14
    A = conv((4, 3), (6, 4), stride=(3, 2), dilation=(1, 2), dtype="complex128")
    dense = oracle.convolution_matrix(A.kernel, (6, 4), boundary="periodic", stride=(3, 2), dilation=(1, 2))
    check(as_circulant(A), dense, "complex128")


LAYERS = [
    layer((2, 3), (3,), (8,)),
    layer((3, 2), (2, 3), (4, 5)),
    layer((4, 6), (3, 2), (4, 3), groups=2),
    layer((4, 4), (3,), (6,), groups=4),
    layer((1, 1), (3,), (6,)),
    *(layer((3, 2), (4, 3), (4, 6), stride=s) for s in itertools.product((1, 2, 4), (1, 3))),
    layer((4, 2), (7,), (4,), groups=2, stride=2),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("A", LAYERS, ids=repr)
def test_channels(A, dtype):
    A = A.with_kernel(array(A.kernel.shape, dtype, 3))
    g = A.geometry
    dense = oracle.layer_matrix(A.kernel, A.in_shape, g.stride, g.padding, g.dilation, g.groups, "periodic")
    check(as_circulant(A), dense, dtype)


def test_an_axis_that_reads_nothing_outside_wraps_if_the_size_matches():
    blocks = convop.Convolution(array((2, 3)), (6, 5), mode="valid", stride=(2, 1))
    with pytest.raises(GeometryError, match="axis 1 is not one turn"):
        as_circulant(blocks)
    tiles = convop.Convolution(array((2, 5)), (6, 5), mode="valid", stride=(2, 5))
    check(as_circulant(tiles), tiles.toarray())
    mixed = convop.conv_layer(array((1, 1, 1, 3)), (1, 4, 5), boundary=("zero", "periodic"), padding=(0, 1))
    check(as_circulant(mixed), mixed.toarray())


@pytest.mark.parametrize(
    ("A", "words"),
    [
        (lambda: convop.Convolution([1.0, 2.0, 3.0], 8), "axis 0 does not wrap around.*boundary 'periodic'"),
        (lambda: convop.Convolution(array((3, 3)), (8, 8), boundary=("periodic", "mirror")), "axis 1 does not wrap"),
        (lambda: conv((3,), 8, stride=3), "axis 0 is not one turn.*3 outputs with stride 3.*divides 8"),
        (lambda: convop.conv_layer(array((1, 1, 3)), (1, 6), padding=3, boundary="periodic"), "10 outputs"),
        (lambda: convop.Diagonal([1.0, 2.0]), "constant"),
        (lambda: convop.Select(5, slice(2)), "not known to wrap around"),
        (lambda: np.eye(3), "as_convolution"),
        (lambda: conv((3,), 8).H @ convop.Convolution([1.0, 2.0, 3.0], 8), "axis 0"),
    ],
)
def test_what_is_not_circulant_is_told_why(A, words):
    with pytest.raises(GeometryError, match=words):
        as_circulant(A())


def test_flat_and_shaped_do_not_mix():
    flat = convop.Identity(12, "float64") * 1
    lazy = convop.Product((conv((3, 2), (3, 4)), flat))
    with pytest.raises(GeometryError, match="flat"):
        as_circulant(lazy)
    with pytest.raises(GeometryError, match="same shapes"):
        as_circulant(convop.Sum((conv((3, 2), (3, 4)), flat)))


def test_identities_and_diagonals():
    check(as_circulant(convop.Identity((3, 4))), np.eye(12), "float32")
    check(as_circulant(convop.Identity((3, 5), "complex128")), np.eye(15), "complex128")
    check(as_circulant(convop.Diagonal(np.full((3, 4), 2.5 - 1j))), (2.5 - 1j) * np.eye(12), "complex128")
    C = as_circulant(conv((3,), 8))
    assert as_circulant(C) is C


# Algebra


S2, S4, S3 = conv((3,), 12, 1, stride=2), conv((5,), 12, 2, stride=4), conv((4,), 12, 3, stride=3)
HALF, PLAIN = conv((3,), 6, 4, stride=2), conv((4,), 12, 5)
L2 = layer((3, 2), (3, 3), (4, 6), 1, stride=(2, 3))
L1 = layer((2, 2), (3, 2), (4, 6), 2)
M1 = layer((2, 3), (2, 1), (2, 2), 3, groups=1)
COMBINATIONS = {
    "stride after plain": (lambda a: a(S2) @ a(PLAIN), lambda d: d(S2) @ d(PLAIN)),
    "stride after stride": (lambda a: a(HALF) @ a(S2), lambda d: d(HALF) @ d(S2)),
    "normal": (lambda a: a(S2).H @ a(S2), lambda d: d(S2).T @ d(S2)),
    "gram": (lambda a: a(S4) @ a(S4).H, lambda d: d(S4) @ d(S4).T),
    "expanding": (lambda a: a(S3).H, lambda d: d(S3).T),
    "other bases": (lambda a: a(S3) @ a(S2).H, lambda d: d(S3) @ d(S2).T),
    "and back": (lambda a: a(S2) @ a(S3).H @ a(S3), lambda d: d(S2) @ d(S3).T @ d(S3)),
    "sum on other bases": (
        lambda a: a(S2).H @ a(S2) + a(S3).H @ a(S3) - 2 * a(PLAIN),
        lambda d: d(S2).T @ d(S2) + d(S3).T @ d(S3) - 2 * d(PLAIN),
    ),
    "channels": (lambda a: a(L2) @ a(L1), lambda d: d(L2) @ d(L1)),
    "channels, normal": (lambda a: a(L2).H @ a(L2) + a(L1), lambda d: d(L2).T @ d(L2) + d(L1)),
    "channels, chain": (lambda a: a(M1) @ a(L2) @ a(L1).T, lambda d: d(M1) @ d(L2) @ d(L1).T),
    "power": (lambda a: a(L1) ** 3, lambda d: np.linalg.matrix_power(d(L1), 3)),
    "division": (lambda a: -a(PLAIN) / 4, lambda d: -d(PLAIN) / 4),
    "nothing": (lambda a: a(PLAIN) - a(PLAIN), lambda d: 0 * d(PLAIN)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMBINATIONS)
def test_closed(name, dtype):
    build, dense = COMBINATIONS[name]
    got = build(lambda A: as_circulant(A.with_kernel(A.kernel.astype(dtype))))
    check(got, dense(lambda A: A.toarray()), dtype)
    lazy = build(lambda A: A.with_kernel(A.kernel.astype(dtype)))  # what as_circulant finds in lazy products and sums
    check(as_circulant(lazy), dense(lambda A: A.toarray()), dtype)


@pytest.mark.parametrize("strides", list(itertools.product((1, 2, 3, 4, 6, 12), repeat=2)))
def test_every_pair_of_strides(strides):
    a, b = (conv((4,), 12, seed, "complex128", stride=s) for seed, s in enumerate(strides))
    A, B = as_circulant(a), as_circulant(b)
    dense_a, dense_b = a.toarray(), b.toarray()
    check(A @ B.H, dense_a @ dense_b.conj().T, "complex128")
    check(A.H @ A + B.H @ B, dense_a.conj().T @ dense_a + dense_b.conj().T @ dense_b, "complex128")
    check((A @ B.T).T, dense_b @ dense_a.T, "complex128")
    size = A.out_shape[0]
    for s in (s for s in (1, 2, 3, 4, 6, 12) if size % s == 0):
        c = conv((3,), size, 7, "complex128", stride=s)
        check(as_circulant(c) @ A, c.toarray() @ dense_a, "complex128")


def test_mixed_strides_on_two_axes():
    for sa, sb in itertools.product(itertools.product((1, 2, 4), (1, 3)), repeat=2):
        a, b = conv((3, 2), (4, 6), 1, stride=sa), conv((2, 4), (4, 6), 2, stride=sb)
        check(as_circulant(a) @ as_circulant(b).H, a.toarray() @ b.toarray().T)
        check(as_circulant(b).H @ as_circulant(b) + as_circulant(a).H @ as_circulant(a),
              b.toarray().T @ b.toarray() + a.toarray().T @ a.toarray())  # fmt: skip


def test_types_mix():
    real, wide = conv((3, 2), (4, 5), dtype="float32"), conv((2, 2), (4, 5), 1, "complex128")
    r, w = real.toarray(), wide.toarray()
    check(as_circulant(real) @ wide, r @ w, "complex128", loss=1e7)
    check(real @ as_circulant(wide), r @ w, "complex128")  # a kernel in single precision is one in double as well
    check(as_circulant(wide) + as_circulant(real), r + w, "complex128", loss=1e7)
    check(as_circulant(wide) + real, r + w, "complex128")
    eighth = 0.125 * convop.Identity((4, 5))  # its own type is float32, what it is added to is not
    check(as_circulant(convop.Sum((wide, eighth))), w + 0.125 * np.eye(20), "complex128")
    check(as_circulant(wide) + eighth, w + 0.125 * np.eye(20), "complex128")
    check(as_circulant(real @ wide), r @ w, "complex128")
    check(2j * as_circulant(real), 2j * r, "complex64")
    check(np.float64(2) * as_circulant(real), 2 * r, "float64", loss=1e7)


def test_fuses_with_convolutions_on_either_side():
    C, plain, strided = as_circulant(PLAIN), conv((3,), 12, 8), S2
    p, q, s = PLAIN.toarray(), plain.toarray(), strided.toarray()
    check(C @ plain, p @ q)
    check(plain @ C, q @ p)
    check(strided @ C, s @ p)
    check(C @ strided.H, p @ s.T)
    check(strided.H @ (strided @ C), s.T @ s @ p)
    check(C + plain, p + q)
    check(plain - C, q - p)
    check(C + strided.H @ strided, p + s.T @ s)
    check(C + 0.125 * convop.Identity(12), p + 0.125 * np.eye(12))
    check(convop.Identity(12) + C, p + np.eye(12))
    check(C @ (plain + 0.5 * convop.Identity(12)), p @ (q + 0.5 * np.eye(12)))
    check(C @ convop.Diagonal(np.full(12, 3.0)), 3 * p)
    check(convop.Identity(12) @ C, p)
    check(C @ convop.Identity(12, "complex128"), p, "complex128")
    check(sum([C, plain, C], start=plain), 2 * p + 2 * q)


def test_what_does_not_wrap_stays_lazy():
    C = as_circulant(PLAIN)
    for other in (
        convop.Convolution([1.0, 2.0, 3.0], 12),
        convop.Convolution([1.0, 2.0, 3.0], 12, boundary="symmetric"),
        convop.Diagonal(np.arange(12.0)),
    ):
        for lazy, dense in (
            (C @ other, C.toarray() @ other.toarray()),
            (other @ C, other.toarray() @ C.toarray()),
        ):
            assert type(lazy) is convop.Product
            assert error(lazy.toarray(), dense) <= 1e-13
        assert type(C + other) is type(other + C) is convop.Sum
    uneven = conv((3,), 12, stride=5)
    assert type(uneven @ C) is convop.Product
    assert error((uneven @ C).toarray(), uneven.toarray() @ C.toarray()) <= 1e-13


def test_an_axis_may_be_channels_to_one_operator_and_space_to_another():
    lifted, flat = layer((3, 3), (3,), (8,)), conv((2, 3), (3, 8))
    check(as_circulant(lifted) @ flat, lifted.toarray() @ flat.toarray())
    check(as_circulant(flat) + lifted, lifted.toarray() + flat.toarray())
    check(as_circulant(lifted.H @ lifted) + 0.125 * convop.Identity((3, 8)),
          lifted.toarray().T @ lifted.toarray() + 0.125 * np.eye(24))  # fmt: skip
    strided = conv((2, 3), (6, 8), stride=(2, 1))
    check(as_circulant(lifted) @ strided, lifted.toarray() @ strided.toarray())


# The symbol


def test_the_symbol_of_one_channel_is_the_transform_of_the_first_column():
    A = conv((3, 2), (4, 5), dtype="complex128")
    C = as_circulant(A)
    assert C.symbol.shape == (4, 5)
    assert error(C.symbol, np.fft.fft2(A.toarray()[:, 0].reshape(4, 5))) <= 1e-14
    assert not C.symbol.flags.writeable
    real = as_circulant(conv((3, 2), (4, 5)))
    assert real.symbol.shape == (4, 5)
    assert real.blocks.shape == (4, 3, 1, 1)
    assert error(real.symbol, np.fft.fft2(real.toarray()[:, 0].reshape(4, 5))) <= 1e-14


@pytest.mark.parametrize("A", [*LAYERS, S2.H, S2.H @ S2, L2.H], ids=repr)
def test_the_symbol_acts_on_phases(A):
    C = as_circulant(A)
    layout = C.layout
    x = array(C.in_shape, "complex128")

    def phases(values, channels, steps):
        values = values.reshape((channels, *(m * p for m, p in zip(layout.base, steps, strict=True))))
        parts = [
            values[(c, *(slice(a, None, p) for a, p in zip(offset, steps, strict=True)))]
            for c in range(channels)
            for offset in itertools.product(*map(range, steps))
        ]
        return np.stack([np.fft.fftn(part) for part in parts], axis=-1)

    X = phases(x, layout.channels_in, layout.phases_in)
    Y = phases(C(x), layout.channels_out, layout.phases_out)
    blocks = C.symbol.reshape(*layout.base, *layout.block)
    assert error((blocks @ X[..., None])[..., 0], Y) <= 1e-13


def test_the_shape_of_the_symbol():
    assert as_circulant(layer((3, 2), (3, 3), (4, 6))).symbol.shape == (4, 6, 3, 2)
    assert as_circulant(layer((3, 2), (3, 3), (4, 6), stride=(2, 3))).symbol.shape == (2, 2, 3, 12)
    assert as_circulant(conv((3,), 12, stride=4)).symbol.shape == (3, 1, 4)
    assert as_circulant(conv((3,), 12, stride=4)).H.symbol.shape == (3, 4, 1)


# Back to a convolution


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("A", [*CONVOLUTIONS, *LAYERS], ids=repr)
def test_back_to_a_convolution(A, dtype):
    A = A.with_kernel(array(A.kernel.shape, dtype, 3))
    back = as_circulant(A).convolution()
    assert type(back) is convop.Convolution
    assert back.dtype == dtype
    assert back.convention == A.convention
    assert error(back.toarray(), A.toarray()) <= TOL[dtype]
    sizes = [min(n, r) for n, r in zip(A.geometry.spatial, A.geometry.reach, strict=True)]
    assert all(k <= n for k, n in zip(back.geometry.kernel, sizes, strict=True))


def test_short_kernels_come_back_short():
    A, B = conv((3, 2), (16, 24)), conv((2, 4), (16, 24), 1)
    fused = as_circulant(A) @ B
    back = fused.convolution()
    assert back.geometry == (A @ B).geometry
    assert error(back.kernel, (A @ B).kernel) <= 1e-14
    assert fused.tosparse().nnz == (A @ B).tosparse().nnz
    assert (fused - fused).convolution().kernel.tolist() == [[0.0]]
    inverse = as_circulant(convop.Convolution([0.4, 1.0, 0.4], 32, boundary="periodic")).inv()
    assert inverse.convolution().geometry.kernel == (32,)
    assert inverse.convolution(tol=0.1).geometry.kernel == (5,)


def test_no_rounding_is_left_where_there_is_nothing():
    for shape, seed in itertools.product([(97,), (256,), (36, 50), (17, 19)], range(5)):
        for dtype in DTYPES:
            A, B = (conv((3,) * len(shape), shape, seed + i, dtype) for i in range(2))
            C = as_circulant(A) @ as_circulant(B) @ as_circulant(A).H
            assert C.convolution().geometry.taps == 7 ** len(shape)


def test_shared_phases_that_do_nothing_go_away():
    """Even and odd samples apart, and together again: a filter bank with perfect reconstruction."""
    even = as_circulant(convop.Convolution([1.0], 8, boundary="periodic", stride=2))
    odd = even @ convop.Convolution([1.0, 0.0, 0.0], 8, boundary="periodic")
    bank = even.H @ even + odd.H @ odd
    assert bank.layout.base == (4,)
    back = bank.convolution()
    assert back.kernel.tolist() == [1.0]
    assert np.array_equal(back.toarray(), np.eye(8))
    with pytest.raises(GeometryError, match="take turns"):
        (even.H @ even).convolution()
    with pytest.raises(GeometryError, match=r"A\.H\.convolution\(\)\.H"):
        even.H.convolution()
    assert np.array_equal(even.convolution().toarray(), even.toarray())


def test_a_finer_base_is_found_again():
    """Any operator on coarser bases is the convolution it was; and strided, up to the stride."""
    for A in (
        conv((4,), 12),
        conv((3, 2), (12, 8)),
        layer((3, 2), (3, 4), (12, 8)),
        conv((3, 2), (12, 8), stride=(3, 2)),
    ):
        C = as_circulant(A)
        for factor in ((2, 1), (1, 4), (2, 4), (4, 2)):
            base = tuple(m // r for m, r in zip(C.layout.base, factor, strict=False))
            coarse = C.on_base(base)
            assert coarse.layout.base == base
            check(coarse, A.toarray())
            back = coarse.convolution()
            assert back.geometry == C.convolution().geometry
            assert error(back.toarray(), A.toarray()) <= 1e-14


# Inverses


@pytest.mark.parametrize("dtype", DTYPES)
def test_inverse(dtype):
    for A in (
        conv((3,), 8) + 5 * convop.Identity(8, "float64"),
        conv((3, 2), (4, 5)) + 5 * convop.Identity((4, 5), "float64"),
        layer((2, 2), (3, 2), (4, 5)) + 9 * convop.Identity((2, 4, 5), "float64"),
        layer((4, 1), (4, 4), (6, 4), stride=2),
        L2.H @ L2 + 0.5 * convop.Identity(L2.in_shape, "float64"),
    ):
        C = as_circulant(A).astype(np.dtype(dtype)) if dtype == "complex128" else as_circulant(A)
        if dtype in ("float32", "complex64"):
            C = BlockCirculant(C.layout, C.blocks, np.dtype("float32"))
            C = (1 + 0.5j) * C if dtype == "complex64" else C
        inverse = np.linalg.inv(C.toarray().astype(np.complex128))
        assert np.linalg.cond(inverse) < 1e3
        assert type(C.inv()) is BlockCirculant
        assert C.inv().dtype == dtype
        assert C.inv().in_shape == C.out_shape
        assert error(C.inv().toarray(), inverse) <= 100 * TOL[dtype]
        assert error(C.pinv().toarray(), inverse) <= 100 * TOL[dtype]
        assert C.pinv().dropped == (0, 0)
        identity = C.inv() @ C
        assert error(identity.toarray(), np.eye(C.shape[1])) <= 100 * TOL[dtype]
        assert identity.in_shape == identity.out_shape == C.in_shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_singular_frequencies_are_counted_and_named(dtype):
    C = as_circulant(convop.Convolution(np.ones((2, 2), dtype), (4, 6), boundary="periodic"))
    with pytest.raises(GeometryError, match=r"9 of 24 frequencies \(\(0, 3\), \(1, 3\), \(2, 0\), \(2, 1\), \.\.\.\)"):
        C.inv()
    with pytest.raises(GeometryError, match=r"pinv\(\)"):
        C.inv()
    pinv = C.pinv()
    assert pinv.dropped.frequencies == pinv.dropped.values == 9
    assert "9 of 24 singular values cut, at 9 of 24 frequencies" in str(pinv)
    assert error(pinv.toarray(), np.linalg.pinv(C.toarray().astype(np.complex128), rcond=1e-5)) <= 10 * TOL[dtype]
    assert "singular values cut" not in str(C)


def test_nearly_singular_counts_as_singular():
    C = as_circulant(convop.Convolution([1.0, 1.0 + 1e-15], 16, boundary="periodic"))
    with pytest.raises(GeometryError, match=r"1 of 16 frequencies \(\(8,\)\)"):
        C.inv()
    just = as_circulant(convop.Convolution([1.0, 1.0 + 1e-12], 16, boundary="periodic"))
    assert type(just.inv()) is BlockCirculant
    single = as_circulant(convop.Convolution(np.float32([1.0, 1.0 + 2e-7]), 16, boundary="periodic"))
    with pytest.raises(GeometryError, match="1 of 16"):
        single.inv()
    dead = as_circulant(layer((2, 2), (3,), (8,)))
    ones = as_circulant(convop.conv_layer(np.ones((2, 2, 1)), (2, 8)))
    with pytest.raises(GeometryError, match="8 of 8 frequencies"):
        (dead @ ones).inv()
    with pytest.raises(GeometryError, match="8 of 8"):
        (dead - dead).inv()


def test_rectangular_blocks_have_a_pseudo_inverse_only():
    for A in (layer((3, 2), (3, 2), (4, 5)), S2, S3.H, layer((2, 5), (3,), (6,), dtype="complex128")):
        C = as_circulant(A)
        with pytest.raises(GeometryError, match="square blocks"):
            C.inv()
        pinv = C.pinv()
        assert type(pinv) is BlockCirculant
        assert pinv.dtype == A.dtype
        assert error(pinv.toarray(), np.linalg.pinv(A.toarray())) <= 1e-11


def test_rcond_cuts_against_the_largest_of_all():
    C = as_circulant(layer((3, 3), (3, 2), (4, 5)))
    values = np.linalg.svd(C.toarray(), compute_uv=False)
    for rcond in (0.0, 0.1, 0.3, 0.9):
        pinv = C.pinv(rcond)
        assert pinv.dropped.values == np.count_nonzero(values <= rcond * values[0])
        assert error(pinv.toarray(), np.linalg.pinv(C.toarray(), rcond=rcond)) <= 1e-11
    assert 0 < C.pinv(0.3).dropped.frequencies <= min(20, C.pinv(0.3).dropped.values)
    assert (C - C).pinv().toarray().any() == np.False_
    for bad in (-1, np.nan, 1j, [1.0]):
        with pytest.raises(GeometryError, match="rcond"):
            C.pinv(bad)


def test_singular_values_and_eigenvalues():
    for A in (conv((3, 2), (4, 5)), layer((3, 2), (3,), (7,)), S3, S3.H, layer((2, 3), (3, 2), (4, 5), stride=(2, 1)),
              layer((2, 3), (4,), (6,), dtype="complex64")):  # fmt: skip
        C, values = as_circulant(A), np.linalg.svd(A.toarray(), compute_uv=False)
        got = np.sort(C.singular_values().ravel())[::-1]
        assert got.dtype == np.finfo(A.dtype).dtype
        assert error(got, values[: len(got)]) <= 10 * TOL[str(A.dtype)]
    for A in (conv((3, 2), (4, 5)), layer((3, 3), (3,), (7,)), S2.H @ S2, conv((3,), 6, dtype="complex64")):
        got, want = as_circulant(A).eigvals(), np.linalg.eigvals(A.toarray())
        assert got.shape == want.shape
        assert got.dtype == np.result_type(A.dtype, np.complex64)
        distance = np.abs(got[:, None] - want)
        rows, columns = scipy.optimize.linear_sum_assignment(distance)
        assert distance[rows, columns].max() <= 1e-6 * np.abs(want).max()
    for A in (S2, layer((3, 2), (3,), (7,)), layer((4, 1), (4,), (8,), stride=4)):
        with pytest.raises(GeometryError, match="same grid and channels"):
            as_circulant(A).eigvals()
        with pytest.raises(GeometryError, match="same grid and channels"):
            as_circulant(A).apply_function(np.exp)


# Functions


def matrix_of(function, C):
    return function(C.toarray().astype(np.complex128))


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_one_channel(dtype):
    C = as_circulant(convop.Convolution(array((3, 2), dtype), (4, 5), boundary="periodic"))
    check(C.apply_function(np.exp), matrix_of(scipy.linalg.expm, C), dtype)
    assert error(C.apply_function(lambda w: w * w + 1).toarray(), (C @ C).toarray() + np.eye(20)) <= 10 * TOL[dtype]
    positive = C.H @ C + as_circulant(convop.Identity((4, 5)))
    check(positive.apply_function(np.sqrt), matrix_of(scipy.linalg.sqrtm, positive), dtype)
    check(positive.apply_function(np.log), matrix_of(scipy.linalg.logm, positive), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_blocks(dtype):
    C = as_circulant(layer((3, 3), (3, 2), (4, 5)))
    C = (1 + 1j) * C if np.dtype(dtype).kind == "c" else C
    C = BlockCirculant(C.layout, C.blocks, np.dtype(dtype))
    loose = 1e-5 if dtype in ("float32", "complex64") else 1e-11
    for function, dense in ((np.exp, scipy.linalg.expm), (np.cos, scipy.linalg.cosm)):
        got = C.apply_function(function)
        assert got.dtype == dtype
        assert error(got.toarray(), matrix_of(dense, C)) <= loose
    positive = C @ C.H + as_circulant(convop.Identity(C.in_shape))
    for function, dense in ((np.sqrt, scipy.linalg.sqrtm), (np.log, scipy.linalg.logm)):
        got = positive.apply_function(function)
        assert got.dtype == dtype
        assert error(got.toarray(), matrix_of(dense, positive)) <= loose
    phases = as_circulant(S2).H @ as_circulant(S2)
    assert error(phases.apply_function(np.exp).toarray(), scipy.linalg.expm(phases.toarray())) <= 1e-12


def test_a_real_operator_may_have_a_complex_function():
    negative = as_circulant(convop.Convolution([1.0, -4.0, 1.0], 6, boundary="periodic"))
    root = negative.apply_function(np.sqrt)  # every eigenvalue is below zero: both of a pair take the same root
    check(root, scipy.linalg.sqrtm(negative.toarray().astype(complex)), "complex128")
    check(root @ root, negative.toarray(), "complex128")
    blocks = as_circulant(layer((2, 2), (3,), (7,)))
    negative = -1 * blocks @ blocks.H - as_circulant(convop.Identity((2, 7)))
    root = negative.apply_function(np.sqrt)
    check(root, scipy.linalg.sqrtm(negative.toarray().astype(complex)), "complex128")
    turned = negative.apply_function(lambda w: 1j * w)
    check(turned, 1j * negative.toarray(), "complex128")
    turned = blocks.apply_function(lambda w: 1j * w)
    check(turned, 1j * blocks.toarray(), "complex128")
    single = as_circulant(convop.Convolution(np.float32([1.0, -4.0, 1.0]), 6, boundary="periodic"))
    assert single.apply_function(np.sqrt).dtype == np.complex64
    assert single.apply_function(np.abs).dtype == np.float32


def test_rounding_does_not_choose_the_side_of_a_branch_cut():
    for seed in range(5):
        A, shift = (
            conv((3, 3), (7, 11), seed),
            convop.Convolution([[1.0, 0.0]], (7, 11), boundary="periodic", center=(0, 1)),
        )
        # Negative definite; its symbol is real but for rounding, as its factors' transforms round apart.
        C = -1 * as_circulant(A.H @ shift.H) @ as_circulant(shift @ A) - convop.Identity((7, 11), "float64")
        assert np.abs(C.symbol.imag).max() > 0
        negative = C.toarray()
        root = C.apply_function(np.sqrt)
        check(root @ root, negative, "complex128")
        assert error(root.toarray(), 1j * scipy.linalg.sqrtm(-negative)) <= 1e-12
        assert np.abs(root.toarray().real).max() <= 1e-12 * np.abs(root.toarray()).max()


def test_functions_of_normal_blocks_with_equal_eigenvalues():
    rotation = convop.conv_layer(np.kron(np.eye(2), [[0.0, -1.0], [1.0, 0.0]])[..., None], (4, 6))
    C = as_circulant(rotation) @ as_circulant(convop.conv_layer(np.eye(4)[..., None] * [1.0, 0.5, 0.0], (4, 6),
                                                               padding=1, boundary="periodic"))  # fmt: skip
    assert error(C.apply_function(np.exp).toarray(), scipy.linalg.expm(C.toarray())) <= 1e-13
    assert error(C.apply_function(lambda w: w**3).toarray(), (C**3).toarray()) <= 1e-13


def test_blocks_without_eigenvectors():
    jordan = as_circulant(convop.conv_layer([[[2.0], [1.0]], [[0.0], [2.0]]], (2, 6)))
    for function, dense in ((np.exp, scipy.linalg.expm), (np.sqrt, scipy.linalg.sqrtm), (np.log, scipy.linalg.logm)):
        got = jordan.apply_function(function)
        assert got.dtype == np.float64
        assert error(got.toarray(), matrix_of(dense, jordan)) <= 1e-12
    with pytest.raises(GeometryError, match=r"6 of 6 frequencies .*eigenvectors.*np\.exp"):
        jordan.apply_function(lambda w: w**3)
    nilpotent = as_circulant(convop.conv_layer([[[0.0], [1.0]], [[0.0], [0.0]]], (2, 6)))
    with pytest.raises(GeometryError, match="6 of 6"):
        nilpotent.apply_function(np.sqrt)


def test_functions_that_are_not_finite_are_refused():
    C = as_circulant(convop.Convolution([1.0, -1.0], 6, boundary="periodic"))
    with pytest.raises(GeometryError, match=r"1 of 6 frequencies \(\(0,\)\).*not finite"):
        C.apply_function(np.log)
    with pytest.raises(GeometryError, match="shape"):
        C.apply_function(np.sum)


# The rest of being an operator


@pytest.mark.parametrize("A", [as_circulant(PLAIN), as_circulant(L2).H, as_circulant(L1).pinv(0.5)], ids=repr)
def test_pickling(A):
    again = pickle.loads(pickle.dumps(A))
    assert type(again) is BlockCirculant
    assert again.dtype == A.dtype
    assert again.dropped == A.dropped
    assert np.array_equal(again.toarray(), A.toarray())
    assert not again.blocks.flags.writeable


def test_batches():
    C = as_circulant(L2)
    x = array((2, 3, *C.in_shape))
    got = C(x)
    assert got.shape == (2, 3, *C.out_shape)
    assert error(got[1, 2], C(x[1, 2])) <= 1e-14
    assert C(np.zeros((0, *C.in_shape))).shape == (0, *C.out_shape)
    assert error(C.matmat(array((C.shape[1], 4))), C.toarray() @ array((C.shape[1], 4))) <= 1e-13
    assert C.using("fft") is C


def test_telling():
    C = as_circulant(L2)
    assert repr(C) == "<BlockCirculant, grid 2x2, channels 2 -> 3, 4 frequencies: 2x4x6 -> 3x2x2, float64>"
    assert "3 x 12 block at each frequency" in str(C)
    assert "phases (2, 3) -> (1, 1)" in str(C)
    assert repr(as_circulant(PLAIN)) == "<BlockCirculant, grid 12, 12 frequencies: 12 -> 12, float64>"


def test_memory_is_asked_for():
    C = as_circulant(conv((3,), 64)) @ as_circulant(conv((3,), 64)).apply_function(np.exp)
    with pytest.raises(convop.MemoryBudgetError, match="entries"):
        C.tosparse(max_bytes=1000)


def test_what_would_not_fit_stays_lazy(monkeypatch):
    a, b = as_circulant(conv((3,), 60, stride=5)), as_circulant(conv((3,), 60, 1, stride=4))
    monkeypatch.setattr("convop.memory.available_bytes", lambda: 1000)
    assert type(a @ b.H) is convop.Product
    with pytest.raises(convop.MemoryBudgetError, match="symbol"):
        as_circulant(convop.Product((a, b.H)))


@pytest.mark.parametrize("A", [PLAIN, L2, L1, S3.H], ids=repr)
def test_the_checker_agrees(A):
    C = as_circulant(A)
    assert convop.check.adjoint(C).passed
    assert convop.check.linear(C).passed
    assert convop.check.equal(C, A).passed


def test_large_kernels_are_inverted_in_a_moment():
    rng = np.random.default_rng(0)
    A = convop.Convolution(rng.standard_normal((31, 31)) + 400 * np.eye(31)[15][:, None] * np.eye(31)[15],
                           (256, 200), boundary="periodic")  # fmt: skip
    x = rng.standard_normal((256, 200))
    assert error(as_circulant(A).inv()(A(x)), x) <= 1e-12


def random_operator(rng, in_shape, lifted):
    """A periodic convolution or the adjoint of one, with a stride on either side, from arrays of `in_shape`."""
    grid = in_shape[1:] if lifted else in_shape
    dtype = rng.choice(["float64", "complex128"])
    taps = tuple(int(rng.integers(1, 5)) for _ in grid)
    dilation = tuple(int(rng.integers(1, 3)) for _ in grid)
    if rng.random() < 0.4:  # expanding
        steps = tuple(int(rng.choice([s for s in (1, 2, 3) if n * s <= 12])) for n in grid)
        out = tuple(n * s for n, s in zip(grid, steps, strict=True))
        channels, shape = (in_shape[0], int(rng.integers(1, 4))), out
    else:
        steps = tuple(int(rng.choice([s for s in (1, 2, 3, 4) if n % s == 0])) for n in grid)
        channels, shape = (int(rng.integers(1, 4)), in_shape[0]), grid
    options = {"stride": steps, "dilation": dilation, "boundary": "periodic"}
    seed = int(rng.integers(1 << 30))
    if lifted:
        reach = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
        padding = tuple((r - 1, 0) for r in reach)
        A = convop.conv_layer(array((*channels, *taps), dtype, seed), (channels[1], *shape), padding=padding, **options)
    else:
        A = convop.Convolution(array(taps, dtype, seed), shape, **options)
    return A if A.in_shape == in_shape else A.H


@pytest.mark.parametrize("seed", range(60))
def test_random_chains(seed):
    """Products and sums of random operators: matrix, adjoint and pseudo-inverse are those of the dense matrices."""
    rng = np.random.default_rng(seed)
    lifted = bool(rng.random() < 0.5)
    in_shape = ((int(rng.integers(1, 4)), 12) if rng.random() < 0.5 else (2, 4, 6)) if lifted else (4, 6)
    total, dense = as_circulant(convop.Identity(in_shape, "float64")), np.eye(int(np.prod(in_shape)))
    for _ in range(int(rng.integers(1, 5))):
        A = random_operator(rng, total.out_shape, lifted)
        wrapped = as_circulant(A) if rng.random() < 0.5 else A
        total, dense = wrapped @ total, A.toarray() @ dense
    other = random_operator(rng, in_shape, lifted)
    normal = total.H @ total - 2j * (other.H @ as_circulant(other))
    check(total, dense, str(total.dtype))
    check(normal, dense.conj().T @ dense - 2j * other.toarray().conj().T @ other.toarray(), "complex128")
    values = np.linalg.svd(dense, compute_uv=False)
    rcond = 1e-3
    if not ((values > 0.5e-3 * values[0]) & (values < 2e-3 * values[0])).any():  # none in doubt
        assert error(total.pinv(rcond).toarray(), np.linalg.pinv(dense, rcond=rcond)) <= 1e-9
        assert total.pinv(rcond).dropped.values <= np.count_nonzero(values <= rcond * values[0])


def test_functions_name_singular_blocks():
    rng = np.random.default_rng(0)
    wide = convop.conv_layer(rng.standard_normal((3, 2, 3)), (2, 6), padding=1, boundary="periodic")
    tall = convop.conv_layer(rng.standard_normal((2, 3, 3)), (3, 6), padding=1, boundary="periodic")
    singular = as_circulant(wide @ tall)
    for function in (np.log, lambda z: 1 / z):
        with pytest.raises(GeometryError, match="6 of 6 frequencies"):
            singular.apply_function(function)
    assert error(singular.apply_function(np.exp).toarray(), scipy.linalg.expm(singular.toarray())) < 1e-12


# What explain says, and groups


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_groups_come_back(groups, stride):
    A = layer((4, 8), (3, 2), (4, 6), groups=groups, stride=stride, dtype="complex128")
    found = convop.as_circulant(A).convolution()
    assert found.geometry.groups == groups
    assert found.kernel.shape[1] == A.kernel.shape[1] == 8 // groups
    assert error(found.toarray(), A.toarray()) <= 1e-14
    mixed = convop.as_circulant(A) + convop.as_circulant(layer((4, 8), (1, 1), (4, 6), 1, "complex128", 1, stride))
    assert mixed.convolution().geometry.groups == 1


def test_explain_says_why_a_product_is_not_circulant():
    C = convop.as_circulant(convop.Convolution(array((3, 2), "complex128"), (4, 5), boundary="periodic"))
    zero = convop.Convolution(array((3, 2), "complex128"), (4, 5))
    for product in (C @ zero, zero @ C):
        assert isinstance(product, convop.Product)
        (seam,) = convop.explain(product).seams
        assert "not known to be circulant" in seam.reason
        assert "axis 0 does not wrap around" in seam.reason
    assert "put next to each other" in convop.explain(convop.Product((C, C))).seams[0].reason
