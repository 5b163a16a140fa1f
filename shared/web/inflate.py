"""Decompression that stops at a limit, so that no answer can be larger than it says it may be."""

import zlib
from collections.abc import Iterator
from typing import Literal

Encoding = Literal["identity", "gzip", "deflate"]

# zlib's window bits: 47 reads gzip and zlib headers, -15 deflate without a header, as some servers send it.
_EITHER_HEADER = 47
_NO_HEADER = -15
_STEP = 64 * 1024


class CorruptBodyError(Exception):
    """The body is not what its Content-Encoding says, or ends too early."""


class Inflater:
    """Decompresses a body piece by piece, never more than `_STEP` bytes at once."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._stream = zlib.decompressobj(_EITHER_HEADER)
        self._began = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompressed pieces of `data`.

        Raises:
            CorruptBodyError: `data` cannot be decompressed.
        """
        if self._encoding == "identity":
            yield data
            return
        piece = b""
        # A full piece may have more behind it in zlib's own window, even when the input is used up.
        while data or len(piece) == _STEP:
            piece = self._step(data)
            data = self._next_member() if self._stream.eof else self._stream.unconsumed_tail
            yield piece

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            CorruptBodyError: The compressed stream has not.
        """
        if self._began and not self._stream.eof:
            raise CorruptBodyError

    def _step(self, data: bytes) -> bytes:
        try:
            piece = self._stream.decompress(data, _STEP)
        except zlib.error as error:
            if self._began or self._encoding != "deflate":
                raise CorruptBodyError from error
            self._stream = zlib.decompressobj(_NO_HEADER)
            self._began = True
            return self._step(data)
        self._began = True
        return piece

    def _next_member(self) -> bytes:
        """A gzip body may have several members; what follows the last of them is ignored, as browsers do."""
        rest = self._stream.unused_data
        if self._encoding == "gzip" and rest.startswith(b"\x1f\x8b"):
            self._stream = zlib.decompressobj(_EITHER_HEADER)
            return rest
        return b""
