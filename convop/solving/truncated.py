"""Truncated singular values, where a spectrum is known: directions are kept as they are, or not at all."""

import numpy as np

from .parameter.spectra import require_spectrum
from .task import Found, Task


def minimise(task: Task, alpha: float) -> Found:
    """Least squares of least norm, over the directions with ``||A v||^2 >= alpha ||L v||^2``.

    For `L` the identity those whose singular value squared is at least alpha, so that alpha lies where it lies for
    Tikhonov's prior. Whatever method solves normal equations has no say here.
    """
    spectrum = require_spectrum(task.problem)
    kept = (spectrum.gain > 0) & (spectrum.gain >= alpha * spectrum.penalty)
    gains = np.sqrt(np.where(kept, spectrum.gain, 1.0))
    x = spectrum.synthesise(np.where(kept, spectrum.analyse(task.b) / gains, 0))
    count = int(spectrum.weight[kept].sum())
    return Found(
        x.astype(task.b.dtype, copy=False), alpha, "converged", "truncated",
        f"{count} of {task.problem.A.shape[1]} directions were kept", 0, (0.0,), np.full(len(x), np.nan),
    )  # fmt: skip
