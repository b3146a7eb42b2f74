"""How fast the CSR matrix of a convolution is written, next to its rivals and to what writing memory alone takes.

    python tests/benchmarks/assembly.py                     # the table
    python tests/benchmarks/assembly.py --quick             # tiny sizes: does it still run, and is every result right?
    python tests/benchmarks/assembly.py --json figures.json

Rivals take turns in one process, after the result of each was compared with scipy's convolution in float64. "memory"
writes as many values and indices into fresh arrays with as many threads, and computes nothing: entries that the
machine could take. Figures are million entries (that are not zero) a second, from the median and the best time.
scipy's kron and PyLops take long: they run on smaller pictures only (`at most` in `RIVALS`).
"""

import argparse
import json
import platform
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import scipy.sparse as sp
from scipy.signal import convolve

import convop

CASES = {  # weight, spatial shape
    "32^2 3x3": ((1, 1, 3, 3), (32, 32)),
    "1024^2 3x3": ((1, 1, 3, 3), (1024, 1024)),
    "512^2 15x15": ((1, 1, 15, 15), (512, 512)),
    "16->16 3x3 64^2": ((16, 16, 3, 3), (64, 64)),
    "64->64 3x3 64^2": ((64, 64, 3, 3), (64, 64)),
    "1e6 k31 symmetric": ((1, 1, 31), (1_000_000,)),
    "64^2 63x63 symmetric": ((1, 1, 63, 63), (64, 64)),
    "128^3 3x3x3": ((1, 1, 3, 3, 3), (128, 128, 128)),
}
QUICK = {
    "20x30 3x5": ((1, 1, 3, 5), (20, 30)),
    "3->2 3x3 9x8": ((2, 3, 3, 3), (9, 8)),
    "50 k9 symmetric": ((1, 1, 9), (50,)),
}


