"""The arguments of `convop deblur`."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import ConvopError
from .arguments import positive

_EXAMPLE = """\
PSF, the blur of a bright point:
  gaussian:sigma=2           also size=13; for each axis sigma=1x2x2
  moffat:fwhm=4,beta=3       also size=25
  disk:radius=4              out of focus
  motion:length=15,angle=30  degrees, counter-clockwise from the horizontal
  FILE                       a grey picture or an NPY array, scaled to the sum 1

examples:
  convop deblur shaken.png --psf motion:length=15,angle=30 -o sharp.png
  convop deblur cells.tif --psf measured.npy -o sharp.tif --alpha 0.02

PNG, JPEG, TIFF and NPY files are read, and PNG, TIFF and NPY files written, of the input's bit depth. With a blur of
as many axes a volume is restored as one, with one of two axes slice by slice.
"""


def add_deblur(commands: Any) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser(
        "deblur",
        help="undo a known blur of a picture or volume",
        description="Undo a known blur. The scene is taken to go on past the frame of the picture.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("picture", type=Path, help="the blurred picture or volume")
    parser.add_argument("--psf", type=_psf, required=True, help="the blur, see below")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--prior", help='what is known of the scene: "tv" (default), "tikhonov", "l1" or "poisson"')
    parser.add_argument("--alpha", type=_alpha, help="weight of the prior, a number or a rule such as gcv")
    parser.add_argument("--noise", type=_positive, help="standard deviation of the noise, in units of the samples")
    parser.add_argument(
        "--boundary", help="what lies outside the picture: zero, periodic, symmetric, ... (default: unknown)"
    )
    parser.add_argument("--nonneg", action="store_true", help="no sample of the scene is negative")
    parser.add_argument("--stack", action="store_true", help="the first axis counts pictures, it is none of space")
    parser.add_argument("--tol", type=_positive, help="when to stop; smaller is slower and more exact")
    parser.add_argument("--maxiter", type=positive, help="steps at most; for poisson fewer leave less noise: 20 to 50")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from .deblur import Deblur, deblur

    names = ("prior", "alpha", "noise", "boundary", "nonneg", "tol", "maxiter")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    told = {"quiet": arguments.quiet, "json": arguments.json}
    deblur(Deblur(arguments.picture, arguments.output, arguments.psf, options, arguments.stack, **told))


def _psf(text: str) -> Any:
    from .deblur_psf import Psf

    try:
        return Psf.parse(text)
    except ConvopError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _alpha(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return number
