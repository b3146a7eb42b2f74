"""The main job, on a photograph: blur it with a composed operator, check the operator, restore the photograph."""

import textwrap
import time
from pathlib import Path

import numpy as np

from .. import check
from .._optional import require
from ..convolution import Convolution
from ..errors import ConvopError
from ..explain import explain
from ..operator import Operator
from ..sizing import estimate
from ..solving.deconvolution import deconvolve
from .figure import save_panels
from .picture import Picture, read, reduced, shipped, writable, write_whole
from .restore import blur_factors, frame_of, psnr, regularisation_weight

SMALLEST_SIDE = 64
TOLERANCE = 1e-4  # of the normal equations; an eye sees no more


def demo(source: Path | None, output: Path, noise: float, seed: int, quiet: bool) -> None:
    """Run the whole job on the picture `source` and write its panels to `output`."""
    started = time.perf_counter()
    for module in ("imageio.v3", "matplotlib.figure", "tqdm"):  # told before the work, not after it
        require(module, "cli")
    writable(output)
    path = source or shipped()
    scene, block = load(path)
    shake, lens = blur_factors(scene.shape[1:])
    blur = shake @ lens
    if not quiet:
        print(picture_line(path, scene, block))
        print_operators(shake, lens, blur)

    rng = np.random.default_rng(seed)
    sharp = frame_of(blur)(scene)
    blurred = blur(scene) + noise * rng.standard_normal(sharp.shape)
    weight = regularisation_weight(noise)
    options = {"prior": "tikhonov", "alpha": weight, "tol": TOLERANCE, "progress": not quiet}
    restored = deconvolve(blurred, blur.kernel, channel_axis=0, **options).x.clip(0, 1)

    before, after = psnr(sharp, blurred), psnr(sharp, restored)
    titles = ("original", f"blurred and noisy: {before:.2f} dB", f"restored: {after:.2f} dB")
    write_whole(output, lambda file: save_panels(file, (sharp, blurred, restored), titles, blur.kernel))
    if not quiet:
        print(f"\nblurred   PSNR {before:.2f} dB, with noise of {noise:.1%} of full scale (seed {seed})")
        print(f"restored  PSNR {after:.2f} dB, with regularisation weight {weight:.2g}")
        print(f"written   {output}, {time.perf_counter() - started:.1f} s after the start")


def load(path: Path) -> tuple[Picture, int]:
    """The scene, and how many times smaller than the picture it is."""
    scene, block = reduced(read(path))
    if min(scene.shape[1:]) < SMALLEST_SIDE:
        raise ConvopError(
            f"{path} has {scene.shape[1]} x {scene.shape[2]} pixels (rows x columns) to work with; "
            f"give a picture with at least {SMALLEST_SIDE} on each side"
        )
    return scene, block


def picture_line(path: Path, scene: Picture, block: int) -> str:
    """The name of the picture and what was taken from it."""
    channels, rows, columns = scene.shape
    colours = "colours" if channels == 3 else "grey"
    smaller = f", averaged over {block} x {block} pixels" if block > 1 else ""
    return f"{path.name}: {rows} x {columns}, {colours}{smaller}"


def print_operators(shake: Convolution, lens: Convolution, blur: Operator) -> None:
    """What the factors and their product are, whether they hold, and how large the matrix would be."""
    edges = Convolution([[1.0, -1.0]], shake.out_shape, boundary="symmetric")
    print_section("The blur is shake @ lens", explain(blur))
    print_section("Is its adjoint its adjoint?", check.adjoint(blur))
    print_section("Does (edges @ shake) @ lens equal edges @ (shake @ lens)?", check.associative(edges, shake, lens))
    print_section("Its sparse matrix, which nothing here needs", textwrap.fill(str(estimate(blur)), 80))


def print_section(title: str, text: object) -> None:
    """A title and below it what is to be said."""
    print(f"\n{title}\n{text}", flush=True)
