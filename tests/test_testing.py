"""`convop.testing`: what the strategies draw, and which faults the laws catch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pylops
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import convop
from convop import testing
from convop.testing.dice import Dice
from convop.testing.expressions import operator as random_operator
from convop.testing.limits import Limits
from convop.testing.recipes import convolution, layer, transpose_layer

ROOT = Path(__file__).parents[1]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
ONCE = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
M = np.arange(12.0).reshape(3, 4) - 5


# The strategies


@pytest.mark.parametrize("dtype", Limits().dtypes)
@FEW
@given(data=st.data())
def test_operators_of_one_type_keep_the_laws(dtype, data):
    testing.check_laws(data.draw(testing.operators(dtypes=dtype)))


def test_operators_of_mixed_types_keep_the_laws():
    """Under a zero boundary: where taps meet on a sample, the matrix of a narrow part holds their rounded sum."""
    dice = Dice(0)
    for _ in range(60):
        testing.check_laws(random_operator(dice, 2, Limits(boundaries=("zero",)), lambda spec: spec.build()))


def test_the_estimate_of_a_diagonal_with_zeros():
    testing.check_laws(convop.Diagonal([1.0, 0.0, 2.0]))


@FEW
@given(testing.geometries(max_dims=2, boundaries=("ndimage:reflect", "numpy:edge"), max_stride=2, max_dilation=1))
def test_geometries_keep_to_their_options(geometry):
    assert geometry.ndim <= 2
    assert {name for pair in geometry.boundary for name in pair} <= {"symmetric", "replicate", "zero"}
    outside = [geometry.boundary[axis] for axis in range(geometry.ndim) if any(geometry.reads_outside(axis))]
    assert not any("zero" in pair and pair == ("zero", "zero") for pair in outside)
    assert max(geometry.stride) <= 2
    assert max(geometry.dilation) == 1


@FEW
@given(testing.convolutions(dtypes=np.complex64, channels=True, boundaries="periodic"))
def test_convolutions_keep_to_their_options(A):
    assert type(A) is convop.Convolution
    assert A.dtype == np.complex64
    assert A.geometry.lifted
    assert all(A.geometry.is_periodic(axis) for axis in range(A.geometry.ndim))


@FEW
@given(testing.operators(dtypes=("float32", "float64"), depth=2))
def test_real_operators_stay_real(A):
    assert A.dtype.kind == "f"


def test_operators_come_in_every_kind():
    dice = Dice(0)
    drawn = [random_operator(dice, 2, Limits(), lambda spec: spec.build()) for _ in range(600)]
    kinds = {cls.__name__ for A in drawn for cls in type(A).__mro__}
    named = {"Convolution", "Identity", "Diagonal", "Select", "Extend", "Unfold"}
    assert named | {"Product", "Sum", "Scaled", "Adjoint", "Blocks"} <= kinds
    assert {A.dtype.name for A in drawn} == set(Limits().dtypes)
    assert max(max(A.shape) for A in drawn) < 5000  # small enough to be written out


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_a_convolution_shrinks_to_a_legible_one(boundary):
    """The smallest kernel of three taps under each boundary is 1, 2, 3 on as few samples as there can be."""
    strategy = testing.convolutions(boundaries=boundary, channels=False, dtypes="float64")
    A = find(strategy, lambda A: A.kernel.size == 3 and any(A.geometry.reads_outside(0)), settings=ONCE)
    assert A.kernel.tolist() == [1.0, 2.0, 3.0]
    assert A.in_shape == ((2,) if boundary in ("mirror", "antireflective") else (1,))
    assert A.geometry.stride == (1,)


@pytest.mark.parametrize("recipe", [convolution, layer, transpose_layer])
def test_a_spec_reads_as_the_call_that_makes_it(recipe):
    dice = Dice(3)
    for _ in range(40):
        spec = recipe(dice)
        again = eval(repr(spec), {"convop": convop, "np": np})
        assert np.array_equal(again.toarray(), spec.build().toarray())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"boundaries": "reflect"}, "two meanings"),
        ({"boundaries": ()}, "boundaries is empty"),
        ({"max_dims": 5}, "max_dims must be 1 to 4"),
        ({"max_stride": 0}, "max_stride"),
        ({"max_dilation": 0}, "max_dilation"),
    ],
)
def test_limits_that_make_no_sense(options, named):
    with pytest.raises(convop.GeometryError, match=named):
        testing.operators(**options)


def test_types_that_are_none():
    with pytest.raises(convop.DTypeError):
        testing.operators(dtypes="longdouble")


# The laws


def laws_broken(A, matrix=None):
    with pytest.raises(convop.CheckFailed) as failure:
        testing.check_laws(A, matrix)
    return {line.split()[0] for line in str(failure.value).splitlines() if line.endswith(" FAILED")}


@pytest.mark.parametrize(
    "foreign",
    [M, sp.csc_array(M), aslinearoperator(M), pylops.MatrixMult(M, dtype="float64"), pylops.FirstDerivative(9)],
    ids=["array", "sparse", "scipy", "pylops", "pylops derivative"],
)
def test_operators_of_others(foreign):
    report = testing.check_laws(foreign)
    assert report.passed
    assert {"adjoint", "linear", "flat_meaning", "batches", "any_memory_layout"} <= set(report.held)
    assert {"types", "copies", "can_be_read", "apply_to_the_richest_type"} <= set(report.skipped)
    assert len(report.held) + len(report.skipped) == len(testing.LAWS)
    assert "skipped" in str(report)


def test_every_law_says_something_of_a_convolution():
    A = convop.Convolution(np.arange(6.0).reshape(2, 3), (4, 5), boundary="mirror")
    report = testing.check_laws(A)
    assert len(report.held) == len(testing.LAWS)
    assert testing.check_laws(A, sp.csr_array(A.toarray())).passed


def test_one_wrong_entry_of_the_matrix_is_seen():
    A = convop.Convolution(np.arange(1.0, 4.0), 6)
    wrong = A.toarray()
    wrong[2, 3] += 1e-9
    assert {"apply", "adjoint", "toarray", "tosparse_is_canonical", "flat_meaning"} <= laws_broken(A, wrong)
    assert "shapes" in laws_broken(A, wrong[1:])


def test_one_law_alone_raises_with_a_message():
    wrong = convop.as_operator(forward=lambda x: M @ x, adjoint=lambda y: -M.T @ y, in_shape=4, out_shape=3)
    law = next(law for law in testing.LAWS if law.__name__ == "adjoint")
    with pytest.raises(AssertionError, match="scaled"):
        law(wrong)


def test_laws_of_ones_own():
    def keeps_sums(operator, matrix=None, rng=0):
        A = convop.as_operator(operator)
        assert np.isclose(A(np.ones(A.in_shape)).sum(), A.shape[1]), "a blur keeps the sum"

    testing.check_laws(convop.Convolution([0.5, 0.5], 8, boundary="periodic"), laws=[keeps_sums])
    with pytest.raises(convop.CheckFailed, match="keeps the sum"):
        testing.check_laws(convop.Convolution([0.5, 0.7], 8, boundary="periodic"), laws=[*testing.LAWS, keeps_sums])


class Faulty(convop.Operator):
    """The matrix M times x, with one fault."""

    def __init__(self, fault):
        super().__init__((4,), (3,), np.dtype("float64"))
        self.fault = fault
        self.calls = [0]

    def _forward(self, x):
        answer = x @ M.T.astype(x.dtype)
        if self.fault == "mutates":
            x *= 2
        if self.fault == "batch" and x.ndim > 1:
            answer[-1:] = 0
        if self.fault == "modulus":
            return np.abs(answer)
        if self.fault == "type":
            return answer.astype("complex128")
        if self.fault == "cache":
            cached = self.__dict__.setdefault("_last", {})
            return cached.setdefault((x.tobytes(), x.dtype), answer)
        return answer

    def _adjoint_forward(self, y):
        return y @ (M * 1.001 if self.fault == "adjoint" else M).astype(y.dtype)

    def _csr(self, max_bytes):
        matrix = sp.csr_array(M.copy())
        if self.fault == "matrix":
            matrix.data[3] *= 1 + 1e-8
        if self.fault == "duplicates":
            indices = np.concatenate([matrix.indices, [0]]).astype(np.int32)
            pointers = matrix.indptr + np.int32([0, 0, 0, 1])
            matrix = sp.csr_array((np.concatenate([matrix.data, [0.0]]), indices, pointers), shape=(3, 4))
        return matrix

    def _count(self):
        return (5 if self.fault == "estimate" else 12), False

    def _recipe(self):
        return Faulty, "adjoint" if self.fault == "pickle" else "modulus" if self.fault == "unpickled" else self.fault

    def __repr__(self):
        return object.__repr__(self) if self.fault == "repr" else "<M>"


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("adjoint", "adjoint"),
        ("mutates", "input_is_left_alone"),
        ("batch", "batches"),
        ("modulus", "linear"),
        ("type", "types"),
        ("cache", "input_is_left_alone"),
        ("matrix", "tosparse_is_canonical"),
        ("duplicates", "tosparse_is_canonical"),
        ("estimate", "estimate_holds"),
        ("unpickled", "copies"),
        ("repr", "can_be_read"),
    ],
)
def test_a_fault_breaks_its_law(fault, law):
    assert law in laws_broken(Faulty(fault))
    assert law in laws_broken(Faulty(fault), M)


def test_without_a_fault_all_laws_hold():
    assert testing.check_laws(Faulty("none")).passed
    assert testing.check_laws(Faulty("none"), M).passed


class WithoutAdjoint(LinearOperator):
    def __init__(self):
        super().__init__(np.float64, (3, 4))

    def _matvec(self, x):
        return M @ x


def test_an_operator_without_an_adjoint_breaks_laws_and_no_more():
    broken = laws_broken(WithoutAdjoint())
    assert "adjoint" in broken
    assert not {"apply", "shapes", "toarray"} & broken


def test_large_operators_are_not_written_out():
    report = testing.check_laws(convop.Convolution(np.ones((3, 3)), (300, 301)))
    assert list(report.skipped) == ["toarray"]


# The package


def test_the_adjoint_check_is_the_same():
    assert testing.assert_adjoint is convop.check.assert_adjoint


def test_what_is_missing_is_named():
    code = (
        "import sys, convop\n"
        "assert 'hypothesis' not in sys.modules\n"
        "sys.modules['hypothesis'] = None\n"
        "try:\n    import convop.testing\nexcept convop.MissingDependency as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "needs the package 'hypothesis'" in done.stdout, done.stderr
    assert "convop[test]" in done.stdout
