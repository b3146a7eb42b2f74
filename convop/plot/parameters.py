"""How alpha is chosen: the L-curve, generalised cross-validation, and Picard's condition."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import Array
from ..errors import GeometryError, ShapeError
from ..solving.parameter import criteria
from ..solving.parameter.curves import Curve, Sampled, Spectral
from ..solving.parameter.spectra import spectrum_of
from ..solving.problem import Problem, as_regularizer, linear_part
from ..solving.task import MOST_STEPS, Task, as_data
from .canvas import BLUE, GREEN, GREY, ORANGE, RED, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 61  # along a curve in closed form
FEW = 13  # along one that is sampled by solving
MOST_DOTS = 4000  # of Picard's plot
DECADES = 3  # of alpha on either side of what is marked
RUNNING = 0.02  # of all values, in the running mean


@dataclass(frozen=True)
class _Setting:
    """One item of data, and what becomes of it under every alpha."""

    problem: Problem
    b: Array
    curve: Curve

    @classmethod
    def of(cls, A: Any, b: Any, regularizer: Any) -> "_Setting":
        problem, data = _problem(A, b, regularizer)
        task = Task(problem, data, (), "auto", 1e-6, MOST_STEPS, None, False, None, None)
        spectrum = spectrum_of(problem)
        precision = np.finfo(problem.dtype).dtype
        return cls(problem, data, Sampled(task) if spectrum is None else Spectral(spectrum, data[0], precision))

    @property
    def sampled(self) -> bool:
        """Whether every point takes a solution."""
        return not isinstance(self.curve, Spectral)

    def alphas(self, marked: list[float]) -> Array:
        """Around those that are marked, within those that a rule would try."""
        lowest = max(self.curve.lowest, min(marked) * 10.0**-DECADES)
        highest = min(self.curve.highest, max(marked) * 10.0**DECADES)
        return np.geomspace(highest, lowest, FEW if self.sampled else POINTS)


def _problem(A: Any, b: Any, regularizer: Any) -> tuple[Problem, Array]:
    operator, b = linear_part(A, b)
    problem = Problem(operator, as_regularizer(regularizer, operator))
    data, batch = as_data(b, problem)
    if batch:
        raise ShapeError(f"a picture shows one item of data, of shape {operator.out_shape}, got a batch of {batch}")
    return problem, data


def lcurve(A: Any, b: Any, ax: "Axes | None" = None, *, regularizer: Any = None, noise: float | None = None) -> "Axes":
    """The L-curve: what is left over against what is penalised, for every alpha, with its corner.

    Parameters
    ----------
    A, b, regularizer
        As `convop.solve` takes them; one item of data.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    noise : float, optional
        Standard deviation of the noise, to mark what the discrepancy principle chooses.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, convop, convop.plot
    >>> A = convop.Convolution(convop.psf.gaussian((9,), sigma=2), 200, boundary="symmetric")
    >>> b = A(np.arange(200) > 80) + 0.01 * np.random.default_rng(0).standard_normal(200)
    >>> convop.plot.lcurve(A, b).get_xlabel()
    '||A x - b||'
    """
    setting = _Setting.of(A, b, regularizer)
    curve = setting.curve
    marks = [("corner", criteria.lcurve(curve, None).alpha, RED, "o")]
    if noise is not None:
        marks.append(("discrepancy", criteria.discrepancy(curve, noise).alpha, GREEN, "s"))
    if not setting.sampled:  # else its traces would take as long again
        marks.append(("GCV", criteria.gcv(curve, None).alpha, ORANGE, "^"))
    ax = axes_for(ax)
    points = np.array([_point(curve, alpha) for alpha in setting.alphas([alpha for _, alpha, _, _ in marks])])
    ax.loglog(*points.T, "o-" if setting.sampled else "-", color=BLUE, markersize=3)
    for name, alpha, colour, marker in marks:
        _mark(ax, _point(curve, alpha), f"{name}: alpha {alpha:.2g}", colour, marker)
    ax.set_xlabel("||A x - b||")
    ax.set_ylabel("||x||" if setting.problem.L is None else "||L x||")
    _finish(ax)
    return ax


def _finish(ax: "Axes") -> None:
    ax.grid(alpha=0.3, which="major")
    ax.tick_params(which="minor", labelsize="x-small")  # which have numbers where there is less than a decade
    ax.legend()


def _point(curve: Curve, alpha: float) -> tuple[float, float]:
    return curve.residual(alpha) ** 0.5, curve.penalty(alpha) ** 0.5


def _mark(ax: "Axes", at: tuple[float, float], label: str, colour: str, marker: str) -> None:
    ax.plot(*at, marker, color=colour, markersize=8, markeredgecolor="white", label=label, linestyle="none", zorder=3)


def gcv(A: Any, b: Any, ax: "Axes | None" = None, *, regularizer: Any = None, noise: float | None = None) -> "Axes":
    """Generalised cross-validation for every alpha, with its least value.

    Parameters
    ----------
    A, b, regularizer
        As `convop.solve` takes them; one item of data.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    noise : float, optional
        Standard deviation of the noise, to mark what the unbiased predictive risk and the discrepancy principle choose.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np, convop, convop.plot
    >>> A = convop.Convolution(convop.psf.gaussian((9,), sigma=2), 200, boundary="symmetric")
    >>> b = A(np.arange(200) > 80) + 0.01 * np.random.default_rng(0).standard_normal(200)
    >>> convop.plot.gcv(A, b, noise=0.01).get_xlabel()
    'alpha'
    """
    setting = _Setting.of(A, b, regularizer)
    curve = setting.curve

    def score(alpha: float) -> float:
        return curve.rows * curve.residual(alpha) / curve.freedom(alpha) ** 2

    marks = [("least", criteria.gcv(curve, None).alpha, RED, "o")]
    if noise is not None:
        marks.append(("predictive risk", criteria.upre(curve, noise).alpha, ORANGE, "^"))
        marks.append(("discrepancy", criteria.discrepancy(curve, noise).alpha, GREEN, "s"))
    alphas = setting.alphas([alpha for _, alpha, _, _ in marks])
    ax = axes_for(ax)
    ax.loglog(alphas, [score(alpha) for alpha in alphas], "o-" if setting.sampled else "-", color=BLUE, markersize=3)
    for name, alpha, colour, marker in marks:
        _mark(ax, (alpha, score(alpha)), f"{name}: alpha {alpha:.2g}", colour, marker)
    ax.set_xlabel("alpha")
    ax.set_ylabel("generalised cross-validation")
    _finish(ax)
    return ax


def picard(A: Any, b: Any, ax: "Axes | None" = None, *, noise: float | None = None) -> "Axes":
    """Picard's condition: whether the data fall off faster than the singular values, and from where they are noise.

    Where the data along a direction no longer fall, they are noise, and dividing by the singular value there gives
    nothing but noise. P. C. Hansen, "The discrete Picard condition for discrete ill-posed problems", BIT 30, 1990.

    Parameters
    ----------
    A, b
        As `convop.solve` takes them; one item of data. The singular vectors of `A` must be known: a closed form, a
        separable kernel, or a small matrix.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.
    noise : float, optional
        Standard deviation of the noise, drawn as a line.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    GeometryError
        If nothing gives the singular vectors.

    Examples
    --------
    >>> import numpy as np, convop, convop.plot
    >>> A = convop.Convolution(convop.psf.gaussian((9,), sigma=2), 200, boundary="symmetric")
    >>> b = A(np.arange(200) > 80) + 0.01 * np.random.default_rng(0).standard_normal(200)
    >>> ax = convop.plot.picard(A, b, noise=0.01)
    """
    problem, data = _problem(A, b, None)
    spectrum = spectrum_of(problem)
    if spectrum is None:
        raise GeometryError(
            f"nothing gives the singular vectors of {problem.A!r}; take a smaller array, or boundary 'periodic'"
        )
    times = np.rint(spectrum.weight).astype(np.intp).ravel()  # of a direction that stands for its conjugate too
    values, sizes = (
        np.repeat(each.ravel(), times) for each in (np.sqrt(spectrum.gain), np.abs(spectrum.analyse(data)[0]))
    )
    order = np.argsort(-values, kind="stable")
    values, sizes = values[order], sizes[order]
    known = values > 0
    number = np.arange(1, len(values) + 1)
    ratio = np.divide(sizes, values, out=np.full_like(sizes, np.nan), where=known)
    ax = axes_for(ax, (5.6, 4.2))
    some = np.unique(np.linspace(0, len(values) - 1, MOST_DOTS).astype(int))
    dots: dict[str, Any] = {"linestyle": "none", "markersize": 2.5, "alpha": 0.35}
    ax.plot(number[some], sizes[some], "o", color=ORANGE, **dots)
    ax.plot(number[some], ratio[some], "s", color=GREEN, **dots)
    ax.plot(number[known], values[known], color=BLUE, label="singular value s")
    ax.plot(number, _running(sizes), color=ORANGE, label="data |u^H b|, running mean")
    ax.plot(number[known], _running(ratio[known]), color=GREEN, label="solution |u^H b| / s, running mean")
    if noise is not None:
        ax.axhline(noise, color=GREY, linestyle="--", label="noise")
    ax.set_yscale("log", nonpositive="mask")
    ax.set_xlabel("number of the singular value")
    ax.grid(alpha=0.3, which="major")
    ax.legend(fontsize="small")
    return ax


def _running(values: Array) -> Array:
    """The geometric mean over neighbours."""
    logs = np.log(np.maximum(values, np.finfo(np.float64).tiny))
    width = max(1, int(RUNNING * len(values)) | 1)
    padded = np.pad(logs, width // 2, mode="edge")
    return np.exp(np.convolve(padded, np.full(width, 1 / width), "valid"))
