"""One axis of a convolution in a basis: which bases it has, and what its taps become there.

A tap that reads at lag `l` multiplies the DFT at frequency `f` of `m` by `exp(2 pi i f l / m)`. Under a half-sample
boundary a kernel that is even about lag 0 multiplies the DCT-II at frequency `k` of `n` by the sum of its taps times
`cos(pi k l / n)` (G. Strang, "The Discrete Cosine Transform", SIAM Review 41, 1999: the symmetric extension is
periodic in `2 n`, and even).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..apply.blas import in_one_thread
from ..apply.threads import share
from ..convolution import Convolution
from ..dtypes import Array
from ..geometry import Geometry
from .basis import DCT, DFT, EVEN, ODD

# Taps on an axis up to which multiplying by cosines is faster than transforming the array they stand in.
FEW_TAPS = 32
SMALL_PRODUCT = 2**17  # multiply-adds of a piece of a product


@dataclass(frozen=True)
class Line:
    """An axis of a convolution, with the taps at its ends that are zero left out.

    `parity` is 1 where the taps are even about the middle of the kernel, -1 where they are odd, 0 where neither.
    """

    geometry: Geometry
    first: int
    parity: int
    vanishes: bool

    @classmethod
    def of(cls, A: Convolution, axis: int) -> "Line":
        g, at = A.geometry, axis + 2
        taps = np.flatnonzero(A.weight.any(axis=tuple(i for i in range(A.weight.ndim) if i != at)))
        first, last = (int(taps[0]), int(taps[-1])) if len(taps) else (0, g.kernel[axis] - 1)
        before, after = g.padding[axis]
        d = g.dilation[axis]
        geometry = Geometry.make(
            g.spatial[axis], last - first + 1, stride=g.stride[axis], dilation=d, boundary=(g.boundary[axis],),
            padding=((before - first * d, after - (g.kernel[axis] - 1 - last) * d),),
        )  # fmt: skip
        kept = A.weight.take(np.arange(first, last + 1), at)
        turned = np.flip(kept, at)
        parity = 1 if np.array_equal(kept, turned) else -1 if np.array_equal(kept, -turned) else 0
        return cls(geometry, first, parity, len(taps) == 0)

    @property
    def single(self) -> bool:
        """Whether one sample becomes one sample."""
        return self.geometry.spatial == self.geometry.out_spatial == (1,)

    @property
    def same(self) -> bool:
        """Whether there are as many outputs as inputs, at stride 1."""
        g = self.geometry
        return g.stride == (1,) and g.spatial == g.out_spatial

    @property
    def pointwise(self) -> bool:
        """Whether the axis does nothing, so that every basis serves."""
        g = self.geometry
        return self.single or (self.same and (self.vanishes or (g.kernel == (1,) and g.lags(0)[0] == 0)))

    @property
    def wraps(self) -> bool:
        """Whether outputs are one turn of a periodic axis, or reach over it without reading outside."""
        g = self.geometry
        return g.is_periodic(0) and g.out_spatial[0] * g.stride[0] == g.spatial[0]

    def extends_as(self, boundary: str) -> bool:
        """Whether sizes stay, and what is read outside stands as this boundary has it."""
        g = self.geometry
        if not self.same or g.spatial == (1,):
            return False
        alike = Geometry.make(g.spatial, g.kernel, dilation=g.dilation, padding=g.padding, boundary=boundary)
        ours, theirs = g.extension(0), alike.extension(0)
        return all(np.array_equal(getattr(ours, of), getattr(theirs, of)) for of in ("position", "index", "weight"))

    @property
    def middle(self) -> int:
        """Twice the lag at the middle of the taps."""
        lags = self.geometry.lags(0)
        return int(lags[0] + lags[-1])

    @property
    def kinds(self) -> tuple[str, ...]:
        """The bases in which the axis is a number, or a block of phases, at each frequency."""
        if self.pointwise:
            return DFT, DCT
        return (DFT,) * self.wraps + (DCT,) * (self.even and self.extends_as("symmetric"))

    @property
    def even(self) -> bool:
        """Whether the taps are even about lag 0."""
        return self.parity == 1 and self.middle == 0

    @property
    def similar_kinds(self) -> tuple[str, ...]:
        """The bases, orthogonal or not, in which the axis is a number at each frequency: its eigenvalues.

        Beyond `kinds` those of even kernels under a whole-sample symmetric boundary (DCT-I) and an antireflective one
        (S. Serra-Capizzano, "A note on antireflective boundary conditions", SIAM J. Sci. Comput. 25, 2004).
        """
        if self.pointwise:
            return DFT, DCT, EVEN, ODD
        whole = [
            kind for kind, name in ((EVEN, "mirror"), (ODD, "antireflective")) if self.even and self.extends_as(name)
        ]
        return (*self.kinds, *whole)

    @property
    def gram_kinds(self) -> tuple[str, ...]:
        """The bases in which `L^H L` is; beyond `kinds`, those of odd taps about lag 0 or half a sample beside it.

        Half-sample extension makes the signal even; odd taps turn its cosines into sines, `sin(pi k (i + 1/2) / n)`
        or `sin(pi k (i + 1) / n)`, and those are orthogonal and of equal norms (DST-II, DST-I).
        """
        odd = self.parity == -1 and abs(self.middle) <= 1 and self.extends_as("symmetric")
        return self.kinds + (DCT,) * (odd and DCT not in self.kinds)

    @property
    def phases(self) -> int:
        return 1 if self.single else self.geometry.stride[0]

    def why_not(self, axis: int) -> str:
        """Why the axis has no basis."""
        g = self.geometry
        names = " and ".join(repr(name) for name in dict.fromkeys(g.boundary[0]))
        if "periodic" in g.boundary[0] or g.is_periodic(0):
            return f"axis {axis} has {g.out_spatial[0]} outputs with stride {g.stride[0]} of {g.spatial[0]} samples"
        if self.extends_as("symmetric"):
            return f"axis {axis} reads outside with boundary {names}, and the kernel is not symmetric about its centre"
        if set(g.boundary[0]) <= {"symmetric", "zero"} and not self.same and "symmetric" in g.boundary[0]:
            return f"axis {axis} has {g.out_spatial[0]} outputs with stride {g.stride[0]} of {g.spatial[0]} samples"
        return f"axis {axis} reads outside with boundary {names}, which no orthogonal transform diagonalises"

    def transformed(self, values: Array, kind: str, halved: bool) -> Array:
        """`values` `(before, taps, after)` at each frequency: `(before, frequencies, phases, after)`."""
        few = self.single or values.shape[1] <= FEW_TAPS
        return self._multiplied(values, kind, halved) if few else self._through_fft(values, kind, halved)

    def _multiplied(self, values: Array, kind: str, halved: bool) -> Array:
        coefficients = self._coefficients(kind, halved)
        mixed = _products(coefficients.reshape(-1, values.shape[1]), values)
        return mixed.reshape(values.shape[0], *coefficients.shape[:2], values.shape[2])

    def _coefficients(self, kind: str, halved: bool) -> Array:
        """What each tap is multiplied by: `(frequencies, phases, taps)`."""
        g, lags = self.geometry, self.geometry.lags(0)
        if self.single:
            return self._on_one_sample()[None, None]
        period, offset, phase = self._turns(kind)
        frequencies = self._frequencies(kind, halved)
        angle = 2 * np.pi / period * (np.multiply.outer(frequencies, offset) % period)
        if kind != DFT and self.parity == 1:
            return np.cos(angle)[:, None]
        here = phase == np.arange(g.stride[0])[:, None]
        waves = here * (np.exp(1j * angle) if period > 1 else np.ones_like(angle))[:, None]
        assert waves.shape == (len(frequencies), g.stride[0], len(lags))
        return waves

    def _through_fft(self, values: Array, kind: str, halved: bool) -> Array:
        """The same by transforming the torus on which the taps stand."""
        import scipy.fft

        period, offset, phase = self._turns(kind)
        torus = np.zeros((values.shape[0], period, self.geometry.stride[0], values.shape[2]), values.dtype)
        np.add.at(torus, (slice(None), -offset % period, phase), values)  # pyright: ignore[reportArgumentType]
        spectrum = np.asarray(scipy.fft.fft(torus, axis=1))[:, self._frequencies(kind, halved)]
        real = (period == 1 or (kind != DFT and self.parity == 1)) and values.dtype.kind != "c"
        return np.real(spectrum) if real else spectrum

    def _turns(self, kind: str) -> tuple[int, NDArray[np.intp], NDArray[np.intp]]:
        """The period of the torus, and on it offset and phase of what each tap reads."""
        g, lags = self.geometry, self.geometry.lags(0)
        if kind != DFT:
            return 2 * (g.spatial[0] - (kind != DCT)), lags, np.zeros_like(lags)
        return g.out_spatial[0], lags // g.stride[0], lags % g.stride[0]

    def _frequencies(self, kind: str, halved: bool) -> NDArray[np.intp]:
        m = self.geometry.out_spatial[0]
        if kind == ODD:  # straight lines stay as they are, at both ends
            return np.arange(m) % (m - 1)
        return np.arange(m // 2 + 1 if halved and kind == DFT else m)

    def _on_one_sample(self) -> Array:
        """How much of the only sample each tap reads."""
        g, extension = self.geometry, self.geometry.extension(0)
        before = g.padding[0][0]
        standing = np.zeros(max(g.extended[0], before + 1))
        standing[before] = 1
        standing[extension.position] = extension.weight.sum(axis=1)
        return standing[np.arange(g.kernel[0]) * g.dilation[0]]


def _products(left: Array, right: Array) -> Array:
    """`left @ right` for each of `right`, in pieces that threads share."""
    count, _, columns = right.shape
    width = max(1, SMALL_PRODUCT // left.size)
    pieces = -(-columns // width)
    out = np.empty((count, len(left), columns), np.result_type(left, right))

    def multiply(start: int, stop: int) -> None:
        for task in range(start, stop):
            index, first = task // pieces, task % pieces * width
            np.matmul(left, right[index, :, first : first + width], out=out[index, :, first : first + width])

    with in_one_thread():
        share(multiply, count * pieces, float(count * left.size * columns))
    return out
