"""The container: a zip of npy arrays stored as they are, as `numpy.savez` makes one, with a checksum of each.

Nothing in it is compressed, so a file holds no more than its size, and reading takes no more memory than that. The
headers of the arrays are there for `numpy.load`; types and shapes are read from the manifest, whose checksum is a
member of its own.
"""

import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np

from ...dtypes import Array
from ...errors import GeometryError, MemoryBudgetError
from ...memory import require_bytes

T = TypeVar("T")
MANIFEST, CHECKSUM = "manifest.npy", "checksum.npy"
MOST_TEXT = 2**26  # bytes of the manifest; a million parts need less
TYPES = ("<f4", "<f8", "<c8", "<c16", "<i4", "<i8")
_PREFIX = 10  # bytes of an npy file before its header, the last two of which tell the length of that
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member, so that equal operators make equal files


def write(file: BinaryIO, manifest: dict[str, Any], arrays: Sequence[Array]) -> None:
    """Write the arrays, and a manifest that lists them beside what it says already."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        listed = []
        for number, array in enumerate(arrays):
            plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
            digest = _add(archive, _name(number), plain)
            listed.append({"dtype": plain.dtype.str, "shape": list(plain.shape), "sha256": digest})
        text = json.dumps({**manifest, "arrays": listed}, allow_nan=False, separators=(",", ":")).encode()
        if len(text) > MOST_TEXT:
            raise GeometryError(
                f"the operator has too many parts for one file: its list of them takes {len(text)} bytes"
            )
        digest = _add(archive, MANIFEST, np.frombuffer(text, np.uint8))
        _add(archive, CHECKSUM, np.frombuffer(bytes.fromhex(digest), np.uint8))


def _name(number: int) -> str:
    return f"array_{number}.npy"


class _Digest:
    """A file that is written to, and the checksum of what was."""

    def __init__(self, file: Any) -> None:
        self.file, self.sum = file, hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.sum.update(data)
        self.file.write(data)


def _add(archive: zipfile.ZipFile, name: str, array: Array) -> str:
    with archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as member:
        file: Any = _Digest(member)
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.sum.hexdigest()


def damaged(what: str) -> NoReturn:
    """Refuse a file."""
    raise GeometryError(f"the file holds no operator that can be trusted: {what}; get it anew, or save it again")


def guarded(read: Callable[[], T], what: str) -> T:
    """What `read` gives; whatever goes wrong in it is the file's fault."""
    try:
        return read()
    except (GeometryError, MemoryBudgetError):
        raise
    except Exception as error:  # parsers meet what nobody foresaw, each in its own way
        said = " ".join(f"{type(error).__name__} {error}".split())[:200]
        return damaged(f"{what} cannot be read ({said})")


class Archive:
    """A file that is read, with sizes and checksums looked at first.

    Attributes
    ----------
    manifest : dict
        As it was written.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        file.seek(0)
        self._zip = guarded(lambda: zipfile.ZipFile(file), "the list of its members")
        members = self._zip.infolist()
        self._names = {member.filename for member in members}
        if len(self._names) < len(members):
            damaged("two members have one name")
        if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
            damaged("members are compressed or encrypted, and convop writes none that are")
        if sum(max(member.file_size, member.compress_size) for member in members) > size:
            damaged("its members are larger than the file")
        require_bytes(2 * size, "reading the file", "load it on a larger machine")
        self.manifest = self._read_manifest()
        self._listed = self._require_members()
        self._arrays: dict[int, Array] = {}

    def _require_members(self) -> list[Any]:
        listed = self.manifest.get("arrays")
        if isinstance(listed, list) and self._names == {MANIFEST, CHECKSUM, *map(_name, range(len(listed)))}:
            return listed
        return damaged("its members are not those that it lists")

    def _read_manifest(self) -> dict[str, Any]:
        for name in (MANIFEST, CHECKSUM):
            if name not in self._names:
                damaged(f"it has no {name}, so convop.save did not write it")
        if self._zip.getinfo(MANIFEST).file_size > MOST_TEXT or self._zip.getinfo(CHECKSUM).file_size > 2**10:
            damaged("its manifest is larger than any is")
        text, checksum = self._member(MANIFEST), self._member(CHECKSUM)
        if hashlib.sha256(text).digest() != _body(checksum):
            damaged("the checksum of its manifest is wrong")
        manifest = guarded(lambda: json.loads(bytes(_body(text)), parse_constant=_no_constant), "its manifest")
        return manifest if isinstance(manifest, dict) else damaged("its manifest is no table")

    def _member(self, name: str) -> bytes:
        return guarded(lambda: self._zip.read(name), name)

    def array(self, number: int) -> Array:
        """An array by its number, read-only."""
        if number not in self._arrays:
            self._arrays[number] = guarded(lambda: self._read_array(number), _name(number))
        return self._arrays[number]

    def _read_array(self, number: int) -> Array:
        listed, data = self._listed[number], self._member(_name(number))
        if hashlib.sha256(data).hexdigest() != listed["sha256"]:
            damaged(f"the checksum of {_name(number)} is wrong")
        shape, body = tuple(listed["shape"]), _body(data)
        if listed["dtype"] not in TYPES or not all(type(n) is int and n >= 0 for n in shape):
            damaged(f"{_name(number)} is said to be {listed['dtype']!r} of shape {shape}")
        dtype = np.dtype(listed["dtype"])
        if math.prod(shape) * dtype.itemsize != len(body):
            damaged(f"{_name(number)} holds {len(body)} bytes, and is said to be {dtype} of shape {shape}")
        array = np.frombuffer(body, dtype) if body else np.empty(0, dtype)
        return array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _body(data: bytes) -> memoryview:
    """An npy file without its header."""
    return memoryview(data)[_PREFIX + int.from_bytes(data[_PREFIX - 2 : _PREFIX], "little") :]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def is_archive(file: BinaryIO) -> bool:
    """Whether a file has what `convop.save` writes in it; the file is left where it was."""
    place = file.tell()
    try:
        return MANIFEST in zipfile.ZipFile(file).namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False
    finally:
        file.seek(place)
