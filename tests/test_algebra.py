"""Products, sums, scalars and powers: what they are, what they simplify to, and what mixes with what."""

import itertools
import re

import numpy as np
import oracle
import pylops
import pytest
import scipy.signal
import scipy.sparse as sp
from cases import array
from oracle import error
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import convop
import convop.testing

EXACT = 1e-14
GRID = (5, 6)


def conv(taps, seed=0, in_shape=GRID, dtype="complex128", **options):
    return convop.Convolution(array(taps, dtype, seed), in_shape, **options)


def check(operator, dense, assembles=True):
    """The operator, its adjoint and its sparse matrix are what the dense algebra says.

    An operator with a part that is known by its action only has no sparse matrix: none is made by probing.
    """
    assert isinstance(operator, convop.Operator)
    assert operator.shape == dense.shape
    assert error(operator.toarray(), dense) <= 10 * EXACT
    assert error(operator.H.toarray(), dense.conj().T) <= 10 * EXACT
    if assembles:
        assert error(operator.tosparse().toarray(), dense) <= 10 * EXACT
    else:
        with pytest.raises(convop.GeometryError, match="action"):
            operator.tosparse()
    x = array(operator.in_shape, "complex128", 9)
    assert error(operator(x).ravel(), dense @ x.ravel()) <= 10 * EXACT


def is_one(operator):
    return isinstance(operator, convop.Convolution)


A, B = conv((3, 2), 1, boundary="mirror"), conv((2, 4), 2, boundary="replicate")
C = conv((3, 3), 3, stride=(2, 3), boundary="symmetric")
a, b, c = A.toarray(), B.toarray(), C.toarray()


# Laws of algebra


@pytest.mark.parametrize(
    ("operator", "dense"),
    [
        (lambda: A @ B, a @ b),
        (lambda: C @ A @ B, c @ a @ b),
        (lambda: C @ (A @ B), c @ a @ b),
        (lambda: (C @ A).H, (c @ a).conj().T),
        (lambda: (C @ A).T, (c @ a).T),
        ((C @ A).conj, (c @ a).conj()),
        (lambda: A + B, a + b),
        (lambda: A - B, a - b),
        (lambda: A + B - A, b),
        (lambda: (A + B) @ A, (a + b) @ a),
        (lambda: C @ (A - B), c @ (a - b)),
        (lambda: (A + B).H, (a + b).conj().T),
        (lambda: (A + 2j * B).T, (a + 2j * b).T),
        ((A - 1j * B).conj, (a - 1j * b).conj()),
        (A.__neg__, -a),
        (A.__pos__, a),
        (lambda: 2j * A, 2j * a),
        (lambda: A * 2j, 2j * a),
        (lambda: A / 2j, a / 2j),
        (lambda: (2j * C).H, -2j * c.conj().T),
        (lambda: (2j * C).T, 2j * c.T),
        (lambda: ((1 + 2j) * A) @ ((3 - 1j) * B), (1 + 2j) * (3 - 1j) * a @ b),
        (lambda: ((1 + 2j) * (A @ B)).H, (1 - 2j) * (a @ b).conj().T),
        (lambda: (A @ B) / 4 + A, (a @ b) / 4 + a),
        (lambda: sum([A, B, A], start=B), 2 * a + 2 * b),
        (lambda: A**0, np.eye(30)),
        (lambda: A**1, a),
        (lambda: B**3, b @ b @ b),
        (lambda: (A @ B) ** 2, a @ b @ a @ b),
        (lambda: C.H @ C, c.conj().T @ c),
        (lambda: C @ C.H, c @ c.conj().T),
        (lambda: C.T @ C.conj(), c.T @ c.conj()),
        (lambda: 0 * A, 0 * a),
        (lambda: A - A, 0 * a),
    ],
    ids=lambda value: "",
)
def test_algebra(operator, dense):
    check(operator(), dense)


def test_identities_go_away():
    identity = convop.Identity(GRID)
    small = convop.Identity(C.out_shape)
    assert is_one(A @ identity)
    assert is_one(identity @ A)
    assert is_one(small @ C)
    assert type(identity @ identity) is convop.Identity
    assert type(identity.H) is type(identity.T) is type(identity.conj()) is convop.Identity
    assert type(identity**3) is convop.Identity
    assert type(A**0) is convop.Identity
    for got in (A @ identity, identity @ A):
        assert got.dtype == A.dtype
        assert np.array_equal(got.toarray(), a)
    assert (A**1).shape == A.shape
    lazy = C @ A
    assert type(small @ lazy @ identity) is type(lazy)


