"""`convop deblur`: a sharp picture from a blurred one and its blur."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._optional import require
from ..errors import ConvopError
from ..solving.deconvolution import deconvolve
from ..solving.door import interrupted
from ..solving.solution import Solution
from .deblur_files import Picture, read, writer
from .deblur_psf import Psf
from .output import as_json
from .picture import writable


@dataclass(frozen=True)
class Deblur:
    """What was asked for; `options` go to `deconvolve`."""

    source: Path
    output: Path
    psf: Psf
    options: dict[str, Any]
    stack: bool = False  # whether the first axis counts pictures
    quiet: bool = False
    json: bool = False


def deblur(job: Deblur) -> None:
    """Restore one file; Ctrl-C writes what there is, and is raised again afterwards."""
    started = time.perf_counter()
    writable(job.output)
    picture = read(job.source)
    write = writer(job.output, picture)
    kernel, about = job.psf.kernel(_axes_of_space(picture, job))
    told = not (job.quiet or job.json)
    shown = told and sys.stderr.isatty()
    if shown:
        require("tqdm", "cli")
    if told:
        print(f"{job.source.name}: {picture}\n{about}", flush=True)
    solution = deconvolve(picture.values, kernel, channel_axis=picture.channel_axis, progress=shown, **job.options)
    write(picture.with_values(solution.x))
    seconds = time.perf_counter() - started
    if job.json:
        print(as_json(_facts(job, picture, solution, seconds)))
    elif told:
        print(f"{_summary(solution)}\nwritten {job.output}, {seconds:.1f} s after the start")
    if interrupted(solution.reason):
        raise KeyboardInterrupt(f"{job.output} is what there was so far")
    if solution.status != "converged":
        print(f"convop: {job.output} is the last estimate: {solution.status}; {solution.reason}", file=sys.stderr)


def _axes_of_space(picture: Picture, job: Deblur) -> int:
    axes = picture.values.ndim - (picture.channel_axis is not None) - job.stack
    if axes < 1:
        raise ConvopError(f"{job.source} holds {picture}: that is no stack of pictures; leave --stack out")
    return axes


def _facts(job: Deblur, picture: Picture, solution: Solution, seconds: float) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "input": str(job.source),
        "output": str(job.output),
        "shape": picture.values.shape,
        "dtype": picture.values.dtype.name,
        "psf": job.psf.text,
        "alpha": np.ravel(solution.alpha).tolist(),
        "status": solution.status,
        "method": solution.method,
        "reason": solution.reason,
        "iterations": solution.iterations,
        "seconds": seconds,
    }


def _summary(solution: Solution) -> str:
    alphas = " ".join(f"{alpha:.3g}" for alpha in np.ravel(solution.alpha))
    return f"alpha {alphas}, {solution.iterations} steps of method {solution.method}: {solution.status}"
