"""check.adjoint against the zoo of wrong adjoints, and against correct operators that it must leave alone."""

import collections
import functools

import measure_checker
import numpy as np
import pytest
import scipy.sparse
import zoo
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import convop
from convop import CheckFailed, GeometryError, check

SEEDS = 4


@pytest.fixture(scope="module")
def results():
    return measure_checker.zoo_results(SEEDS)


def test_the_whole_zoo_is_caught(results):
    assert [animal.name for animal, report in results if report.passed] == []


def test_causes_are_named_right(results):
    wrong = [(animal.name, report.cause) for animal, report in results if report.cause != animal.cause]
    print(f"\n{len(results) - len(wrong)} of {len(results)} causes named right")
    assert len(wrong) <= 0.1 * len(results), wrong


def test_every_cause_has_its_animals():
    named = collections.Counter(animal.cause for animal in zoo.animals(0))
    assert set(named) == set(check.CAUSES) - {"none"}


def test_reports_fit_the_terminal(results):
    for _, report in results:
        text = str(report)
        assert text.startswith("FAILED: check.adjoint of ")
        assert report.cause in text
        assert max(map(len, text.splitlines())) <= 80


def test_correct_single_precision_operators_pass():
    count = 120
    alarms, largest = measure_checker.false_alarms(count, start=20_000)
    print(f"\n{len(alarms)} false alarms in {count}, largest error / bound {max(largest.values()):.2f}")
    assert alarms == []


@pytest.mark.parametrize("seed", range(6))
def test_one_wrong_entry_in_a_picture(seed):
    rng = np.random.default_rng(seed)
    A = convop.Convolution(rng.standard_normal((3, 3)).astype(np.float32), (100, 100))
    G = A.H.tosparse("lil")
    row, column = (int(i) for i in rng.integers(10_000, size=2))
    G[row, column] += 1
    G = G.tocsr()

    def wrong(y):
        return (G @ y.reshape(-1)).reshape(100, 100)

    report = check.adjoint((A, wrong), in_shape=(100, 100), out_shape=(100, 100), dtype=np.float32, rng=seed)
    assert report.cause == "wrong_entries"
    assert report.where.output == np.unravel_index(column, (100, 100))
    assert report.where.input == np.unravel_index(row, (100, 100))


# -- what the diagnosis says -------------------------------------------------------------------------------


@functools.cache
def of(name, seed=1):
    (animal,) = [animal for animal in zoo.animals(seed) if animal.name == name]
    return animal.check(rng=seed)


def test_factor_of_a_scaled_adjoint():
    assert of("scaled by two").factor == pytest.approx(2)
    assert of("factor 1/N").factor == pytest.approx(1 / 12)
    assert "seems to be scaled by 2" in str(of("scaled by two"))


def test_phase_of_a_scale():
    report = of("scale not conjugated")
    assert report.factor == pytest.approx((1 + 2j) / (1 - 2j))
    assert "conj(c) A^H" in report.text.replace("\n", " ")


def test_axes_of_a_flip():
    assert of("flip on the wrong axis").where.axis == 1
    assert of("kernel not flipped").where.axes == (0, 1)


def test_axis_and_length_of_a_shift():
    report = of("periodic, shifted by two")
    assert (report.where.axis, report.where.shift) == (1, (2,))
    assert of("even kernel, both centres off").where.shift == (1, 1)


def test_sides_of_a_wrong_boundary():
    assert (of("first column dropped").where.axis, of("first column dropped").where.side) == (1, "before")
    assert (of("strided, last row dropped").where.axis, of("strided, last row dropped").where.side) == (0, "after")
    assert (of("halo cropped").where.axes, of("halo cropped").where.side) == ((0, 1), "both")


def test_several_wrong_entries_are_listed():
    where = of("three wrong entries").where
    assert set(where.entries) == {((12,), (2,)), ((5,), (9,)), ((3,), (16,))}


def test_channels_that_are_not_swapped():
    report = of("channels not swapped")
    assert "the channels look swapped" in report.text
    assert report.where.axes == (0,)