def test_an_identity_of_a_richer_type_still_counts():
    plain = conv((3, 2), dtype="float32", boundary="mirror")
    got = plain @ convop.Identity(GRID, dtype="complex128")
    assert got.dtype == np.complex128
    assert np.array_equal(got.toarray(), plain.toarray())


def test_a_scalar_goes_into_the_kernel():
    for got, factor in ((3 * A, 3), (A / 4, 0.25), (-A, -1), (2j * A, 2j), (3 * (A / 2), 1.5)):
        assert is_one(got)
        assert error(got.kernel, factor * A.kernel) <= EXACT
        assert got.convention == A.convention


def test_scalars_keep_precision():
    """Python's numbers are weak, numpy's strong, as everywhere in numpy 2."""
    single = conv((3, 2), dtype="float32")
    lazy = conv((3, 3), dtype="float32", stride=2, boundary="mirror") @ conv((2, 2), dtype="float32", boundary="mirror")
    for operator in (single, lazy, single.H, convop.Identity(GRID), convop.Select(GRID, slice(2))):
        assert operator.dtype == np.float32
        for weak in (2, 2.5, True, -1):
            assert (weak * operator).dtype == np.float32
            assert (operator / 2.5).dtype == (-operator).dtype == np.float32
            assert (weak * operator)(array(operator.in_shape, "float32")).dtype == np.float32
        assert (2j * operator).dtype == np.complex64
        assert (operator / 2j).dtype == np.complex64
        assert (np.float32(2) * operator).dtype == np.float32
        assert (np.float64(2) * operator).dtype == np.float64
        assert (operator * np.float64(2)).dtype == np.float64
        assert (operator / np.float64(2)).dtype == np.float64
        assert (np.complex64(2) * operator).dtype == np.complex64
        assert (np.complex128(2) * operator).dtype == np.complex128
        assert (np.asarray(2.0) * operator).dtype == np.float64


def test_types_of_products_and_sums():
    for first, second in itertools.product(("float32", "float64", "complex64", "complex128"), repeat=2):
        want = np.result_type(first, second)
        left, right = conv((3, 2), 1, dtype=first, boundary="mirror"), conv((2, 2), 2, dtype=second)
        assert (left @ right).dtype == (left + right).dtype == (left - right).dtype == want
        x = array(GRID, "float32")
        assert (left @ right)(x).dtype == (left + right)(x).dtype == want
        assert (left @ right).tosparse().dtype == want


def test_sums_of_one_geometry_are_one_convolution():
    other = A.with_kernel(array((3, 2), "complex128", 7))
    total = A - 2j * other
    assert is_one(total)
    assert error(total.kernel, A.kernel - 2j * other.kernel) <= EXACT
    check(total, a - 2j * other.toarray())
    assert is_one(A + A + other)
    assert is_one(A - A)
    for unlike in (
        conv((3, 2), 1, boundary="symmetric"),
        conv((3, 2), 1, boundary="mirror", center=0),
        conv((3, 2), 1, boundary="mirror", dilation=(1, 2)),
    ):
        check(A + unlike, a + unlike.toarray())


def test_convention_of_the_first_operand():
    layer = convop.conv_layer(array((1, 1, 3, 3), "complex128"), (1, *GRID), padding=1)
    assert layer.convention == "correlation"
    assert A.convention == A.H.H.convention == "convolution"
    for derived in (2 * layer, layer + layer, layer.conj(), layer.H, layer @ layer.with_kernel(layer.kernel)):
        if is_one(derived):
            assert derived.convention == "correlation"
            assert np.array_equal(derived.with_kernel(derived.kernel).toarray(), derived.toarray())
    zero = conv((3, 3))
    for derived in (zero.H, zero.T, zero.conj(), zero / 3, zero + zero):
        assert is_one(derived)
        assert derived.convention == "convolution"
        assert np.array_equal(derived.with_kernel(derived.kernel).toarray(), derived.toarray())


