"""`BlockToeplitz` against dense matrices whose entries are looked up lag by lag."""

import itertools
import pickle

import numpy as np
import oracle
import pytest
import scipy.linalg
import strategies
from cases import array
from oracle import error

import convop

EXACT = 1e-13


def dense(generator, in_shape, out_shape, lifted=False):
    """The matrix by its definition: entry `lag + n_in - 1` of the generator, in a loop over outputs and inputs."""
    n, m = (in_shape[1:], out_shape[1:]) if lifted else (in_shape, out_shape)
    channels = (out_shape[0], in_shape[0]) if lifted else (1, 1)
    blocks = generator.reshape(*(a + b - 1 for a, b in zip(m, n, strict=True)), *channels)
    matrix = np.zeros((channels[0], *m, channels[1], *n), generator.dtype)
    for i in itertools.product(*map(range, m)):
        for j in itertools.product(*map(range, n)):
            place = tuple(a - b + size - 1 for a, b, size in zip(i, j, n, strict=True))
            matrix[(slice(None), *i, slice(None), *j)] = blocks[place]
    return matrix.reshape(channels[0] * int(np.prod(m)), -1)


def check(operator, matrix):
    assert operator.shape == matrix.shape
    assert error(operator.toarray(), matrix) <= EXACT
    assert error(operator.H.toarray(), matrix.conj().T) <= EXACT
    for method in ("direct", "fft", "sparse"):
        pinned = operator.using(method)
        assert pinned.method == method
        x, y = array((2, *operator.in_shape), "complex128", 5), array((2, *operator.out_shape), "complex128", 6)
        assert error(pinned(x).reshape(2, -1), x.reshape(2, -1) @ matrix.T) <= EXACT
        assert error(pinned.H(y).reshape(2, -1), y.reshape(2, -1) @ matrix.conj()) <= EXACT


GENERATORS = {
    "1-D": ((5,), (4,), False),
    "1-D, one row": ((5,), (1,), False),
    "1-D, one column": ((1,), (4,), False),
    "2-D": ((3, 4), (5, 2), False),
    "3-D": ((2, 3, 2), (3, 1, 4), False),
    "channels": ((2, 4), (3, 5), True),
    "channels, 2-D": ((3, 3, 2), (2, 2, 4), True),
    "one channel, lifted": ((1, 4), (1, 3), True),
}


def generator(name, dtype="complex128", seed=0):
    n, m, lifted = GENERATORS[name]
    lags = tuple(a + b - 1 for a, b in zip(m[lifted:], n[lifted:], strict=True))
    channels = (m[0], n[0]) if lifted and (m[0], n[0]) != (1, 1) else ()
    return array((*lags, *channels), dtype, seed)


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_makes_its_matrix(name, dtype):
    n, m, lifted = GENERATORS[name]
    values = generator(name, dtype)
    T = convop.BlockToeplitz(values, n, m)
    check(T, dense(values, n, m, lifted))
    assert np.array_equal(T.generator, values)
    assert not T.generator.flags.writeable
    assert np.array_equal(convop.BlockToeplitz(values, n).toarray(), T.toarray())
    assert T.H.H is T
    assert isinstance(T.H, convop.BlockToeplitz)
    again = pickle.loads(pickle.dumps(T))
    assert np.array_equal(again.generator, values)
    assert (again.in_shape, again.out_shape) == (n, m)


def test_scipy_agrees_in_one_dimension():
    T = convop.BlockToeplitz(array(8, "complex128"), 5, 4)
    assert np.array_equal(T.toarray(), scipy.linalg.toeplitz(T.column, T.row))
    square = convop.BlockToeplitz(array(9, "complex128") + 4 * np.eye(9)[4], 5)
    b = array(5, "complex128", 1)
    x = scipy.linalg.solve_toeplitz((square.column, square.row), b)
    assert error(square @ x, b) <= EXACT
    assert error(x, np.linalg.solve(square.toarray(), b)) <= 1e-12


def test_float32_stays():
    T = convop.as_toeplitz(convop.Convolution(array(3, "float32"), 5))
    assert T.dtype == T.generator.dtype == T(array(5, "float32")).dtype == (2.0 * T).dtype == np.float32
    assert (T @ T.H).dtype == (T + T).dtype == np.float32
    assert T.using("fft")(array(5, "float32")).dtype == np.float32


