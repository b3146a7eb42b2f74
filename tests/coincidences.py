"""Random pairs of small convolutions, of which many become one for the values in their kernels alone."""

import collections

import numpy as np
import oracle

import convop
from convop.errors import GeometryError


def boundary(rng):
    """One name for both sides, or one for each."""
    if rng.random() < 0.15:
        return "periodic"
    names = rng.choice(oracle.ONE_SIDED, 2)
    return tuple(map(str, names)) if rng.random() < 0.3 else str(names[0])


def part(rng, sizes):
    """A kernel of -1, 0 and 1, complex at times, with the rest of its arguments."""
    taps = tuple(int(k) for k in rng.integers(1, 5 if len(sizes) == 1 else 4, len(sizes)))
    kernel = rng.integers(-1, 2, taps) + (1j * rng.integers(-1, 2, taps) if rng.random() < 0.3 else 0)
    options = {"center": tuple(int(rng.integers(k)) for k in taps), "boundary": tuple(boundary(rng) for _ in sizes)}
    return kernel, options


def pairs(number, seed):
    """`number` times two parts, outer first, the sizes, and both operators."""
    rng = np.random.default_rng(seed)
    while number:
        ndim = int(rng.integers(1, 3))
        sizes = tuple(int(n) for n in rng.integers(1, 7 if ndim == 1 else 5, ndim))
        parts = [part(rng, sizes) for _ in range(2)]
        try:
            operators = [convop.Convolution(kernel, sizes, **options) for kernel, options in parts]
        except GeometryError:  # nothing to reflect
            continue
        number -= 1
        yield parts, sizes, operators


def composed(parts, sizes, boundary):
    """The matrix of the one convolution with the composed kernel, None where it would have nothing to reflect."""
    (g, outer), (h, inner) = parts
    kernel = np.zeros([p + q - 1 for p, q in zip(g.shape, h.shape, strict=True)], complex)
    for t in np.ndindex(*g.shape):
        kernel[tuple(slice(i, i + k) for i, k in zip(t, h.shape, strict=True))] += g[t] * h
    center = tuple(p + q for p, q in zip(outer["center"], inner["center"], strict=True))
    try:
        return oracle.convolution_matrix(kernel, sizes, center=center, boundary=boundary)
    except (ValueError, ZeroDivisionError):
        return None


def counts(number, seed):
    """What became of pairs, and whether what is said of them is right; a wrong matrix raises AssertionError."""
    found = collections.Counter()
    for parts, sizes, (outer, inner) in pairs(number, seed):
        dense = np.linalg.multi_dot(
            [oracle.convolution_matrix(kernel, sizes, **options) for kernel, options in parts]
            + [np.eye(outer.shape[1])]
        )
        product = outer @ inner
        assert np.array_equal(product.toarray(), dense)
        if isinstance(product, convop.Convolution):
            found["one"] += 1
            found["by values"] += "values in the kernels" in str(convop.explain(product))
            continue
        found["apart"] += 1
        found["apart, one axis"] += len(sizes) == 1
        others = [composed(parts, sizes, each.geometry.boundary) for each in (inner, outer)]
        found["missed"] += any(matrix is not None and np.array_equal(matrix, dense) for matrix in others)
        (seam,) = convop.explain(product).seams
        if others[0] is None:
            continue
        differ = (others[0] != dense).any(axis=1).reshape(sizes)
        found["rows right"] += np.array_equal(seam.rows, differ) and f"{differ.sum()} of {differ.size}" in seam.reason
        found["ends right"] += len(sizes) == 1 and sum(seam.axes[0].rows) == differ.sum()
    return found
