"""The arguments of `convop bench`."""

import argparse
from typing import Any

from .arguments import add_command, positive, shape

_EXAMPLE = """\
Every line is one task that convop and scipy are both given, in one process, in
turn, after one run of each that is not counted; the figures are medians. What both
answer is compared before a clock is started. One task runs on as many threads as
the library takes: convop's own and those of scipy's FFT.

examples:
  convop bench
  convop bench --size 1024x1024 --kernel 9x9 --dtype float64 --json
"""


def add_bench(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = add_command(
        commands,
        "bench",
        _run,
        "how fast this machine convolves, next to scipy",
        "Time convolutions, their adjoints and their sparse matrices on this machine, next to\nscipy's. It takes some "
        "seconds.",
        _EXAMPLE,
    )
    parser.add_argument("--size", type=shape, metavar="512x512", help="of the arrays, instead of those built in")
    parser.add_argument("--kernel", type=shape, metavar="5x5", help="of the kernel, with --size (default: 5 per axis)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"), help="(default: %(default)s)")
    parser.add_argument("--boundary", default="zero", choices=("zero", "periodic", "symmetric", "mirror", "replicate"))
    parser.add_argument("--rounds", type=positive, default=9, help="runs of each (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _run(arguments: argparse.Namespace) -> None:
    from .bench import Job, bench

    names = ("size", "kernel", "dtype", "boundary", "rounds", "json", "quiet")
    bench(Job(**{name: getattr(arguments, name) for name in names}))
