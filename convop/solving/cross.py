r"""Principal submatrices of circulant matrices: the rows and columns that stand outside a crop of the torus.

The samples outside a crop form a cross of strips, one strip for each axis. Along its strip the submatrix
`R S R^H` of a circulant `S` is circulant itself, so a Fourier transform leaves a small system for each frequency,
prepared once. Solving on one strip after the other, there and back (the symmetric multiplicative Schwarz method),
preconditions conjugate gradients for the whole cross (`schwarz.py`).

Values stand on the cross as each strip has them, in frequency along it. So the samples that strips share are there more
than once: what `gather` gives has their value each time, and what `spread` takes means the sum. One is the transpose
of the other, and between the two stand the products with `S`.
"""

import math
from typing import Any

from ..arguments import Shape
from ..dtypes import Array, DType
from ..memory import available_bytes, human
from .slab import Slab
from .strip import Strip
from .torus import Torus

NEVER_LARGE = 2**26  # bytes for which nobody is asked how much memory is free, which takes as long as a small transform


def too_large(sizes: Shape, kept: tuple[Shape, ...], dtype: DType) -> str | None:
    """Whether a cross is so thick that the systems across its strips do not fit into memory, and how large they are."""
    numbers = 0
    for axis, n in enumerate(sizes):
        thickness = sum(n - shape[axis] for shape in kept)
        along = math.prod(sizes) // n // (1 if dtype.kind == "c" else 2) + 1
        numbers += thickness * along * (thickness if len(kept) > 1 else 1)  # of one component, columns tell all
    needed = 4 * 16 * numbers  # with what is made on the way
    if needed < NEVER_LARGE or needed <= available_bytes():
        return None
    return f"its kernel is so long that the cross outside the array would need {human(needed)}"


def _condition(eigenvalues: Any) -> float:
    """The ratio of the largest modulus to the least."""
    sizes = abs(eigenvalues)
    least = float(sizes.min())
    return float(sizes.max()) / least if least > 0 else math.inf


class Cross:
    """`R S R^H`, with `S` circulant on a torus and `R` the samples that are not kept.

    Parameters
    ----------
    symbol : array
        Of shape `(Q, Q, *frequencies)`: the block of `S` between `Q` components at each frequency, Hermitian and
        positive definite; in double precision.
    torus : Torus
        Where `S` is circulant.
    kept : tuple of shapes
        For each component, the crop of the torus that does not belong to the cross.
    """

    def __init__(self, symbol: Any, torus: Torus, kept: tuple[Shape, ...]) -> None:
        self.torus, self.kept, self.arrays = torus, kept, torus.arrays
        self._prepared = symbol
        known = _condition(symbol) if len(kept) == 1 else math.inf
        self.loss = self.arrays.epsilon * known**2  # of a solution, and again of what that makes on the other strips
        self.symbol = self.arrays.working(symbol)
        self.strips: list[Strip] = []
        with self.arrays.calm():
            for axis in range(len(torus.sizes)):
                if any(torus.sizes[axis] > shape[axis] for shape in kept):
                    self.strips.append(Strip(self, axis, self.strips[:]))

    def between_layers(self, axis: int, lags: Array) -> Any:
        """The response at these lags along one axis, at the frequencies of the others: `(Q, Q, *half, lags)`."""
        pairs = self._prepared.reshape((-1, 1, *self._prepared.shape[2:]))
        found = Slab(self.torus, axis, [lags], exact=True).drop(pairs)
        return found.reshape((len(self.kept), len(self.kept), *found.shape[1:]))

    def gather(self, spectra: Any) -> Any:
        """The values on each strip of arrays with these spectra `(batch, Q, *frequencies)`."""
        return self.joined([strip.drop(spectra) for strip in self.strips], spectra)

    def spread(self, z: Any) -> Any:
        """The spectra of the sums of what `z` has on each strip."""
        parts = [(strip, strip.load(z)) for strip in self.strips]
        lifted = [strip.lift(values) for strip, values in parts if bool((values != 0).any())]
        if not lifted:
            return self.arrays.zeros((z.shape[0], len(self.kept), *self.symbol.shape[2:]), z) * complex(1)
        whole, *rest = lifted
        for each in rest:
            whole += each
        return whole

    def distinct(self, z: Any) -> Any:
        """From the values of an array on each strip to such whose sum is that array: each sample on one strip only."""
        return self.joined([strip.distinct(strip.load(z)) for strip in self.strips], z)

    def remaining(self, rho: Any) -> Any:
        """The spectra of arrays with the values that `sweep` leaves, which are none on the first strip."""
        return self.spread(self.distinct(rho) if len(self.strips) > 2 else rho)

    def multiply(self, z: Any) -> Any:
        """What the sum of what `z` has on each strip makes on each."""
        return self.gather(self.mixed(self.spread(z)))

    def joined(self, parts: list[Any], like: Any) -> Any:
        """Values on each strip as an array `(batch, numbers)` of the type of `like`."""
        flat = [strip.stored(values) for strip, values in zip(self.strips, parts, strict=True)]
        return self.arrays.xp.concatenate(flat, 1) if flat else self.arrays.zeros((like.shape[0], 0), like)

    def agreed(self, parts: list[Any]) -> list[Any]:
        """The same values for each strip that has a sample: rounding makes them differ, which no solution explains."""
        if len(self.strips) < 2:
            return parts
        signals = [strip.signal(values) for strip, values in zip(self.strips, parts, strict=True)]
        flat = [each.reshape((each.shape[0], -1)) for each in signals]
        for strip, values in zip(self.strips, flat, strict=True):
            for before, (theirs, ours) in zip(flat, strip.shared, strict=False):
                values[:, ours] = before[:, theirs]
        later = zip(self.strips[1:], signals[1:], flat[1:], strict=True)
        return [parts[0], *(strip.spectrum(values.reshape(signal.shape)) for strip, signal, values in later)]

    def mixed(self, spectra: Any) -> Any:
        """`S` in frequency; `spectra` are spent."""
        if len(self.kept) == 1:
            spectra *= self.symbol[0, 0]  # in place: writing memory for the first time takes longer than multiplying
            return spectra
        return self.arrays.xp.einsum("qr...,br...->bq...", self.symbol, spectra)
