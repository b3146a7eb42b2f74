"""How long restoring a picture takes, and how many steps: `convop.solve` against iterative solvers of other libraries.

    python tests/benchmarks/solving.py                # tables on the screen, and solving.json and solving.md; an hour
    python tests/benchmarks/solving.py --sizes 512    # some rows of them anew
    python tests/benchmarks/solving.py --quick        # one small case, in seconds

The problem is `min ||A x - b||^2 + alpha ||x||^2` with the boundary unknown (the scene goes on past the frame). Every
solver is given the picture and the kernel, builds its operator, and stops at the same relative residual of the normal
equations, `1e-6`; each answer's residual is computed anew by one operator for all. Contenders take turns, and medians
are compared. A rival that takes `--patience` times as long as convop is stopped; its time is then a lower bound. "gain"
is the time of the best rival over convop's; "on its operator" counts scipy's LSMR on convop's operator as a rival, too.
"""

import argparse
import json
import math
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import fftconvolve
from scipy.sparse.linalg import LinearOperator, lsmr

import convop

TOL = 1e-6
LEAST_BUDGET = 1.0  # seconds that a rival has in any case
SLACK = 1.05  # of the tolerance, for solvers that estimate their residual
KERNELS = {
    "gaussian 9": convop.psf.gaussian(9, 1.5),
    "gaussian 31": convop.psf.gaussian(31, 5),
    "disk 9": convop.psf.disk(4),
    "motion 15": convop.psf.motion(15, 30),
    "motion 31": convop.psf.motion(31, 45),
    "random 9": np.random.default_rng(1).random((9, 9)) / 40,
    "random 31": np.random.default_rng(2).random((31, 31)) / 480,
}
ALPHAS = (1e-2, 1e-4, 1e-6)
FIGURES = "solving.json"
OURS = "scipy lsmr, convop operator"  # faster than what any of the rivals brings


class OutOfTimeError(Exception):
    """A contender has used up its budget."""


@dataclass(frozen=True)
class Case:
    """A picture of a scene blurred by a kernel, and how strong the penalty is."""

    size: int
    name: str
    alpha: float
    mode: str = "valid"

    @property
    def kernel(self) -> Any:
        return KERNELS[self.name]

    @property
    def in_shape(self) -> tuple[int, ...]:
        margin = 1 if self.mode == "valid" else 0
        return tuple(self.size + margin * (k - 1) for k in self.kernel.shape)

    @property
    def operator(self) -> Any:
        return convop.Convolution(self.kernel, self.in_shape, mode=self.mode)

    def picture(self) -> Any:
        rng, A = np.random.default_rng(0), self.operator
        return A(rng.random(A.in_shape)) + 0.01 * rng.standard_normal(A.out_shape)

    def residual(self, x: Any, b: Any) -> float:
        """Of the normal equations, relative to their right-hand side."""
        A, x = self.operator.using("fft"), np.reshape(x, self.in_shape)
        f = A.H(b)
        return float(np.linalg.norm(f - A.H(A(x)) - self.alpha * x) / np.linalg.norm(f))


# Contenders: the case, the picture and a clock that ends them, to the estimate.


class Clock:
    """Ends a contender that has used up its budget; every application of an operator asks it."""

    def __init__(self, budget: float) -> None:
        self.budget, self.end, self.calls = budget, time.perf_counter() + budget, 0

    def __call__(self, function: Callable) -> Callable:
        def timed(x: Any) -> Any:
            self.calls += 1
            if time.perf_counter() > self.end:
                raise OutOfTimeError
            return function(x)

        return timed


def convop_solve(case: Case, b: Any, clock: Clock) -> Any:
    return convop.solve(case.operator, b, alpha=case.alpha, tol=TOL).unwrap()


def scipy_lsmr(A: Any, case: Case, b: Any, target: dict) -> Any:
    x, *_, arnorm, norm, _, _ = lsmr(
        A, b.ravel(), damp=math.sqrt(case.alpha), atol=target["atol"], btol=0, conlim=0, maxiter=100_000
    )
    return x, arnorm, norm


def with_tolerance(make: Callable) -> Callable:
    """LSMR on an operator, with the tolerance of its own that leads to ours; found once, outside the timing."""
    known: dict[Case, float] = {}

    def contender(case: Case, b: Any, clock: Clock) -> Any:
        f = np.linalg.norm(case.operator.using("fft").H(b))
        while case not in known:
            atol = 1e-3  # so that no run of these takes longer than the one that counts
            for _ in range(5):  # its test is relative to norms of its own, which a first run tells
                _, arnorm, _ = scipy_lsmr(make(case, Clock(clock.budget)), case, b, {"atol": atol})
                if arnorm <= TOL * f:
                    break
                atol *= 0.9 * TOL * f / arnorm
            known[case] = atol
            raise Again
        return scipy_lsmr(make(case, clock), case, b, {"atol": known[case]})[0]

    return contender


