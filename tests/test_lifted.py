"""`Lifted`: every block is the part of the dense matrix between its two channels, and `lower` takes `lift` back."""

import pickle

import numpy as np
import pytest
import strategies
from cases import array
from oracle import error

import convop

EXACT = 1e-13


def part(matrix, A, o, i):
    """The rows of output channel `o` and the columns of input channel `i`."""
    whole = matrix.reshape(A.out_shape[0], -1, A.in_shape[0], int(np.prod(A.in_shape[1:])))
    return whole[o, :, i]


def test_every_layer_lifts_and_lowers():
    """Strides, paddings, dilations, groups, all boundaries: blocks against the oracle, and the same layer back."""
    for seed in range(120):
        spec = strategies.layer(strategies.Dice(seed))
        A, matrix = spec.build(), spec.matrix()
        L = convop.lift(A)
        tolerance = 1e-5 if A.dtype.char in "fF" else EXACT
        assert (L.in_shape, L.out_shape, L.dtype) == (A.in_shape, A.out_shape, A.dtype)
        for o in range(A.out_shape[0]):
            for i in range(A.in_shape[0]):
                assert L[o, i].in_shape == A.in_shape[1:]
                assert L[o, i].out_shape == A.out_shape[1:]
                assert error(L[o, i].toarray(), part(matrix, A, o, i)) <= tolerance
        assert error(L.tosparse().toarray(), matrix) <= tolerance
        assert error(L.H.toarray(), matrix.conj().T) <= tolerance
        back = convop.lower(L)
        assert back.geometry == A.geometry
        assert np.array_equal(back.kernel, A.kernel)
        assert (back.convention, back.dtype) == (A.convention, A.dtype)