# Adjoints that a convolution says exactly


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"center": 0},
        {"center": (2, 1)},
        {"dilation": (2, 1)},
        {"mode": "full"},
        {"mode": "valid"},
        {"mode": "full", "dilation": (1, 2)},
        {"boundary": "periodic"},
        {"boundary": "periodic", "center": 0, "dilation": 2},
        {"boundary": ("zero", "periodic")},
    ],
    ids=str,
)
def test_adjoints_that_are_convolutions(options):
    for taps in ((3, 2), (4, 3)):
        if options.get("dilation") == 2 and taps[0] == 4:
            continue
        operator = conv(taps, **options)
        matrix = oracle.convolution_matrix(array(taps, "complex128"), GRID, **options)
        for derived, dense in ((operator.H, matrix.conj().T), (operator.T, matrix.T), (operator.conj(), matrix.conj())):
            assert is_one(derived)
            check(derived, dense)


def test_adjoints_that_are_not():
    for options in ({"boundary": "mirror"}, {"boundary": "symmetric"}, {"boundary": "replicate"}, {"stride": 2}):
        operator = conv((3, 4), **options)
        assert not is_one(operator.H)
        assert operator.H.H is operator
        check(operator.H, operator.toarray().conj().T)


def test_layer_adjoints():
    weight = array((4, 3, 3, 2), "complex128")
    for padding, one in ((0, True), (1, True), (((2, 0), (1, 1)), True), (((3, 0), (0, 0)), False), (2, False)):
        layer = convop.conv_layer(weight, (3, *GRID), padding=padding)
        assert is_one(layer.H) is one
        check(layer.H, layer.toarray().conj().T)
    grouped = convop.conv_layer(array((4, 1, 3, 2), "complex128"), (2, *GRID), padding=1, groups=2)
    assert is_one(grouped.H)
    check(grouped.H, grouped.toarray().conj().T)


# Convolution after convolution: the first rule. Each pair is (kernel size, options) of the outer and of the inner.