class Again(Exception):
    """What was needed is known now; the run that counts comes next."""


def lsmr_on_convop(case: Case, clock: Clock) -> LinearOperator:
    A = case.operator
    return LinearOperator(A.shape, clock(A.matvec), clock(A.rmatvec), dtype=A.dtype)


def lsmr_on_fftconvolve(case: Case, clock: Clock) -> LinearOperator:
    h, turned = case.kernel, case.kernel[::-1, ::-1]
    out = case.operator.out_shape

    def forward(x: Any) -> Any:
        return fftconvolve(x.reshape(case.in_shape), h, case.mode).ravel()

    def adjoint(y: Any) -> Any:
        return fftconvolve(y.reshape(out), turned, "full" if case.mode == "valid" else "valid").ravel()

    return LinearOperator(case.operator.shape, clock(forward), clock(adjoint), dtype=h.dtype)


def pylops_operator(case: Case, clock: Clock) -> Any:
    """PyLops' Convolve2D keeps sizes; what reads outside is cropped by the adjoint of its Pad."""
    import pylops

    h, shape = case.kernel, case.in_shape
    same = pylops.signalprocessing.Convolve2D(shape, h, offset=[(k - 1) // 2 for k in h.shape])
    margins = tuple((k - 1 - (k - 1) // 2, (k - 1) // 2) for k in h.shape)
    A = pylops.Pad(case.operator.out_shape, margins).H @ same
    apply, back = clock(A.matvec), clock(A.rmatvec)
    return pylops.FunctionOperator(apply, back, *A.shape, dtype=h.dtype)


def pylops_cgls(case: Case, b: Any, clock: Clock) -> Any:
    import pylops

    f = np.linalg.norm(case.operator.using("fft").H(b))
    return pylops.optimization.basic.cgls(
        pylops_operator(case, clock), b.ravel(), niter=100_000, damp=math.sqrt(case.alpha), tol=float(TOL * f) ** 2
    )[0]


def sigpy_cg(case: Case, b: Any, clock: Clock) -> Any:
    import sigpy

    A = sigpy.linop.ConvolveData(case.in_shape, case.kernel, mode=case.mode)
    f = np.linalg.norm(A.H(b))
    app = sigpy.app.LinearLeastSquares(A, b, lamda=case.alpha, tol=TOL * f, max_iter=100_000, show_pbar=False)
    app.alg.A = clock(app.alg.A)
    return app.run()


def contenders() -> dict[str, Callable]:
    found: dict[str, Callable] = {
        "convop.solve": convop_solve,
        OURS: with_tolerance(lsmr_on_convop),
        "scipy lsmr, fftconvolve": with_tolerance(lsmr_on_fftconvolve),
        "PyLops cgls": pylops_cgls,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import sigpy  # noqa: F401
        except ImportError:
            print("SigPy cannot be imported and is left out")
        else:
            found["SigPy cg"] = sigpy_cg
    return found


def measured(case: Case, everyone: dict[str, Callable], repeats: int, patience: float) -> dict[str, dict]:
    """Median seconds and the worst residual of each contender; "at least" where it ran out of its budget."""
    b = case.picture()
    budget = max(LEAST_BUDGET, patience * least_seconds(lambda: convop_solve(case, b, Clock(math.inf))))
    seconds: dict[str, list[float]] = {name: [] for name in everyone}
    worst, out_of_time = dict.fromkeys(everyone, 0.0), set()
    for _ in range(repeats):
        for name, contender in everyone.items():
            if name in out_of_time:
                continue
            for _ in range(2):
                start = time.perf_counter()
                try:
                    x = contender(case, b, Clock(budget))
                except Again:
                    continue
                except OutOfTimeError:
                    out_of_time.add(name)
                    seconds[name] = [budget]
                    break
                seconds[name].append(time.perf_counter() - start)
                worst[name] = max(worst[name], case.residual(x, b))
                break
    return {
        name: {
            "seconds": statistics.median(seconds[name]),
            "at_least": name in out_of_time,
            "residual": None if name in out_of_time else worst[name],
            "reached": name not in out_of_time and worst[name] <= TOL * SLACK,
        }
        for name in everyone
    }


def least_seconds(run: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def gain(results: dict[str, dict], with_ours: bool) -> tuple[float, str]:
    """How many times longer the best rival took, and ">" where that is a lower bound; with our operator or without."""
    own = results["convop.solve"]["seconds"]
    rivals = [each for name, each in results.items() if name != "convop.solve" and (with_ours or name != OURS)]
    best = min(rivals, key=lambda each: each["seconds"])
    return best["seconds"] / own, ">" if best["at_least"] else ""


def speed_table(rows: list[dict]) -> list[str]:
    names = list(rows[0]["results"])
    lines = [
        "| size | kernel | alpha | " + " | ".join(names) + " | gain | on its operator |",
        "| --- " * (len(names) + 5) + "|",
    ]
    for row in rows:
        cells = []
        for each in row["results"].values():
            sign = ">" if each["at_least"] else ""
            flaw = "" if each["reached"] or each["at_least"] else f" (residual {each['residual']:.1e})"
            cells.append(f"{sign}{each['seconds']:.3g} s{flaw}")
        cells += ["{1}{0:.1f}x".format(*gain(row["results"], with_ours)) for with_ours in (False, True)]
        lines.append(f"| {row['size']} | {row['kernel']} | {row['alpha']:.0e} | " + " | ".join(cells) + " |")
    return lines


def summary(rows: list[dict]) -> list[str]:
    """The least and the mean gain for each size and alpha; ">" where rivals that were stopped are among those."""
    lines = ["| size | alpha | least gain | mean gain | least, on its operator | mean |", "| --- " * 6 + "|"]
    for size, alpha in sorted({(row["size"], row["alpha"]) for row in rows}, key=lambda each: (each[0], -each[1])):
        cells = []
        for with_ours in (False, True):
            here = [row for row in rows if (row["size"], row["alpha"]) == (size, alpha)]
            gains = [gain(row["results"], with_ours) for row in here]
            (least, sign), mean = min(gains), statistics.geometric_mean(ratio for ratio, _ in gains)
            cells += [f"{sign}{least:.1f}x", f"{max(sign for _, sign in gains)}{mean:.1f}x"]
        lines.append(f"| {size} | {alpha:.0e} | " + " | ".join(cells) + " |")
    return lines


def steps_table(sizes: list[int]) -> list[str]:
    """The most steps that any kernel needs: unknown boundary at these sizes, "full" at the first of them."""
    lines = ["| boundary | size | alpha | most steps to 1e-6 | to 1e-9 |", "| --- " * 5 + "|"]
    for mode, size in [*(("valid", size) for size in sizes), ("full", sizes[0])]:
        for alpha in ALPHAS:
            most = [max(_steps(Case(size, name, alpha, mode), tol) for name in KERNELS) for tol in (1e-6, 1e-9)]
            lines.append(f"| {mode} | {size} | {alpha:.0e} | " + " | ".join(f"{n} ({name})" for n, name in most) + " |")
    return lines


def _steps(case: Case, tol: float) -> tuple[int, str]:
    solution = convop.solve(case.operator.using("fft"), case.picture(), alpha=case.alpha, tol=tol)
    solution.unwrap()
    return solution.iterations, case.name


def main(arguments: list[str] | None = None) -> list[dict]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small case")
    parser.add_argument("--sizes", type=int, nargs="*", default=[128, 256, 512, 1024, 2048])
    parser.add_argument("--kernels", nargs="+", default=list(KERNELS), choices=list(KERNELS))
    parser.add_argument("--alphas", type=float, nargs="+", default=list(ALPHAS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--patience", type=float, default=50, help="how many times convop's time a rival has (50)")
    parser.add_argument("--steps", type=int, nargs="*", default=[128], help="sizes for which steps are counted (128)")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for solving.json and solving.md")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.sizes, asked.kernels, asked.alphas, asked.repeats = [48], ["motion 15"], [1e-3], 1
    everyone, rows = contenders(), []
    measured(Case(32, "gaussian 9", 1e-2), everyone, 1, asked.patience)  # everything is imported and compiled
    figures = {} if asked.quick or not (asked.out / FIGURES).exists() else json.loads((asked.out / FIGURES).read_text())
    for size in asked.sizes:
        for name in asked.kernels:
            for alpha in asked.alphas:
                case = Case(size, name, alpha)
                rows.append(
                    {"size": size, "kernel": name, "alpha": alpha,
                     "results": measured(case, everyone, asked.repeats, asked.patience)}
                )  # fmt: skip
                print(speed_table(rows)[-1], flush=True)
    known = {(row["size"], row["kernel"], row["alpha"]): row for row in [*figures.get("speed", []), *rows]}
    order = list(KERNELS)
    figures["speed"] = sorted(known.values(), key=lambda row: (row["size"], order.index(row["kernel"]), -row["alpha"]))
    print("\n".join(summary(figures["speed"])))
    if asked.steps and not asked.quick:
        figures["steps"] = ["Steps of conjugate gradients, the most over all kernels:", "", *steps_table(asked.steps)]
        print("\n".join(figures["steps"]))
    lines = [*summary(figures["speed"]), "", *speed_table(figures["speed"]), "", *figures.get("steps", [])]
    (asked.out / "solving.md").write_text("\n".join(lines) + "\n")
    (asked.out / FIGURES).write_text(json.dumps(figures, indent=1))
    return rows


if __name__ == "__main__":
    main()