def layer(seed=0, groups=1, **options):
    options = {"padding": 1, **options}
    return convop.conv_layer(array((4, 2 // groups, 3, 2), "complex128", seed), (2, 5, 6), groups=groups, **options)


def check(operator, matrix):
    assert error(operator.toarray(), matrix) <= EXACT
    assert error(operator.H.toarray(), matrix.conj().T) <= EXACT
    assert error(operator.tosparse().toarray(), matrix) <= EXACT
    x, y = array((2, *operator.in_shape), "complex128", 3), array((2, *operator.out_shape), "complex128", 4)
    assert error(operator(x).reshape(2, -1), x.reshape(2, -1) @ matrix.T) <= EXACT
    assert error(operator.H(y).reshape(2, -1), y.reshape(2, -1) @ matrix.conj()) <= EXACT


@pytest.mark.parametrize("stride", [1, 2])
def test_any_operator_can_take_a_place(stride):
    A = layer(stride=stride)
    L, matrix = convop.lift(A), A.toarray()
    outs = A.out_shape[1:]
    size = int(np.prod(outs))
    dense = array((size, 30), "complex128", 7)
    other = convop.as_operator(dense, (5, 6), outs)
    replaced = L.replace(2, 1, other)
    matrix[2 * size : 3 * size, 30:] = dense
    check(replaced, matrix)
    assert replaced[2, 1] is other
    assert replaced[-2, -1] is other
    assert error(L.toarray(), A.toarray()) == 0
    again = pickle.loads(pickle.dumps(replaced))
    check(again, matrix)
    with pytest.raises(convop.GeometryError, match=r"\[2, 1\]"):
        convop.lower(replaced)
    black_box = convop.as_operator(
        forward=lambda x: (dense @ x.ravel()).reshape(outs),
        adjoint=lambda y: (dense.conj().T @ y.ravel()).reshape(5, 6),
        in_shape=(5, 6), out_shape=outs, dtype="complex128",
    )  # fmt: skip
    unseen = L.replace(2, 1, black_box)
    assert not unseen.explicit
    assert error(unseen.toarray(), matrix) <= EXACT


def test_a_new_kernel_is_still_one_layer():
    A = layer()
    L = convop.lift(A)
    kernel = array((3, 2), "complex128", 8)
    replaced = L.replace(3, 0, L[3, 0].with_kernel(kernel))
    lowered = convop.lower(replaced)
    weight = A.kernel.copy()
    weight[3, 0] = kernel
    assert np.array_equal(lowered.kernel, weight)
    check(replaced, A.with_kernel(weight).toarray())


def test_groups_hold_until_a_block_mixes_them():
    A = layer(groups=2)
    L = convop.lift(A)
    assert L.groups == 2
    assert not L[0, 1].kernel.any()
    inside = L.replace(0, 0, 2j * L[0, 0])
    assert convop.lower(inside).kernel.shape == (4, 1, 3, 2)
    across = L.replace(0, 1, L[0, 0])
    assert across.groups == 1
    lowered = convop.lower(across)
    assert lowered.kernel.shape == (4, 2, 3, 2)
    check(across, lowered.toarray())
    back = across.replace(0, 1, L[0, 1])
    assert error(back.toarray(), A.toarray()) <= EXACT


def test_algebra_of_grids():
    A, B = layer(0, stride=2), layer(1, stride=2)
    S, T = convop.lift(A), convop.lift(B)
    a, b = A.toarray(), B.toarray()
    for operator, matrix in ((S + T, a + b), (2j * S, 2j * a), (S.H, a.conj().T), (S.T, a.T), (S.conj(), a.conj())):
        assert isinstance(operator, convop.Lifted)
        check(operator, matrix)
    assert np.array_equal(convop.lower(S + T).kernel, (A + B).kernel)
    check(S.H @ T, a.conj().T @ b)
    grouped = convop.lift(layer(groups=2, stride=2))
    check(grouped + S, grouped.toarray() + a)
    check(grouped.H + grouped.H, 2 * grouped.toarray().conj().T)
    assert (grouped + grouped).groups == grouped.H.groups == 2
    assert S.using("fft")[0, 0].method == "fft"


def test_lifting_what_is_made_of_layers():
    transpose = convop.conv_transpose_layer(array((3, 2, 3), "complex128"), (3, 5), stride=2, padding=1)
    L = convop.lift(transpose)
    assert L.channels == (2, 3)
    check(L, transpose.toarray())
    A = layer(stride=2)
    other = convop.conv_layer(array((4, 2, 3, 4), "complex128"), (2, 5, 6), stride=2, padding=(1, 2))
    assert A.out_shape == other.out_shape
    check(convop.lift(A + other), A.toarray() + other.toarray())
    check(convop.lift(3j * transpose), 3j * transpose.toarray())
    assert convop.lift(L) is L


def test_refusals():
    blur, wide = convop.Convolution([1.0, 2.0, 1.0], 6), convop.Convolution(np.ones(5), 6)
    with pytest.raises(convop.GeometryError, match=r"\[0, 1\].*kernel \(5,\)"):
        convop.lower([[blur, wide]])
    with pytest.raises(convop.GeometryError, match="no channel axis"):
        convop.lift(blur)
    with pytest.raises(convop.GeometryError, match="Lifted"):
        convop.lift(np.eye(3))
    with pytest.raises(convop.GeometryError):
        convop.Lifted([[blur, blur], [blur]])
    with pytest.raises(convop.GeometryError):
        convop.Lifted([[blur, blur], [blur, blur]], groups=2)
    with pytest.raises(convop.ShapeError, match=r"\[0, 1\]"):
        convop.Lifted([[blur, convop.Convolution([1.0], 7)]])
    L = convop.Lifted([[blur, blur]])
    with pytest.raises(convop.ShapeError, match=r"\[0, 1\]"):
        L.replace(0, 1, convop.Identity(7))
    for place in ((1, 0), (0, 2), (0, -3), 0, (0, 0, 0), (0.5, 0)):
        with pytest.raises(convop.GeometryError):
            L[place]
    with pytest.raises(convop.GeometryError):
        convop.lower(blur)


def test_explain_says_what_to_do_with_products_of_grids():
    A = convop.conv_layer(array((2, 2, 3), "complex128"), (2, 8), padding=1)
    L = convop.lift(A)
    (seam,) = convop.explain(L @ L).seams
    assert "lower(L)" in seam.reason
    odd = L.replace(1, 0, convop.as_operator(array((8, 8), "complex128")))
    (seam,) = convop.explain(L @ odd).seams
    assert "block [1, 0]" in seam.reason
