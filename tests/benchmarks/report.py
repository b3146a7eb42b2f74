"""Writes `docs/benchmarks.md` from the figures of the benchmarks.

    python tests/benchmarks/speed.py --json F/speed.json
    python tests/benchmarks/channels.py --json F/channels.json
    python tests/benchmarks/assembly.py --json F/assembly.json
    python tests/benchmarks/torch_cpu.py --json F/torch_cpu.json
    python tests/benchmarks/solving.py --out F
    python tests/benchmarks/report.py F            # whichever of them are in the folder F

The figures of `speed.py` go to `docs/benchmarks.json` too, which the page's plots are drawn from.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from racing import markdown, milliseconds
from speed import summary

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """# Benchmarks

Every table comes from a script in `tests/benchmarks/`, which anyone can run: rivals take turns in one process, each
answer is compared with a float64 reference before it is timed, and medians are compared. What a library can prepare
(spectra, flipped kernels, matrices) is prepared beforehand. A cell that convop loses stands here as lost. Absolute
times are those of one machine; ratios are what carries over.

{machine}
"""
MEMORY = """## Memory

What one application takes beyond its input and its result, for `n` input samples and `m` outputs of the signal's type:

| engine | beside the result |
| --- | --- |
| `direct` | slabs at the edges; under strides in the adjoint one array of the outputs of a residue |
| `separable` | an array for each term of the kernel, as the passes leave them |
| `gemm` | a buffer of 1 MB for each thread, or of one window where that is more |
| `fft`, whole | the transform: about twice the padded array |
| `fft`, blocks | a block and its transform for each thread (about 2 MB); the extended array, unless zero is outside |
| `sparse` | the matrix, kept: 12 bytes for each entry in float64 |
"""
PLOTS = """## Scaling

Time against the size of the picture (15x15 taps) and against the size of the kernel (1024^2), float32:

```{eval-rst}
.. plot:: figures/scaling.py
   :alt: time of one application against picture size and kernel size, for convop and rivals
```
"""


def applying(figures: dict[str, Any]) -> list[str]:
    """One channel: the summary of the rules, and every cell."""
    titles = {"2d": "Pictures", "1d": "Signals", "3d": "Volumes"}
    lines = ["## One channel, zero boundary", ""]
    lines += [
        'Milliseconds of one application. "lead" is the time of the best rival over convop\'s: below 1 convop loses. '
        '"adjoint" is the time of `A.H(x)` over that of `A(x)`. What is lost are small pictures with few taps in '
        "float32: a call costs about 12 microseconds, and bringing lines into cache a third of the time.",
        "",
    ]
    for part, title in titles.items():
        if part in figures:
            lines += [f"### {title}", "", f"{summary(figures[part])}.", "", markdown(_cells(figures[part]))]
    return lines


def _cells(rows: list[dict]) -> list[dict[str, str]]:
    names = sorted({name for row in rows for name in (*row["seconds"], *row["missing"])} - {"convop"})
    return [
        {
            "case": row["case"].replace("float", "f"),
            "convop": milliseconds(row["seconds"]["convop"]),
            "method": row["method"],
            "lead": f"{row['lead']:.2f}" if row["lead"] else "-",
            "adjoint": f"{row['adjoint']:.2f}",
            **{name: milliseconds(row["seconds"].get(name)) for name in names},
        }
        for row in rows
    ]


def spectra_kept(figures: dict[str, Any]) -> list[str]:
    """Periodic convolutions, and small calls."""
    lines = []
    if "periodic" in figures:
        rows = [
            {"case": row["case"], **{name: milliseconds(each) for name, each in row["seconds"].items()},
             "ratio": f"{row['ratio']:.2f}"}
            for row in figures["periodic"]
        ]  # fmt: skip
        lines += [
            "## Periodic, the kernel's spectrum kept",
            "",
            "Milliseconds, next to the bare transforms:",
            "",
            markdown(rows),
        ]
    if "small" in figures:
        rows = [
            {"case": row["case"], **{name: f"{1e6 * each:.1f}" for name, each in row["seconds"].items()}}
            for row in figures["small"]
        ]
        lines += ["## What a call costs at least", "", "Microseconds, end to end:", "", markdown(rows)]
    return lines


def tables(figures: dict[str, Any], heading: str, script: str) -> list[str]:
    """Tables of a script that keeps rows by title; seconds are shown in ms."""
    lines = [f"## {heading}", "", f"`python tests/benchmarks/{script}`; {figures['machine']}.", ""]
    for title, rows in figures.items():
        if isinstance(rows, list) and rows:
            shown = [{name: _shown(name, value) for name, value in row.items()} for row in rows]
            lines += [f"**{title}**", "", markdown(shown)]
    return lines


def _shown(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return milliseconds(value) if name.endswith("ms") else f"{value:.2f}"


def assembly(rows: list[dict]) -> list[str]:
    """Million entries a second, median and best."""
    names = list(dict.fromkeys(name for row in rows for name in row["rates"]))
    shown = []
    for row in rows:
        rates = {name: row["rates"].get(name) for name in names}
        cells = {name: f"{rate['median']:.0f} ({rate['best']:.0f})" if rate else "-" for name, rate in rates.items()}
        share = rates["convop"]["best"] / rates["memory"]["best"] if rates.get("convop") else float("nan")
        shown.append({"case": row["case"], "entries": f"{row['entries']:,}", **cells, "of memory": f"{share:.2f}"})
    said = (
        'Million entries a second, median (best), float64 and int32 indices. "memory" writes as many bytes into fresh '
        "arrays and computes nothing."
    )
    return ["## Assembling the matrix", "", said, "", markdown(shown)]


def page(folder: Path) -> str:
    """The whole page, of the figures there are."""

    def read(name: str) -> Any:
        path = folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    speed, lines = read("speed"), []
    lines.append(HEAD.format(machine=f"Machine: {speed['machine']}." if speed else ""))
    if speed:
        lines += [*applying(speed), *([PLOTS] if "scaling" in speed else []), *spectra_kept(speed)]
        (DOCS / "benchmarks.json").write_text(
            json.dumps({"machine": speed["machine"], "scaling": speed.get("scaling")})
        )
    lines.append(MEMORY)
    if figures := read("channels"):
        lines += tables(figures, "Many channels, and separable kernels", "channels.py")
    if rows := read("assembly"):
        lines += assembly(rows)
    if figures := read("torch_cpu"):
        lines += tables(figures, "torch modules on a CPU", "torch_cpu.py")
    lines += ["## torch on a GPU", "", _gpu(read("torch_gpu")), ""]
    if (folder / "solving.md").exists():
        said = (
            "Seconds to a relative residual of 1e-6 of the normal equations, unknown boundary, set-up included; "
            '`solving.py`. "gain" is the time of the best rival over that of convop; "on its operator" counts LSMR of '
            'scipy on the operator of convop as a rival, too; ">" stands where rivals were stopped.'
        )
        lines += ["## Deconvolution", "", said, "", (folder / "solving.md").read_text()]
    return "\n".join(lines).rstrip() + "\n"


def _gpu(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return (
            "Not measured: no GPU was at hand when this page was written. Where there is one, "
            "`python tests/benchmarks/torch_gpu.py` prints the table."
        )
    return "\n".join(tables(figures, "", "torch_gpu.py")[2:])


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    (DOCS / "benchmarks.md").write_text(page(parser.parse_args().folder))


if __name__ == "__main__":
    main()
