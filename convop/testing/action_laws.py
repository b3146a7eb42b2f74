"""Laws of applying: what an operator answers, to whom, in which type, and that it touches nothing else."""

from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from ..check import adjoint as check_adjoint
from ..check import linear as check_linear
from ..dtypes import Array
from .agreement import TYPES, Trial, close, need, tolerance


def shapes(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.shape` is `(prod(out_shape), prod(in_shape))`, in Python's own ints."""
    A = Trial(operator, matrix, rng).operator
    flat = (int(np.prod(A.out_shape)), int(np.prod(A.in_shape)))
    need(A.shape == flat, f"A.shape is {A.shape}, its array shapes make {flat}")
    sizes = (*A.in_shape, *A.out_shape, *A.shape)
    need(all(type(n) is int for n in sizes), f"shapes hold {[type(n).__name__ for n in sizes]}, needed ints")


def linear(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Sums and multiples of signals become sums and multiples of answers, forward and adjoint."""
    check_linear(operator, rng=rng).raise_if_failed()
    check_linear(Trial(operator, matrix, rng).operator.H, rng=rng).raise_if_failed()


def apply(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A(x)` is the matrix times x."""
    trial = Trial(operator, matrix, rng)
    x = trial.x()
    trial.agree(trial.operator(x), "A", x, trial.tol)


def apply_to_the_richest_type(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """A complex128 signal is computed in complex128, its parts alike where the operator is real."""
    trial = Trial(operator, matrix, rng)
    trial.require_own()
    A, x = trial.operator, trial.x("complex128")
    tol = tolerance("complex128")
    trial.agree(A(x), "A", x, tol)
    trial.agree(A(np.real(x)) + 1j * A(np.imag(x)), "A", x, tol, "A(x.real) + 1j A(x.imag)")


def adjoint(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """<A x, y> = <x, A.H y>, and `A.H(y)` is the matrix's conjugate transpose times y."""
    check_adjoint(operator, rng=rng).raise_if_failed()
    trial = Trial(operator, matrix, rng)
    y = trial.y("complex128" if trial.own else None)
    trial.agree(trial.operator.H(y), "A.H", y, tolerance(y.dtype))


def transpose_and_conjugate(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`A.T(y)` is `conj(A.H(conj(y)))`, and `A.conj()(x)` is `conj(A(conj(x)))`."""
    trial = Trial(operator, matrix, rng)
    A, dtype = trial.operator, "complex128" if trial.own else None
    x, y = trial.x(dtype), trial.y(dtype)
    trial.agree(A.T(y), "A.T", y, tolerance(y.dtype))
    trial.agree(A.conj()(x), "A.conj()", x, tolerance(x.dtype))
    need(A.T.shape == A.H.shape == A.shape[::-1], f"A.T has shape {A.T.shape}, A.H {A.H.shape}, A {A.shape}")
    need(A.conj().shape == A.shape, f"A.conj() has shape {A.conj().shape}, A {A.shape}")


def batches(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Each signal of a batch is answered as it is alone, forward and adjoint."""
    trial = Trial(operator, matrix, rng)
    A, x, y = trial.operator, trial.x(batch=(2, 3)), trial.y(batch=(2, 3))
    forward, backward = A(x), A.H(y)
    trial.agree(forward, "A", x, trial.tol, "A of a batch")
    trial.agree(backward, "A.H", y, trial.tol, "A.H of a batch")
    alone = Trial(operator, None, rng)
    alone.agree(forward, "A", x, trial.tol, "A of a batch")
    alone.agree(backward, "A.H", y, trial.tol, "A.H of a batch")


def empty_batches(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """No signals give no answers, of the right shape."""
    trial = Trial(operator, matrix, rng)
    A = trial.operator
    got, needed = A(trial.x(batch=(0,))).shape, (0, *A.out_shape)
    need(got == needed, f"A of an empty batch has shape {got}, needed {needed}")
    got, needed = A.H(np.zeros((2, 0, *A.out_shape))).shape, (2, 0, *A.in_shape)
    need(got == needed, f"A.H of an empty batch has shape {got}, needed {needed}")


def flat_meaning(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """`matvec`, `matmat`, their adjoints and `@` have scipy's meaning, also in a foreign operator's own methods."""
    trial = Trial(operator, matrix, rng)
    A = operator if isinstance(operator, LinearOperator) else trial.operator
    rows, columns = trial.operator.shape
    x, y = trial.array((columns, 3)), trial.array((rows, 3))
    for what, got, form, given in (
        ("A.matvec(x)", A.matvec(x[:, 0]), "A", x[:, 0]),
        ("A @ x", A @ x[:, 1], "A", x[:, 1]),
        ("A.rmatvec(y)", A.rmatvec(y[:, 0]), "A.H", y[:, 0]),
        ("A.matmat(X)", A.matmat(x), "A", x),
        ("A @ X", A @ x, "A", x),
        ("A.rmatmat(Y)", A.rmatmat(y), "A.H", y),
        ("A.H @ Y", A.H @ y, "A.H", y),
        ("A.T @ y", A.T @ y[:, 2], "A.T", y[:, 2]),
    ):
        trial.agree_flat(np.asarray(got), form, given, trial.tol, what)


def types(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Answers have `numpy.result_type(A, x)`; ints and bools take the operator's type."""
    trial = Trial(operator, matrix, rng)
    trial.require_own()
    A = trial.operator
    for dtype in TYPES:
        x, y = trial.x(dtype), trial.y(dtype)
        want = np.result_type(A.dtype, dtype)
        for what, answer in (("A(x)", A(x)), ("A.H(y)", A.H(y)), ("A.T(y)", A.T(y)), ("A.conj()(x)", A.conj()(x))):
            need(answer.dtype == want, f"{what} of {dtype} has dtype {answer.dtype}, needed {want}")
        trial.agree(A(x), "A", x, tolerance(want), f"A(x) of {dtype}")
    for dtype in ("int8", "int64", "uint16", "bool"):
        x = (trial.x("float64") > 0).astype(dtype)
        need(A(x).dtype == A.dtype, f"A(x) of {dtype} has dtype {A(x).dtype}, needed {A.dtype}")
        trial.agree(A(x), "A", x, trial.tol, f"A(x) of {dtype}")


def input_is_left_alone(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Nothing changes when applied; an answer is the caller's own to write into."""
    trial = Trial(operator, matrix, rng)
    A, x, y = trial.operator, trial.x(), trial.y()
    before = x.copy(), y.copy()
    first = A(x).copy()
    result, backward = A(x), A.H(y)
    for what in ("applying", "writing into the answer"):
        need(np.array_equal(x, before[0]), f"{what} changes the array that A is given")
        need(np.array_equal(y, before[1]), f"{what} changes the array that A.H is given")
        result[...] = 7
        backward[...] = 7
    close(A(x), first, trial.tol, "A(x) again, after writing into an answer")
    trial.agree(A(x), "A", before[0], trial.tol, "A(x) after writing into an answer")


def any_memory_layout(operator: Any, matrix: Any = None, rng: Any = 0) -> None:
    """Strided, Fortran-ordered, read-only, reversed and byte-swapped arrays are answered as plain ones are."""
    trial = Trial(operator, matrix, rng)
    plain = trial.x(batch=(2,))
    want = trial.operator(plain)
    for name, x in _layouts(plain).items():
        need(np.array_equal(x, plain), f"the {name} array is not what it was made of")
        got = trial.operator(x)
        need(got.dtype == want.dtype, f"A(x) of a {name} array has dtype {got.dtype}, needed {want.dtype}")
        close(got, want, trial.tol, f"A(x) of a {name} array")


def _layouts(plain: Array) -> dict[str, Array]:
    """The same numbers, laid out differently."""
    every_third, turned = (tuple(slice(*cut) for _ in plain.shape) for cut in ((1, None, 3), (None, None, -1)))
    wide = np.zeros([3 * n for n in plain.shape], plain.dtype)
    wide[every_third] = plain
    readonly = plain.copy()
    readonly.flags.writeable = False
    return {
        "strided": wide[every_third],
        "Fortran-ordered": np.asfortranarray(plain),
        "read-only": readonly,
        "reversed": plain[turned].copy()[turned],
        "byte-swapped": plain.astype(plain.dtype.newbyteorder()),
    }
