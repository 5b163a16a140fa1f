"""A parsed file: its clean text in Markdown, and the blocks that text is made of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]
FailureCode = Literal["unsupported_file", "invalid_file"]


class UnreadableDocumentError(Exception):
    """A file that cannot become text. `message` is for the person who uploaded it and says what to do.

    `unsupported_file`: Weir does not read this kind of file. `invalid_file`: it does, but this one is broken,
    protected, empty or over a limit.
    """

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message


def invalid(message: str) -> UnreadableDocumentError:
    """The error of a file of a kind that Weir reads, and that cannot be read all the same."""
    return UnreadableDocumentError("invalid_file", message)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one file may cost. Going over any of them is an `invalid_file`; nothing is cut off in silence.

    `decompressed_bytes` bounds the parts of a DOCX, PPTX, XLSX or EPUB together, but for worksheets, which
    are read as a stream and have `streamed_bytes` each. It bounds the size of HTML, JSON and e-mail too: as
    objects, these take some ten times that in memory. `compression_ratio` bounds each packed part over 1 MiB.
    `rows` counts records, and `cells` what they hold together; `text_characters` bounds what any parser may
    return. Of a file that is read in parts, `rows`, `cells` and `text_characters` bound each part.
    """

    decompressed_bytes: int = 64 * 2**20
    streamed_bytes: int = 2**30
    compression_ratio: int = 200
    zip_entries: int = 10_000
    pages: int = 5_000
    rows: int = 200_000
    cells: int = 4_000_000
    text_characters: int = 20_000_000


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, kw_only=True)
class Part:
    """A block as a parser finds it: clean Markdown without a place in a document yet."""

    kind: BlockKind
    text: str
    level: int | None = None
    page: int | None = None
    row: int | None = None


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a parser returns. `parts` may be lazy, so that a limit stops the work early.

    `headings` stand above the first part; `scanned_pages` have no text that can be read.
    """

    parts: Iterable[Part]
    title: str | None = None
    headings: tuple["Block", ...] = ()
    scanned_pages: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """A run of a document's text: `text == document.text[start:end]`, in characters.

    A heading keeps its Markdown marks ("## Safety") and has its `level`, 1 to 6. `page` counts from 1. Rows
    count from 1 as a spreadsheet shows them, so the header of a CSV is row 1.
    """

    kind: BlockKind
    text: str
    start: int
    end: int
    level: int | None = None
    page: int | None = None
    row_first: int | None = None
    row_last: int | None = None

    @property
    def heading(self) -> str:
        """The words of a heading without Markdown's marks."""
        return self.text.lstrip("#").strip()


@dataclass(frozen=True)
class Document:
    """A file, or a part of one, as clean Markdown, in blocks that do not overlap and leave out
    only white space.

    `headings` are those that a part of a file stands under from its beginning; `start` and `end` of them are
    -1. `scanned_pages` are the pages of a PDF without text that can be read, in order.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str | None
    media_type: str
    headings: tuple[Block, ...] = ()
    scanned_pages: tuple[int, ...] = ()


def assemble(content: Content, media_type: str, limits: Limits, *, may_be_empty: bool = False) -> Document:
    """Join the parts and give each its place. Raises `invalid_file` for no text, or too much of it."""
    pieces: list[str] = []
    blocks: list[Block] = []
    for block, separator in _place(content.parts):
        if block.end > limits.text_characters:
            raise too_much_text(limits)
        pieces += separator, block.text
        blocks.append(block)
    if not blocks and not may_be_empty:
        raise no_text(content.scanned_pages)
    return Document(
        "".join(pieces), tuple(blocks), content.title, media_type, content.headings, content.scanned_pages
    )


def no_text(scanned_pages: Sequence[int] = ()) -> UnreadableDocumentError:
    """The error for a file without any text."""
    if not scanned_pages:
        return invalid("The file contains no text.")
    message = (
        "The PDF has no text layer: its pages are images, or their fonts do not say which characters they "
        "show. Run OCR over it and upload the result."
    )
    return invalid(message)


def first_heading(parts: Iterable[Part]) -> str | None:
    """The words of the first heading of level 1."""
    return next((part.text.lstrip("# ") for part in parts if part.level == 1), None)


def too_much_text(limits: Limits) -> UnreadableDocumentError:
    """The error for a file that holds more text than `limits` allow."""
    message = f"The file holds more than {limits.text_characters:,} characters of text. Split it."
    return UnreadableDocumentError("invalid_file", message)


def _place(parts: Iterable[Part]) -> Iterator[tuple[Block, str]]:
    """Each block with what stands before it: rows follow line by line, all else after a blank line."""
    end = 0
    last: Part | None = None
    for part in parts:
        if not part.text.strip():
            continue
        separator = "" if last is None else "\n" if _is_line(last) and _is_line(part) else "\n\n"
        start, end = end + len(separator), end + len(separator) + len(part.text)
        block = Block(
            kind=part.kind,
            text=part.text,
            start=start,
            end=end,
            level=part.level,
            page=part.page,
            row_first=part.row,
            row_last=part.row,
        )
        yield block, separator
        last = part


def _is_line(part: Part) -> bool:
    return part.row is not None and "\n" not in part.text
