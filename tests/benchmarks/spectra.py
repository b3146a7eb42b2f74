"""How fast spectra are, and how far the usual shortcuts for layers are from the truth.

    python tests/benchmarks/spectra.py            # times, then the table of shortcuts
    python tests/benchmarks/spectra.py --table    # the table alone

Times are the least of several runs. "bare" is one batched SVD of the half spectrum, which is given; the others start
from the weight. "numpy recipe" is what papers print: `fft2` of the padded weight, and the SVD of every frequency.
"""

import argparse
import time

import numpy as np

import convop
from convop.spectrum.closed_form import double_blocks
from convop.spectrum.layers import periodic

RUNS = 5


def least(function, runs=RUNS):
    """The least time of several runs in seconds, and the result."""
    best, result = np.inf, None
    for _ in range(runs):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def numpy_recipe(weight, shape):
    spectrum = np.fft.fft2(weight, shape, axes=(-2, -1)).transpose(2, 3, 0, 1)
    return np.linalg.svd(spectrum, compute_uv=False)


def torch_recipe(weight, shape):
    import torch

    spectrum = torch.fft.rfft2(torch.from_numpy(weight), s=shape).permute(2, 3, 0, 1)
    return torch.linalg.svdvals(spectrum).numpy()


def times(channels, size, recipes=True):
    weight = np.random.default_rng(0).standard_normal((channels, channels, 3, 3))
    A = convop.conv_layer(weight, (channels, size, size), padding=1, boundary="periodic")
    blocks = double_blocks(A)[0]
    print(f"{channels} -> {channels} channels, 3x3, {size}x{size}, periodic, float64")
    bare, want = least(lambda: np.linalg.svd(blocks, compute_uv=False))
    rows = [("bare batched SVD of the half spectrum", bare, float(want.max()))]
    rows += [(name, *map(_largest, least(function))) for name, function in _ours(A)]
    if recipes:
        rows += [(name, *map(_largest, least(function, 3))) for name, function in _theirs(weight, (size, size))]
    for name, seconds, largest in rows:
        error = abs(largest / want.max() - 1)
        print(f"  {name:40s} {1000 * seconds:8.1f} ms  {seconds / bare:5.2f} of bare, error of the norm {error:.0e}")


def _ours(A):
    return (("svdvals(A)", lambda: convop.svdvals(A)), ("norm(A)", lambda: convop.norm(A)))


def _theirs(weight, shape):
    yield "numpy recipe, whole spectrum", lambda: numpy_recipe(weight, shape)
    try:
        import torch  # noqa: F401
    except ImportError:
        return
    yield "torch rfft2 and svdvals", lambda: torch_recipe(weight, shape)


def _largest(value):
    return float(np.max(value))


LAYERS = {
    "random 8 -> 8, 3x3": ((8, 8, 3, 3), {"padding": 1}),
    "random 8 -> 8, 5x5": ((8, 8, 5, 5), {"padding": 2}),
    "random 8 -> 16, 3x3, stride 2": ((16, 8, 3, 3), {"padding": 1, "stride": 2}),
    "all ones 8 -> 8, 3x3": ((8, 8, 3, 3), {"padding": 1}),
    "depthwise 8, 3x3": ((8, 1, 3, 3), {"padding": 1, "groups": 8}),
}


def shortcuts(size=12):
    """For each layer: the norm with its zero padding, what the shortcuts say of it, and a certified interval."""
    rng = np.random.default_rng(0)
    for name, (shape, options) in LAYERS.items():
        weight = np.ones(shape) if "ones" in name else rng.standard_normal(shape)
        A = convop.conv_layer(weight, (8, size, size), **options)
        truth = convop.norm(A)
        reshaped = np.linalg.norm(weight.reshape(shape[0], -1), 2)
        yield name, truth, reshaped / truth, convop.norm(periodic(A)) / truth, convop.norm_bounds(A)


def table():
    print("norm of a zero-padded layer on 8x12x12, and what shortcuts make of it (1 is the truth)")
    print(f"  {'layer':30s} {'norm':>8s} {'reshaped':>9s} {'periodic':>9s}   certified interval")
    for name, truth, reshaped, around, bounds in shortcuts():
        interval = f"{bounds.lower:.4f} to {bounds.upper:.4f}"
        print(f"  {name:30s} {truth:8.4f} {reshaped:9.3f} {around:9.3f}   {interval}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="only the table of shortcuts")
    if not parser.parse_args().table:
        times(64, 32)
        times(16, 256, recipes=False)
    table()


if __name__ == "__main__":
    main()
