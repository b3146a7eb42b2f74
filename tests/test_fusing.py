"""Products and sums of convolutions: one convolution exactly where the rules say so, the same matrix everywhere."""

import fusing_pairs
import numpy as np
import oracle
import pytest

import convop
from convop.fuse import composed, differing_samples

NUMBER = 25  # pairs for each rule and side; measure_fusing.py takes thousands


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("rule", fusing_pairs.RULES)
def test_rule(rule, inside):
    for outer, inner, dense in fusing_pairs.pairs(rule, inside, NUMBER):
        product = outer @ inner
        assert np.array_equal(product.toarray(), dense)
        assert isinstance(product, convop.Convolution) == inside, str(convop.explain(product))
        assert np.array_equal(product.H.toarray(), dense.conj().T)
        if not inside:  # the condition is not too strict: one convolution would be wrong
            assert not np.array_equal(composed(outer, inner).toarray(), dense)


@pytest.mark.parametrize("rule", fusing_pairs.RULES)
def test_rows_are_counted_exactly(rule):
    for outer, inner, dense in fusing_pairs.pairs(rule, False, NUMBER, seed=1):
        differ = (composed(outer, inner).toarray() != dense).any(axis=1)
        assert np.array_equal(differing_samples(outer, inner).ravel(), differ)
        (seam,) = convop.explain(outer @ inner).seams
        assert f"{differ.sum():,} of {differ.size:,}" in seam.reason
        assert np.array_equal(seam.rows.ravel(), differ)
        for verdict in seam.axes:  # one axis carries the rule, so all that differs is along it
            others = tuple(axis for axis in range(seam.rows.ndim) if axis != verdict.axis + 1)
            assert sum(verdict.rows) == (0 if verdict.exact else seam.rows.any(axis=others).sum())


def test_edges_are_counted_for_each_axis():
    rng = np.random.default_rng(0)
    outer, inner = (convop.Convolution(rng.standard_normal(shape), (9, 11)) for shape in ((3, 5), (4, 2)))
    explanation = convop.explain(outer @ inner)
    rows = explanation.seams[0].rows
    assert [axis.rows for axis in explanation.seams[0].axes] == [(1, 1), (0, 2)]
    assert np.array_equal(np.flatnonzero(rows.all(axis=1)), [0, 8])
    assert np.array_equal(np.flatnonzero(rows.all(axis=0)), [9, 10])
    assert "outputs that differ: 1 at its start, 1 at its end" in str(explanation)
    assert not explanation.fused


def test_normal_operator_of_full_is_the_autocorrelation():
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((3, 2)) + 1j * rng.standard_normal((3, 2))
    full = convop.Convolution(kernel, (5, 7), mode="full")
    normal = full.H @ full
    assert isinstance(normal, convop.Convolution)
    matrix = oracle.convolution_matrix(kernel, (5, 7), mode="full")
    assert np.allclose(normal.toarray(), matrix.conj().T @ matrix, rtol=0, atol=1e-14)
    assert convop.explain(normal).fused


@pytest.mark.parametrize("exponent", [0, 1, 2, 5])
def test_powers(exponent):
    around = convop.Convolution([1.0, -2.0, 3.0, 1.0], 7, boundary="periodic")
    power = around**exponent
    assert isinstance(power, convop.Identity if exponent == 0 else convop.Convolution)
    assert np.array_equal(power.toarray(), np.linalg.matrix_power(around.toarray(), exponent))


def test_long_products_flatten_and_fuse_in_the_middle():
    rng = np.random.default_rng(2)
    mask = convop.Diagonal(rng.standard_normal(12))
    a, b, c, d = (convop.Convolution(rng.integers(1, 5, 3), 12, boundary="periodic") for _ in range(4))
    product = ((mask @ a) @ (b @ c)) @ (d @ mask)
    assert isinstance(product, convop.Product)
    assert [type(factor) for factor in product.factors] == [convop.Diagonal, convop.Convolution, convop.Diagonal]
    assert len(convop.explain(product).fusions) == 3
    dense = [x.toarray() for x in (mask, a, b, c, d, mask)]
    assert np.allclose(product.toarray(), np.linalg.multi_dot(dense), rtol=1e-13)


