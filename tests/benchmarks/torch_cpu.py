"""Modules on a CPU against torch's bare convolutions, and against convop's own path for numpy arrays.

    python tests/benchmarks/torch_cpu.py [--quick] [--json FILE]

"conv" is compared with bare `F.conv2d` or `F.conv3d` on the layout that it is fastest on, which the module is given
too; the adjoint with the faster of torch's transposed convolutions; a single channel with `A(x)`. "nn ms" is what
torch's own modules take, `nn.Conv2d` and the like: what it costs to be a module at all.
"""

import copy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch_race import arguments, machine, race, tell

import convop

LAYERS = [(1, 3, 16, (256, 256)), (1, 16, 16, (256, 256)), (1, 64, 64, (128, 128)), (8, 256, 256, (32, 32)),
          (1, 16, 16, (32, 48, 40))]  # fmt: skip
SINGLE = [((64, 64), 3), ((512, 512), 3), ((512, 512), 15), ((1024, 1024), 31), ((100_000,), 31), ((64, 64, 64), 3)]
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
CONV = {2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MODULE, TRANSPOSED_MODULE = {2: nn.Conv2d, 3: nn.Conv3d}, {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def layer(batch, c_in, c_out, sizes, rounds, taps=3):
    """One layer, forward and adjoint: bare torch in both layouts, its module, and ours."""
    ndim, pad = len(sizes), taps // 2
    weight = torch.randn(c_out, c_in, *(taps,) * ndim)
    ours = convop.to_torch(convop.conv_layer(weight.numpy(), (c_in, *sizes), padding=pad), "conv")
    row = {"layer": f"{c_in} -> {c_out}, {'x'.join(map(str, sizes))}, batch {batch}"}
    there = MODULE[ndim](c_in, c_out, taps, padding=pad, bias=False)
    row |= direction("", CONV[ndim], there, ours, weight, batch, rounds)
    back = TRANSPOSED_MODULE[ndim](c_out, c_in, taps, padding=pad, bias=False)
    return row | direction("H ", TRANSPOSED[ndim], back, ours.H, weight, batch, rounds)


def direction(name, bare, theirs, ours, weight, batch, rounds):
    """Forward or adjoint, each rival on both layouts; what counts is its faster one."""
    last, pad = LAST[weight.ndim - 2], weight.shape[-1] // 2
    laid, theirs_laid = weight.contiguous(memory_format=last), copy.deepcopy(theirs).to(memory_format=last)
    rivals = {
        "torch": (lambda x: bare(x, weight, padding=pad), lambda x: bare(x, laid, padding=pad)),
        "nn": (theirs, theirs_laid),
        "module": (ours, ours),
    }
    entries = {
        (who, at): lambda x, apply=both[at], at=at: apply(x[at]) for who, both in rivals.items() for at in range(2)
    }
    times = race(entries, lambda: both_layouts((batch, *ours.in_shape), last), rounds)
    best = {who: min(times[who, 0], times[who, 1]) for who in rivals}
    return {
        **{f"{name}{who} ms": seconds for who, seconds in best.items()},
        f"{name}ratio": best["module"] / best["torch"],
    }


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
