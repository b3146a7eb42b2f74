"""Arguments that several commands take, and how a command is added to the parser."""

import argparse
from collections.abc import Callable
from typing import Any


def add_command(commands: Any, name: str, run: Callable[..., Any], help: str, description: str, epilog: str) -> Any:
    """A command with `--json`, described and with an example."""
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def shape(text: str) -> tuple[int, ...]:
    """`64x48` as a shape."""
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no shape; write 64x48, or 64 for one axis")
    return tuple(map(int, parts))


def counts(text: str) -> int | tuple[int, ...]:
    """`2`, or `2x1` for each axis."""
    parts = text.lower().split("x")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no number; write 2, or 2x1 for each axis")
    return tuple(map(int, parts)) if len(parts) > 1 else int(parts[0])


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give a whole number, 1 or more")
    return int(text)


def seed(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number, 0 or more")
    return int(text)
