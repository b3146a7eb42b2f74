"""The arguments of `convop check`."""

import argparse
from typing import Any

from .arguments import add_command, positive, seed, shape

_EXAMPLE = """\
MODULE:NAME is an operator, a function that returns one, or a pair (forward,
adjoint) of functions, which also needs --in-shape and --out-shape. Operators are
those of convop, scipy and PyLops, sparse and dense matrices.

examples:
  convop check scanner.operators:blur
  convop check src/scanner.py:make_projector --trials 50 --json
  convop check wavelets:pair --in-shape 64x64 --out-shape 3x64x64

The exit code is 0 where the check passes, 1 where it fails, and 2 where there is
nothing to check, so that a line in your CI is all it takes.
"""


def add_check(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = add_command(
        commands,
        "check",
        _run,
        "is the adjoint of an operator its adjoint?",
        "Check that the adjoint of an operator, of anybody's, is its adjoint; and if not,\nsay what is wrong with it.",
        _EXAMPLE,
    )
    parser.add_argument("operator", metavar="MODULE:NAME", help="a module or a file, and the name in it")
    parser.add_argument("--trials", type=positive, default=20, help="pairs of random arrays (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of these arrays (default: %(default)s)")
    parser.add_argument("--exact", action="store_true", help="with integers, and no rounding allowed")
    parser.add_argument("--in-shape", type=shape, metavar="64x64", help="of the arrays that it takes")
    parser.add_argument("--out-shape", type=shape, metavar="64x64", help="of the arrays that it gives")
    parser.add_argument("--dtype", help="of a pair of functions: float32, float64, ...")
    parser.add_argument("--quiet", action="store_true", help="say it by the exit code alone")


def _run(arguments: argparse.Namespace) -> int:
    from .check import Job, check

    names = ("trials", "seed", "exact", "in_shape", "out_shape", "dtype", "json", "quiet")
    return check(Job(arguments.operator, **{name: getattr(arguments, name) for name in names}))
