"""The few array functions that the solvers need, so that the same lines run on numpy arrays and on others.

Everything else in them is spelt alike in numpy and in torch: operators, indexing, `reshape`, `sum`, `@`.
"""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..apply import threads
from ..apply.blas import in_one_thread
from ..apply.transforms import transform_workers
from ..arguments import Shape
from ..dtypes import Array, DType
from .hermitian_toeplitz import DOUBLE, Toeplitz


@dataclass(frozen=True)
class Arrays:
    """numpy's arrays, transformed by `scipy.fft`, so that a backend set there is used.

    `precision` is the real type in which is solved; what is prepared once is prepared in double precision.
    """

    precision: DType
    xp: ClassVar[Any] = np

    @property
    def epsilon(self) -> float:
        """The rounding unit of the precision."""
        return float(np.finfo(self.precision).eps)

    def transform(self, u: Any, axes: tuple[int, ...], real: bool) -> Any:
        """The discrete Fourier transform; of real arrays the half that is not redundant, on the last of `axes`."""
        import scipy.fft

        return (scipy.fft.rfftn if real else scipy.fft.fftn)(u, axes=axes, workers=transform_workers(u.size))

    def back(self, spectrum: Any, axes: tuple[int, ...], sizes: Shape, real: bool) -> Any:
        """The inverse of `transform`, to arrays of `sizes` along `axes`."""
        import scipy.fft

        inverse = scipy.fft.irfftn if real else scipy.fft.ifftn
        return inverse(spectrum, s=sizes, axes=axes, workers=transform_workers(spectrum.size))

    def zeros(self, shape: Shape, like: Any) -> Any:
        """Zeros of the type of `like`."""
        return np.zeros(shape, like.dtype)

    def placed(self, shape: Shape, places: NDArray[np.intp], values: Array) -> Any:
        """Zeros of `shape` with `values` added at these flat places, where several may meet."""
        whole = np.zeros(math.prod(shape), values.dtype)
        np.add.at(whole, places, values)
        return whole.reshape(shape)

    def native(self, values: Array) -> Any:
        """A numpy array as one of these, as precise as it is."""
        return values

    def working(self, values: Any) -> Any:
        """An array of floating numbers in the precision in which is solved."""
        imaginary = np.complex64 if np.iscomplexobj(values) else np.float32
        return values.astype(np.result_type(self.precision, imaginary), copy=False)

    def host(self, values: Any) -> Array:
        """An array, or a number, as numpy's."""
        return np.asarray(values)

    def calm(self) -> AbstractContextManager[None]:
        """Within it, BLAS starts no threads, which would wait busily for more work and take the transforms' cores."""
        return in_one_thread()

    def product(self, a: Any, b: Any) -> Any:
        """The product of two matrices, or of stacks of them, one of which is thin."""
        if np.isrealobj(a) and np.iscomplexobj(b):  # by half of the multiplications
            return self.complex_of(self.product(a, self.reals_of(b)))
        many = max(math.prod(a.shape[:-2]), math.prod(b.shape[:-2]))
        work = 2 * many * a.shape[-2] * a.shape[-1] * b.shape[-1]  # BLAS is twice as fast as our loops
        if work <= threads.WORTH_SHARING:
            return a @ b
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        whole = np.empty((*lead, a.shape[-2], b.shape[-1]), np.result_type(a, b))

        def rows(start: int, stop: int) -> None:
            np.matmul(a[..., start:stop, :], b, out=whole[..., start:stop, :])

        threads.share(rows, a.shape[-2], work)
        return whole

    def each_times(self, matrices: Any, vectors: Any) -> Any:
        """Matrices `(*many, t, t)` times vectors `(batch, *many, t)`."""
        columns = np.moveaxis(vectors, 0, -1) if len(vectors) > 1 else vectors[0][..., None]
        return np.moveaxis(matrices @ columns, -1, 0)

    def complex_of(self, pairs: Any) -> Any:
        """From pairs of real numbers on the last axis to complex ones."""
        return pairs.view(np.result_type(pairs.dtype, np.complex64))

    def reals_of(self, values: Any) -> Any:
        """What `complex_of` undoes; real numbers as they are."""
        return np.ascontiguousarray(values).view(np.finfo(values.dtype).dtype)

    def squares(self, u: Any) -> Any:
        """The sum of the squared moduli of each array of a batch, in one pass."""
        reals = self.reals_of(u.reshape((u.shape[0], -1)))
        return self.xp.einsum("bi,bi->b", reals, reals)

    def inverses(self, matrices: Any) -> Any:
        """Of many small matrices `(*many, t, t)`."""
        with self.calm():
            return np.linalg.inv(matrices)

    def toeplitz(self, columns: Any, careful: bool) -> Any:
        """Positive definite Toeplitz systems `(*many, t, t)` with these first columns `(*many, t)`.

        `careful` ones are solved in double precision.
        """
        return Toeplitz(columns, DOUBLE if careful else self.precision)
