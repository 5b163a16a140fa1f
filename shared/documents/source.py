"""A file to read: bytes at hand, or a path."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 2**20


@dataclass(frozen=True)
class Source:
    """Where a file's bytes are. Nothing else on the disk is opened."""

    content: bytes | Path

    def open(self) -> BinaryIO:
        """The file from its beginning, seekable; the caller closes it."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The first bytes, at most `count`."""
        with self.open() as file:
            return file.read(count)

    def read(self) -> bytes:
        """The whole file."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size
