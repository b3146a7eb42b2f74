"""check.linear, equal, associative and all."""

import measure_checker
import numpy as np
import pytest

import convop
from convop import CheckFailed, ShapeError, check

M = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]])
H = np.array([1.0, 2.0, 4.0])


def map_of(forward, dtype=float, size=6):
    return check.linear((forward, forward), in_shape=size, out_shape=size, dtype=dtype)


# -- linear ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_linear_maps(dtype):
    report = check.linear(convop.Convolution(H.astype(dtype), 20, boundary="mirror"))
    assert report
    assert report.error <= report.bound
    assert "A(" in report.law


@pytest.mark.parametrize(
    ("forward", "law"),
    [
        (lambda x: x + 1, "A(0) = 0"),
        (np.abs, "A(x + y) = A(x) + A(y)"),
        (lambda x: x * x, "A(x + y) = A(x) + A(y)"),
        (np.rint, "A(x + y) = A(x) + A(y)"),
        (np.sort, "A(x + y) = A(x) + A(y)"),
    ],
)
def test_maps_that_are_not_linear(forward, law):
    report = map_of(forward)
    assert not report
    assert report.law == law
    assert report.text in " ".join(str(report).split())


def test_affine_maps_are_told_so():
    assert "convop.Affine" in map_of(lambda x: x + 1).text


def test_a_tiny_constant_is_seen():
    assert not map_of(lambda x: x + np.float32(1e-6), np.float32)


def test_complex_maps_have_to_be_complex_linear():
    assert map_of(np.conj, np.complex64).law == "A(i x) = i A(x)"
    assert map_of(lambda x: x.real + 0j, np.complex128).law == "A(i x) = i A(x)"


def test_a_map_that_forgets():
    answers = iter(np.random.default_rng(0).standard_normal((999, 6)))
    report = map_of(lambda x: x * next(answers))
    assert report.law == "A(x) = A(x), the same twice"


def test_a_map_that_changes_its_input():
    def halve(x):
        x /= 2
        return x + 0

    report = map_of(halve)
    assert report.law == "mutates_input"
    with pytest.raises(CheckFailed, match="copy it first"):
        report.raise_if_failed()


# -- equal -------------------------------------------------------------------------------------------------


def test_equal_by_every_method():
    for seed in range(40):
        _, A = measure_checker.correct(seed)
        assert check.equal(A, A.using("direct"), rng=seed), seed


def test_rows_that_differ():
    A = convop.Convolution(np.outer(H, H), (12, 15))
    B = convop.Convolution(np.outer(H, H), (12, 15), boundary=("zero", "mirror"))
    report = check.equal(A, B)
    expected = np.zeros((12, 15), bool)
    expected[:, [0, -1]] = True
    assert np.array_equal(report.rows, expected)
    assert report.count == 24
    assert (report.where.axis, report.where.side) == (1, "both")
    assert report.where.output[1] in (0, 14)
    assert "24 of 180 rows differ" in " ".join(str(report).split())


def test_one_side():
    left = convop.Convolution(H, 12, boundary=(("mirror", "zero"),))
    assert check.equal(left, convop.Convolution(H, 12)).where.side == "before"


def test_one_row_among_many_in_single_precision():
    A = convop.Convolution(H.astype(np.float32), 20_000)
    B = A.tosparse("lil")
    B[777, 778] = -1
    report = check.equal(A, B.tocsr())
    assert (report.count, report.where.output) == (1, (777,))


def test_channel_of_a_difference():
    w = np.random.default_rng(0).standard_normal((3, 2, 3))
    v = w.copy()
    v[1, 0, 2] += 0.1
    report = check.equal(convop.conv_layer(w, (2, 9)), convop.conv_layer(v, (2, 9)))
    assert report.where.channel == (1, None)


def test_flat_and_shaped_are_equal():
    A = convop.Convolution(np.outer(H, H), (4, 5))
    assert check.equal(A, A.tosparse())
    assert check.equal(A.toarray(), A)


def test_different_sizes_are_refused():
    with pytest.raises(ShapeError, match="cannot be equal"):
        check.equal(M, M.T)


def test_nan_is_not_equal():
    report = check.equal(M, convop.as_operator(forward=lambda x: M @ x * np.nan, in_shape=3, out_shape=2))
    assert not report
    assert "NaN" in str(report)


# -- associative -------------------------------------------------------------------------------------------


def test_kernels_that_do_not_associate():
    A = convop.Convolution(H, 8)
    report = check.associative(A, A, A)
    assert report.passed
    assert report.operators.passed
    assert np.array_equal(np.flatnonzero(report.kernels.rows), [0, 1, 6, 7])
    assert "4 of 8 rows differ" in " ".join(str(report).split())


def test_kernels_that_do():
    A = convop.Convolution(H, 8, boundary="periodic")
    report = check.associative(A, A, A)
    assert report.kernels.passed
    assert "same map everywhere" in str(report)


def test_no_kernels():
    report = check.associative(M.T @ M, convop.Identity(3), M.T)
    assert report.passed
    assert report.kernels is None
    assert "not convolutions" in str(report)


def test_shapes_have_to_match():
    with pytest.raises(ShapeError):
        check.associative(M, M, M)


# -- all ---------------------------------------------------------------------------------------------------


def test_all_of_every_make():
    for seed in range(20):
        name, operator = measure_checker.correct(seed)
        report = check.all(operator, rng=seed)
        assert report, f"{seed} {name}\n{report}"


def test_all_prints_a_line_each():
    report = check.all(convop.Convolution(H, 8))
    lines = str(report).splitlines()
    assert len(lines) == 1 + len(report.reports)
    assert {"linear", "adjoint", "transpose", "matrix", "batch", "dtype"} <= set(report.reports)


def test_all_leaves_out_the_matrix_of_a_black_box():
    report = check.all(convop.as_operator(forward=lambda x: 2 * x, adjoint=lambda y: 2 * y, in_shape=4, out_shape=4))
    assert report
    assert "matrix" not in report.reports


def test_all_shows_what_failed():
    wrong = convop.as_operator(forward=lambda x: M @ x, adjoint=lambda y: 2 * M.T @ y, in_shape=3, out_shape=2)
    report = check.all(wrong)
    assert not report
    assert report["linear"].passed
    assert [r.cause for r in report.failed] == ["scaled"]
    with pytest.raises(CheckFailed, match="seems to be scaled by"):
        report.raise_if_failed()


def test_all_sees_a_type_that_widens():
    class Widening(convop.Identity):
        def _forward(self, x):
            return x.astype(np.complex128)

    report = check.all(Widening(4))
    assert not report["dtype"]
    assert "needed float32" in str(report["dtype"])
