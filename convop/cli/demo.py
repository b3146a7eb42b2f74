"""The main job, on a photograph: blur it with a composed operator, check the operator, restore the photograph."""

import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import check
from .._optional import require
from ..apply.estimate import Estimate
from ..check.associativity import AssociativeReport
from ..check.dot_test import AdjointReport
from ..convolution import Convolution
from ..errors import ConvopError
from ..explain import Explanation, explain
from ..operator import Operator
from ..sizing import estimate
from ..solving.deconvolution import deconvolve
from .figure import save_panels
from .output import as_json
from .picture import Picture, read, reduced, shipped, writable, write_whole
from .restore import blur_factors, frame_of, psnr, regularisation_weight

SMALLEST_SIDE = 64
TOLERANCE = 1e-4  # of the normal equations; an eye sees no more


@dataclass(frozen=True)
class Demo:
    """What was asked for."""

    picture: Path | None
    output: Path
    noise: float
    seed: int
    quiet: bool = False
    json: bool = False


def demo(job: Demo) -> None:
    """Run the whole job on a picture and write its panels."""
    started = time.perf_counter()
    for module in ("imageio.v3", "matplotlib.figure", "tqdm"):  # told before the work, not after it
        require(module, "cli")
    writable(job.output)
    told = not (job.quiet or job.json)
    path = job.picture or shipped()
    scene, block = load(path)
    shake, lens = blur_factors(scene.shape[1:])
    blur = shake @ lens
    found: list[Any] = []
    if told:
        print(picture_line(path, scene, block))
    for title, finding in findings(shake, lens, blur) if told or job.json else ():
        found.append(finding)
        if told:
            print_section(title, finding)

    rng = np.random.default_rng(job.seed)
    sharp = frame_of(blur)(scene)
    blurred = blur(scene) + job.noise * rng.standard_normal(sharp.shape)
    weight = regularisation_weight(job.noise)
    options = {"prior": "tikhonov", "alpha": weight, "tol": TOLERANCE, "progress": told and sys.stderr.isatty()}
    solution = deconvolve(blurred, blur.kernel, channel_axis=0, **options)
    restored = solution.x.clip(0, 1)

    before, after = psnr(sharp, blurred), psnr(sharp, restored)
    titles = ("original", f"blurred and noisy: {before:.2f} dB", f"restored: {after:.2f} dB")
    write_whole(job.output, lambda file: save_panels(file, (sharp, blurred, restored), titles, blur.kernel))
    seconds = time.perf_counter() - started
    if job.json:
        picture = {"input": str(path), "output": str(job.output), "shape": scene.shape, "averaged": block}
        noise = {"noise": job.noise, "seed": job.seed}
        figures = {"alpha": weight, "iterations": solution.iterations, "psnr_blurred": before, "psnr_restored": after}
        print(as_json({**picture, **facts(*found), **noise, **figures, "seconds": seconds}))
    elif told:
        print(f"\nblurred   PSNR {before:.2f} dB, with noise of {job.noise:.1%} of full scale (seed {job.seed})")
        print(f"restored  PSNR {after:.2f} dB, with regularisation weight {weight:.2g}")
        print(f"written   {job.output}, {seconds:.1f} s after the start")


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


def findings(shake: Convolution, lens: Convolution, blur: Operator) -> Iterator[tuple[str, Any]]:
    """What the factors and their product are, whether they hold, and how large the matrix would be."""
    edges = Convolution([[1.0, -1.0]], shake.out_shape, boundary="symmetric")
    yield "The blur is shake @ lens", explain(blur)
    yield "Is its adjoint its adjoint?", check.adjoint(blur)
    yield "Does (edges @ shake) @ lens equal edges @ (shake @ lens)?", check.associative(edges, shake, lens)
    yield "Its sparse matrix, which nothing here needs", estimate(blur)


def facts(explanation: Explanation, dot: AdjointReport, product: AssociativeReport, matrix: Estimate) -> dict[str, Any]:
    """The findings as `--json` prints them."""
    maps, kernels = product.operators, product.kernels
    return {
        "operator": explanation.operator,
        "fused": explanation.fused,
        "adjoint": {"passed": dot.passed, "error": dot.error, "bound": dot.bound},
        "associative": {"passed": product.passed, "error": maps.error, "bound": maps.bound},
        "associative_as_kernels": None if kernels is None else kernels.passed,
        "matrix": {"shape": matrix.shape, "entries": matrix.nnz, "exact": matrix.exact, "bytes": matrix.bytes},
    }


def print_section(title: str, finding: object) -> None:
    """A title and below it what was found."""
    print(f"\n{title}", *(textwrap.fill(line, 80) for line in str(finding).splitlines()), sep="\n", flush=True)