SYMMETRIC = np.array([[1.0, 2, 1], [3, 5, 3], [1, 2, 1]]) - 1j * np.array([[2.0, 0, 2], [1, 7, 1], [2, 0, 2]])
FUSED = {
    "(i) valid after zero": ((3, 2), {"mode": "valid"}, (2, 3), {}),
    "(i) valid after mirror": ((3, 2), {"mode": "valid"}, (2, 4), {"boundary": "mirror"}),
    "(i) valid after antireflective": ((2, 2), {"mode": "valid"}, (3, 3), {"boundary": "antireflective"}),
    "(i) valid after replicate, strided": ((2, 2), {"mode": "valid"}, (3, 2), {"boundary": "replicate", "stride": 2}),
    "(i) valid, strided, after periodic": ((2, 3), {"mode": "valid", "stride": 2}, (3, 2), {"boundary": "periodic"}),
    "(i) one tap after anything": ((1, 1), {"boundary": "symmetric"}, (3, 2), {"boundary": "replicate"}),
    "(i) one tap, strided, after anything": ((1, 1), {"stride": (2, 3)}, (3, 2), {"boundary": "mirror"}),
    "(i) valid after valid": ((2, 2), {"mode": "valid"}, (3, 2), {"mode": "valid"}),
    "(ii) full after full": ((3, 2), {"mode": "full"}, (2, 4), {"mode": "full"}),
    "(ii) same after full": ((3, 4), {}, (2, 3), {"mode": "full"}),
    "(ii) full after full, dilated": (
        (3, 2),
        {"mode": "full", "dilation": (2, 3)},
        (2, 2),
        {"mode": "full", "dilation": (1, 2)},
    ),
    "(ii) causal after causal": ((3, 2), {"center": 0}, (2, 4), {"center": 0}),
    "(ii) anticausal after anticausal": ((3, 2), {"center": (2, 1)}, (2, 4), {"center": (1, 3)}),
    "(ii) causal, strided, after causal": ((3, 2), {"center": 0, "stride": (2, 3)}, (2, 4), {"center": 0}),
    "(ii) full after strided full": ((3, 2), {"mode": "full"}, (4, 3), {"mode": "full", "stride": 2}),
    "(iii) periodic": ((3, 4), {"boundary": "periodic"}, (2, 3), {"boundary": "periodic"}),
    "(iii) periodic, dilated, longer than the array": (
        (4, 3),
        {"boundary": "periodic", "dilation": 3, "center": 0},
        (6, 7),
        {"boundary": "periodic"},
    ),
    "(iii) periodic after a stride that divides": (
        (3, 2),
        {"boundary": "periodic"},
        (3, 2),
        {"boundary": "periodic", "stride": (5, 3)},
    ),
    "(iii) periodic, strided": ((3, 2), {"boundary": "periodic", "stride": 4}, (3, 2), {"boundary": "periodic"}),
    "(iv) symmetric": ((4, 2), {"boundary": "symmetric"}, SYMMETRIC, {"boundary": "symmetric"}),
    "(iv) mirror": ((4, 2), {"boundary": "mirror"}, SYMMETRIC, {"boundary": "mirror"}),
    "(iv) antireflective": ((3, 2), {"boundary": "antireflective"}, SYMMETRIC, {"boundary": "antireflective"}),
    "axes with different rules": (
        (3, 2),
        {"boundary": ("periodic", "zero"), "center": (1, 0)},
        (2, 3),
        {"boundary": ("periodic", "zero"), "center": (0, 0)},
    ),
}
LAZY = {
    "same after same": ((3, 3), {}, (3, 3), {}),
    "anticausal after causal": ((3, 2), {"center": (2, 1)}, (2, 4), {"center": 0}),
    "full after same": ((3, 2), {"mode": "full"}, (3, 3), {}),
    "periodic after a stride that does not divide": (
        (3, 2),
        {"boundary": "periodic"},
        (3, 2),
        {"boundary": "periodic", "stride": (3, 4)},
    ),
    "zero after periodic": ((3, 2), {}, (3, 2), {"boundary": "periodic"}),
    "periodic after zero": ((3, 2), {"boundary": "periodic"}, (3, 2), {}),
    "symmetric with an unsymmetric inner kernel": (
        (3, 3),
        {"boundary": "symmetric"},
        (3, 3),
        {"boundary": "symmetric"},
    ),
    "mirror with an even inner kernel": ((3, 3), {"boundary": "mirror"}, np.ones((2, 2)), {"boundary": "mirror"}),
    "mirror after symmetric": ((3, 3), {"boundary": "mirror"}, SYMMETRIC, {"boundary": "symmetric"}),
    "replicate": ((3, 3), {"boundary": "replicate"}, SYMMETRIC, {"boundary": "replicate"}),
    "symmetric with an off-centre inner kernel": (
        (3, 3),
        {"boundary": "symmetric"},
        SYMMETRIC,
        {"boundary": "symmetric", "center": 0},
    ),
    "symmetric after a stride": ((3, 3), {"boundary": "symmetric"}, SYMMETRIC, {"boundary": "symmetric", "stride": 2}),
    "replicate on one axis only": (
        (3, 3),
        {"boundary": ("replicate", "periodic")},
        (3, 3),
        {"boundary": ("replicate", "periodic")},
    ),
}


def pair_of(entry):
    """Outer and inner operator with their oracle matrices."""
    outer_taps, outer_options, inner_kernel, inner_options = entry
    if isinstance(inner_kernel, tuple):
        inner_kernel = array(inner_kernel, "complex128", 4)
    inner = convop.Convolution(inner_kernel, GRID, **inner_options)
    outer_kernel = array(outer_taps, "complex128", 5)
    outer = convop.Convolution(outer_kernel, inner.out_shape, **outer_options)
    dense = oracle.convolution_matrix(outer_kernel, inner.out_shape, **outer_options)
    return outer, inner, dense @ oracle.convolution_matrix(inner_kernel, GRID, **inner_options)


@pytest.mark.parametrize("name", FUSED)
def test_fused_where_exact(name):
    outer, inner, dense = pair_of(FUSED[name])
    product = outer @ inner
    assert is_one(product), str(convop.explain(product))
    check(product, dense)
    assert product.dtype == np.complex128
    assert np.array_equal(product.with_kernel(product.kernel).toarray(), product.toarray())
    assert str(convop.explain(product))


@pytest.mark.parametrize("name", LAZY)
def test_lazy_where_not(name):
    outer, inner, dense = pair_of(LAZY[name])
    product = outer @ inner
    assert not is_one(product)
    check(product, dense)
    assert str(convop.explain(product))


