"""Kernels out of files: arrays, tables, pictures, checkpoints of torch, operators that were saved."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._optional import require
from ..affine import Affine
from ..dtypes import Array
from ..errors import ConvopError
from ..interop.files.archive import is_archive
from ..interop.files.doors import load
from ..operator import Operator
from .deblur_psf import taps
from .output import Usage

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin")
DEEPEST = 8  # of the tables in a checkpoint
LEAST_AXES = 3  # of a layer's weight: two of channels, and one of space


@dataclass(frozen=True)
class Contents:
    """What a file holds: arrays by name, or an operator."""

    arrays: dict[str, Array]
    operator: Operator | None = None
    layers: bool = False  # whether arrays have two axes of channels

    def array(self, name: str | None, path: Path) -> tuple[str, Array] | None:
        """The array of that name, or the only one; None where there are several to choose from."""
        if name is None:
            return next(iter(self.arrays.items())) if len(self.arrays) == 1 else None
        if name not in self.arrays:
            known = ", ".join(list(self.arrays)[:8]) + (", ..." if len(self.arrays) > 8 else "")
            raise Usage(f"{path} holds no {name!r}; it holds {known or 'nothing that has a name'}")
        return name, self.arrays[name]


def contents(path: Path) -> Contents:
    """What a file holds; a ConvopError if it cannot be read."""
    if not path.is_file():
        raise ConvopError(f"{path} is no file; give the path of a kernel, a checkpoint or a saved operator")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        with path.open("rb") as file:
            if is_archive(file):
                return _of_operator(load(path))
    reader = {".npz": _npz, ".csv": _table, ".txt": _table, **dict.fromkeys(CHECKPOINTS, _checkpoint)}.get(suffix)
    if reader is None:
        return Contents({path.name: taps(path)})
    try:
        found = reader(path)
    except ConvopError:
        raise
    except Exception as error:  # every reader has its own way of saying that it cannot
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise ConvopError(f"{path} cannot be read ({said}); give an NPY, NPZ, CSV or picture file") from error
    if not found.arrays:
        raise ConvopError(f"{path} holds no kernel: no array of numbers with as many axes as one has")
    return found


def _of_operator(loaded: Operator | Affine) -> Contents:
    return Contents({}, loaded.linear if isinstance(loaded, Affine) else loaded)


def _npz(path: Path) -> Contents:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return Contents({name: file[name] for name in file.files if file[name].dtype.kind in "biufc"})


def _table(path: Path) -> Contents:
    delimiter = "," if "," in path.read_text(encoding="utf-8")[:10_000] else None
    return Contents({path.name: np.squeeze(np.loadtxt(path, delimiter=delimiter, ndmin=2))})


def _checkpoint(path: Path) -> Contents:
    torch = require("torch", "torch")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        said = str(error).split(". ")[0].split("\n")[0][:120]
        raise ConvopError(
            f"{path} cannot be loaded without running code that it may hold ({said}); save model.state_dict()"
        ) from error
    return Contents({name: _array(tensor) for name, tensor in _tensors(found) if tensor.ndim >= LEAST_AXES}, None, True)


def _tensors(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every tensor in tables within tables, by the names that lead to it."""
    if hasattr(value, "is_floating_point"):
        if value.is_floating_point() or value.is_complex():
            yield name, value
    elif isinstance(value, Mapping) and depth < DEEPEST:
        for key, each in value.items():
            yield from _tensors(each, f"{name}.{key}" if name else str(key), depth + 1)


def _array(tensor: Any) -> Array:
    tensor = tensor.detach()
    if str(tensor.dtype) in ("torch.bfloat16", "torch.float16"):
        tensor = tensor.float()
    return tensor.numpy()
