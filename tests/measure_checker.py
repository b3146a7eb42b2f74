"""How often `check.adjoint` is wrong: `python tests/measure_checker.py [operators] [seeds]`.

False alarms over correct float32 and complex64 operators of every make, and detections and causes over the zoo.
"""

import collections
import sys
import time
import warnings

import numpy as np
import scipy.signal
import strategies
import zoo
from strategies import Dice

import convop

SINGLE = ("float32", "complex64")


def convolution(dice):
    return dice.choice([*strategies.pinned(strategies.convolution(dice, SINGLE).build())])


def layer(dice):
    return strategies.layer(dice, SINGLE).build()


def transpose_layer(dice):
    return strategies.transpose_layer(dice, SINGLE).build()


def chain(dice):
    inner = strategies.convolution(dice, SINGLE).build()
    return strategies.convolution_on(dice, inner.out_shape, SINGLE).build() @ inner


def gram(dice):
    A = convolution(dice)
    return A.H @ A @ A.H


def cancelling(dice):
    """(A + B) - A, with A up to a million times as large as what is left."""
    spec = strategies.convolution(dice, SINGLE)
    A = spec.build()
    B = A.with_kernel(strategies.values(dice.integer(0, 999), A.kernel.shape, A.dtype))
    return convop.Sum((A.using("fft"), B * 10.0 ** -dice.integer(0, 6), -A.using("direct")))


def nothing_left(dice):
    """What two methods disagree about: rounding and nothing else."""
    A = strategies.convolution(dice, SINGLE).build()
    return convop.Sum((A.using("fft"), -A.using("direct")))


def slender(dice):
    """One row or one column, or hardly more."""
    sizes = [dice.integer(1, 3), dice.integer(1, 5000)]
    M = strategies.values(dice.integer(0, 2**20), sizes, dice.choice(SINGLE))
    return convop.as_operator(M if dice.integer(0, 1) else np.ascontiguousarray(M.T))


def scaled(dice):
    return convolution(dice) * 10.0 ** dice.integer(-15, 15)


def foreign(dice):
    """scipy's fftconvolve, and the direct correlation as its adjoint."""
    n, k = dice.integer(1, 400), dice.integer(1, 60)
    h = strategies.values(dice.integer(0, 2**20), k, dice.choice(SINGLE))
    return convop.as_operator(
        forward=lambda x: scipy.signal.fftconvolve(x, h),
        adjoint=lambda y: scipy.signal.correlate(y, h, mode="full", method="direct")[k - 1 : k - 1 + n],
        in_shape=n,
        out_shape=n + k - 1,
        dtype=h.dtype,
    )


MAKES = (
    convolution, layer, transpose_layer, chain, gram, cancelling, nothing_left, slender, scaled, foreign,
)  # fmt: skip


def correct(seed):
    """One correct operator, and how it was made."""
    make = MAKES[seed % len(MAKES)]
    operator = make(Dice(seed))
    return make.__name__, operator.H if seed // len(MAKES) % 4 == 3 else operator


def false_alarms(count, start=0):
    """Failed reports, and the largest error in units of its bound, by make."""
    alarms, largest = [], collections.Counter()
    for seed in range(start, start + count):
        name, operator = correct(seed)
        report = convop.check.adjoint(operator, rng=seed)
        if not report:
            alarms.append((seed, name, report))
        elif report.bound > 0:
            largest[name] = max(largest[name], report.error / report.bound)
    return alarms, largest


def zoo_results(seeds):
    """(animal, report) of the whole zoo for each seed."""
    return [(animal, animal.check(rng=seed)) for seed in range(seeds) for animal in zoo.animals(seed)]


def main(count=1000, seeds=5):
    warnings.simplefilter("error")
    started = time.perf_counter()
    alarms, largest = false_alarms(count)
    print(f"false alarms: {len(alarms)} in {count} correct operators, {time.perf_counter() - started:.0f} s")
    for name, ratio in largest.most_common():
        print(f"  {name:<16} largest error / bound {ratio:.2f}")
    for seed, name, report in alarms:
        print(f"seed {seed}, {name}\n{report}")
    results = zoo_results(seeds)
    caught = sum(not report for _, report in results)
    named = sum(report.cause == animal.cause for animal, report in results)
    print(f"zoo: {caught} of {len(results)} wrong adjoints caught, {named} causes named right")
    wrong = collections.Counter((a.name, a.cause, r.cause) for a, r in results if r.cause != a.cause)
    for (name, cause, answer), times in wrong.items():
        print(f"  {name}: {cause}, was called {answer} ({times} of {seeds})")
    return bool(alarms) or caught < len(results)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