def test_full_after_full_is_scipy_convolve():
    inner, outer = array((3, 2), "complex128"), array((2, 5), "complex128", 1)
    first = convop.Convolution(inner, GRID, mode="full")
    product = convop.Convolution(outer, first.out_shape, mode="full") @ first
    assert is_one(product)
    assert error(product.kernel, scipy.signal.convolve(outer, inner, method="direct")) <= EXACT
    assert product.out_shape == (8, 11)


def test_strided_layers_compose_by_the_formula():
    """Taps at `sB dA a + dB b`, stride `sA sB`, padding `pB + sB pA`: DESIGN's composition, with groups."""
    inner = convop.conv_layer(
        array((4, 1, 3, 2), "complex128"),
        (2, 11, 12),
        groups=2,
        stride=(2, 3),
        padding=((2, 2), (1, 1)),
        dilation=(1, 1),
    )
    outer = convop.conv_layer(
        array((6, 2, 2, 2), "complex128", 1), inner.out_shape, groups=2, stride=(1, 2), dilation=(2, 1)
    )
    product = outer @ inner
    assert is_one(product)
    check(product, outer.toarray() @ inner.toarray())
    assert product.kernel.shape[:2] == (6, 1)  # gcd(2, 2) groups
    reach = (2 * 2 * 1 + 1 * 2 + 1, 3 * 1 * 1 + 1 * 1 + 1)
    assert product.kernel.shape[2:] == reach


def test_chains_fuse_in_any_association():
    first = conv((3, 2), 1, mode="full")
    second = conv((2, 2), 2, first.out_shape, mode="full")
    third = conv((2, 3), 3, second.out_shape, mode="full")
    left, right = (third @ second) @ first, third @ (second @ first)
    assert is_one(left)
    assert is_one(right)
    assert error(left.kernel, right.kernel) <= EXACT
    check(left, third.toarray() @ second.toarray() @ first.toarray())


def test_powers_of_circulants_fuse():
    circular = conv((3, 2), boundary="periodic")
    assert is_one(circular**3)
    check(circular**3, np.linalg.matrix_power(circular.toarray(), 3))
    assert is_one(circular.H @ circular)
    check(circular.H @ circular, circular.toarray().conj().T @ circular.toarray())


def test_fusing_inside_a_chain():
    """Two neighbours fuse although a third factor stands in front of them."""
    inner = conv((3, 2), 1, mode="full")
    outer = conv((2, 2), 2, inner.out_shape, mode="full")
    crop = convop.Select(outer.out_shape, (slice(1, 6, 2), [7, 0]))
    for chain in ((crop @ outer) @ inner, crop @ (outer @ inner)):
        check(chain, crop.toarray() @ outer.toarray() @ inner.toarray())
    assert is_one(outer @ inner)


def test_explain():
    first = conv((3, 3), 1)
    lazy, fused = conv((3, 3), 2) @ first, conv((3, 2), 2, boundary="periodic") @ conv((2, 3), 1, boundary="periodic")
    why = str(convop.explain(lazy))
    assert "zero" in why
    assert "differ" in why
    assert "periodic" in str(convop.explain(fused))
    assert str(convop.explain(A @ B)) != why
    assert str(convop.explain(A))


@pytest.mark.parametrize(("inner_taps", "outer_taps"), [(3, 3), (5, 4), (4, 7)])
@pytest.mark.parametrize("options", [{}, {"dilation": 2}, {"boundary": "replicate"}], ids=str)
def test_explain_counts_the_rows_that_differ(inner_taps, outer_taps, options):
    """What it says of the edge is what differs between the product and the convolution by the composed kernel."""
    inner, outer = array(inner_taps, seed=1), array(outer_taps, seed=2)
    product = convop.Convolution(outer, 25, **options) @ convop.Convolution(inner, 25, **options)
    center = (inner_taps - 1) // 2 + (outer_taps - 1) // 2
    composed = convop.Convolution(np.convolve(outer, inner), 25, center=center, **options)
    differs = np.abs(product.toarray() - composed.toarray()).max(axis=1) > 1e-12
    start, end = int(np.argmin(differs)), int(np.argmin(differs[::-1]))
    assert start + end == differs.sum() > 0
    claimed = {
        side: int(count) for count, side in re.findall(r"(\d+) at its (start|end)", str(convop.explain(product)))
    }
    assert claimed == {side: count for side, count in (("start", start), ("end", end)) if count}


# Shapes


