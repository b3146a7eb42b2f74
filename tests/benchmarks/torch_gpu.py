"""Modules and matrices on a CUDA card: convolution, sparse products, assembly, Fourier transforms, solving.

    python tests/benchmarks/torch_gpu.py [--device cuda] [--quick] [--json FILE]

Times are medians of device events. "share of copy" is the bytes that a sparse product cannot but move (a value and an
int32 index for each entry, both vectors once) by its time, relative to what copying a large tensor reaches. With
`--device cpu` it runs by the wall clock, to see that it does.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from torch.nn import functional
from torch_race import arguments, machine, race, tell

import convop
from convop.interop.torch.csr import Rows

LAYERS = [(1, 3, 64, 512, 3), (8, 64, 64, 128, 3), (16, 256, 256, 32, 3), (1, 1, 1, 2048, 3), (1, 1, 1, 2048, 15)]
MATRICES = [(1, 1, 2048, 3), (1, 1, 1024, 7), (16, 16, 256, 3)]
FOURIER = [(1, 2048, 31), (1, 4096, 63), (8, 1024, 31)]
FRAMES = [(1024, 31), (4096, 31)]
COPIED = 2**28  # bytes: far more than any cache


def operator_of(c_in, c_out, size, taps, boundary="zero"):
    weight = np.random.default_rng(0).standard_normal((c_out, c_in, taps, taps)).astype("f")
    return convop.conv_layer(weight, (c_in, size, size), padding=taps // 2, boundary=boundary)


def convolution(batch, c_in, c_out, size, taps, device, rounds):
    """Module "conv" against what cuDNN does with bare `conv2d` and its own gradient by the signal."""
    operator = operator_of(c_in, c_out, size, taps)
    module, weight = convop.to_torch(operator, "conv", device=device), torch.tensor(operator.kernel, device=device)
    there = race(
        {"torch": lambda x: functional.conv2d(x, weight, padding=taps // 2), "module": module},
        lambda: torch.randn(batch, c_in, size, size, device=device), rounds, device,
    )  # fmt: skip
    back = race(
        {"torch": lambda y: functional.conv_transpose2d(y, weight, padding=taps // 2), "module": module.adjoint},
        lambda: torch.randn(batch, c_out, size, size, device=device), rounds, device,
    )  # fmt: skip
    return {
        "layer": f"{c_in} -> {c_out}, {size}^2, {taps}x{taps}, batch {batch}",
        "conv2d ms": there["torch"], "module ms": there["module"], "ratio": there["module"] / there["torch"],
        "transposed ms": back["torch"], "adjoint ms": back["module"], "H ratio": back["module"] / back["torch"],
    }  # fmt: skip


def copy_bandwidth(device, size, rounds):
    """Bytes a second, read and written."""
    target = torch.empty(size // 4, device=device)
    seconds = race({"copy": target.copy_}, lambda: torch.randn(size // 4, device=device), rounds, device)["copy"]
    return 2 * size / seconds


def matrix(c_in, c_out, size, taps, device, rounds, bandwidth):
    """The product with the CSR matrix, and its assembly."""
    operator = operator_of(c_in, c_out, size, taps)
    rows = Rows.assembled(operator.geometry, torch.tensor(operator.weight.copy(), device=device))
    stored, module = rows.tensor(), convop.to_torch(operator, "sparse", device=device)
    bytes_moved = 8 * len(rows.column) + 4 * sum(operator.shape)
    times = race(
        {"product": lambda x: stored @ x, "module": lambda x: module(x.view(operator.in_shape)),
         "adjoint": lambda x: module.adjoint(x[: 1].expand(operator.shape[0]).reshape(operator.out_shape))},
        lambda: torch.randn(operator.shape[1], device=device), rounds, device,
    )  # fmt: skip
    assembly = race(
        {"assembly": lambda w: Rows.assembled(operator.geometry, w)},
        lambda: torch.randn(operator.weight.shape, device=device), max(rounds // 3, 1), device,
    )["assembly"]  # fmt: skip
    return {
        "matrix": f"{c_in} -> {c_out}, {size}^2, {taps}x{taps}", "entries": len(rows.column),
        "product ms": times["product"], "share of copy": bytes_moved / times["product"] / bandwidth,
        "module ms": times["module"], "adjoint ms": times["adjoint"],
        "assembly ms": assembly, "Mnnz/s": len(rows.column) / assembly / 1e6,
    }  # fmt: skip


def fourier(batch, size, taps, device, rounds):
    """Module "fft" of a periodic convolution against a bare transform there and back."""
    module = convop.to_torch(operator_of(1, 1, size, taps, "periodic"), "fft", device=device)
    times = race(
        {"bare": lambda x: torch.fft.irfft2(torch.fft.rfft2(x), x.shape[-2:]), "module": module},
        lambda: torch.randn(batch, 1, size, size, device=device), rounds, device,
    )  # fmt: skip
    return {
        "periodic": f"{size}^2, {taps}x{taps}, batch {batch}",
        "round trip ms": times["bare"], "module ms": times["module"], "ratio": times["module"] / times["bare"],
    }  # fmt: skip


def unknown_boundary(size, taps, device, rounds):
    """A picture deblurred with unknown boundary to 1e-4, set-up and all, and its gradient in the data."""
    kernel = convop.psf.gaussian(taps, sigma=taps / 8).astype("f")
    scene = (size + taps - 1,) * 2
    camera = convop.Convolution(kernel, scene, mode="valid")
    steps = []

    def solved(b):
        solution = convop.solve(camera, b, alpha=1e-2, tol=1e-4)
        steps.append(solution.iterations)
        return solution.x

    def backward(b):
        with torch.enable_grad():
            solved(b.detach().requires_grad_()).sum().backward()

    rivals = {"solve": solved, "and back": backward}
    times = race(rivals, lambda: torch.rand(size, size, device=device), rounds, device)
    return {
        "frame": f"{size}^2, {taps}x{taps}", "steps": max(steps),
        "solve ms": times["solve"], "and back ms": times["and back"],
    }  # fmt: skip


def main(given=None):
    """Run the races and print their tables."""
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda", help="where to measure")
    options = parser.parse_args(given)
    device, layers, matrices, transforms, copied = options.device, LAYERS, MATRICES, FOURIER, COPIED
    frames = FRAMES
    if options.quick:
        options.rounds, copied = 2, 2**16
        layers, matrices, transforms = [(2, 2, 3, 12, 3)], [(1, 1, 12, 3), (2, 2, 8, 3)], [(2, 16, 5)]
        frames = [(24, 5)]
    with torch.no_grad():
        bandwidth = copy_bandwidth(device, copied, options.rounds)
        tables = {
            "Convolution, float32": [convolution(*each, device, options.rounds) for each in layers],
            f"CSR, float32; copying moves {bandwidth / 1e9:.4g} GB/s": [
                matrix(*each, device, options.rounds, bandwidth) for each in matrices
            ],
            "Fourier, float32": [fourier(*each, device, options.rounds) for each in transforms],
            "Unknown boundary, float32, to 1e-4": [unknown_boundary(*each, device, options.rounds) for each in frames],
        }
    tell(options, machine(device), tables)


if __name__ == "__main__":
    main()
