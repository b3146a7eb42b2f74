"""Operators with a closed form, each with the dense matrix that it must be, and some that have none."""

import numpy as np
import oracle
from cases import array

import convop


def even(values, *axes):
    """Values made even along some axes."""
    for axis in axes:
        values = values + np.flip(values, axis)
    return values


def conv(kernel, in_shape, **options):
    return convop.Convolution(kernel, in_shape, **options), oracle.convolution_matrix(kernel, in_shape, **options)


def layer(weight, in_shape, **options):
    return convop.conv_layer(weight, in_shape, **options), oracle.layer_matrix(weight, in_shape, **options)


def _numbers(*shape, dtype="complex128"):
    return array(shape, dtype, seed=sum(shape))


def _both(first, second, make):
    return make(first[0], second[0]), make(first[1], second[1])


PERIODIC, SYMMETRIC = {"boundary": "periodic"}, {"boundary": "symmetric"}
ROUND = {"boundary": "periodic", "padding": ((1, 1), (2, 1))}
STRIDED = layer(_numbers(4, 3, 3, 4), (3, 6, 8), stride=(2, 4), **ROUND)
PLAIN = layer(_numbers(3, 2, 3, 4, dtype="float64"), (2, 6, 8), **ROUND)
SQUARE = layer(_numbers(2, 2, 3, 4), (2, 6, 8), **ROUND)
LENS = conv(even(_numbers(3, 5), 0, 1), (4, 6), **SYMMETRIC)
MIXED = {"boundary": ("symmetric", "periodic")}

CLOSED = {
    "complex periodic": conv(_numbers(3, 2), (5, 6), **PERIODIC),
    "real periodic, odd sizes": conv(_numbers(2, 3, dtype="float64"), (4, 7), **PERIODIC),
    "periodic, longer than the array": conv(_numbers(7, 2), (3, 4), **PERIODIC),
    "periodic, off centre, dilated": conv(_numbers(3, 2), (7, 5), center=(0, 1), dilation=(2, 3), **PERIODIC),
    "periodic, strided": conv(_numbers(3, 4), (6, 8), stride=(2, 4), **PERIODIC),
    "real periodic, strided on one axis": conv(_numbers(3, 4, dtype="float64"), (6, 9), stride=(1, 3), **PERIODIC),
    "periodic in three dimensions": conv(_numbers(2, 3, 2, dtype="float64"), (3, 4, 2), **PERIODIC),
    "many taps, periodic and strided": conv(_numbers(70), 40, stride=2, **PERIODIC),
    "many taps, symmetric": conv(even(_numbers(71), 0), 40, **SYMMETRIC),
    "patches": layer(_numbers(5, 3, 2, 4), (3, 6, 8), stride=(2, 4)),
    "one patch": layer(_numbers(5, 3, 4, 4, dtype="float64"), (3, 4, 4), stride=4),
    "layer": PLAIN,
    "layer with groups": layer(_numbers(4, 2, 3, 4), (4, 6, 8), groups=2, **ROUND),
    "layer with groups and stride": layer(
        _numbers(6, 2, 3, 4, dtype="float64"), (4, 6, 8), groups=2, stride=2, **ROUND
    ),
    "symmetric": LENS,
    "real symmetric": conv(even(_numbers(3, 5, dtype="float64"), 0, 1), (4, 6), **SYMMETRIC),
    "symmetric, longer than the array": conv(even(_numbers(9, 3), 0, 1), (3, 4), **SYMMETRIC),
    "symmetric, dilated": conv(even(_numbers(3), 0), 9, dilation=3, **SYMMETRIC),
    "replicate, one sample beyond": conv(even(_numbers(3, 3), 0, 1), (4, 5), boundary="replicate"),
    "zero taps at the ends": conv(np.pad(even(_numbers(3), 0), (0, 2)), 7, center=1, **SYMMETRIC),
    "one axis symmetric, one periodic": conv(even(_numbers(3, 4), 0), (5, 6), **MIXED),
    "real, one axis symmetric, one periodic and strided": conv(
        even(_numbers(3, 4, dtype="float64"), 0), (5, 6), stride=(1, 2), **MIXED
    ),
    "one axis periodic, one symmetric": conv(
        even(_numbers(4, 3, dtype="float64"), 1), (6, 5), boundary=("periodic", "symmetric")
    ),
    "one axis symmetric, one not read outside": conv(even(_numbers(5, 1), 0), (6, 4), boundary=("symmetric", "zero")),
    "symmetric layer": layer(even(_numbers(3, 2, 3, 3), 2, 3), (2, 4, 5), padding=1, **SYMMETRIC),
    "one sample on an axis": conv(_numbers(3, 2), (1, 5), boundary=("replicate", "periodic")),
    "one sample between zeros": conv(_numbers(3, 2), (1, 5), boundary=("zero", "periodic")),
    "strided after plain": _both(
        layer(_numbers(4, 3, 3, 4), (3, 6, 8), stride=(2, 4), **ROUND), PLAIN, lambda a, b: a @ b
    ),
    "lazy strided after plain": (convop.Product((STRIDED[0], PLAIN[0])), STRIDED[1] @ PLAIN[1]),
    "adjoint of strided": (STRIDED[0].H, STRIDED[1].conj().T),
    "transpose of strided": (STRIDED[0].T, STRIDED[1].T),
    "normal of strided, shifted": (
        STRIDED[0].H @ STRIDED[0] + (2 - 1j) * convop.Identity((3, 6, 8)),
        STRIDED[1].conj().T @ STRIDED[1] + (2 - 1j) * np.eye(144),
    ),
    "cascade": (convop.Product((STRIDED[0], STRIDED[0].H)), STRIDED[1] @ STRIDED[1].conj().T),
    "scaled adjoint": (1j * STRIDED[0].H, 1j * STRIDED[1].conj().T),
    "product of symmetric": (convop.Product((LENS[0], LENS[0].H)), LENS[1] @ LENS[1].conj().T),
    "sum with a constant": (LENS[0] + convop.Diagonal(np.full((4, 6), 3.0)), LENS[1] + 3 * np.eye(24)),
    "circulant": (convop.as_circulant(PLAIN[0]), PLAIN[1]),
    "circulant inverse": (
        convop.as_circulant(SQUARE[0]).inv(),
        np.linalg.inv(SQUARE[1]),
    ),
    "lifted": (convop.lift(PLAIN[0]), PLAIN[1]),
    "periodic gradient": (
        convop.gradient((4, 5), boundary="periodic", dtype="float64"),
        np.concatenate(
            [
                oracle.convolution_matrix(np.array([[1.0], [-1.0]]), (4, 5), center=(1, 0), **PERIODIC),
                oracle.convolution_matrix(np.array([[1.0, -1.0]]), (4, 5), center=(0, 1), **PERIODIC),
            ]
        ),
    ),
    "beside each other": (convop.hstack([LENS[0], convop.Identity((4, 6))]), np.hstack([LENS[1], np.eye(24)])),
    "on a diagonal": (
        convop.block_diag([PLAIN[0], 2 * PLAIN[0]]),
        np.kron(np.diag([1, 2]), PLAIN[1]),
    ),
    "layers on top of each other": (
        convop.vstack([PLAIN[0], SQUARE[0]]),
        np.concatenate([PLAIN[1], SQUARE[1]]),
    ),
    "flat": (convop.as_operator(PLAIN[0], 96, 144), PLAIN[1]),
    "identity": (convop.Identity((2, 3)), np.eye(6)),
    "zero": (0 * STRIDED[0], 0 * STRIDED[1]),
}

