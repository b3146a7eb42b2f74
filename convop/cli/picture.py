"""Pictures in and out: files become float64 arrays `(channels, rows, columns)` in [0, 1]."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._optional import require
from ..dtypes import Array
from ..errors import ConvopError
from ..interop.files.doors import write_whole as write_whole

Picture = NDArray[np.float64]
LARGEST_SIDE = 1024


def shipped() -> Path:
    """The photograph that every matplotlib brings along."""
    return Path(require("matplotlib.cbook", "cli").get_sample_data("grace_hopper.jpg", asfileobj=False))


def read(path: Path) -> Picture:
    """The colour or grey channels of a picture file; transparency is left out."""
    if not path.is_file():
        raise ConvopError(f"{path} is no file; give the path of a picture")
    imageio = require("imageio.v3", "cli")
    try:
        pixels = np.asarray(imageio.imread(path, index=0, plugin="pillow"))
    except Exception as error:  # every reader has its own way of saying that it cannot
        raise ConvopError(f"{path} cannot be read as a picture; give a PNG, JPEG, TIFF or the like") from error
    return _channels_first(_full_scale(pixels))


def reduced(picture: Picture) -> tuple[Picture, int]:
    """The picture made smaller by averaging whole blocks, and the side of a block, 1 for one small enough."""
    block = -(-max(picture.shape[1:]) // LARGEST_SIDE)
    channels, rows, columns = picture.shape[0], picture.shape[1] // block, picture.shape[2] // block
    cut = picture[:, : rows * block, : columns * block]
    return cut.reshape(channels, rows, block, columns, block).mean(axis=(2, 4)), block


def writable(path: Path) -> None:
    """Refuse a path that nothing could be written to, before any work is done."""
    if path.is_dir():
        raise ConvopError(f"{path} is a folder; give the name of a file to write")
    if not path.parent.is_dir():
        raise ConvopError(f"{path.parent} is no folder; make it or write elsewhere")
    if not os.access(path.parent, os.W_OK):
        raise ConvopError(f"{path.parent} cannot be written to; write elsewhere")


def _full_scale(pixels: Array) -> Picture:
    """Pixels with the largest value of their type at 1, or of the picture if its numbers are real."""
    if pixels.dtype.kind in "ui":
        return pixels / float(np.iinfo(pixels.dtype).max)
    real = pixels.astype(np.float64)
    return real / max(1.0, real.max(initial=0.0))


def _channels_first(pixels: Picture) -> Picture:
    if pixels.ndim == 2:
        return pixels[None]
    colours = 3 if pixels.shape[2] >= 3 else 1
    return np.ascontiguousarray(np.moveaxis(pixels[..., :colours], 2, 0))
