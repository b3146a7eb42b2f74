r"""Many small Hermitian Toeplitz systems, by the recursion of Levinson and Durbin in compiled loops.

The first column of an inverse, the predictor `a`, tells all of it (I. Gohberg and A. Semencul, 1972): with lower
triangular Toeplitz matrices of `a` and of `b = (0, conj(a) backwards)`,

``T^-1 = (L(a) L(a)^H - L(b) L(b)^H) / error``.

So nothing of the size of the matrices is stored. It errs no more than elimination does: G. Cybenko, "The Numerical
Stability of the Levinson-Durbin Algorithm for Toeplitz Systems of Equations", SIAM J. Sci. Stat. Comput. 1, 1980.

The loops go over some systems at once, side by side, which is what vector instructions are for.
"""

from collections.abc import Callable

import numpy as np

from ..apply import threads
from ..apply.compiled import compiled
from ..dtypes import Array, DType

DOUBLE = np.dtype(np.float64)
TOGETHER = 32  # systems side by side, so that their numbers stay in the first cache


class Toeplitz:
    """Positive definite matrices with these first columns `(*many, t)`.

    Predictors are found in double precision; products and solutions are computed in `precision`, a real type.
    """

    def __init__(self, columns: Array, precision: DType = DOUBLE) -> None:
        self.real, self.precision = not np.iscomplexobj(columns), precision
        given = np.ascontiguousarray(columns.reshape(-1, columns.shape[-1]), complex)
        self.columns = given.astype(np.result_type(precision, np.complex64), copy=False)
        self._predictors = self._predicted(given)

    def _predicted(self, given: Array) -> tuple[Array, Array]:
        """Of each matrix the predictor, which begins with 1, and its error."""
        found, errors = np.empty_like(given), np.empty(len(given))
        self._shared(_predict, 1, given, found, errors)
        return found.astype(self.columns.dtype, copy=False), errors.astype(self.precision, copy=False)

    def solve(self, right: Array) -> Array:
        """The solutions for right-hand sides `(batch, *many, t)`."""
        return self._mapped(_solve, right, *self._predictors)

    def multiply(self, vectors: Array) -> Array:
        """The products with vectors `(batch, *many, t)`."""
        return self._mapped(_multiply, vectors, self.columns)

    def _mapped(self, kernel: Callable[..., None], vectors: Array, *matrices: Array) -> Array:
        lines = np.ascontiguousarray(vectors.reshape(len(vectors), *self.columns.shape), self.columns.dtype)
        found = np.empty_like(lines)
        self._shared(kernel, 2 * len(lines), *matrices, lines, found)
        found = np.real(found) if self.real and not np.iscomplexobj(vectors) else found
        narrow = vectors.dtype if np.isrealobj(found) else np.result_type(vectors.dtype, np.complex64)
        return found.astype(narrow, copy=False).reshape(vectors.shape)

    def _shared(self, kernel: Callable[..., None], times: int, *arrays: Array) -> None:
        work = 12.0 * times * self.columns.size * self.columns.shape[1]
        threads.share(compiled(kernel), len(self.columns), work, *arrays, TOGETHER)


def _predict(columns, predictors, errors, together, start, stop):
    """The predictor of each order from that of the last: a[0] = 1 and T a = error e_0."""
    size, together = columns.shape[1], min(together, stop - start)
    shape = (size, together)
    column, a, longer = np.zeros(shape, columns.dtype), np.zeros(shape, columns.dtype), np.zeros(shape, columns.dtype)
    shift, error = np.zeros(together, columns.dtype), np.ones(together)
    for first in range(start, stop, together):
        width = min(together, stop - first)
        for k in range(width):
            for i in range(size):
                column[i, k] = columns[first + k, i]
            a[0, k], error[k] = 1, column[0, k].real
        for order in range(1, size):
            shift[:], a[order] = 0, 0
            for i in range(order):
                for k in range(width):
                    shift[k] += column[order - i, k] * a[i, k]
            for k in range(width):  # to the reflection coefficient
                shift[k] /= -error[k]
                error[k] *= 1 - (shift[k].real ** 2 + shift[k].imag ** 2)
            for i in range(order + 1):
                for k in range(width):
                    longer[i, k] = a[i, k] + shift[k] * a[order - i, k].conjugate()
            a, longer = longer, a
        for k in range(width):
            errors[first + k] = error[k]
            for i in range(size):
                predictors[first + k, i] = a[i, k]


def _solve(predictors, errors, right, found, together, start, stop):
    """L(a) L(a)^H r - L(b) L(b)^H r, over the error, with b[m] = conj(a[size - m]).

    Two terms at a time, so that sums are read and written half as often; a row of zeros stands where one is missing:
    after those of `a` and `r`, and before those of ``p = L(a)^H r`` and ``q = L(b)^H r``.
    """
    size, together = right.shape[2], min(together, stop - start)
    shape = (size + 1, together)
    a, r = np.zeros(shape, right.dtype), np.zeros(shape, right.dtype)
    p, q = np.zeros(shape, right.dtype), np.zeros(shape, right.dtype)
    for first in range(start, stop, together):
        width = min(together, stop - first)
        for k in range(width):
            for i in range(size):
                a[i, k] = predictors[first + k, i]
        for item in range(len(right)):
            for k in range(width):
                for i in range(size):
                    r[i, k] = right[item, first + k, i]
            p[1:], q[1:] = r[:size], 0  # a[0] is 1, and b[0] is 0
            for j in range(size):
                for i in range(j + 1, size, 2):
                    d, e = i - j, size - i + j
                    for k in range(width):
                        p[j + 1, k] += a[d, k].conjugate() * r[i, k] + a[d + 1, k].conjugate() * r[i + 1, k]
                        q[j + 1, k] += a[e, k] * r[i, k] + a[e - 1, k] * r[i + 1, k]
            r[:size] = p[1:]
            for i in range(size):
                for j in range(i, 0, -2):
                    d, e = i - j + 1, size - i + j - 1
                    for k in range(width):
                        r[i, k] += a[d, k] * p[j, k] + a[d + 1, k] * p[j - 1, k]
                        r[i, k] -= a[e, k].conjugate() * q[j, k] + a[e - 1, k].conjugate() * q[j - 1, k]
            for k in range(width):
                for i in range(size):
                    found[item, first + k, i] = r[i, k] / errors[first + k]


def _multiply(columns, vectors, found, together, start, stop):
    """T v, where T[i, j] = c[i - j], and conj(c[j - i]) above the diagonal."""
    size, together = vectors.shape[2], min(together, stop - start)
    shape = (size, together)
    c, v, y = np.zeros(shape, vectors.dtype), np.zeros(shape, vectors.dtype), np.zeros(shape, vectors.dtype)
    for first in range(start, stop, together):
        width = min(together, stop - first)
        for k in range(width):
            for i in range(size):
                c[i, k] = columns[first + k, i]
        for item in range(len(vectors)):
            for k in range(width):
                for i in range(size):
                    v[i, k] = vectors[item, first + k, i]
            y[:] = 0
            for i in range(size):
                for j in range(i + 1):
                    for k in range(width):
                        y[i, k] += c[i - j, k] * v[j, k]
                for j in range(i + 1, size):
                    for k in range(width):
                        y[i, k] += c[j - i, k].conjugate() * v[j, k]
            for k in range(width):
                for i in range(size):
                    found[item, first + k, i] = y[i, k]
