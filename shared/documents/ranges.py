"""Cuts a large text file into ranges of bytes at the ends of its lines or records, in bounded memory."""

import codecs
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from shared.documents.charset import encoding_of
from shared.documents.document import Limits, invalid
from shared.documents.source import Source
from shared.documents.table import TableLayout, records

# A line is read no further than this at once.
_LINE_CHARACTERS: Final = 2**20
_BLOCK_BYTES: Final = 2**20
# A part without a good place to end ends anywhere at so many times its size.
_PATIENCE: Final = 2

# Rows from 1, both inclusive, and bytes [start, end).
Range = tuple[int, int, int, int]


def file_encoding(source: Source, media_type: str | None) -> str:
    """The encoding of a whole file. Its beginning may be ASCII alone: the first bytes that are not decide."""
    head = source.head()
    encoding = encoding_of(head, media_type=media_type)
    if encoding in ("utf-16", "utf-32"):
        return f"{encoding}-le"
    if encoding != "utf-8":
        return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    with source.open() as file:
        while block := file.read(_BLOCK_BYTES):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return encoding_of(block, media_type=media_type)
    return encoding


def record_ranges(source: Source, layout: TableLayout, size: int, limits: Limits) -> Iterator[Range]:
    """Ranges of about `size` bytes that end where a CSV record does, quoted line breaks and all."""
    lines = _Lines(source, layout.encoding, limits.text_characters)
    row, first, start = 0, 1, 0
    for row, _ in enumerate(records(_bounded(lines, limits), layout.delimiter), 1):
        if lines.position - start >= size:
            yield first, row, start, lines.position
            first, start = row + 1, lines.position
    if lines.position > start:
        yield first, max(row, first), start, lines.position


def line_ranges(
    source: Source, encoding: str, size: int, *, whole_lines: bool, limits: Limits
) -> Iterator[Range]:
    """Ranges of about `size` bytes that end after a blank line, or else after any.

    With `whole_lines` they always end with a line, as JSONL needs; then a line may have no more than
    `limits.text_characters`.
    """
    lines = _Lines(source, encoding, limits.text_characters if whole_lines else _LINE_CHARACTERS)
    row, first, start = 0, 1, 0
    for row, line in enumerate(_bounded(lines, limits) if whole_lines else lines, 1):
        full = lines.position - start
        if full >= size and (whole_lines or not line.strip() or full >= _PATIENCE * size):
            yield first, row, start, lines.position
            first, start = row + 1, lines.position
    if lines.position > start:
        yield first, max(row, first), start, lines.position


def _bounded(lines: Iterable[str], limits: Limits) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) >= limits.text_characters:
            message = f"Line {number:,} is longer than {limits.text_characters:,} characters. Split it."
            raise invalid(message)
        yield line


class _Lines:
    """A file's lines with their ends. `position` is the byte after the last one that was given out."""

    def __init__(self, source: Source, encoding: str, longest: int) -> None:
        """Args:
        longest: Characters; of a longer line it is a piece that is given out.
        """
        self.position = 0
        self._longest = longest
        self._source = source
        self._wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        # Every other encoding of documents writes line breaks and quotes as ASCII does, and nothing else so.
        self._encoding = encoding if self._wide else "latin-1"
        self._bytes: Callable[[str], int] = self._encoded if self._wide else len

    def __iter__(self) -> Iterator[str]:
        # The wrapper closes the file too.
        file = self._source.open()
        with io.TextIOWrapper(file, encoding=self._encoding, errors="replace", newline="") as text:
            while line := text.readline(self._longest):
                self.position += self._bytes(line)
                yield line

    def _encoded(self, text: str) -> int:
        return len(text.encode(self._encoding, errors="replace"))
