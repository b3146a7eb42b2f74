"""Stacks: the laws of all operators, what shapes they have, and when they multiply and add block by block."""

import numpy as np
import oracle
import pylops
import pytest
import scipy.sparse as sp
import test_laws
from cases import Case, array
from oracle import error
from scipy.sparse.linalg import aslinearoperator

import convop
from convop import testing

GRID = (5, 4)
EXACT = 1e-13


def conv(taps, seed, in_shape=GRID, dtype="complex128", **options):
    return convop.Convolution(array(taps, dtype, seed), in_shape, **options)


def dense(operator):
    """What the operator does to every unit vector."""
    return operator(np.eye(operator.shape[1]).reshape(-1, *operator.in_shape)).reshape(operator.shape[::-1]).T


A, B = conv((3, 2), 1, boundary="mirror"), conv((2, 4), 2, boundary="replicate")
S = conv((3, 2), 3, stride=(2, 3), boundary="symmetric")
R = conv((2, 2), 4, dtype="float32", boundary="periodic")
F = conv((2, 3), 5, mode="full")
a = oracle.convolution_matrix(array((3, 2), "complex128", 1), GRID, boundary="mirror")
b = oracle.convolution_matrix(array((2, 4), "complex128", 2), GRID, boundary="replicate")
s = oracle.convolution_matrix(array((3, 2), "complex128", 3), GRID, boundary="symmetric", stride=(2, 3))
r = oracle.convolution_matrix(array((2, 2), "float32", 4), GRID, boundary="periodic")
f = oracle.convolution_matrix(array((2, 3), "complex128", 5), GRID, "full")
table = array((20, 20), "complex128", 13)
table[np.abs(table) < 1] = 0
o = np.zeros((20, 20))
z = np.zeros((6, 20))


def stacked(*parts):
    return np.concatenate(parts)


def beside(*parts):
    return np.concatenate(parts, axis=1)


CASES = [
    Case(name, make, lambda matrix=matrix: matrix, in_shape, out_shape, assembles="pylops" not in name)
    for name, make, matrix, in_shape, out_shape in (
        ("vstack", lambda: convop.vstack([A, B, A]), stacked(a, b, a), GRID, (3, *GRID)),
        ("vstack of one", lambda: convop.vstack([S]), s, GRID, (1, 3, 2)),
        ("vstack, unequal", lambda: convop.vstack([A, S, F]), stacked(a, s, f), GRID, (20 + 6 + 36,)),
        ("vstack, mixed types", lambda: convop.vstack([R, S]), stacked(r, s), GRID, (26,)),
        ("vstack of real", lambda: convop.vstack([R, 2 * R]), stacked(r, 2 * r), GRID, (2, *GRID)),
        ("vstack, flat among them", lambda: convop.vstack([table, A]), stacked(table, a), GRID, (40,)),
        ("hstack", lambda: convop.hstack([A, B]), beside(a, b), (2, *GRID), GRID),
        ("hstack, unequal", lambda: convop.hstack([S.H, A]), beside(s.conj().T, a), (26,), GRID),
        ("hstack, sparse", lambda: convop.hstack([sp.csr_array(table), A]), beside(table, a), (40,), GRID),
        ("diagonal", lambda: convop.block_diag([S, S]), stacked(beside(s, z), beside(z, s)), (2, *GRID), (2, 3, 2)),
        (
            "diagonal, unequal",
            lambda: convop.block_diag([S, A]),
            stacked(beside(s, z), beside(o, a)),
            (2, *GRID),
            (26,),
        ),
        (
            "blocks",
            lambda: convop.block([[A, None], [B, R]]),
            stacked(beside(a, o), beside(b, r)),
            (2, *GRID),
            (2, *GRID),
        ),
        (
            "blocks, unequal, not square",
            lambda: convop.block([[None, S, S], [A, None, table]]),
            stacked(beside(z, s, s), beside(a, o, table)),
            (3, *GRID),
            (26,),
        ),
        ("scaled", lambda: (2 - 3j) * convop.vstack([A, B]), (2 - 3j) * stacked(a, b), GRID, (2, *GRID)),
        ("adjoint", lambda: convop.vstack([A, S]).H, stacked(a, s).conj().T, (26,), GRID),
        ("transpose", lambda: convop.hstack([A, B]).T, beside(a, b).T, GRID, (2, *GRID)),
        (
            "conjugate",
            lambda: convop.block([[A, None], [B, R]]).conj(),
            stacked(beside(a, o), beside(b, r)).conj(),
            (2, *GRID),
            (2, *GRID),
        ),
        (
            "normal",
            lambda: convop.vstack([A, S]).H @ convop.vstack([A, S]),
            a.conj().T @ a + s.conj().T @ s,
            GRID,
            GRID,
        ),
        (
            "outer",
            lambda: convop.vstack([A, S]) @ convop.hstack([A, B]),
            stacked(a, s) @ beside(a, b),
            (2, *GRID),
            (26,),
        ),
        ("sum", lambda: convop.vstack([A, R]) + convop.vstack([B, A]), stacked(a + b, r + a), GRID, (2, *GRID)),
        (
            "stack of stacks",
            lambda: convop.vstack([convop.vstack([A, B]), convop.vstack([B, R])]),
            stacked(a, b, b, r),
            GRID,
            (2, 2, *GRID),
        ),
        (
            "pylops in it",
            lambda: convop.vstack([A, pylops.MatrixMult(table, dtype="complex128")]),
            stacked(a, table),
            GRID,
            (40,),
        ),
    )
]
LAZY = ("normal", "outer", "sum")
EXPLICIT = [case for case in CASES if case.name != "pylops in it"]


