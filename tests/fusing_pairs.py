"""Random pairs of convolutions, for each rule of composition just inside and just outside its condition.

A pair is made axis by axis: one axis carries the rule in question, the others read nothing outside.
"""

from dataclasses import dataclass

import numpy as np
import oracle

import convop
from convop.errors import GeometryError

EVEN = ("symmetric", "mirror", "antireflective")
RULES = ("inside reads", "zero", "replicate", "periodic", "even", "pointwise")


@dataclass
class Axis:
    """One axis of an inner (b) and an outer (a) layer."""

    n: int
    taps: tuple[int, int]  # outer, inner
    dilation: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    boundary: tuple
    symmetric: bool = False


def outputs(n, k, d, s, pads):
    return (n + sum(pads) - (k - 1) * d - 1) // s + 1


def quiet_axis(rng):
    """Nothing outside is read."""
    k, d, s = rng.integers(1, 3, 2), rng.integers(1, 3, 2), rng.integers(1, 3, 2)
    return Axis(int(rng.integers(6, 9)), tuple(k), tuple(d), tuple(s), ((0, 0), (0, 0)), ("zero", "zero"))


def inside_reads(rng, inside):
    """(i) the outer operator reads nothing outside the inner one's output; else it reads one sample."""
    axis = quiet_axis(rng)
    boundary = str(rng.choice(["zero", "replicate", *EVEN]))
    axis.boundary = ("replicate" if not inside else boundary, boundary)
    axis.taps, axis.dilation = (2, int(rng.integers(2, 4))), (1, int(rng.integers(1, 3)))
    axis.padding = ((0, 0), (int(rng.integers(0, 3)), 0)) if inside else ((1, 0), (0, 0))
    return axis


def zero(rng, inside):
    """(ii) the inner operator computes all that is not zero before its output, just so or one sample too few."""
    k, d, s = int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
    least = (k - 1) * d + 1 - s
    if not inside and least < 1:
        d, least = s + 1, (k - 1) * (s + 1) + 1 - s
    before = max(least, 0) if inside else least - 1
    return Axis(int(rng.integers(5, 8)), (2, k), (1, d), (1, s), ((1, 0), (before, k * d)), ("zero", "zero"))


def replicate(rng, inside):
    """Copies of the edge sample: the inner operator's first output reads nothing but copies, or one sample more."""
    k, d, s = int(rng.integers(2, 4)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
    before = (k - 1) * d - (not inside)
    return Axis(int(rng.integers(4, 8)), (2, k), (1, d), (1, s), ((1, 0), (before, 0)), ("replicate", "replicate"))


def periodic(rng, inside):
    """(iii) the inner output has the period of the outer operator, or one sample more."""
    s, k, d = int(rng.integers(1, 4)), rng.integers(2, 5, 2), rng.integers(1, 3, 2)
    m = int(rng.integers(2, 4))
    n, reach = m * s, (k[1] - 1) * d[1] + 1
    before = int(rng.integers(0, reach))
    # m outputs need (m - 1) s + reach samples.
    after = (m - 1 + (not inside)) * s + reach - n - before
    if after < 0:
        before, after = before + after, 0
    pads = (1, int(rng.integers(0, 3)))
    return Axis(n, tuple(k), tuple(d), (int(rng.integers(1, 3)), s), (pads, (before, after)), ("periodic",) * 2)


def even(rng, inside):
    """(iv) a reflecting boundary, equal sizes and an inner kernel that is symmetric about its centre, or is not."""
    name, half, d = str(rng.choice(EVEN)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
    sides = [(1, 1), (1, 0), (2, 1)][rng.integers(3)]
    return Axis(
        int(rng.integers(4, 8)), (3, 2 * half + 1), (1, d), (int(rng.integers(1, 3)), 1),
        (sides, (half * d, half * d)), (name, name), symmetric=inside,
    )  # fmt: skip


def pointwise(rng, inside):
    """One inner tap on the sample itself commutes with every extension; one beside it does not."""
    name = str(rng.choice([*EVEN, "replicate"]))
    pads = (0, 0) if inside else (1, 0)
    if not inside:
        name = "replicate"
    return Axis(int(rng.integers(4, 8)), (3, 1 if inside else 2), (1, 1), (1, 1), ((1, 1), pads), (name, name))


MAKERS = dict(zip(RULES, (inside_reads, zero, replicate, periodic, even, pointwise), strict=True))


def kernel(rng, shape, symmetric, axis):
    """Complex, no tap zero; on request symmetric along `axis`."""
    values = rng.integers(1, 5, shape) + 1j * rng.integers(1, 5, shape)
    values[..., -1] += 5  # lopsided
    values[tuple(slice(None) if i != axis + 2 else slice(-1, None) for i in range(len(shape)))] += 3
    return values + np.flip(values, axis + 2) if symmetric else values


def pair(rng, rule, inside):
    """`(outer, inner, dense product)`, or None where the arguments make no layer."""
    ndim = int(rng.integers(1, 3))
    where = int(rng.integers(ndim))
    axes = [MAKERS[rule](rng, inside) if axis == where else quiet_axis(rng) for axis in range(ndim)]
    c = [int(v) for v in rng.choice([1, 2, 4], 3)]
    groups = [
        int(rng.choice([g for g in (1, 2, 4) if p % g == 0 and q % g == 0])) for p, q in ((c[1], c[2]), (c[0], c[1]))
    ]
    sizes = [axis.n for axis in axes]
    built, dense = [], []
    for which, (c_in, c_out) in ((1, (c[0], c[1])), (0, (c[1], c[2]))):
        shape = (c_out, c_in // groups[which], *(axis.taps[which] for axis in axes))
        weight = kernel(rng, shape, which == 1 and axes[where].symmetric, where)
        options = {
            "stride": tuple(int(axis.stride[which]) for axis in axes),
            "dilation": tuple(int(axis.dilation[which]) for axis in axes),
            "padding": tuple(tuple(int(p) for p in axis.padding[which]) for axis in axes),
            "groups": groups[which],
            "boundary": tuple(axis.boundary[which] for axis in axes),
        }
        try:
            built.append(convop.conv_layer(weight, (c_in, *sizes), **options))
        except GeometryError:
            return None
        dense.append(oracle.layer_matrix(weight, (c_in, *sizes), **options))
        sizes = built[-1].out_shape[1:]
    return built[1], built[0], dense[1] @ dense[0]


def pairs(rule, inside, number, seed=0):
    """`number` pairs inside or outside the condition of `rule`."""
    rng = np.random.default_rng([seed, RULES.index(rule), inside])
    while number:
        made = pair(rng, rule, inside)
        if made is not None:
            number -= 1
            yield made
