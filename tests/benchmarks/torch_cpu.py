"""Modules on a CPU against torch's bare convolutions, and against convop's own path for numpy arrays.

    python tests/benchmarks/torch_cpu.py [--quick] [--json FILE]

"conv" is compared with bare `F.conv2d` or `F.conv3d` on the layout that it is fastest on, which the module is given
too; the adjoint with the faster of torch's transposed convolutions; a single channel with `A(x)`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from torch.nn import functional
from torch_race import arguments, machine, race, tell

import convop

LAYERS = [(1, 3, 16, (256, 256)), (1, 16, 16, (256, 256)), (1, 64, 64, (128, 128)), (8, 256, 256, (32, 32)),
          (1, 16, 16, (32, 48, 40))]  # fmt: skip
SINGLE = [((64, 64), 3), ((512, 512), 3), ((512, 512), 15), ((1024, 1024), 31), ((100_000,), 31), ((64, 64, 64), 3)]
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
CONV = {2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


def layer(batch, c_in, c_out, sizes, rounds, taps=3):
    """One layer, forward and adjoint: bare torch in both layouts, and the module in both."""
    ndim, last = len(sizes), LAST[len(sizes)]
    weight = torch.randn(c_out, c_in, *(taps,) * ndim)
    operator = convop.conv_layer(weight.numpy(), (c_in, *sizes), padding=taps // 2)
    module, laid = convop.to_torch(operator, "conv"), weight.contiguous(memory_format=last)
    row = {"layer": f"{c_in} -> {c_out}, {'x'.join(map(str, sizes))}, batch {batch}"}
    for name, bare, ours, channels in (("", CONV[ndim], module, c_in), ("H ", TRANSPOSED[ndim], module.adjoint, c_out)):
        times = race(
            {
                "bare": lambda x, bare=bare: bare(x[0], weight, padding=taps // 2),
                "bare, last": lambda x, bare=bare: bare(x[1], laid, padding=taps // 2),
                "module": lambda x, ours=ours: ours(x[0]),
                "module, last": lambda x, ours=ours: ours(x[1]),
            },
            lambda channels=channels: both_layouts((batch, channels, *sizes), last),
            rounds,
        )
        best, mine = min(times["bare"], times["bare, last"]), min(times["module"], times["module, last"])
        row |= {f"{name}torch ms": best, f"{name}module ms": mine, f"{name}ratio": mine / best}
    return row


def both_layouts(shape, last):
    x = torch.randn(shape)
    return x, x.contiguous(memory_format=last)


def single(sizes, taps, rounds):
    """One channel: the module against the operator it was made of, and bare torch."""
    operator = convop.Convolution(np.random.default_rng(0).standard_normal((taps,) * len(sizes)).astype("f"), sizes)
    module, fourier = convop.to_torch(operator, "conv"), convop.to_torch(operator, "fft")
    times = race({"numpy": lambda x: operator(x.numpy()), "conv": module}, lambda: torch.randn(sizes), rounds)
    # Apart from the others: torch's threads go on spinning for a while after a transform, and slow whoever is next.
    times |= race({"fft": fourier}, lambda: torch.randn(sizes), rounds)
    return {
        "one channel": f"{'x'.join(map(str, sizes))}, {taps} taps an axis",
        "A(x) ms": times["numpy"], "module ms": times["conv"], "ratio": times["conv"] / times["numpy"],
        "method": operator.method, "fft ms": times["fft"],
    }  # fmt: skip


def main(given=None):
    """Run the races and print their tables."""
    options = arguments(__doc__).parse_args(given)
    layers, singles = LAYERS, SINGLE
    if options.quick:
        options.rounds, layers, singles = 2, [(2, 3, 4, (16, 12)), (1, 2, 3, (6, 5, 4))], [((16, 12), 3), ((40,), 5)]
    with torch.no_grad():
        tables = {
            "Layers, float32, 3 taps an axis": [layer(*each, options.rounds) for each in layers],
            "One channel, float32": [single(*each, options.rounds) for each in singles],
        }
    tell(options, machine(), tables)


if __name__ == "__main__":
    main()