def test_flat_and_shaped_join():
    matrix = sp.csr_array(a)
    flat = convop.as_operator(matrix)
    assert (flat.in_shape, flat.out_shape) == ((30,), (30,))
    for product, dense in ((flat @ B, a @ b), (B @ flat, b @ a), (C @ flat @ A, c @ a @ a)):
        check(product, dense)
    assert (flat @ B).in_shape == GRID
    assert (B @ flat).out_shape == GRID
    check(A + flat, 2 * a)


@pytest.mark.parametrize(
    "combine",
    [
        lambda: A @ conv((3, 2), in_shape=(6, 5)),
        lambda: A @ C,
        lambda: C.H @ A,
        lambda: A + C,
        lambda: A - conv((3, 2), in_shape=(6, 5)),
        lambda: A + conv((3, 2), in_shape=(3, 10)),
        lambda: C**2,
        lambda: convop.Identity((6, 5)) @ A,
        lambda: A @ sp.eye_array(29, format="csr"),
        lambda: A + sp.eye_array(29, format="csr"),
        lambda: sp.eye_array(29, format="csr") @ A,
        lambda: A @ aslinearoperator(np.eye(31)),
        lambda: A @ pylops.Identity(31),
        lambda: A @ convop.Identity((5, 6, 2)),
    ],
    ids=lambda value: "",
)
def test_shapes_that_do_not_match(combine):
    with pytest.raises(convop.ShapeError):
        combine()


def test_a_shape_error_names_both_shapes():
    with pytest.raises(convop.ShapeError) as refusal:
        A @ conv((3, 2), in_shape=(7, 4))
    assert "(7, 4)" in str(refusal.value)
    assert "(5, 6)" in str(refusal.value)


# Mixing

TABLE = array((30, 30), "complex128", 21)
TABLE[np.abs(TABLE) < 1.5] = 0
FOREIGN = {
    "csr_array": sp.csr_array(TABLE),
    "csc_array": sp.csc_array(TABLE),
    "coo_array": sp.coo_array(TABLE),
    "csr_matrix": sp.csr_matrix(TABLE),
    "dense, wrapped": convop.as_operator(TABLE),
    "sparse, wrapped": convop.as_operator(sp.csr_array(TABLE), GRID, GRID),
    "scipy operator": aslinearoperator(TABLE),
    "scipy operator of a sparse array": aslinearoperator(sp.csr_array(TABLE)),
    "pylops": pylops.MatrixMult(TABLE, dtype="complex128"),
    "pylops, flat": pylops.MatrixMult(TABLE, dtype="complex128", forceflat=True),
}
BY_ACTION = {name for name in FOREIGN if name.startswith(("scipy", "pylops"))}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_operands_on_the_right(name):
    foreign, assembles = FOREIGN[name], name not in BY_ACTION
    check(A @ foreign, a @ TABLE, assembles)
    check(C @ foreign, c @ TABLE, assembles)
    check(A + foreign, a + TABLE, assembles)
    check(A - foreign, a - TABLE, assembles)
    check((A @ foreign).H, (a @ TABLE).conj().T, assembles)
    check(A.H @ foreign, a.conj().T @ TABLE, assembles)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_operands_wrapped_on_the_left(name):
    wrapped, assembles = convop.as_operator(FOREIGN[name]), name not in BY_ACTION
    check(wrapped, TABLE, assembles)
    check(wrapped @ A, TABLE @ a, assembles)
    check(wrapped + A, TABLE + a, assembles)
    check(wrapped.H @ C.H, TABLE.conj().T @ c.conj().T, assembles)


@pytest.mark.parametrize("name", ["csr_array", "csc_array", "coo_array", "csr_matrix"])
def test_sparse_on_the_left(name):
    check(FOREIGN[name] @ A, TABLE @ a)


@pytest.mark.parametrize("name", ["scipy operator", "pylops"])
def test_a_foreign_operator_on_the_left_answers_itself(name):
    product = FOREIGN[name] @ A
    assert isinstance(product, LinearOperator | pylops.LinearOperator)
    assert not isinstance(product, convop.Operator)
    x = array(30, "complex128", 3)
    assert error(product.matvec(x), TABLE @ a @ x) <= 10 * EXACT


