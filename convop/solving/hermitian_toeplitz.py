r"""Inverses of many small Hermitian Toeplitz matrices, by the recursion of Levinson and Durbin in compiled loops.

It needs `t^2` operations for each inverse instead of `t^3` (W. F. Trench, "An Algorithm for the Inversion of Finite
Toeplitz Matrices", J. SIAM 12, 1964), and errs no more than elimination does: G. Cybenko, "The Numerical Stability of
the Levinson-Durbin Algorithm for Toeplitz Systems of Equations", SIAM J. Sci. Stat. Comput. 1, 1980.
"""

import math

import numpy as np

from ..dtypes import Array


def inverses(columns: Array) -> Array:
    """From the first columns `(t, *many)` of positive definite matrices to their inverses `(*many, t, t)`."""
    from ..apply import threads
    from ..apply.compiled import compiled

    size, *many = columns.shape
    wide = np.ascontiguousarray(columns.reshape(size, -1).T, complex)
    found = np.empty((math.prod(many), size, size), complex)
    threads.share(compiled(_invert), len(wide), 12 * found.size, wide, found)
    return (found if np.iscomplexobj(columns) else np.real(found)).reshape(*many, size, size)


def _invert(columns, inverses, start, stop):
    size = columns.shape[1]
    predictor, longer = np.empty(size, np.complex128), np.empty(size, np.complex128)
    for at in range(start, stop):
        column, inverse = columns[at], inverses[at]
        # The predictor `a` of each order has a[0] = 1 and T a = error e_0.
        predictor[0], error = 1, column[0].real
        for order in range(1, size):
            missed = 0j
            for i in range(order):
                missed += column[order - i] * predictor[i]
            reflection = -missed / error
            predictor[order] = 0
            for i in range(order + 1):
                longer[i] = predictor[i] + reflection * np.conj(predictor[order - i])
            predictor[: order + 1] = longer[: order + 1]
            error *= 1 - (reflection.real**2 + reflection.imag**2)
        # Gohberg and Semencul: T^-1 = (L(a) L(a)^H - L(b) L(b)^H) / error, with lower triangular Toeplitz matrices of
        # the predictor a and of b = (0, conj(a) backwards). So along a diagonal the entries add up.
        for j in range(size):
            inverse[0, j] = np.conj(predictor[j]) / error
        for i in range(1, size):
            forward, backward = predictor[i] / error, np.conj(predictor[size - i]) / error
            inverse[i, 0] = forward
            for j in range(1, size):
                gained = forward * np.conj(predictor[j]) - backward * predictor[size - j]
                inverse[i, j] = inverse[i - 1, j - 1] + gained
