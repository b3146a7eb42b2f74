"""`save` and `load`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...affine import Affine
from ...errors import GeometryError
from ...foreign import as_operator
from ...operator import Operator
from .archive import Archive, damaged, write
from .parts import Reader, Writer

FORMAT, VERSION = "convop operator", 1


def save(A: Any, path: Any) -> None:
    """Write an operator to an `.npz` file that holds its kernels and no code.

    Equal operators make equal files. What an operator does is kept exactly, bit by bit, and how it is applied
    (`using`); what `explain` says of how it came about is not.

    Parameters
    ----------
    A : Operator or Affine
        Anything `as_operator` takes that is not known by its action only.
    path : str, path or binary file
        A name that ends in `.npz`; the file appears when it is complete, or not at all.

    Raises
    ------
    GeometryError
        If a part of the operator is known by its action only, or is of a class that is none of convop's; or if the
        name does not end in `.npz`.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import convop, io
    >>> blur = convop.Convolution([1.0, 2.0, 1.0], 64, boundary="mirror")
    >>> file = io.BytesIO()
    >>> convop.save(convop.gradient(64) @ blur, file)
    >>> convop.load(file)
    <Product of 2: 64 -> 1x64, float64>
    """
    writer = Writer()
    writer.part(A if isinstance(A, Affine) else as_operator(A))
    manifest = {"format": FORMAT, "version": VERSION, "parts": writer.parts}
    if hasattr(path, "write"):
        write(path, manifest, writer.arrays)
        return
    target = _as_path(path)
    if target.suffix != ".npz":
        raise GeometryError(f"save writes an .npz file, got the name {str(path)!r}; end it in .npz")

    def fill(partial: Path) -> None:
        with partial.open("wb") as file:
            write(file, manifest, writer.arrays)

    write_whole(target, fill)


def load(path: Any) -> Operator | Affine:
    """Read an operator that `save` wrote.

    A file can do nothing but be an operator or be refused: it names kinds of a closed table, its sizes are looked at
    before memory is taken, and checksums tell whether it is as it was written.

    Parameters
    ----------
    path : str, path or binary file
        The file.

    Returns
    -------
    Operator or Affine

    Raises
    ------
    GeometryError
        If the file is damaged, truncated, of another kind or of a later version, or describes no operator.
    MemoryBudgetError
        If it is larger than what the machine has free.
    OSError
        If it is not there or cannot be read.

    Examples
    --------
    >>> import convop, io
    >>> convop.load(io.BytesIO(b"anything"))
    Traceback (most recent call last):
        ...
    convop.errors.GeometryError: the file holds no operator that can be trusted: ...
    """
    if hasattr(path, "read"):
        return _read(path)
    with _as_path(path).open("rb") as file:
        return _read(file)


def _read(file: Any) -> Operator | Affine:
    archive = Archive(file)
    named, version = archive.manifest.get("format"), archive.manifest.get("version")
    if named != FORMAT or type(version) is not int:
        damaged(f"its manifest says {str(named)[:40]!r}, needed {FORMAT!r}")
    if version != VERSION:
        raise GeometryError(
            f"the file has version {version} of the format, this release of convop reads {VERSION}; update convop"
        )
    return Reader(archive).read(archive.manifest.get("parts"))


def _as_path(path: Any) -> Path:
    try:
        return Path(path)
    except TypeError:
        raise GeometryError(f"a file is a path or an open binary file, got {path!r}; give its name") from None


def write_whole(path: Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a file beside `path` that takes its place when complete, or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
