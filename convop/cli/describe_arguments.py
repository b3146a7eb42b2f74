"""The arguments of `convop describe`."""

import argparse
from pathlib import Path
from typing import Any

from .arguments import add_command, counts, shape

_EXAMPLE = """\
FILE is a kernel (NPY, NPZ, CSV or a grey picture), an operator that convop.save
wrote (NPZ), or a checkpoint of torch (.pt, .pth, .ckpt, .bin), which is loaded
without running code that it may hold. The kernels of a checkpoint or of an NPZ file
are listed; --name picks one.

examples:
  convop describe motion.npy --in-shape 64x64 --boundaries
  convop describe resnet.pt
  convop describe resnet.pt --name layer1.0.conv1.weight --padding 1 --in-shape 56x56
"""


def add_describe(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = add_command(
        commands,
        "describe",
        _run,
        "what a kernel, a layer or a saved operator is as a matrix",
        "Describe a convolution: its kernel, what its matrix is, how large that would be, its\nnorm and its condition.",
        _EXAMPLE,
    )
    parser.add_argument("file", type=Path, help="a kernel, a checkpoint or a saved operator")
    parser.add_argument("--name", help="which array of an NPZ file or checkpoint")
    parser.add_argument("--in-shape", type=shape, metavar="64x64", help="of the arrays, without channels")
    parser.add_argument("--boundary", help="what lies outside: zero (default), periodic, symmetric, ...")
    parser.add_argument("--boundaries", action="store_true", help="compare norm and condition under all of them")
    parser.add_argument("--mode", choices=("same", "full", "valid"), help="of a kernel (default: same)")
    parser.add_argument("--layer", action="store_true", help="the first two axes are channels, (out, in)")
    parser.add_argument("--stride", type=counts, default=1, metavar="N", help="step between outputs")
    parser.add_argument("--dilation", type=counts, default=1, metavar="N", help="spacing of the taps")
    parser.add_argument("--padding", type=counts, metavar="N", help="of a layer (default: half its reach)")
    parser.add_argument("--groups", type=int, default=1, metavar="N", help="of a layer")


def _run(arguments: argparse.Namespace) -> None:
    from .describe import Job, describe

    names = ("name", "in_shape", "boundary", "boundaries", "mode", "layer", "stride", "dilation", "padding", "groups")
    describe(Job(arguments.file, json=arguments.json, **{name: getattr(arguments, name) for name in names}))