UNEVEN = _numbers(3, 3)
WITHOUT = {
    "zero boundary": conv(UNEVEN, (4, 5)),
    "symmetric, uneven kernel": conv(UNEVEN, (4, 5), **SYMMETRIC),
    "symmetric, even number of taps": conv(even(_numbers(4), 0), 6, **SYMMETRIC),
    "symmetric, off centre": conv(even(_numbers(3), 0), 6, center=0, **SYMMETRIC),
    "symmetric, strided": conv(even(_numbers(3), 0), 6, stride=2, **SYMMETRIC),
    "symmetric, even on one axis of two": conv(even(_numbers(3, 3), 0), (4, 5), **SYMMETRIC),
    "replicate, two samples beyond": conv(even(_numbers(5), 0), 6, boundary="replicate"),
    "mirror": conv(even(_numbers(3), 0), 6, boundary="mirror"),
    "antireflective": conv(even(_numbers(3), 0), 6, boundary="antireflective"),
    "periodic, stride that does not divide": conv(UNEVEN, (4, 5), stride=2, **PERIODIC),
    "full": conv(UNEVEN, (4, 5), mode="full"),
    "one side zero": conv(even(_numbers(3), 0), 6, boundary=(("symmetric", "zero"),)),
    "different transforms": (
        LENS[0] + conv(_numbers(2, 3), (4, 6), **PERIODIC)[0],
        LENS[1] + conv(_numbers(2, 3), (4, 6), **PERIODIC)[1],
    ),
    "masked": (convop.Select((4, 6), np.s_[1:, ::2]) @ LENS[0], oracle.select_matrix((4, 6), np.s_[1:, ::2]) @ LENS[1]),
    "weighed": (convop.Diagonal(np.arange(24.0).reshape(4, 6)) @ LENS[0], np.diag(np.arange(24.0)) @ LENS[1]),
    "matrix": (convop.as_operator(array((5, 7), "complex128")), array((5, 7), "complex128")),
}
