"""Cuts a document into chunks along its structure.

Blocks are packed whole, in order, up to the budget; a heading and a page begin a new chunk unless the one at
hand is still very small, so that a chunk is of one section and one page as a rule. Only a block over the
budget is cut: a table between rows, code between lines, text between sentences; and only a row, line or
sentence over the budget within itself.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.documents.document import Block, Document
from shared.knowledge.sentences import sentences
from shared.providers.tokens import estimate_tokens

# Recursive cuts of 200 to 400 tokens without overlap are a strong baseline in published comparisons
# (research.trychroma.com/evaluating-chunking), and 384 beat 512 and more.
MAX_TOKENS = 384

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
        return f"{self.lead}\n\n{self.text}" if self.lead else self.text


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
    """
    groups = _packed(document.text, _pieces(document, max_tokens), max_tokens)
    return [_chunk(document, group) for group in groups]


def _pieces(document: Document, budget: int) -> Iterator[_Piece]:
    path: tuple[Block, ...] = ()
    announced: int | None = None  # where the headings right before the block begin
    for block in document.blocks:
        room = budget
        if announced is not None:
            room = max(budget // 2, budget - estimate_tokens(document.text[announced : block.start]))
        if block.kind == "heading":
            path = (*(above for above in path if _level(above) < _level(block)), block)
            announced = block.start if announced is None else announced
        else:
            announced = None
        for start, end in _cuts(block, room):
            yield _Piece(start=block.start + start, end=block.start + end, block=block, path=path)


def _level(heading: Block) -> int:
    return heading.level or 1


def _cuts(block: Block, budget: int) -> list[tuple[int, int]]:
    """Where to cut a block, as ranges of its own text."""
    tokens = estimate_tokens(block.text)
    if tokens <= budget:
        return [(0, len(block.text))]
    spans = _lines(block.text) if block.kind in ("table", "code") else sentences(block.text)
    small = [cut for span in spans for cut in _forced(block.text, span, budget)]
    return _joined(block.text, small, even=tokens / math.ceil(tokens / budget), budget=budget)


def _joined(
    text: str, spans: Sequence[tuple[int, int]], *, even: float, budget: int
) -> list[tuple[int, int]]:
    """Neighbours put together to parts of about `even` tokens, so that no small rest is left at the end."""
    parts = [spans[0]]
    for start, end in spans[1:]:
        first, last = parts[-1]
        full = estimate_tokens(text[first:last]) >= even
        if full or estimate_tokens(text[first:end]) > budget:
            parts.append((start, end))
        else:
            parts[-1] = (first, end)
    return parts


def _lines(text: str) -> list[tuple[int, int]]:
    spans, start = [], 0
    for line in text.splitlines(keepends=True):
        kept = line.rstrip()
        if kept:
            spans.append((start, start + len(kept)))
        start += len(line)
    return spans


def _forced(text: str, span: tuple[int, int], budget: int) -> Iterator[tuple[int, int]]:
    """Cut a span that is over the budget at white space, or anywhere where there is none."""
    start, end = span
    while estimate_tokens(text[start:end]) > budget:
        length = _fitting(text[start : min(end, start + 4 * budget)], budget)
        space = max(text.rfind(" ", start, start + length), text.rfind("\t", start, start + length))
        cut = space if space > start + length // 2 else start + length
        yield start, cut
        start = cut + len(text[cut:end]) - len(text[cut:end].lstrip())
    if start < end:
        yield start, end


def _fitting(text: str, budget: int) -> int:
    """How many of the first characters stay within the budget; at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimate_tokens(text[:middle]) <= budget else (low, middle - 1)
    return low


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
    if estimate_tokens(text[start : piece.end]) > budget:
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
    if not count or not carried or estimate_tokens(text[carried[0].start : piece.end]) > budget:
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
