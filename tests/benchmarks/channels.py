"""Layers of many channels, and separable kernels, against torch, OpenCV if installed, and convop's other engines.

    python tests/benchmarks/channels.py [--quick] [--rounds N] [--processor] [--json FILE]

Each rival's result is compared with float64 first. `--processor` counts processor time, with one thread for loops and
products, in place of the time on the clock: that is what a machine with other work to do can measure.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
import torch_race
from torch.nn import functional
from torch_race import arguments, machine, race, tell

import convop

LAYERS = [(1, 3, 16, (256, 256)), (1, 16, 16, (256, 256)), (1, 64, 64, (128, 128)), (8, 256, 256, (32, 32))]
SEPARABLE = [((512, 512), 15), ((2048, 2048), 15), ((2048, 2048), 31), ((2048, 2048), 63)]
DTYPES = ("float32", "float64")


def require_right(name, got, want, dtype):
    """A rival that is wrong is none."""
    error = np.abs(np.asarray(got) - want).max() / np.abs(want).max()
    assert error < 1000 * np.finfo(dtype).eps, f"{name} is wrong by {error:.1e}"


def layer(batch, c_in, c_out, sizes, dtype, rounds):
    """3x3 taps, zero padding: forward and adjoint."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((c_out, c_in, 3, 3)).astype(dtype)
    operator = convop.conv_layer(weight, (c_in, *sizes), padding=1, method="gemm")
    w = torch.from_numpy(weight)
    laid = w.contiguous(memory_format=torch.channels_last)
    row = {"layer": f"{c_in} -> {c_out}, {'x'.join(map(str, sizes))}, batch {batch}", "dtype": dtype}
    for which, ours, theirs, channels in (
        ("", operator, functional.conv2d, c_in),
        ("H ", operator._adjoint_forward, functional.conv_transpose2d, c_out),
    ):

        def fresh(channels=channels):
            x = rng.standard_normal((batch, channels, *sizes)).astype(dtype)
            t = torch.from_numpy(x)
            return x, t, t.contiguous(memory_format=torch.channels_last)

        rivals = {
            "torch": lambda x, theirs=theirs: theirs(x[1], w, padding=1),
            "torch, last": lambda x, theirs=theirs: theirs(x[2], laid, padding=1),
            "gemm": lambda x, ours=ours: ours(x[0]),
        }
        x = fresh()
        want = theirs(x[1].double(), w.double(), padding=1).numpy()
        for name, rival in rivals.items():
            require_right(name, rival(x), want, dtype)
        times = race(rivals, fresh, rounds)
        best = min(times["torch"], times["torch, last"])
        row |= {f"{which}torch ms": best, f"{which}gemm ms": times["gemm"], f"{which}ratio": times["gemm"] / best}
    return row | {"H / forward": row["H gemm ms"] / row["gemm ms"]}


def separable(sizes, taps, dtype, rounds):
    """A Gaussian: convop's engines, and OpenCV, which is told the factors."""
    rng = np.random.default_rng(0)
    kernel = convop.psf.gaussian(taps, taps / 6).astype(dtype)
    operator = convop.Convolution(kernel, sizes)
    methods = ["separable", "fft", *(["direct"] if taps < 40 else [])]
    rivals = {method: operator.using(method) for method in methods}
    try:
        import cv2
    except ImportError:
        pass
    else:
        line = (kernel[taps // 2] / np.sqrt(kernel[taps // 2, taps // 2])).astype(dtype)
        rivals["OpenCV"] = lambda x: cv2.sepFilter2D(x, -1, line, line, borderType=cv2.BORDER_CONSTANT)
    x = rng.standard_normal(sizes).astype(dtype)
    want = convop.Convolution(kernel.astype("float64"), sizes, method="fft")(x.astype("float64"))
    for name, rival in rivals.items():
        require_right(name, rival(x), want, dtype)
    rivals["separable, H"] = operator.using("separable")._adjoint_forward
    times = race(rivals, lambda: rng.standard_normal(sizes).astype(dtype), rounds)
    others = min(value for name, value in times.items() if name in ("fft", "direct"))
    return {
        "Gaussian": f"{'x'.join(map(str, sizes))}, {taps} taps an axis", "dtype": dtype, "chosen": operator.method,
        **{f"{name} ms": times.get(name, "-") for name in ("separable", "separable, H", "direct", "fft", "OpenCV")},
        "ratio": times["separable"] / others,
    }  # fmt: skip


def processor_time():
    """One thread for loops and products; what transforms spend in others is counted as well."""
    import numba

    torch.set_num_threads(1)
    numba.set_num_threads(1)

    def measure(function, x):
        start = time.process_time()
        function(x)
        return time.process_time() - start

    torch_race.clock = lambda device: measure


def main(given=None):
    """Run the races and print their tables."""
    parser = arguments(__doc__)
    parser.add_argument("--processor", action="store_true", help="processor time in place of the clock's")
    options = parser.parse_args(given)
    layers, kernels = LAYERS, SEPARABLE
    if options.quick:
        options.rounds, layers, kernels = 2, [(2, 3, 4, (16, 12)), (1, 8, 5, (9, 40))], [((40, 30), 11)]
    if options.processor:
        processor_time()
    with torch.no_grad():
        tables = {
            "Layers, 3x3": [layer(*each, dtype, options.rounds) for dtype in DTYPES for each in layers],
            "Separable kernels": [separable(*each, dtype, options.rounds) for dtype in DTYPES for each in kernels],
        }
    tell(options, machine(), tables)


if __name__ == "__main__":
    main()
