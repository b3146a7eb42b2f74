"""Pictures and volumes in and out with their bit depth kept: PNG and the like, TIFF, NPY."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import require
from ..errors import ConvopError
from .picture import write_whole

COLOURS = (3, 4)
IMAGEJ = ("spacing", "unit", "mode", "min", "max", "Ranges", "loop", "finterval")  # kept of what ImageJ says
NO_LIGHT = ("CMYK", "LAB", "HSV")  # modes whose numbers are not in proportion to light, nor to its square root


@dataclass(frozen=True)
class Picture:
    """The samples of a file in its own number type, and which axis is colour."""

    values: NDArray
    channel_axis: int | None
    opacity: NDArray | None = None  # what a file says of transparency; it is not blurred with the rest
    tags: dict[str, Any] = field(default_factory=dict)  # what a TIFF says of its samples, as its writer takes it

    def with_values(self, values: NDArray) -> "Picture":
        return replace(self, values=values)

    @property
    def whole(self) -> NDArray:
        """As it stands in a file."""
        return self.values if self.opacity is None else np.concatenate([self.values, self.opacity], axis=-1)

    def __str__(self) -> str:
        shape = list(self.values.shape)
        colours = "" if self.channel_axis is None else f", {shape.pop(self.channel_axis)} channels"
        clear = "" if self.opacity is None else " and opacity"
        return f"{' x '.join(map(str, shape))}{colours}{clear}, {self.values.dtype}"


def read(path: Path) -> Picture:
    """A file's samples; a file that cannot be read, or not with all its bits, is a ConvopError."""
    if not path.is_file():
        raise ConvopError(f"{path} is no file; give the path of a picture")
    reader = {".npy": _read_npy, ".tif": _read_tiff, ".tiff": _read_tiff}.get(path.suffix.lower(), _read_picture)
    try:
        picture = reader(path)
    except ConvopError:
        raise
    except Exception as error:  # every reader has its own way of saying that it cannot
        said = " ".join(str(error).split())[:200]
        raise ConvopError(f"{path} cannot be read ({said}); give a PNG, JPEG, TIFF or NPY file") from error
    if picture.values.dtype.kind not in "iufc" or picture.values.size == 0 or picture.values.ndim == 0:
        raise ConvopError(f"{path} holds {picture}, no picture; give an array of numbers")
    return picture


def _read_npy(path: Path) -> Picture:
    values = np.load(path, allow_pickle=False)
    return Picture(values, -1 if values.ndim > 2 and values.shape[-1] in COLOURS else None)


def _read_tiff(path: Path) -> Picture:
    with require("tifffile", "cli").TiffFile(path) as file:
        series = file.series[0]
        if len(file.series) > 1:
            raise ConvopError(f"{path} holds {len(file.series)} series of different shapes; save the one that you mean")
        if file.pages[0].photometric.name == "PALETTE":
            raise ConvopError(f"{path} numbers colours of a palette; save it with the colours themselves (RGB)")
        values, axes = series.asarray(), series.axes
        opaque, tags = bool(file.pages[0].extrasamples), _tags(file, axes)
    channel = next((axes.index(letter) for letter in "SC" if letter in axes), None)
    if opaque and axes.endswith("S"):
        return Picture(values[..., :-1], values.ndim - 1, values[..., -1:], tags)
    return Picture(values, channel, None, tags)


def _tags(file: Any, axes: str) -> dict[str, Any]:
    """What samples mean and which axes they have, of a file of tifffile's, for another one."""
    page, tags = file.pages[0], {}
    meaning = page.photometric.name
    if not (meaning == "YCBCR" and "JPEG" in page.compression.name):  # which is read as RGB
        tags["photometric"] = meaning.lower()
    if meaning == "RGB" and axes[-1] != "S":
        tags["planarconfig"] = "separate"
    if (resolution := page.get_resolution()) != (1.0, 1.0):
        tags |= {"resolution": resolution, "resolutionunit": page.resolutionunit}
    if file.is_imagej:
        kept = {key: value for key, value in (file.imagej_metadata or {}).items() if key in IMAGEJ}
        return tags | {"imagej": True, "metadata": {"axes": axes, **kept}}
    return tags | {"metadata": {"axes": axes}}