def toeplitz_specs(count):
    """Random geometries of both doors with stride 1 and zeros outside."""
    for seed in range(count):
        dice = strategies.Dice(seed)
        if seed % 2:
            spec = strategies.layer(dice)
            spec.stride, spec.boundary = (1,) * len(spec.stride), "zero"
        else:
            spec = strategies.convolution(dice)
            spec.stride, spec.boundary = (1,) * len(spec.stride), "zero"
        yield spec


def test_every_zero_boundary_geometry():
    """Any mode, centre, padding, dilation, channels and groups: the same matrix, and lag by lag its generator."""
    for spec in toeplitz_specs(150):
        A, matrix = spec.build(), spec.matrix()
        T = convop.as_toeplitz(A)
        assert (T.in_shape, T.out_shape, T.dtype) == (A.in_shape, A.out_shape, A.dtype)
        tolerance = 1e-5 if A.dtype.char in "fF" else EXACT
        assert error(T.toarray(), matrix) <= tolerance
        assert error(dense(T.generator, A.in_shape, A.out_shape, A.geometry.lifted), matrix) <= tolerance
        assert error(T.H.toarray(), matrix.conj().T) <= tolerance
        x = array(A.in_shape, "complex128", 3)
        assert error(T(x).ravel(), matrix @ x.ravel()) <= tolerance * 10
        assert convop.estimate(T).nnz == T.tosparse().nnz == A.tosparse().nnz


def test_blocks_by_lag():
    T = convop.BlockToeplitz(generator("3-D"), (2, 3, 2), (3, 1, 4))
    whole = T.toarray().reshape(3, 1, 4, 2, 3, 2)
    for i, j in itertools.product(range(3), range(2)):
        assert np.array_equal(T.block(i - j).toarray(), whole[i, :, :, j].reshape(4, 6))
        assert np.array_equal(T.block(i - j, -1).toarray(), whole[i, 0, :, j, 1])
        assert T.block(i - j, -2, 3) == whole[i, 0, 3, j, 2, 0]
    assert T.block() is T
    assert isinstance(T.block(1), convop.BlockToeplitz)
    layer = convop.as_toeplitz(convop.conv_layer(array((3, 2, 3, 3), "complex128"), (2, 4, 5), padding=1))
    whole = layer.toarray().reshape(3, 4, 5, 2, 4, 5)
    assert np.array_equal(layer.block(-1, 1), whole[:, 1, 2, :, 2, 1])
    assert np.array_equal(layer.block(1).toarray(), whole[:, 2, :, :, 1, :].reshape(15, 10))
    for wrong in ((4,), (-4,), (0, 5), (0, 0, 0), (0.5,)):
        with pytest.raises(convop.GeometryError):
            layer.block(*wrong)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: convop.Convolution([1, 2, 3], 8, boundary="periodic"), ("axis 0", "as_circulant")),
        (lambda: convop.Convolution(np.ones((3, 3)), (8, 8), boundary=("zero", "mirror")), ("axis 1", "mirror")),
        (lambda: convop.Convolution([1, 2, 3], 8, stride=2), ("axis 0", "stride 2")),
        (lambda: convop.Diagonal([1.0, 2.0]), ("as_convolution",)),
        (lambda: np.eye(3), ("as_convolution",)),
        (lambda: convop.Convolution([1, 2, 3], 8) @ convop.Convolution([1, 2, 3], 8), ("edge",)),
    ],
)
def test_what_is_not_toeplitz_is_told(make, words):
    with pytest.raises(convop.GeometryError) as refusal:
        convop.as_toeplitz(make())
    assert all(word in str(refusal.value) for word in words)


def test_what_never_reads_outside_is_toeplitz_whatever_its_boundary():
    """A boundary that only taps of value zero reach, and a stride that only one output sees, change nothing."""
    unread = convop.Convolution([0, 2.0, 1j], 6, boundary=(("zero", "mirror"),))
    assert np.array_equal(convop.as_toeplitz(unread).toarray(), unread.toarray())
    single = convop.Convolution(array(4, "complex128"), 6, mode="valid", stride=5)
    assert np.array_equal(convop.as_toeplitz(single).toarray(), single.toarray())


