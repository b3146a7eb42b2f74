r"""Many small Hermitian Toeplitz systems, by the recursion of Levinson and Durbin in compiled loops.

The first column of an inverse, the predictor `a`, tells all of it (I. Gohberg and A. Semencul, 1972): with lower
triangular Toeplitz matrices of `a` and of `b = (0, conj(a) backwards)`,

``T^-1 = (L(a) L(a)^H - L(b) L(b)^H) / error``.

So nothing of the size of the matrices is stored. It errs no more than elimination does: G. Cybenko, "The Numerical
Stability of the Levinson-Durbin Algorithm for Toeplitz Systems of Equations", SIAM J. Sci. Stat. Comput. 1, 1980.

The loops go over some systems at once, side by side, which is what vector instructions are for.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ..dtypes import Array, DType

DOUBLE = np.dtype(np.float64)
TOGETHER = 32  # systems side by side, so that their numbers stay in the first cache


class Toeplitz:
    """Positive definite matrices with these first columns `(*many, t)`.

    Predictors are found in double precision; products and solutions are computed in `precision`, a real type.
    """

    def __init__(self, columns: Array, precision: DType = DOUBLE) -> None:
        self.real, self.precision = not np.iscomplexobj(columns), precision
        self._given = np.ascontiguousarray(columns.reshape(-1, columns.shape[-1]), complex)
        self.columns = self._given.astype(np.result_type(precision, np.complex64), copy=False)

    @cached_property
    def _predictors(self) -> tuple[Array, Array]:
        """Of each matrix the predictor, which begins with 1, and its error."""
        found = np.empty_like(self._given)
        errors = np.empty(len(found))
        self._shared(_predict, 1, self._given, found, errors)
        return found.astype(self.columns.dtype, copy=False), errors.astype(self.precision, copy=False)

    def solve(self, right: Array) -> Array:
        """The solutions for right-hand sides `(batch, *many, t)`."""
        return self._mapped(_solve, right, *self._predictors)

    def multiply(self, vectors: Array) -> Array:
        """The products with vectors `(batch, *many, t)`."""
        return self._mapped(_multiply, vectors, self.columns)

    def _mapped(self, kernel: Callable[..., None], vectors: Array, *matrices: Array) -> Array:
        wide = np.ascontiguousarray(vectors.reshape(len(vectors), *self.columns.shape), self.columns.dtype)
        found = np.empty_like(wide)
        self._shared(kernel, 2 * len(wide), *matrices, wide, found)
        found = np.real(found) if self.real and not np.iscomplexobj(vectors) else found
        narrow = vectors.dtype if np.isrealobj(found) else np.result_type(vectors.dtype, np.complex64)
        return found.astype(narrow, copy=False).reshape(vectors.shape)

    def _shared(self, kernel: Callable[..., None], times: int, *arrays: Array) -> None:
        from ..apply import threads
        from ..apply.compiled import compiled

        work = 12.0 * times * self.columns.size * self.columns.shape[1]
        threads.share(compiled(kernel), len(self.columns), work, *arrays, TOGETHER)


def _predict(columns, predictors, errors, together, start, stop):
    """The predictor of each order from that of the last: a[0] = 1 and T a = error e_0."""
    size, together = columns.shape[1], min(together, stop - start)
    shape = (size, together)
    column_re, column_im = np.zeros(shape), np.zeros(shape)
    a_re, a_im, next_re, next_im = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    shift_re, shift_im, error = np.zeros(together), np.zeros(together), np.ones(together)
    for first in range(start, stop, together):
        width = min(together, stop - first)
        for k in range(width):
            for i in range(size):
                column_re[i, k], column_im[i, k] = columns[first + k, i].real, columns[first + k, i].imag
            a_re[0, k], a_im[0, k], error[k] = 1, 0, column_re[0, k]
        for order in range(1, size):
            for k in range(width):
                shift_re[k] = 0
                shift_im[k] = 0
                a_re[order, k] = 0
                a_im[order, k] = 0
            for i in range(order):
                for k in range(width):
                    shift_re[k] += column_re[order - i, k] * a_re[i, k] - column_im[order - i, k] * a_im[i, k]
                    shift_im[k] += column_re[order - i, k] * a_im[i, k] + column_im[order - i, k] * a_re[i, k]
            for k in range(width):  # to the reflection coefficient
                shift_re[k] /= -error[k]
                shift_im[k] /= -error[k]
                error[k] *= 1 - (shift_re[k] ** 2 + shift_im[k] ** 2)
            for i in range(order + 1):
                for k in range(width):
                    next_re[i, k] = a_re[i, k] + shift_re[k] * a_re[order - i, k] + shift_im[k] * a_im[order - i, k]
                    next_im[i, k] = a_im[i, k] + shift_im[k] * a_re[order - i, k] - shift_re[k] * a_im[order - i, k]
            a_re, next_re = next_re, a_re
            a_im, next_im = next_im, a_im
        for k in range(width):
            errors[first + k] = error[k]
            for i in range(size):
                predictors[first + k, i] = complex(a_re[i, k], a_im[i, k])


def _solve(predictors, errors, right, found, together, start, stop):
    """L(a) L(a)^H r - L(b) L(b)^H r, over the error, with b[m] = conj(a[size - m])."""
    size, together = right.shape[2], min(together, stop - start)
    a_re, a_im, r_re, r_im, p_re, p_im, q_re, q_im = np.zeros((8, size, together), errors.dtype)
    for first in range(start, stop, together):
        width = min(together, stop - first)
        for k in range(width):
            for i in range(size):
                a_re[i, k], a_im[i, k] = predictors[first + k, i].real, predictors[first + k, i].imag
        for item in range(len(right)):
            for k in range(width):
                for i in range(size):
                    r_re[i, k], r_im[i, k] = right[item, first + k, i].real, right[item, first + k, i].imag
            p_re[:], p_im[:], q_re[:], q_im[:] = r_re, r_im, 0, 0  # a[0] is 1, and b[0] is 0
            for j in range(size):
                for i in range(j + 1, size):
                    m, w = i - j, size - (i - j)
                    for k in range(width):
                        p_re[j, k] += a_re[m, k] * r_re[i, k] + a_im[m, k] * r_im[i, k]
                        p_im[j, k] += a_re[m, k] * r_im[i, k] - a_im[m, k] * r_re[i, k]
                        q_re[j, k] += a_re[w, k] * r_re[i, k] - a_im[w, k] * r_im[i, k]
                        q_im[j, k] += a_re[w, k] * r_im[i, k] + a_im[w, k] * r_re[i, k]
            r_re[:], r_im[:] = p_re, p_im
            for i in range(size):
                for j in range(i):
                    m, w = i - j, size - (i - j)
                    for k in range(width):
                        lower = a_re[m, k] * p_re[j, k] - a_im[m, k] * p_im[j, k]
                        r_re[i, k] += lower - (a_re[w, k] * q_re[j, k] + a_im[w, k] * q_im[j, k])
                        lower = a_re[m, k] * p_im[j, k] + a_im[m, k] * p_re[j, k]
                        r_im[i, k] += lower - (a_re[w, k] * q_im[j, k] - a_im[w, k] * q_re[j, k])
            for k in range(width):
                for i in range(size):
                    found[item, first + k, i] = complex(r_re[i, k] / errors[first + k], r_im[i, k] / errors[first + k])


def _multiply(columns, vectors, found, together, start, stop):
    """T v, where T[i, j] = c[i - j], and conj(c[j - i]) above the diagonal."""
    size, together = vectors.shape[2], min(together, stop - start)
    c_re, c_im, v_re, v_im, y_re, y_im = np.zeros((6, size, together), columns.real.dtype)
    for first in range(start, stop, together):
        width = min(together, stop - first)
        for k in range(width):
            for i in range(size):
                c_re[i, k], c_im[i, k] = columns[first + k, i].real, columns[first + k, i].imag
        for item in range(len(vectors)):
            for k in range(width):
                for i in range(size):
                    v_re[i, k], v_im[i, k] = vectors[item, first + k, i].real, vectors[item, first + k, i].imag
            y_re[:], y_im[:] = 0, 0
            for i in range(size):
                for j in range(i + 1):
                    m = i - j
                    for k in range(width):
                        y_re[i, k] += c_re[m, k] * v_re[j, k] - c_im[m, k] * v_im[j, k]
                        y_im[i, k] += c_re[m, k] * v_im[j, k] + c_im[m, k] * v_re[j, k]
                for j in range(i + 1, size):
                    m = j - i
                    for k in range(width):
                        y_re[i, k] += c_re[m, k] * v_re[j, k] + c_im[m, k] * v_im[j, k]
                        y_im[i, k] += c_re[m, k] * v_im[j, k] - c_im[m, k] * v_re[j, k]
            for k in range(width):
                for i in range(size):
                    found[item, first + k, i] = complex(y_re[i, k], y_im[i, k])
