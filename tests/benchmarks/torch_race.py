"""What the torch benchmarks share: rivals that take turns on fresh data, medians, and tables of them."""

import argparse
import json
import random
import statistics
import time
from pathlib import Path

import torch


def arguments(description):
    """The options of a benchmark script."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes and two rounds: does it still run?")
    parser.add_argument("--rounds", type=int, default=15, help="how often the rivals take turns")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    return parser


def clock(device):
    """`measure(function, x)` in seconds: events on a CUDA device, the wall clock on a CPU."""

    def wall(function, x):
        start = time.perf_counter()
        function(x)
        return time.perf_counter() - start

    def events(function, x):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        function(x)
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1000

    return events if torch.device(device).type == "cuda" else wall


def race(rivals, fresh, rounds, device="cpu"):
    """Median seconds of each of `rivals` on `fresh()` data; they take turns, and two rounds go before to warm up."""
    measure, times = clock(device), {name: [] for name in rivals}
    for number in range(rounds + 2):
        x = fresh()
        for name in random.sample(list(rivals), len(rivals)):  # who goes first finds cold caches
            seconds = measure(rivals[name], x)
            if number > 1:
                times[name].append(seconds)
    return {name: statistics.median(each) for name, each in times.items()}


def machine(device="cpu"):
    """The card, or the threads of the CPU, and torch's version."""
    where = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else "CPU"
    threads = "" if where != "CPU" else f", {torch.get_num_threads()} threads"
    return f"{where}{threads}, torch {torch.__version__}"


def table(title, rows):
    """Rows of one set of columns as markdown; times in ms, ratios as they are."""
    names = list(rows[0])
    lines = [f"**{title}**", "", f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"]
    lines += [f"| {' | '.join(_cell(name, row[name]) for name in names)} |" for row in rows]
    return "\n".join([*lines, ""])


def _cell(name, value):
    if not isinstance(value, float):
        return str(value)
    return f"{1e3 * value:.3g}" if name.endswith("ms") else f"{value:.3g}"


def tell(options, where, tables):
    """Print the tables, and write the figures to a file if asked."""
    print(f"Medians of {options.rounds} rounds, rivals in turn on fresh random data; {where}.\n")
    for title, rows in tables.items():
        print(table(title, rows))
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": where, "seconds": True, **tables}, indent=2))