def test_arrays_apply():
    """`A @ ndarray` and `ndarray @ A` are scipy's: the flat matrix times the array."""
    vector, columns = array(30, "complex128"), array((30, 4), "complex128")
    assert error(A @ vector, a @ vector) <= EXACT
    assert error(A @ columns, a @ columns) <= EXACT
    assert error(vector @ A, vector @ a) <= EXACT
    assert error(columns.T @ A, columns.T @ a) <= EXACT
    assert isinstance(A @ vector, np.ndarray)
    assert isinstance(vector @ A, np.ndarray)


def test_pylops_with_shapes_of_its_own():
    """A PyLops operator that has dims joins by its flat size, whatever its dims."""
    derivative = pylops.FirstDerivative(GRID, axis=0, dtype="float64")
    dense = derivative.todense()
    check(A @ derivative, a @ dense, assembles=False)
    check(convop.as_operator(derivative) @ A, dense @ a, assembles=False)
    wrapped = convop.as_operator(derivative)
    assert wrapped.in_shape in (GRID, (30,))
    check(A + derivative, a + dense, assembles=False)


def test_as_operator_of_functions():
    calls = []

    def forward(x):
        calls.append(x.shape)
        return (TABLE @ x.ravel()).reshape(GRID)

    def adjoint(y):
        return (TABLE.conj().T @ y.ravel()).reshape(GRID)

    wrapped = convop.as_operator(forward=forward, adjoint=adjoint, in_shape=GRID, out_shape=GRID, dtype="complex128")
    check(wrapped, TABLE, assembles=False)
    assert set(calls) == {GRID}  # the function sees one signal of in_shape, never a batch
    batch = array((2, 3, *GRID), "complex128")
    want = np.einsum("ij,abj->abi", TABLE, batch.reshape(2, 3, 30)).reshape(batch.shape)
    assert error(wrapped(batch), want) <= 10 * EXACT
    check(wrapped @ A, TABLE @ a, assembles=False)


def test_as_operator_leaves_operators_alone():
    assert convop.as_operator(A) is A
    matrix = array((6, 4), "complex128")
    wrapped = convop.as_operator(matrix)
    matrix[:] = 0
    assert np.abs(wrapped.toarray()).min() > 0  # its own copy
    shaped = convop.as_operator(array((6, 4)), in_shape=(2, 2), out_shape=(3, 2))
    assert (shaped.in_shape, shaped.out_shape) == ((2, 2), (3, 2))
    assert shaped(array((5, 2, 2))).shape == (5, 3, 2)


def test_adjoint_of_a_wrapped_operator():
    wrapped = convop.as_operator(aslinearoperator(TABLE))
    assert wrapped.H.H is wrapped
    check(wrapped.H, TABLE.conj().T, assembles=False)
    check(wrapped.T, TABLE.T, assembles=False)
    check(wrapped.conj(), TABLE.conj(), assembles=False)


def test_zeros_are_eliminated():
    blur = convop.Convolution(array((3, 2), "complex128"), (5, 6))
    mask = convop.Select((5, 6), slice(0, 3))
    nothing = 0 * mask
    assert type(nothing).__name__ == "Zero"
    assert nothing.dtype == np.float32
    assert isinstance(0 * blur, convop.Convolution)
    wide = 0.0 * convop.as_operator(np.eye(30), (5, 6), (5, 6))
    assert (blur + wide) is blur
    assert (wide + blur) is blur
    assert type(mask @ wide @ blur).__name__ == "Zero"
    assert type(nothing @ (0 * blur)).__name__ == "Zero"
    narrow = convop.Select((5, 6), slice(None))
    kept = narrow + wide  # float64, which its only term left would not be
    assert kept.dtype == np.float64
    for operator, shape in (
        (nothing, (18, 30)),
        (mask @ wide @ blur, (18, 30)),
        (nothing.H, (30, 18)),
        (kept, (30, 30)),
    ):
        want = np.eye(30) if operator is kept else np.zeros(shape)
        assert np.array_equal(operator.toarray(), want)
        convop.testing.check_laws(operator, want)


def test_identities_are_eliminated():
    blur = convop.Convolution(array((3, 2), "complex128"), (5, 6))
    one = convop.Identity((5, 6))
    assert (one @ blur) is blur
    assert (blur @ one @ one) is blur
    assert np.array_equal((one @ (2 * one) @ one).toarray(), 2 * np.eye(30))