@pytest.mark.parametrize("law", testing.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_laws_hold(case, law):
    test_laws.test_law(law, case)


# What they are


@pytest.mark.parametrize("case", EXPLICIT, ids=repr)
def test_estimates_are_exact_where_those_of_the_parts_are(case):
    estimate = convop.estimate(case.operator)
    if estimate.exact:
        assert estimate.nnz == case.operator.tosparse().nnz
    assert estimate.exact == (case.name not in LAZY)


def test_adjoint_of_one_stack_is_the_other():
    assert repr(convop.vstack([A, B]).H).startswith("<Horizontal stack of 2: 2x5x4 -> 5x4")
    assert repr(convop.hstack([A, B]).H).startswith("<Vertical stack of 2: 5x4 -> 2x5x4")
    assert repr(convop.block_diag([A, B]).H).startswith("<Block diagonal of 2")
    assert repr(convop.block([[A, B], [A, None], [None, B]]).H).startswith("<2 x 3 blocks")


def test_the_structure_is_printed():
    text = str(convop.block([[A, None], [B, S.H @ S]]))
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("  [")] == [
        ["[0,", "0]", "Convolution"],
        ["[1,", "0]", "Convolution"],
        ["[1,", "1]", "Product"],
    ]


def test_any_iterable_and_anybodys_operators():
    everything = (A, table, sp.coo_array(table), aslinearoperator(table), pylops.MatrixMult(table, dtype="complex128"))
    want = stacked(a, *4 * [table])
    assert error(convop.vstack(each for each in everything).toarray(), want) <= EXACT
    assert error(convop.hstack(iter(everything)).toarray(), beside(a, *4 * [table])) <= EXACT


def test_types():
    small = convop.vstack([R, R])
    assert small.dtype == small(array(GRID, "float32")).dtype == np.float32
    assert convop.vstack([R, A]).dtype == np.complex128
    assert (np.float64(2) * small).dtype == np.float64
    assert (2j * small).dtype == np.complex64
    assert convop.hstack([R, convop.Identity(GRID, "float64")]).dtype == np.float64
    assert convop.vstack([R] * 100).dtype == np.float32


@pytest.mark.parametrize("method", ["direct", "fft", "sparse"])
def test_methods_are_passed_on(method):
    pinned = convop.block([[A, None], [B, R]]).using(method)
    assert str(pinned).count(f"method {method}") == 3
    assert error(dense(pinned), stacked(beside(a, o), beside(b, r))) <= 1e-7


def test_many_blocks():
    many = convop.block_diag([conv((2, 2), seed) for seed in range(70)])
    assert many.shape == (1400, 1400)
    assert many.tosparse().nnz == convop.estimate(many).nnz
    x = array(many.in_shape, "complex128")
    assert error(many(x).ravel(), many.tosparse() @ x.ravel()) <= EXACT


def test_nan_stays_in_its_part():
    x = array((2, *GRID), "float64")
    x[0, 2, 2] = np.nan
    y = convop.block_diag([A.using("direct"), B])(x)
    assert np.isnan(y[0]).any()
    assert not np.isnan(y[1]).any()


