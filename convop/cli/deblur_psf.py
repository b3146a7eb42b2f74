"""What stands after `--psf`: the blur by name and numbers, or a file that shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import psf
from ..dtypes import Array
from ..errors import ConvopError
from .deblur_files import read

Numbers = dict[str, tuple[float, ...]]
MOST_AXES = 3  # of a blur that knows no direction


@dataclass(frozen=True)
class Kind:
    """A blur by name: what it has to be told, what it may be told, and how it is made for a number of axes."""

    needs: tuple[str, ...]
    takes: tuple[str, ...]
    make: Callable[[Numbers, int], Array]


def _gaussian(numbers: Numbers, axes: int) -> Array:
    sigma = _each(numbers, "sigma", axes)
    if min(sigma) <= 0:
        raise ConvopError(f"sigma has to be greater than 0, got {min(sigma):g}")
    return psf.gaussian(_size(numbers, [2 * int(np.ceil(3 * s)) + 1 for s in sigma], axes), sigma)


def _moffat(numbers: Numbers, axes: int) -> Array:
    fwhm = numbers["fwhm"][0]
    return psf.moffat(_size(numbers, [2 * int(np.ceil(2 * fwhm)) + 1] * axes, axes), fwhm, numbers["beta"][0])


KINDS = {
    "gaussian": Kind(("sigma",), ("size",), _gaussian),
    "moffat": Kind(("fwhm", "beta"), ("size",), _moffat),
    "disk": Kind(("radius",), (), lambda numbers, axes: psf.disk(numbers["radius"][0])),
    "motion": Kind(
        ("length",), ("angle",), lambda numbers, axes: psf.motion(numbers["length"][0], numbers.get("angle", (0.0,))[0])
    ),
}
FOR_EACH_AXIS = ("sigma", "size")
SHOWN = "gaussian:sigma=2, moffat:fwhm=4,beta=3, disk:radius=4, motion:length=15,angle=30 or the name of a file"


@dataclass(frozen=True)
class Psf:
    """A blur as it was asked for."""

    text: str
    kind: Kind | None
    numbers: Numbers

    @classmethod
    def parse(cls, text: str) -> "Psf":
        """From `name:key=number,...`, or the name of a file; ConvopError for what is neither."""
        name, _, rest = text.partition(":")
        kind = KINDS.get(name)
        if kind is None:
            if Path(text).is_file():
                return cls(text, None, {})
            raise ConvopError(f"{text!r} is no blur and no file; give {SHOWN}")
        settings = [_number(item) for item in rest.split(",")] if rest else []
        numbers = dict(settings)
        if len(numbers) < len(settings):
            raise ConvopError(f"{text!r} says a number twice; say each once")
        known = (*kind.needs, *kind.takes)
        odd, missing = [key for key in numbers if key not in known], [key for key in kind.needs if key not in numbers]
        if odd or missing:
            raise ConvopError(
                f"{name} takes {', '.join(known)}, got {', '.join(numbers) or 'nothing'}; for instance "
                f"{next(each for each in SHOWN.replace(' or', ',').split(', ') if each.startswith(name))}"
            )
        for key, values in numbers.items():
            if len(values) > 1 and key not in FOR_EACH_AXIS:
                raise ConvopError(f"{key} of {text!r} is one number for all axes")
        return cls(text, kind, numbers)

    def kernel(self, axes: int) -> tuple[Array, str]:
        """The kernel for pictures of so many axes of space, and a line about it; a file's is scaled to the sum 1."""
        if self.kind is not None:
            kernel = self.kind.make(self.numbers, min(axes, MOST_AXES))
            return kernel, f"psf {self.text}: {_sizes(kernel)}"
        kernel = taps(Path(self.text))
        if not np.isfinite(kernel).all():
            raise ConvopError(f"{self.text} holds NaN or inf; give a finite picture of a bright point")
        total = kernel.sum()
        if not abs(total) > 0:
            raise ConvopError(f"{self.text} sums to 0 and cannot be scaled to 1; give the picture of a bright point")
        return kernel / total, f"psf {self.text}: {_sizes(kernel)}, divided by its sum {total:.6g}"


def taps(path: Path) -> Array:
    """The samples of a file as a kernel without colours."""
    picture = read(path)
    values = picture.values.astype(np.float64)
    if picture.channel_axis is None:
        return values
    first = values.take([0], picture.channel_axis)
    if (values != first).any():
        raise ConvopError(f"{path} is coloured; give a grey picture of the blur")
    return np.squeeze(first, picture.channel_axis)


def _number(item: str) -> tuple[str, tuple[float, ...]]:
    """`key=2` or, for each axis, `key=1x2x2`."""
    key, _, value = item.partition("=")
    try:
        numbers = tuple(float(part) for part in value.split("x"))
        if not np.isfinite(numbers).all():
            raise ValueError
        return key.strip(), numbers
    except ValueError:
        raise ConvopError(f"{item!r} is no setting of a blur; write {key or 'sigma'}=2, or 1x2 for each axis") from None


def _each(numbers: Numbers, key: str, axes: int) -> tuple[float, ...]:
    """One number for each axis; several say themselves how many axes there are."""
    values = numbers[key]
    return values * axes if len(values) == 1 else values


def _size(numbers: Numbers, default: list[int], axes: int) -> list[int]:
    if "size" not in numbers:
        return default
    sizes = [int(n) if n == int(n) else 0 for n in _each(numbers, "size", len(default))]
    if min(sizes) < 1 or len(sizes) != len(default):
        raise ConvopError(f"size is in whole samples, one for all axes or one for each of {len(default)}")
    return sizes


def _sizes(kernel: Array) -> str:
    return " x ".join(map(str, kernel.shape))
