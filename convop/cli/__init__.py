"""The command `convop`: reads the arguments, and turns what goes wrong into one line."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConvopError
from .arguments import add_command, seed
from .bench_arguments import add_bench
from .check_arguments import add_check
from .deblur_arguments import add_deblur
from .describe_arguments import add_describe
from .output import Usage, version

_DEMO_EXAMPLE = """\
example:
  convop demo                       a photograph that comes with matplotlib
  convop demo holiday.jpg -o sharp.png --noise 0.02 --seed 1
  convop demo --json | jq .psnr_restored
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when done, 1 when something failed, 2 for arguments that make no sense."""
    arguments = _parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return 0 if code is None else code
    except Usage as error:
        print(f"convop: {_one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read what was printed has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ConvopError, OSError) as error:
        print(f"convop: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(": ".join(("convop: interrupted", *map(str, interrupt.args))), file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="convop", description="Convolutions as sparse matrices and linear operators.")
    parser.add_argument("--version", action="version", version=f"convop {version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = add_command(
        commands,
        "demo",
        _demo,
        "blur a photograph, check the operator, restore the photograph",
        "Blur a photograph with a composed operator, add noise, check the operator, and\n"
        "restore the photograph by regularised least squares.",
        _DEMO_EXAMPLE,
    )
    demo.add_argument("picture", nargs="?", type=Path, help="a picture file (default: one that matplotlib ships)")
    demo.add_argument(
        "-o", "--output", type=_png, default=Path("convop-demo.png"), help="the PNG to write (default: %(default)s)"
    )
    demo.add_argument("--seed", type=seed, default=0, help="seed of the noise (default: %(default)s)")
    demo.add_argument(
        "--noise", type=_share, default=0.01, help="standard deviation, as a share of full scale (default: %(default)s)"
    )
    demo.add_argument("--quiet", action="store_true", help="print nothing but errors")
    add_deblur(commands)
    add_describe(commands)
    add_check(commands)
    add_bench(commands)
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    from .demo import Demo, demo

    demo(Demo(**{name: getattr(arguments, name) for name in ("picture", "output", "noise", "seed", "quiet", "json")}))


def _png(text: str) -> Path:
    if Path(text).suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a PNG file; end it in .png")
    return Path(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1; 0.01 is one percent")
    return share


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