def test_two_faults_at_once():
    unconjugated, unflipped = of("scaled and not conjugated"), of("scaled and not flipped")
    assert unconjugated.factor == pytest.approx(3)
    assert unflipped.factor == pytest.approx(0.5)
    assert unflipped.where.axes == (0, 1)
    for report in (unconjugated, unflipped):
        assert "and besides, the adjoint seems to be scaled by" in report.text


@pytest.mark.parametrize("complex_too", [False, True])
def test_a_wrong_block_is_not_taken_for_swapped_channels(complex_too):
    """Channels are only called swapped where every block is right in the wrong place."""
    rng = np.random.default_rng(0)
    w = zoo.kernel(rng, (3, 3, 5), np.complex128 if complex_too else np.float64)
    blocks = [[zoo.same(w[o, i], (11,)) for i in range(3)] for o in range(3)]
    G = np.block([[blocks[o][i].conj().T for i in range(3)] for o in range(3)])
    G[:11, 22:] *= 2
    report = zoo.matrices("", np.block(blocks), G, (3, 11), (3, 11), "").check()
    assert not report
    assert "channels" not in report.text


@pytest.mark.parametrize("rng", ["x", -1, 1.5, object()])
def test_rng_that_is_none(rng):
    h = convop.Convolution([1.0, 2.0], 5)
    for call in (check.adjoint, check.linear, check.all, lambda A, rng: check.equal(A, A, rng=rng)):
        with pytest.raises(GeometryError, match="rng must be"):
            call(h, rng=rng)
    with pytest.raises(GeometryError, match="rng must be"):
        check.associative(h, h, h, rng=rng)


def test_which_map_is_not_linear():
    assert "forward" in of("affine").text
    assert "adjoint" in of("imaginary part dropped").text


def test_channels_of_a_layer():
    layer = convop.conv_layer(np.random.default_rng(0).standard_normal((3, 2, 3)), (2, 15))
    matrix = layer.H.toarray()
    matrix[20, 30] += 1
    operator = convop.as_operator(
        forward=layer, adjoint=lambda y: matrix @ y.reshape(-1), in_shape=layer.in_shape, out_shape=layer.out_shape
    )
    operator.geometry = layer.geometry
    report = check.adjoint(operator)
    assert report.cause == "wrong_entries"
    assert report.where.channel == (30 // 13, 20 // 15)


def test_real_operator_that_drops_imaginary_parts():
    class Careless(convop.Identity):
        def _forward(self, x):
            return np.real(x).astype(x.dtype)

    report = check.adjoint(Careless(5))
    assert report.cause == "not_linear"
    assert "A(x + i y)" in report.text


def test_small_faults_are_not_taken_for_a_scale():
    """A fault just above the noise vanishes on most pairs; what explains it has to explain those that show it."""
    A = zoo.same(np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32), (30, 30))
    G = A.T.copy()
    G[100, 101] += 0.02
    report = zoo.matrices("small", A, G, (30, 30), (30, 30), "wrong_entries").check()
    assert report.cause == "wrong_entries"


# -- what can be checked -----------------------------------------------------------------------------------

M = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]])


@pytest.mark.parametrize(
    "operator",
    [M, M.astype(np.complex64), scipy.sparse.csr_array(M), aslinearoperator(M), convop.as_operator(M).H],
    ids=["dense", "complex", "sparse", "scipy", "convop"],
)
def test_everything_that_is_an_operator(operator):
    report = check.adjoint(operator)
    assert report
    assert report.passed
    assert report.cause == "none"
    assert 0 <= report.error <= report.bound < 1e-4
    assert report.raise_if_failed() is report
    assert str(report).startswith("passed: check.adjoint of ")


def test_pylops():
    pylops = pytest.importorskip("pylops")
    assert check.adjoint(pylops.FirstDerivative((5, 6), axis=0, dtype="float64"))


def test_wrong_scipy_operator():
    wrong = LinearOperator((2, 3), matvec=lambda x: M @ x, rmatvec=lambda y: -(M.T @ y), dtype=float)
    report = check.adjoint(wrong)
    assert (report.cause, report.factor) == ("scaled", pytest.approx(-1))
    assert not report


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_one_row_or_column(shape, dtype):
    matrix = np.ones(shape, dtype)
    assert all(check.adjoint(matrix, rng=seed, trials=1) for seed in range(20))
    pair = (lambda x: matrix @ x, lambda y: 2 * matrix.T @ y)
    twice = check.adjoint(pair, in_shape=shape[1], out_shape=shape[0], dtype=dtype)
    assert twice.cause == "scaled"