@pytest.mark.parametrize(
    "arguments",
    [
        (np.ones(5), 6),
        (np.ones(5), 3, 4),
        (np.ones((5, 5)), 3),
        (np.ones((5, 2, 2)), (3, 3)),
        (np.ones(5), (2, 3)),
        (np.ones(()), 3),
        ([np.nan, 1.0], 1),
    ],
)
def test_generators_that_do_not_fit(arguments):
    with pytest.raises(convop.GeometryError):
        convop.BlockToeplitz(*arguments)
    with pytest.raises(convop.GeometryError):
        convop.BlockToeplitz(np.ones(5), 3).using("magic")
    with pytest.raises(convop.GeometryError):
        convop.BlockToeplitz(np.ones((5, 5)), (3, 3)).column  # noqa: B018


# Algebra


def test_sums_multiples_adjoints_stay():
    n, m, _ = GENERATORS["2-D"]
    a, b = generator("2-D"), generator("2-D", seed=1)
    S, T = convop.BlockToeplitz(a, n, m), convop.BlockToeplitz(b, n, m)
    x, y = dense(a, n, m), dense(b, n, m)
    for operator, matrix in (
        (S + T, x + y),
        (S - 2j * T, x - 2j * y),
        ((1 - 2j) * S, (1 - 2j) * x),
        (S.T, x.T),
        (S.conj(), x.conj()),
        (S.H, x.conj().T),
        (-S / 2j, -x / 2j),
    ):
        assert isinstance(operator, convop.BlockToeplitz)
        assert error(operator.toarray(), matrix) <= EXACT


def test_sums_with_convolutions_and_identities():
    A = convop.Convolution(array((3, 2), "complex128"), (4, 5))
    B = convop.Convolution(array((2, 5), "complex128", 1), (4, 5), center=(1, 0))
    T, one = convop.as_toeplitz(A), np.eye(20)
    a, b = A.toarray(), B.toarray()
    for operator, matrix in (
        (T + B, a + b),
        (B + T, a + b),
        (T + convop.Identity((4, 5)), a + one),
        (T - 3j * convop.Identity((4, 5)), a - 3j * one),
        (2 * convop.Identity((4, 5)) + T, a + 2 * one),
        (convop.as_toeplitz(A + B), a + b),
        (convop.as_toeplitz(2j * (A + B).H), 2j * (a + b).conj().T),
        (convop.as_toeplitz(A + 0.5 * convop.Identity((4, 5))), a + one / 2),
        (convop.as_toeplitz(convop.Identity((4, 5))), one),
    ):
        assert isinstance(operator, convop.BlockToeplitz)
        assert error(operator.toarray(), matrix) <= EXACT
    mixed = T + convop.Convolution(array((3, 2), "complex128"), (4, 5), boundary="periodic")
    assert not isinstance(mixed, convop.BlockToeplitz)
    layer = convop.as_toeplitz(convop.conv_layer(array((2, 2, 3), "complex128"), (2, 5), padding=1))
    assert error((layer + convop.Identity((2, 5))).toarray(), layer.toarray() + np.eye(10)) <= EXACT


def is_toeplitz(matrix, in_shape, out_shape):
    """Whether entries depend on lags alone, looked at entry by entry."""
    whole = matrix.reshape(*out_shape, *in_shape)
    seen = {}
    for place in itertools.product(*map(range, whole.shape)):
        lag = tuple(i - j for i, j in zip(place[: len(out_shape)], place[len(out_shape) :], strict=True))
        if abs(seen.setdefault(lag, whole[place]) - whole[place]) > 1e-10:
            return False
    return True


def banded(rng, sizes):
    """A random generator whose lags are cut off at either side now and then."""
    values = rng.standard_normal(sizes) + 1j * rng.standard_normal(sizes)
    for axis, lags in enumerate(sizes):
        low, high = sorted(rng.integers(0, lags + 1, 2)) if rng.random() < 0.8 else (0, lags)
        outside = np.ones(lags, bool)
        outside[low:high] = False
        values = np.where(outside.reshape(-1, *(1,) * (len(sizes) - axis - 1)), 0, values)
    return values