def test_a_matrix_too_large_is_refused():
    with pytest.raises(convop.MemoryBudgetError):
        convop.vstack([A, B]).tosparse(max_bytes=1000)


# How they multiply and add


def periodic(taps, seed, in_shape=GRID):
    return conv(taps, seed, in_shape, boundary="periodic")


P, Q, V, W = (periodic(taps, seed) for seed, taps in enumerate(((3, 2), (2, 3), (1, 4), (2, 2)), 20))
p, q, v, w = map(dense, (P, Q, V, W))


def only_convolutions(operator):
    """A convolution, or a sum of nothing else."""
    return all(isinstance(each, convop.Convolution) for each in getattr(operator, "terms", (operator,)))


def parts(operator):
    return [type(block) for _, _, block in operator.blocks]


def test_row_times_column_is_a_sum():
    got = convop.hstack([P, Q]) @ convop.vstack([V, W])
    assert only_convolutions(got)
    assert (got.in_shape, got.out_shape) == (GRID, GRID)
    assert error(got.toarray(), p @ v + q @ w) <= EXACT


def test_products_of_one_geometry_are_one_convolution():
    got = convop.hstack([P, periodic((3, 2), 7)]) @ convop.vstack([W, periodic((2, 2), 8)])
    assert isinstance(got, convop.Convolution)


def test_gradient_adjoint_gradient():
    D = convop.gradient(GRID, "periodic", dtype="float64")
    got = D.H @ D
    assert only_convolutions(got)
    assert np.array_equal(got.toarray(), -convop.laplacian(GRID, "periodic").toarray())


def test_diagonal_times_column_and_row_times_diagonal():
    got = convop.block_diag([P, A]) @ convop.vstack([Q, S.H @ S])
    assert parts(got) == [convop.Convolution, convop.Product]
    assert error(got.toarray(), stacked(p @ q, a @ s.conj().T @ s)) <= EXACT
    got = convop.hstack([P, A]) @ convop.block_diag([Q, B])
    assert parts(got) == [convop.Convolution, convop.Product]
    assert error(got.toarray(), beside(p @ q, a @ b)) <= EXACT
    assert parts(convop.block_diag([P, P]) @ convop.block_diag([Q, W])) == [convop.Convolution] * 2


def test_column_times_operator_where_all_become_one():
    got = convop.vstack([P, Q]) @ W
    assert parts(got) == [convop.Convolution] * 2
    assert error(got.toarray(), stacked(p, q) @ w) <= EXACT
    got = W @ convop.hstack([P, Q])
    assert parts(got) == [convop.Convolution] * 2
    assert error(got.toarray(), w @ beside(p, q)) <= EXACT
    for lazy, matrix in (
        (convop.vstack([P, A]) @ W, stacked(p, a) @ w),  # A @ W would apply W twice
        (W @ convop.hstack([P, A]), w @ beside(p, a)),
        (convop.vstack([A, B]) @ convop.hstack([A, B]), stacked(a, b) @ beside(a, b)),
        (convop.block_diag([A, B]) @ convop.block([[A, B], [B, A]]), np.block([[a @ a, a @ b], [b @ b, b @ a]])),
    ):
        assert isinstance(lazy, convop.Product)
        assert error(lazy.toarray(), matrix) <= EXACT
    outer = convop.vstack([P, Q]) @ convop.hstack([V, W])
    assert parts(outer) == [convop.Convolution] * 4
    assert error(outer.toarray(), stacked(p, q) @ beside(v, w)) <= EXACT


def test_parts_that_are_split_elsewhere_stay_apart():
    """Flat arrays of one size, 20 + 6 samples and 6 + 20."""
    ours, theirs = convop.vstack([A, S]), convop.vstack([S, A])
    got = ours + theirs
    assert isinstance(got, convop.Sum)
    assert error(got.toarray(), stacked(a, s) + stacked(s, a)) <= EXACT
    got = ours.H @ theirs
    assert isinstance(got, convop.Product)
    assert error(got.toarray(), stacked(a, s).conj().T @ stacked(s, a)) <= EXACT


