"""Cuts a document into chunks along its structure.

Blocks are packed whole, in order, up to the budget; a heading and a page begin a new chunk unless the one at
hand is still very small, so that a chunk is of one section and one page as a rule. A block over the budget is
cut: a table between rows, text between sentences. What cannot be cut without losing its sense (a sentence, a
row, a block of code) may have twice the budget, in a chunk of its own. Only above that it is cut too: code at
its blank lines or at least between lines, a row between cells, a sentence between clauses.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.documents.document import Block, Document
from shared.knowledge.cutting import WHOLE, Room, cuts, tokens_in
from shared.providers.tokens import estimate_tokens

# Published comparisons favour 200 to 400 tokens without overlap (research.trychroma.com/evaluating-chunking);
# on the sets measured here 512 find as much or more, but across languages (docs/knowledge.md).
MAX_TOKENS = 512

# Where a Markdown link or picture leads, behind its words.
_TARGET = re.compile(r"(\[[^\[\]\n]*\])\((?:[a-z][a-z0-9+.-]*:|/|#|\.)[^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)")

# A chunk under this part of the budget goes on over the next heading or page.
_SMALL = 8


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of a document: `text == document.text[start:end]`.

    `headings` is the path of headings it stands under, outermost first; when it begins inside a table, the
    table's header row is the last of them. `lead` is what is put before the text for indexing: the title and
    those headings that are not in the text itself. Pages and rows are first and last, from 1.
    """

    text: str
    start: int
    end: int
    headings: tuple[str, ...]
    lead: str
    page_first: int | None
    page_last: int | None
    row_first: int | None
    row_last: int | None

    @property
    def indexed_text(self) -> str:
        """What is embedded and searched."""
        return indexed(self.lead, self.text)


def indexed(lead: str, text: str) -> str:
    """What is embedded and searched of a chunk: where its links lead is said to readers, not to the index."""
    told = _TARGET.sub(r"\1", text)
    return f"{lead}\n\n{told}" if lead else told


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A part of a block that is never cut further, with what it stands under."""

    start: int
    end: int
    block: Block
    path: tuple[Block, ...]


def chunk(document: Document, *, max_tokens: int = MAX_TOKENS) -> list[Chunk]:
    """The document's chunks in order: no overlap, and nothing left out but white space between blocks.

    Args:
        max_tokens: The budget, by `estimate_tokens`, of a chunk's own text without its lead. At least 2.
            A chunk of one sentence, row or block of code over the budget, and its headings, may have twice as
            much.
    """
    groups = _packed(document.text, _pieces(document, max_tokens), max_tokens)
    return [_chunk(document, group) for group in groups]


def _pieces(document: Document, budget: int) -> Iterator[_Piece]:
    path = document.headings
    announced: int | None = None  # where the headings right before the block begin
    for block in document.blocks:
        above = 0 if announced is None else tokens_in(document.text, announced, block.start, most=budget)
        if block.kind == "heading":
            path = (*(outer for outer in path if _level(outer) < _level(block)), block)
            announced = block.start if announced is None else announced
        else:
            announced = None
        for start, end in cuts(block, Room.beside(above, budget)):
            yield _Piece(start=block.start + start, end=block.start + end, block=block, path=path)


def _level(heading: Block) -> int:
    return heading.level or 1


def _packed(text: str, pieces: Iterator[_Piece], budget: int) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        if group and _breaks(text, group, piece, budget):
            done, group = _parted(text, group, piece, budget)
            yield done
        group.append(piece)
    if group:
        yield group


def _breaks(text: str, group: Sequence[_Piece], piece: _Piece, budget: int) -> bool:
    start = group[0].start
    only_headings = all(piece.block.kind == "heading" for piece in group)
    if estimate_tokens(text[start : piece.end]) > (WHOLE * budget if only_headings else budget):
        return True
    last = group[-1].block
    if last.kind == "heading" or (piece.block.kind != "heading" and piece.block.page == last.page):
        return False
    return estimate_tokens(text[start : group[-1].end]) > budget // _SMALL


def _parted(text: str, group: list[_Piece], piece: _Piece, budget: int) -> tuple[list[_Piece], list[_Piece]]:
    """The finished chunk, and the headings at its end that go with the next piece."""
    count = len(group)
    while count and group[count - 1].block.kind == "heading":
        count -= 1
    carried = group[count:]
    if not count or not carried or estimate_tokens(text[carried[0].start : piece.end]) > WHOLE * budget:
        return group, []
    return group[:count], carried


def _chunk(document: Document, group: Sequence[_Piece]) -> Chunk:
    first, last = group[0], group[-1]
    path = _common_path([piece for piece in group if piece.block.kind != "heading"] or group)
    columns = _columns(first)
    headings = [block.heading for block in path]
    outside = [block.heading for block in path if block.start < first.start]
    title = [document.title] if document.title and document.title not in headings else []
    pages = [piece.block.page for piece in group if piece.block.page is not None]
    return Chunk(
        text=document.text[first.start : last.end],
        start=first.start,
        end=last.end,
        headings=(*headings, *columns),
        lead=" > ".join((*title, *outside, *columns)),
        page_first=min(pages, default=None),
        page_last=max(pages, default=None),
        row_first=min((p.block.row_first for p in group if p.block.row_first is not None), default=None),
        row_last=max((p.block.row_last for p in group if p.block.row_last is not None), default=None),
    )


def _common_path(pieces: Sequence[_Piece]) -> tuple[Block, ...]:
    path = pieces[0].path
    for piece in pieces[1:]:
        shared = sum(1 for mine, other in zip(path, piece.path, strict=False) if mine is other)
        path = path[:shared]
    return path


def _columns(first: _Piece) -> tuple[str, ...]:
    """The header row of a table that began in an earlier chunk."""
    if first.block.kind != "table" or first.start == first.block.start:
        return ()
    return (first.block.text.split("\n", 1)[0].strip("| "),)
