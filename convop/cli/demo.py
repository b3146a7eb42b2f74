"""The main job, on a photograph: blur it with a composed operator, check the operator, restore the photograph."""

import textwrap
import time
from pathlib import Path

import numpy as np

from .. import check
from ..convolution import Convolution
from ..errors import ConvopError
from ..explain import explain
from ..operator import Operator, estimate
from .figure import save_panels
from .picture import Picture, read, reduced, shipped, writable, write_whole
from .restore import blur_factors, deblur, frame_of, psnr, regularisation_weight

SMALLEST_SIDE = 64


def demo(source: Path | None, output: Path, noise: float, seed: int, quiet: bool) -> None:
    """Run the whole job on the picture `source` and write its panels to `output`."""
    started = time.perf_counter()
    writable(output)
    path = source or shipped()
    scene, block = load(path)
    shake, lens = blur_factors(scene.shape[1:])
    blur = shake @ lens
    if not quiet:
        print_lines("picture", picture_line(path, scene, block))
        print_operators(shake, lens, blur)

    rng = np.random.default_rng(seed)
    sharp = frame_of(blur)(scene)
    blurred = blur(scene) + noise * rng.standard_normal(sharp.shape)
    weight = regularisation_weight(noise)
    restored = frame_of(blur)(deblur(blur, blurred, weight, quiet)).clip(0, 1)

    before, after = psnr(sharp, blurred), psnr(sharp, restored)
    titles = ("original", f"blurred and noisy: {before:.2f} dB", f"restored: {after:.2f} dB")
    write_whole(output, lambda file: save_panels(file, (sharp, blurred, restored), titles, blur.kernel))
    if not quiet:
        print_lines("blurred", f"PSNR {before:.2f} dB, with noise of {noise:.1%} of full scale (seed {seed})")
        print_lines("restored", f"PSNR {after:.2f} dB, regularisation weight {weight:.2g}")
        print_lines("written", f"{output}, {time.perf_counter() - started:.1f} s after the start")


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
    print_lines("lens", repr(lens))
    print_lines("shake", repr(shake))
    print_lines("blur", "shake @ lens", str(explain(blur)))
    print_lines("adjoint", str(check.adjoint(blur)))
    shrink = frame_of(lens).H  # a third factor: the scene's middle within a black margin
    print_lines("associative", str(check.associative(shake, lens, shrink)))
    print_lines("matrix", f"{estimate(blur)}; it is not built")


def print_lines(label: str, *texts: str) -> None:
    """Print a label and paragraphs beside it, within 80 columns."""
    lines = [line for text in texts for part in text.splitlines() for line in textwrap.wrap(part, 66)]
    for start, line in zip([label, *[""] * (len(lines) - 1)], lines, strict=False):
        print(f"{start:<12} {line}", flush=True)