def ours(weight, shape, boundary):
    padding = [((k - 1) // 2, k // 2) for k in weight.shape[2:]]
    operator = convop.conv_layer(weight, (weight.shape[1], *shape), padding=padding, boundary=boundary)
    return operator.tosparse


def diagonals(shape, kernel):
    """scipy's DIA array of a "same" correlation under a zero boundary; zeros where a row would run over an edge."""
    lags = [np.arange(k) - (k - 1) // 2 for k in kernel.shape]
    pitch = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    size, offsets, data = int(np.prod(shape)), [], []
    for tap in np.ndindex(kernel.shape):
        lag = [each[t] for each, t in zip(lags, tap, strict=True)]
        diagonal = np.zeros(shape, kernel.dtype)  # by column: the sample that is read
        inside = tuple(slice(max(g, 0), n + min(g, 0)) for g, n in zip(lag, shape, strict=True))
        diagonal[inside] = kernel[tap]
        offsets.append(sum(g * p for g, p in zip(lag, pitch, strict=True)))
        data.append(diagonal.ravel())
    return sp.dia_array((np.array(data), offsets), shape=(size, size))


def dia(weight, shape, boundary):
    def build():
        blocks = [[diagonals(shape, kernel).tocsr() for kernel in row] for row in weight]
        matrix = blocks[0][0] if weight.shape[:2] == (1, 1) else sp.block_array(blocks, format="csr")
        matrix.eliminate_zeros()
        return matrix

    return build


def kron(weight, shape, boundary):
    def build():
        total = sp.csr_array((shape[0] * shape[1],) * 2)
        for (i, j), value in np.ndenumerate(weight[0, 0]):
            k = weight.shape[2:]
            rows, columns = (
                sp.eye_array(n, k=t - (m - 1) // 2, format="csr") for n, t, m in zip(shape, (i, j), k, strict=True)
            )
            total = total + value * sp.kron(rows, columns, format="csr")
        return total

    return build


def toeplitz(weight, shape, boundary):
    from sparse_convolution import Toeplitz_convolution2d

    kernel = np.flip(weight[0, 0])
    rows = np.arange(shape[0] * shape[1]).reshape(shape)
    starts = [(k - 1) - (k - 1) // 2 for k in kernel.shape]  # "same" within "full"

    def build():
        full = Toeplitz_convolution2d(shape, kernel, mode="full", dtype=weight.dtype, method="precomputed")._dt
        size = [n + k - 1 for n, k in zip(shape, kernel.shape, strict=True)]
        kept = (rows // shape[1] + starts[0]) * size[1] + rows % shape[1] + starts[1]
        return sp.csr_array(full if full.shape[0] == full.shape[1] else full.tocsr()[kept.ravel()])

    return build


def pylops(weight, shape, boundary):
    from pylops.signalprocessing import Convolve2D

    kernel = np.flip(weight[0, 0])
    operator = Convolve2D(shape, kernel, offset=[k - 1 - (k - 1) // 2 for k in kernel.shape])
    return lambda: sp.csr_array(operator.tosparse())


def one_plane(weight, shape, boundary):
    return weight.shape[:2] == (1, 1) and len(shape) == 2 and boundary == "zero"


def zero_boundary(weight, shape, boundary):
    return boundary == "zero"


# What builds it, where it can, and up to how many entries.
RIVALS = {
    "convop": (ours, lambda *case: True, np.inf),
    "scipy dia": (dia, zero_boundary, 6e7),
    "scipy kron": (kron, one_plane, 1e7),
    "sparse_convolution": (toeplitz, one_plane, 1e7),
    "PyLops": (pylops, one_plane, 1e4),
}


@numba.njit(nogil=True, cache=True)
def _write(data, indices, first, last):
    for entry in range(first, last):
        data[entry] = 1.0
    for entry in range(first, last):
        indices[entry] = entry


def memory(entries, threads):
    """A function that writes as many entries into fresh arrays."""
    pool = ThreadPoolExecutor(threads)

    def write():
        data, indices = np.empty(entries), np.empty(entries, np.int32)
        bounds = [entries * part // threads for part in range(threads + 1)]
        list(pool.map(lambda part: _write(data, indices, *bounds[part : part + 2]), range(threads)))
        return data, indices

    return write


def product(weight, shape, boundary, x):
    """The layer applied to `x`, by numpy's pad and scipy's convolution."""
    mode = {"mode": "constant"} if boundary == "zero" else {"mode": boundary}
    padding = [((k - 1) // 2, k // 2) for k in weight.shape[2:]]
    padded = [np.pad(channel, padding, **mode) for channel in x]
    return np.stack([sum(convolve(p, np.flip(k), "valid") for p, k in zip(padded, row, strict=True)) for row in weight])


def rivals_of(case, entries):
    """The rivals that can build a case, those whose product was wrong left out and named."""
    weight, shape, _ = case
    x = np.random.default_rng(1).standard_normal((weight.shape[1], *shape))
    want, right, wrong = product(*case, x).ravel(), {}, []
    for name, (make, serves, most) in RIVALS.items():
        if not serves(*case) or entries > most:
            continue
        try:
            build = make(*case)
        except ImportError:
            continue
        got = build() @ x.ravel()
        if got.shape == want.shape and np.abs(got - want).max() <= 1e-12 * np.abs(want).max() * weight[0].size:
            right[name] = build
        else:
            wrong.append(name)
    return right, wrong


def race(builds, rounds):
    """Seconds of every round of each; they take turns, in an order of their own each time."""
    times = {name: [] for name in builds}
    for _ in range(rounds):
        for name in random.sample(list(builds), len(builds)):
            start = time.perf_counter()
            result = builds[name]()
            times[name].append(time.perf_counter() - start)
            del result
    return times


def measure(cases, rounds):
    for name, (taps, shape) in cases.items():
        boundary = "symmetric" if "symmetric" in name else "zero"
        weight = np.random.default_rng(0).standard_normal(taps)
        entries = ours(weight, shape, boundary)().nnz
        builds, wrong = rivals_of((weight, shape, boundary), entries)
        builds["memory"] = memory(entries, numba.get_num_threads())
        builds["memory"]()
        times = race(builds, rounds)
        rates = {
            rival: {"median": entries / statistics.median(each) / 1e6, "best": entries / min(each) / 1e6}
            for rival, each in times.items()
        }
        yield {"case": name, "entries": entries, "rates": rates, "wrong": wrong}


def line(row):
    """A case as a line of the table."""
    rates = {name: f"{rate['median']:.0f} ({rate['best']:.0f})" for name, rate in row["rates"].items()}
    cells = [rates.get(name, "wrong" if name in row["wrong"] else "-") for name in (*RIVALS, "memory")]
    share = "-" if "convop" in row["wrong"] else f"{_share(row['rates']):.2f}"
    return f"| {' | '.join([row['case'], format(row['entries'], ','), *cells, share])} |"


def _share(rates):
    return rates["convop"]["best"] / rates["memory"]["best"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes and two rounds")
    parser.add_argument("--rounds", type=int, default=9, help="how often the rivals take turns")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {numba.get_num_threads()} threads, float64, int32 indices, M entries/s: median (best)"
    )
    header = ["case", "entries", *RIVALS, "memory", "convop/memory"]
    print(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}")
    rows = []
    for row in measure(QUICK if options.quick else CASES, 2 if options.quick else options.rounds):
        rows.append(row)
        print(line(row), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    if wrong := [(row["case"], row["wrong"]) for row in rows if "convop" in row["wrong"]]:
        raise SystemExit(f"wrong: {wrong}")


if __name__ == "__main__":
    main()