def test_products_are_toeplitz_exactly_when_the_matrix_is():
    """Random generators, non-square, 1-D and 2-D: fused if and only if the dense product has equal lags.

    Also where taps that would differ on one axis never meet on the other.
    """
    rng, met = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(1500):
        ndim = int(rng.integers(1, 3))
        p, m, n = (tuple(map(int, rng.integers(1, 6 - ndim, ndim))) for _ in range(3))
        a = banded(rng, [i + j - 1 for i, j in zip(p, m, strict=True)])
        b = banded(rng, [i + j - 1 for i, j in zip(m, n, strict=True)])
        A, B = convop.BlockToeplitz(a, m, p), convop.BlockToeplitz(b, n, m)
        product, matrix = A @ B, dense(a, m, p) @ dense(b, n, m)
        fused = isinstance(product, convop.BlockToeplitz)
        exact = is_toeplitz(matrix, n, p)
        assert fused == exact, (a, b, p, m, n)
        assert np.abs(product.toarray() - matrix).max() <= 1e-12
        met[fused] += 1
    assert min(met.values()) > 300


def around(rng, sizes, channels=()):
    """A generator that is circulant on every level: lags a whole turn apart are the same."""
    values = rng.standard_normal((*sizes, *channels)) + 1j * rng.standard_normal((*sizes, *channels))
    return values[np.ix_(*((np.arange(2 * n - 1) - (n - 1)) % n for n in sizes))]


@pytest.mark.parametrize(("sizes", "channels"), [((5,), ()), ((3, 4), ()), ((2, 3, 2), ()), ((3, 2), (2, 2))])
def test_circulants_given_as_toeplitz_stay(sizes, channels):
    """What drops out at one end comes in at the other; the generator is no convolution of generators."""
    rng = np.random.default_rng(1)
    shape = (*channels[:1], *sizes)
    A, B = (convop.BlockToeplitz(around(rng, sizes, channels), shape) for _ in range(2))
    product = A @ B
    assert isinstance(product, convop.BlockToeplitz)
    want = dense(A.generator, shape, shape, bool(channels)) @ dense(B.generator, shape, shape, bool(channels))
    assert error(product.toarray(), want) <= EXACT
    values = A.generator.copy()
    values[(0,) * len(sizes)] += 1e-9  # no longer a turn apart
    lazy = convop.BlockToeplitz(values, shape) @ B
    assert not isinstance(lazy, convop.BlockToeplitz)
    assert error(lazy.toarray(), dense(values, shape, shape, bool(channels)) @ B.toarray()) <= EXACT


def test_explain_names_the_rows_of_products_that_are_not_toeplitz():
    A, B = (convop.Convolution(array((3, 3), "complex128", seed), (5, 6)) for seed in range(2))
    S, T = convop.as_toeplitz(A), convop.as_toeplitz(B)
    (seam,) = convop.explain(S @ T).seams
    (as_convolutions,) = convop.explain(A @ B).seams
    assert "not known to be Toeplitz" in seam.reason
    assert "18 of 30" in seam.reason
    assert np.array_equal(seam.rows, as_convolutions.rows)
    assert [axis.rows for axis in seam.axes] == [(1, 1), (1, 1)]
    assert "BlockToeplitz" in seam.outer
    wrapped = convop.Convolution(array((3, 2), "complex128"), (5, 6), boundary="periodic")
    for product in (S @ wrapped, wrapped @ S):
        (seam,) = convop.explain(product).seams
        assert "not known to be Toeplitz" in seam.reason
        assert seam.rows.any()


@pytest.mark.parametrize("method", ["bogus", "separable", 3])
def test_methods_that_are_unknown_or_cannot_serve_are_refused_at_the_door(method):
    with pytest.raises(convop.GeometryError, match="method"):
        convop.BlockToeplitz(np.ones(5), 3, method=method)


