"""Time of one application against the size of the picture and of the kernel, from `benchmarks.json`."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

here = Path(__file__).parents[1] if "__file__" in globals() else Path.cwd().parent
rows = json.loads((here / "benchmarks.json").read_text())["scaling"]
by_size = sorted((row for row in rows if row["taps"] == 15), key=lambda row: row["size"])
by_taps = sorted((row for row in rows if row["size"] == 1024), key=lambda row: row["taps"])
names = sorted({name for row in rows for name in row["seconds"]}, key=lambda name: name != "convop")

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for panel, chosen, key, label in (
    (axes[0], by_size, "size", "side of the picture in samples"),
    (axes[1], by_taps, "taps", "taps along each axis"),
):
    for name in names:
        points = sorted({row[key]: 1e3 * row["seconds"][name] for row in chosen if name in row["seconds"]}.items())
        if points:
            style = {"linewidth": 2.5, "color": "black"} if name == "convop" else {"linewidth": 1.2, "alpha": 0.9}
            panel.loglog(*zip(*points, strict=True), marker="o", markersize=3, label=name, **style)
    panel.set_xlabel(label)
    panel.grid(True, which="both", alpha=0.25)
axes[0].set_ylabel("milliseconds")
axes[0].set_title("15x15 taps")
axes[1].set_title("picture of 1024x1024")
axes[0].legend()
