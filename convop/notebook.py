"""What a notebook shows of an operator: what it says of itself, and thumbnails of its kernels, by no other package."""

import base64
import html
import struct
import zlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .blocks import Blocks
from .combining import combines
from .composite import Product, Sum
from .convolution import Convolution
from .dtypes import Array
from .operator import Operator
from .selection import Diagonal

MOST = 4  # thumbnails
LINES = 12
SAMPLES = 64  # of a thumbnail along a side
SIDE = 72  # of it on the screen, in pixels
BLUE, WHITE, RED = (np.array(rgb, float) for rgb in ((5, 48, 97), (247, 247, 247), (103, 0, 31)))


@combines("html")
def page(A: Operator) -> str:
    """A few lines of HTML without script, style sheet or anything from elsewhere."""
    images = "".join(_image(taps) for taps in islice(_pictures(A), MOST))
    lines = str(A).splitlines()
    shown = [*lines[:LINES], *(["..."] if len(lines) > LINES else [])]
    rows, columns = A.shape
    text = html.escape("\n".join([*shown, f"matrix {rows:,} x {columns:,}"]))
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start">{images}'
        f'<pre style="margin:0;overflow-x:auto">{text}</pre></div>'
    )


def _pictures(A: Operator) -> Iterator[Array]:
    """The kernels in an operator on two axes: of more axes the middle, of layers the first input channel."""
    if isinstance(A, Convolution):
        kernel, space = A.kernel, min(A.geometry.ndim, 2)
        for taps in kernel[:, 0] if A.geometry.lifted else [kernel]:
            taps = taps[tuple(n // 2 for n in taps.shape[: taps.ndim - space])]
            yield taps[None] if space == 1 else taps
    elif isinstance(A, Diagonal) and A.array.ndim == 2:
        yield A.array
    else:
        for part in _parts(A):
            yield from _pictures(part)


def _parts(A: Operator) -> tuple[Operator, ...]:
    if isinstance(A, Product):
        return A.factors
    if isinstance(A, Sum):
        return A.terms
    if isinstance(A, Blocks):
        return tuple(block for _, _, block in A.blocks)
    one = getattr(A, "operator", None) or getattr(A, "convolution", None)  # of wrappers, and of Toeplitz matrices
    return (one,) if isinstance(one, Operator) else ()


def _image(taps: Array) -> str:
    """A kernel as an image in the page, a square for each tap."""
    rows, columns = taps.shape
    high, wide = (max(8, round(SIDE * n / max(rows, columns))) for n in (rows, columns))
    data = base64.b64encode(png(colours(_thinned(taps)))).decode()
    size = " x ".join(map(str, taps.shape)) if rows > 1 else str(columns)
    return (
        f'<img alt="kernel {size}" title="kernel {size}" width="{wide}" height="{high}" '
        f'style="image-rendering:pixelated;border:1px solid #888" src="data:image/png;base64,{data}">'
    )


def _thinned(taps: Array) -> Array:
    """Every so many taps of a large kernel."""
    return taps[tuple(slice(None, None, -(-n // SAMPLES)) for n in taps.shape)]


def colours(taps: Array) -> NDArray[np.uint8]:
    """White for zero, red above and blue below; complex taps by their modulus."""
    values: Array = np.abs(taps) if taps.dtype.kind == "c" else taps.astype(np.float64)
    share = (values / (float(np.abs(values).max(initial=0)) or 1.0))[..., None]
    return np.rint(WHITE + np.abs(share) * np.where(share > 0, RED - WHITE, BLUE - WHITE)).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of `(rows, columns, 3)` (ISO/IEC 15948): a header, the rows without a filter, an end."""
    rows, columns = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