def test_zero_operator():
    report = check.adjoint(np.zeros((4, 3)))
    assert report.passed
    assert report.error == 0


def test_adjoint_that_answers_zero():
    report = check.adjoint((lambda x: x, lambda y: 0 * y), in_shape=4, out_shape=4)
    assert (report.cause, report.factor) == ("scaled", 0)


def test_same_rng_same_report():
    assert check.adjoint(M, rng=3) == check.adjoint(M, rng=3)
    assert check.adjoint(M, rng=np.random.default_rng(3)) == check.adjoint(M, rng=3)


def test_extreme_scales():
    for scale in (1e-35, 1e-20, 1e20, 1e35):
        A = convop.Convolution((np.array([1, -2, 3.5]) * scale).astype(np.float32), 50)
        assert check.adjoint(A), scale
        assert check.equal(A, A.tosparse()), scale
    big = convop.Convolution(np.array([1, -2, 3.5]) * 1e200, 50)
    assert check.adjoint(big)
    report = check.adjoint((big, lambda y: 3 * big.H(y)), in_shape=50, out_shape=50)
    assert (report.cause, report.factor) == ("scaled", pytest.approx(3))


def test_rejects_no_trials():
    with pytest.raises(GeometryError, match="trials must be at least 1"):
        check.adjoint(M, trials=0)


# -- exact -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["zero", "periodic", "symmetric", "mirror", "replicate", "antireflective"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_exact(boundary, dtype):
    kernel = np.array([[1, -2, 3], [0, 5, -7]], dtype) * (1 + 2j if dtype == "complex128" else 1)
    A = convop.Convolution(kernel, (6, 7), boundary=boundary, stride=(2, 1), method="fft")
    report = check.adjoint(A, exact=True)
    assert (report.passed, report.error, report.bound) == (True, 0, 0)


def test_exact_finds_what_rounding_hides():
    big = np.diag([1e6, 1.0, 2.0]).astype(np.float64)
    wrong = big.T.copy()
    wrong[2, 1] = 1
    report = check.adjoint((lambda x: big @ x, lambda y: wrong @ y), in_shape=3, out_shape=3, exact=True)
    assert report.cause == "wrong_entries"
    assert report.where.entries == (((1,), (2,)),)


def test_exact_needs_integers():
    with pytest.raises(GeometryError, match="integer entries") as caught:
        check.adjoint(convop.Convolution([0.5, 1.0], 9), exact=True)
    assert "exact=False" in str(caught.value)
    with pytest.raises(GeometryError, match="Use float64"):
        check.adjoint(np.full((3, 3), 1e7, np.float32), exact=True)


def test_exact_needs_an_exact_adjoint():
    def rounded(y):
        return M.T @ y + 1e-9

    with pytest.raises(GeometryError, match="only to rounding"):
        check.adjoint((lambda x: M @ x, rounded), in_shape=3, out_shape=2, exact=True)


def test_exact_with_a_fractional_adjoint():
    report = check.adjoint((lambda x: M @ x, lambda y: M.T @ y / 2), in_shape=3, out_shape=2, exact=True)
    assert (report.cause, report.factor) == ("scaled", pytest.approx(0.5))


# -- failing -----------------------------------------------------------------------------------------------


def test_assert_adjoint():
    assert check.assert_adjoint(M) is None
    with pytest.raises(CheckFailed, match="scaled by 2") as caught:
        check.assert_adjoint((lambda x: M @ x, lambda y: 2 * M.T @ y), in_shape=3, out_shape=2)
    assert isinstance(caught.value, AssertionError)
    report = check.adjoint((lambda x: M @ x, lambda y: 2 * M.T @ y), in_shape=3, out_shape=2)
    with pytest.raises(CheckFailed) as again:
        report.raise_if_failed()
    assert str(again.value) == str(report)