@pytest.mark.parametrize("boundary", oracle.BOUNDARIES)
def test_sums_of_kernels_of_other_sizes(boundary):
    rng = np.random.default_rng(3)
    for _ in range(20):
        n = tuple(int(v) for v in rng.integers(3, 7, 2))
        terms = []
        for _ in range(2):
            shape, dilation = rng.integers(1, 4, 2), tuple(int(v) for v in rng.integers(1, 3, 2))
            center = tuple(int(rng.integers(k)) for k in shape)
            terms.append((rng.integers(-3, 4, shape) + 1j * rng.integers(-3, 4, shape), dilation, center))
        a, b = (convop.Convolution(k, n, boundary=boundary, dilation=d, center=c) for k, d, c in terms)
        dense = [oracle.convolution_matrix(k, n, boundary=boundary, dilation=d, center=c) for k, d, c in terms]
        assert np.array_equal((a + b).toarray(), dense[0] + dense[1])
        assert np.array_equal((a - 2 * b).toarray(), dense[0] - 2 * dense[1])
        one = convop.Identity(n)
        for total in (a + 3 * one, 3 * one + a):
            assert isinstance(total, convop.Convolution)
            assert np.array_equal(total.toarray(), dense[0] + 3 * np.eye(a.shape[0]))


def test_sums_stay_lazy_where_boundaries_differ():
    a, b = (convop.Convolution([1.0, 2.0, 3.0], 6, boundary=name) for name in ("mirror", "zero"))
    assert isinstance(a + b, convop.Sum)
    assert np.array_equal((a + b).toarray(), a.toarray() + b.toarray())


def test_layers_with_groups_add():
    rng = np.random.default_rng(4)
    shape = (4, 5, 6)
    grouped = convop.conv_layer(rng.integers(1, 5, (4, 2, 3, 3)), shape, padding=1, groups=2)
    depthwise = convop.conv_layer(rng.integers(1, 5, (4, 1, 1, 1)), shape, groups=4)
    total = grouped + depthwise + convop.Identity(shape)
    assert isinstance(total, convop.Convolution)
    assert total.geometry.groups == 2
    assert np.array_equal(total.toarray(), grouped.toarray() + depthwise.toarray() + np.eye(120))


@pytest.mark.parametrize("by", ["flops", "nnz"])
def test_optimal_order(by):
    rng = np.random.default_rng(5)
    wide = convop.Convolution(rng.integers(1, 5, 9), 64)
    few = convop.Select(64, slice(0, 4))
    order = convop.optimal_order([few, wide, wide, wide], by=by)
    assert order.tree == (((0, 1), 2), 3)
    assert np.array_equal(order.tosparse().toarray(), few.toarray() @ np.linalg.matrix_power(wide.toarray(), 3))
    back = convop.optimal_order([wide, wide, few.H], by=by)
    assert back.tree == (0, (1, 2))
    assert back.flops <= back.left_to_right or by == "nnz"
    assert "multiply-adds" in str(order) or "entries" in str(order)


def test_optimal_order_counts_convolutions_exactly():
    a = convop.Convolution(np.ones(5), 40)
    order = convop.optimal_order([a, a], by="nnz")
    assert order.nnz == order.tosparse().nnz


def test_optimal_order_refuses():
    a = convop.Convolution(np.ones(5), 40)
    with pytest.raises(convop.ShapeError, match="do not multiply"):
        convop.optimal_order([a, convop.Select(40, slice(0, 4))])
    with pytest.raises(convop.GeometryError, match="at least one"):
        convop.optimal_order([])
    with pytest.raises(convop.GeometryError, match="memory"):
        convop.optimal_order([a], by="memory")