def test_scalars_and_identities():
    stack = convop.vstack([P, Q])
    got = (2j * stack) @ (3 * W)
    assert parts(got) == [convop.Convolution] * 2
    assert error(got.toarray(), 6j * stacked(p, q) @ w) <= EXACT
    for same in (stack @ convop.Identity(GRID), convop.Identity((2, *GRID)) @ stack):
        assert parts(same) == parts(stack)
        assert error(same.toarray(), stacked(p, q)) <= EXACT
    wide = convop.vstack([R, R]) @ convop.Identity(GRID, "complex128")
    assert wide.dtype == np.complex128
    assert error(wide.toarray(), stacked(r, r)) <= EXACT


def test_types_of_products():
    got = convop.block_diag([R, A]) @ convop.block([[convop.Identity(GRID), R], [None, R]])
    assert got.dtype == np.complex128
    assert error(got.toarray(), np.block([[r, r @ r], [o, a @ r]])) <= 1e-6


def test_sums():
    got = convop.vstack([P, A]) + convop.vstack([periodic((3, 2), 9), B])
    assert parts(got) == [convop.Convolution, convop.Sum]
    ours, theirs = convop.block([[P, None], [None, Q]]), convop.block([[None, V], [W, None]])
    assert parts(ours - theirs) == [convop.Convolution] * 4
    assert error((ours - theirs).toarray(), np.block([[p, -v], [-w, q]])) <= EXACT
    other = convop.vstack([P, Q]) + sp.csr_array(stacked(v, w))
    assert isinstance(other, convop.Sum)
    assert error(other.toarray(), stacked(p + v, q + w)) <= EXACT


@pytest.mark.parametrize("seed", range(60))
def test_random_products_and_sums(seed):
    """Any two block matrices that fit: fused, multiplied out or lazy, the matrix is the same."""
    rng = np.random.default_rng(seed)
    pool = [(P, p), (Q, q), (V, v), (A, a), (B, b), (R, r), (convop.as_operator(table, GRID, GRID), table), (None, o)]
    rows, inner, columns = rng.integers(1, 4, 3)

    def draw(height, width):
        while True:
            chosen = rng.integers(0, len(pool), (height, width))
            if all((chosen != 7).any(axis=axis).all() for axis in (0, 1)):
                return convop.block([[pool[i][0] for i in row] for row in chosen]), np.block(
                    [[pool[i][1] for i in row] for row in chosen]
                )

    (X, x), (Y, y), (Z, z) = draw(rows, inner), draw(inner, columns), draw(rows, inner)
    for operator, matrix in (
        (X @ Y, x @ y),
        (X + Z, x + z),
        ((X - 2j * Z) @ Y, (x - 2j * z) @ y),
        (X.H @ Z, x.conj().T @ z),
    ):
        assert operator.dtype == matrix.dtype or operator.dtype == np.float32
        assert error(dense(operator), matrix) <= EXACT
        assert error(operator.tosparse().toarray(), matrix) <= EXACT
        assert error(dense(operator.H), matrix.conj().T) <= EXACT


# What is refused


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: convop.vstack([]), convop.GeometryError, "at least one"),
        (lambda: convop.hstack(iter(())), convop.GeometryError, "at least one"),
        (lambda: convop.vstack(A), convop.GeometryError, "put it in a list"),
        (lambda: convop.block([]), convop.GeometryError, "at least one"),
        (lambda: convop.block([A, B]), convop.GeometryError, "rows of operators"),
        (lambda: convop.block([[A, B], [A]]), convop.GeometryError, r"lengths \[1, 2\]"),
        (lambda: convop.block([[A, None], [B, None]]), convop.GeometryError, "column 1 .* nothing but None"),
        (lambda: convop.block([[None], [B]]), convop.GeometryError, "row 0 .* nothing but None"),
        (lambda: convop.vstack([A, convop.Identity(3)]), convop.ShapeError, r"take .* \(5, 4\) and \(3,\)"),
        (lambda: convop.hstack([A, S]), convop.ShapeError, r"give arrays of shapes \(5, 4\) and \(3, 2\)"),
        (lambda: convop.vstack([A, convop.Identity((4, 5))]), convop.ShapeError, "must be equal"),
        (lambda: convop.vstack([A, B])(np.zeros((2, *GRID)).T), convop.ShapeError, "batch"),
        (lambda: convop.vstack([A, convop.Affine(A, np.zeros(GRID))]), convop.NotLinearError, "offset"),
    ],
)
def test_refusals(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
