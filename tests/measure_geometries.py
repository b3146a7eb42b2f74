"""Random geometries against the oracle, and layers against torch: how many, and the largest error.

    python tests/measure_geometries.py --number 10000

For each dtype and method: the operators tried and the largest relative error of forward, adjoint and matrix, where
"relative" is to the largest value that the sizes of kernel and signal allow.
"""

import argparse
import sys
import time
import warnings
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import oracle
import strategies

RECIPES = {
    "convolution": strategies.convolution,
    "layer": strategies.layer,
    "transposed layer": strategies.transpose_layer,
}


def torch_answer(spec, x):
    """What torch makes of a zero-boundary layer, or None where torch has no such layer."""
    import torch

    weight, signal = torch.from_numpy(spec.weight), torch.from_numpy(x)
    ndim = len(spec.in_shape) - 1
    common = {"stride": spec.stride, "dilation": spec.dilation, "groups": spec.groups}
    if isinstance(spec, strategies.TransposeSpec):
        function = getattr(torch.nn.functional, f"conv_transpose{ndim}d")
        common |= {"padding": spec.padding, "output_padding": spec.output_padding}
        return function(signal, weight, **common).numpy()
    function = getattr(torch.nn.functional, f"conv{ndim}d")
    if any(name != "zero" for pair in oracle.per_side(spec.boundary, ndim) for name in pair):
        return None
    if isinstance(spec.padding, tuple) and np.ndim(spec.padding) == 2:
        if any(before != after for before, after in spec.padding):
            return None
        common["padding"] = tuple(before for before, _ in spec.padding)
    else:
        common["padding"] = spec.padding
    return function(signal, weight, **common).numpy()


def measure(number, seed, report=print):
    """Try `number` random specs; returns the counts and the largest errors by (against, dtype, method)."""
    worst, count = defaultdict(float), defaultdict(int)

    def note(key, got, want, matrix, x, spec):
        size = oracle.error(got, want, matrix, x)
        count[key] += 1
        worst[key] = max(worst[key], size)
        if not size <= 1000 * np.finfo(key[1]).eps:
            report(f"WRONG by {size:.1e} against {key}: {spec}")

    def compare(i, spec):
        operator, matrix = spec.build(), spec.matrix()
        dtype, backward = operator.dtype.name, matrix.conj().T
        x = strategies.values(2 * i, operator.in_shape, dtype)
        y = strategies.values(2 * i + 1, operator.out_shape, dtype)
        note(("oracle", dtype, "tosparse"), operator.tosparse().toarray(), matrix, None, None, spec)
        kind = "plan's choice" if hasattr(operator, "method") else "derived operator"
        for order, pinned in enumerate(strategies.pinned(operator)):
            key = ("oracle", dtype, pinned.method if order else kind)
            note(key, pinned(x).ravel(), matrix @ x.ravel(), matrix, x.ravel(), spec)
            note(key, pinned.H(y).ravel(), backward @ y.ravel(), backward, y.ravel(), spec)
        if not isinstance(spec, strategies.ConvolutionSpec):
            want = torch_answer(spec, x)
            if want is not None:
                note(("torch", dtype, kind), operator(x).ravel(), want.ravel(), matrix, x.ravel(), spec)

    for i in range(number):
        recipe = RECIPES[list(RECIPES)[i % len(RECIPES)]]
        spec = recipe(strategies.Dice([seed, i]))
        try:
            compare(i, spec)
        except Exception as failure:
            count["failed"] += 1
            report(f"FAILED with {failure!r}: {spec}")
    return count, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=1000, help="random geometries to try")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
    start = time.perf_counter()
    count, worst = measure(arguments.number, arguments.seed)
    seconds = time.perf_counter() - start
    print(f"{arguments.number} random geometries against the oracle in {seconds:.0f} s")
    print(f"{count.pop('failed', 0)} of them failed outright")
    print(f"{sum(n for key, n in count.items() if key[0] == 'torch')} of the layers also against torch")
    print(f"{'against':8} {'dtype':11} {'by':17} {'comparisons':>11} {'largest error':>14} {'in eps':>7}")
    for key in sorted(worst):
        eps = np.finfo(key[1]).eps
        print(f"{key[0]:8} {key[1]:11} {key[2]:17} {count[key]:11} {worst[key]:14.2e} {worst[key] / eps:7.1f}")


if __name__ == "__main__":
    main()
