"""Applying one convolution, against every library that has one: is convop the fastest, and by how much?

    python tests/benchmarks/speed.py              # every cell, about 10 minutes; figures in speed.json
    python tests/benchmarks/speed.py --quick      # small cells, seconds: is everyone's answer right?
    python tests/benchmarks/speed.py --part 2d    # one of 2d, 1d, 3d, periodic, small, scaling

A zero boundary and as many outputs as samples, for signals, pictures and volumes. Every answer is compared with a
float64 convolution by scipy before it is timed. Rivals take turns in one process. "lead" is the time of the best rival
over convop's: below 1 convop loses. "adjoint" is the time of `A.H(x)` over that of `A(x)`.
"""

import argparse
import math
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import racing
from racing import milliseconds, race
from rivals import Case, reference, rivals

import convop

TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
DTYPES = ("float32", "float64")
TAPS = (3, 5, 7, 9, 15, 31, 63)
TAPS_SCALED = (3, 5, 7, 9, 11, 15, 21, 31, 47, 63, 95, 127)
FAST = ("fftconvolve", "oaconvolve", "OpenCV", "PyLops")  # those who can follow to large sizes


def cases(part: str, quick: bool) -> Iterator[Case]:
    """The cells of a part of the table."""
    if quick:
        sizes = {"2d": ((40, 31), (3, 6, 15)), "1d": ((500,), (4, 31)), "3d": ((12, 9, 14), (3, 4))}
        shape, taps = sizes[part]
        yield from (Case(shape, k, dtype) for dtype in DTYPES for k in taps)
        return
    grid = {
        "2d": [((n, n), TAPS) for n in (256, 512, 1024, 2048, 4096)],
        "1d": [((1_000_000,), (31, 1001, 100_001))],
        "3d": [((128, 128, 128), (3, 7, 15))],
    }[part]
    yield from (Case(shape, k, dtype) for dtype in DTYPES for shape, taps in grid for k in taps)


def apply_cell(case: Case, rounds: int, only: tuple[str, ...] | None = None) -> dict:
    """Everyone on one cell, and our adjoint."""
    A = convop.Convolution(case.kernel, case.shape)
    others, missing = rivals(case)
    others = {name: other for name, other in others.items() if only is None or name in only}
    result = race({"convop": lambda: A(case.x), **others}, reference(case), TOLERANCE[case.dtype], rounds)
    ours = race({"forward": lambda: A(case.x), "adjoint": lambda: A.H(case.x)}, rounds=2 * rounds, budget=1.5).seconds
    best = result.best_rival()
    return {
        "case": str(case), "ndim": len(case.shape), "size": case.shape[0], "taps": case.taps, "dtype": case.dtype,
        "method": A.method, "seconds": result.seconds, "missing": missing | result.missing,
        "best rival": best[0] if best else None, "lead": result.lead(),
        "adjoint": ours["adjoint"] / ours["forward"],
    }  # fmt: skip


def periodic_cell(size: int, dtype: str, rounds: int) -> dict:
    """A periodic convolution whose spectrum is kept, and the bare transforms there and back."""
    import scipy.fft

    case = Case((size, size), 31, dtype)
    A = convop.Convolution(case.kernel, case.shape, boundary="periodic").using("fft")
    A(case.x)

    def bare() -> np.ndarray:
        spectrum = scipy.fft.rfft2(case.x, workers=2)
        return scipy.fft.irfft2(spectrum, case.shape, workers=2, overwrite_x=True)

    seconds = race({"convop": lambda: A(case.x), "scipy.fft there and back": bare}, rounds=rounds).seconds
    return {"case": f"{size}^2, {dtype}", "seconds": seconds, "ratio": seconds["convop"] / min(seconds.values())}


def small_cell(size: int, dtype: str) -> dict:
    """What a call costs at least."""
    case = Case((size, size), 3, dtype)
    A = convop.Convolution(case.kernel, case.shape)
    seconds = race({"A(x)": lambda: A(case.x), "A.H(x)": lambda: A.H(case.x)}, rounds=2000, budget=1.0).seconds
    return {"case": str(case), "seconds": seconds}


def scaling(quick: bool) -> Iterator[Case]:
    """One kernel on pictures of all sizes, and one picture with kernels of all sizes."""
    sizes, taps = ((64, 128), (3, 5)) if quick else ((64, 128, 256, 512, 1024, 2048, 4096, 8192), TAPS_SCALED)
    yield from (Case((n, n), 15, "float32") for n in sizes)
    yield from (Case((64, 64) if quick else (1024, 1024), k, "float32") for k in taps)


def tell(row: dict) -> str:
    """One line of a terminal."""
    if "lead" not in row:
        times = ", ".join(f"{name} {milliseconds(each)} ms" for name, each in row["seconds"].items())
        return f"{row['case']:26s} {times}"
    lead = "alone" if row["lead"] is None else f"{row['best rival']} takes {row['lead']:.2f} of it"
    ours = milliseconds(row["seconds"].get("convop"))
    return f"{row['case']:26s} {ours:>6s} ms {row['method']:10s} {lead}; adjoint {row['adjoint']:.2f}"


def summary(rows: list[dict]) -> str:
    """How the cells stand against the rules: none slower than 1.2, 1.4 times faster on average."""
    leads = [row["lead"] for row in rows if row["lead"]]
    lost = [row["case"] for row in rows if row["lead"] and row["lead"] < 1 / 1.2]
    slow = [row["case"] for row in rows if row["adjoint"] > 1.15]
    mean = math.exp(sum(map(math.log, leads)) / len(leads))
    return (
        f"{len(leads)} cells: {mean:.2f} times faster than the best rival (geometric mean), least {min(leads):.2f}. "
        f"More than 1.2 times slower in {len(lost)}: {'; '.join(lost) or 'none'}. "
        f"Adjoint more than 1.15 times slower than the forward in {len(slow)}: {'; '.join(slow) or 'none'}"
    )


def run(part: str, quick: bool, rounds: int) -> list[dict]:
    """The rows of a part, told as they come."""
    if part == "periodic":
        sizes = (32,) if quick else (512, 1024, 2048, 4096)
        cells = (lambda n=n, d=d: periodic_cell(n, d, rounds) for d in DTYPES for n in sizes)
    elif part == "scaling":
        cells = (lambda case=case: apply_cell(case, min(rounds, 7), FAST) for case in scaling(quick))
    elif part == "small":
        cells = (lambda n=n, d=d: small_cell(n, d) for d in DTYPES for n in (32, 64))
    else:
        cells = (lambda case=case: apply_cell(case, rounds) for case in cases(part, quick))
    rows = []
    for cell in cells:
        rows.append(cell())
        print(tell(rows[-1]), flush=True)
    return rows


def main(given: list[str] | None = None) -> None:
    """Run the parts and keep their figures."""
    parts = ("2d", "1d", "3d", "periodic", "small", "scaling")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=parts, action="append", help="only this part; may be given more than once")
    parser.add_argument("--quick", action="store_true", help="small cells and few rounds")
    parser.add_argument("--rounds", type=int, default=15, help="how often the rivals take turns")
    parser.add_argument("--json", type=Path, default=Path("speed.json"), help="where the figures go")
    options = parser.parse_args(given)
    figures = {part: run(part, options.quick, 3 if options.quick else options.rounds) for part in options.part or parts}
    for part in figures.keys() & {"2d", "1d", "3d"}:
        print(f"{part}: {summary(figures[part])}")
    racing.save(options.json, figures)


if __name__ == "__main__":
    main()
