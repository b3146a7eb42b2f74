"""Whether many small Hermitian matrices are positive definite: elimination in compiled loops, each in one thread.

LAPACK's factorisation of one such matrix starts threads of its own, which cost more than they save. Pivots of
``A = L D L^H`` are positive exactly if `A` is definite; what rounding does to them is bounded as for Cholesky's
factorisation (N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002, section 10.1).

Import this module inside functions: it loads numba.
"""

import numpy as np

from ..apply.compiled import compiled


@compiled
def definite(real, imag, shift, places, found, start, stop):
    """found[i] = whether ``shift[i] I - (real + 1j imag)[places[i]]`` is definite; `imag` has size 0 for reals."""
    size, is_complex = real.shape[1], imag.size > 0
    a, b = np.empty((size, size), real.dtype), np.empty((size, size), real.dtype)
    for index in range(start, stop):
        place, found[index] = places[index], True
        for i in range(size):
            for j in range(i, size):
                a[i, j] = -real[place, i, j]
                b[i, j] = -imag[place, i, j] if is_complex else a[i, j]
            a[i, i] += shift[index]
        for k in range(size):
            if not a[k, k] > 0:
                found[index] = False
                break
            pivot_a, pivot_b = a[k], b[k]
            for i in range(k + 1, size):
                p, row_a = pivot_a[i] / pivot_a[k], a[i]
                if not is_complex:
                    for j in range(i, size):
                        row_a[j] -= p * pivot_a[j]
                    continue
                q, row_b = pivot_b[i] / pivot_a[k], b[i]
                for j in range(i, size):  # minus conj(p + iq) times the pivot's row
                    row_a[j] -= p * pivot_a[j] + q * pivot_b[j]
                    row_b[j] -= p * pivot_b[j] - q * pivot_a[j]
