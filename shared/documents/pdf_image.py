"""A page of a PDF as an image, for a model to read."""

import struct
import zlib
from collections.abc import Iterable
from typing import Final

from shared.documents.pdf_file import opened_pdf
from shared.documents.source import Source

# 150 dots an inch are enough to read small print; a side has at most so many dots.
_DOTS_PER_POINT: Final = 150 / 72
_IMAGE_SIDE: Final = 2_000


def page_image(source: Source, page: int) -> bytes:
    """A page, from 1, as a grey PNG. Raises `invalid_file` for a PDF or a page that cannot be drawn."""
    with opened_pdf(source) as document:
        drawn = document[page - 1]
        width, height = drawn.get_size()
        scale = min(_DOTS_PER_POINT, _IMAGE_SIDE / max(width, height, 1.0))
        bitmap = drawn.render(scale=scale, grayscale=True)
        rows = memoryview(bitmap.buffer).cast("B")
        lines = (bytes(rows[y * bitmap.stride :][: bitmap.width]) for y in range(bitmap.height))
        return _png(lines, bitmap.width, bitmap.height)


def _png(lines: Iterable[bytes], width: int, height: int) -> bytes:
    """Eight bits of grey a pixel (PNG, ISO/IEC 15948)."""
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines), 6)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