def test_products_with_channels():
    """One positive lag may meet a negative one, as long as no channel carries both."""
    a, b = np.zeros((5, 2, 2), complex), np.zeros((5, 2, 3), complex)
    a[2:, :, 0], a[:3, :, 1] = array((3, 2), "complex128"), array((3, 2), "complex128", 1)
    b[2:, 0], b[:3, 1] = array((3, 3), "complex128", 2), array((3, 3), "complex128", 3)
    A, B = convop.BlockToeplitz(a, (2, 3)), convop.BlockToeplitz(b, (3, 3))
    product = A @ B
    assert isinstance(product, convop.BlockToeplitz)
    assert error(product.toarray(), A.toarray() @ B.toarray()) <= EXACT
    b[1, 0] = 1
    product = A @ convop.BlockToeplitz(b, (3, 3))
    assert not isinstance(product, convop.BlockToeplitz)


def test_products_with_convolutions():
    inner = convop.Convolution(array((2, 3), "complex128"), (4, 3), mode="full")
    outer = convop.Convolution(array((3, 2), "complex128", 1), inner.out_shape)
    wrapped = convop.Convolution(array((3, 2), "complex128", 1), inner.out_shape, boundary="periodic")
    matrix = outer.toarray() @ inner.toarray()
    for product in (
        convop.as_toeplitz(outer) @ inner,
        outer @ convop.as_toeplitz(inner),
        convop.as_toeplitz(outer @ inner),
        convop.as_toeplitz(convop.Product((outer, inner))),
    ):
        assert isinstance(product, convop.BlockToeplitz)
        assert error(product.toarray(), matrix) <= EXACT
    lazy = wrapped @ convop.as_toeplitz(inner)
    assert not isinstance(lazy, convop.BlockToeplitz)
    assert error(lazy.toarray(), wrapped.toarray() @ inner.toarray()) <= EXACT
    normal = convop.as_toeplitz(inner).H @ convop.as_toeplitz(inner)
    assert isinstance(normal, convop.BlockToeplitz)
    assert error(normal.toarray(), inner.toarray().conj().T @ inner.toarray()) <= EXACT


def test_long_generators_agree_with_numpy():
    kernel, x = array(3001, "complex128"), array(4000, "complex128", 1)
    T = convop.as_toeplitz(convop.Convolution(kernel, 4000, mode="full"))
    assert T.method == "fft"
    assert error(T @ x, np.convolve(x, kernel)) <= 1e-12
    matrix = oracle.convolution_matrix(kernel[:9], (40,), "full")
    assert error(convop.as_toeplitz(convop.Convolution(kernel[:9], 40, mode="full")).toarray(), matrix) <= EXACT


# Drawing


def test_the_drawing_of_a_doubly_blocked_matrix():
    T = convop.as_toeplitz(convop.Convolution(np.array([[1, 0], [2, 3.5], [1, 0]]), (2, 2)))
    assert str(T).splitlines()[1:] == [
        "T =",
        "⎡  T[0]  T[-1] ⎤",
        "⎣  T[1]   T[0] ⎦",
        "T[-1] = T[1] =",
        "⎡ 1  0 ⎤",
        "⎣ 0  1 ⎦",
        "T[0] =",
        "⎡   2    0 ⎤",
        "⎣ 3.5    2 ⎦",
    ]


@pytest.mark.parametrize("name", GENERATORS)
def test_drawings_show_every_level(name):
    n, m, lifted = GENERATORS[name]
    text = str(convop.BlockToeplitz(generator(name), n, m))
    assert max(map(len, text.splitlines())) <= 80
    levels = len(n) - lifted
    lag = ", ".join(["0"] * (levels - (0 if lifted and (m[0], n[0]) != (1, 1) else 1)))
    assert levels == 1 or f"T[{lag}]" in text


def test_drawings_of_large_matrices_are_short():
    for taps, shape in (((9, 9), (300, 200)), ((90,), (1000,)), ((3, 3, 3), (9, 9, 9)), ((40, 40), (64, 64))):
        text = str(convop.as_toeplitz(convop.Convolution(array(taps, "complex128") * 1e-7, shape)))
        assert "…" in text
        assert max(map(len, text.splitlines())) <= 80
        assert len(text.splitlines()) < 150
    zero = convop.as_toeplitz(convop.Convolution(np.zeros((3, 3)), (2, 2)))
    assert str(zero).splitlines()[2:] == ["⎡ 0  0 ⎤", "⎣ 0  0 ⎦"]