def _read_picture(path: Path) -> Picture:
    imageio = require("imageio.v3", "cli")
    with imageio.imopen(path, "r", plugin="pillow") as file:
        count = file.properties(index=...).n_images or 1
        if count > 1:
            raise ConvopError(f"{path} holds {count} pictures; give one, or a TIFF or NPY file of all")
        if (colours := file.metadata(index=0).get("mode")) in NO_LIGHT:
            raise ConvopError(f"{path} is in {colours}, of which a blur is no convolution; save it as RGB or grey")
        values = _deep_colours(path) if _has_deep_colours(path) else np.asarray(file.read(index=0, rotate=True))
    if values.dtype == bool:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.ndim == 2:
        return Picture(values, None)
    if values.shape[2] in (2, 4):
        return Picture(values[..., :-1], 2, values[..., -1:])
    return Picture(values, 2)


def _has_deep_colours(path: Path) -> bool:
    """Whether a file is a PNG with 16 bits for each of several channels, of which Pillow gives 8 without a word."""
    with path.open("rb") as file:
        head = file.read(26)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 26 and head[24] == 16 and head[25] != 0


def _deep_colours(path: Path) -> NDArray:
    """The samples `(rows, columns, channels)` of such a file."""
    width, height, rows, about = require("png", "cli").Reader(bytes=path.read_bytes()).read()
    return np.array([np.asarray(row, np.uint16) for row in rows]).reshape(height, width, about["planes"])


def writer(path: Path, picture: Picture) -> Callable[[Picture], None]:
    """What writes pictures like this one to `path`, whole or not at all; a ConvopError if the format cannot."""
    dtype, suffix = picture.values.dtype, path.suffix.lower()
    if suffix == ".npy":
        save = _save_npy
    elif suffix in (".tif", ".tiff"):
        require("tifffile", "cli")
        if dtype.kind == "c":
            raise ConvopError(f"{path}: a TIFF holds no complex numbers; write an NPY file")
        save = _save_tiff
    elif suffix == ".png":
        flat = picture.values.ndim == 2 if picture.channel_axis is None else picture.values.ndim == 3
        if not flat or dtype not in (np.uint8, np.uint16):
            raise ConvopError(f"{path}: a PNG cannot hold what the input is, {picture}; write a TIFF or NPY file")
        deep = dtype == np.uint16 and picture.channel_axis is not None
        if deep:
            require("png", "cli")
        save = _save_deep_png if deep else _save_png
    else:
        raise ConvopError(f"{path} has to end in .png, .tif or .npy, in which the bits of a picture are kept")
    return lambda restored: write_whole(path, lambda part: save(part, restored))


def _save_npy(path: Path, picture: Picture) -> None:
    with path.open("wb") as file:
        np.save(file, picture.whole, allow_pickle=False)


def _save_png(path: Path, picture: Picture) -> None:
    require("imageio.v3", "cli").imwrite(path, picture.whole, extension=".png", plugin="pillow")


def _save_deep_png(path: Path, picture: Picture) -> None:
    """Colours of 16 bits, of which Pillow would keep 8."""
    height, width, channels = picture.whole.shape
    options = {"greyscale": channels < 3, "alpha": channels in (2, 4), "bitdepth": 16}
    with path.open("wb") as file:
        require("png", "cli").Writer(width, height, **options).write(file, picture.whole.reshape(height, -1))


def _save_tiff(path: Path, picture: Picture) -> None:
    whole, last = picture.whole, picture.values.ndim - 1
    colours = picture.channel_axis in (last, -1) and picture.values.shape[-1] == 3
    tags = {"photometric": "rgb" if colours else "minisblack"} | picture.tags
    if picture.opacity is not None:
        tags["extrasamples"] = ["unassalpha"]
    require("tifffile", "cli").imwrite(path, whole, **tags)
