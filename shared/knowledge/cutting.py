"""Where a block longer than a chunk may be cut: between sentences, rows, runs of lines; at worst in them."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.documents.document import Block
from shared.knowledge.sentences import sentences
from shared.providers.tokens import estimate_tokens

# What has no good place to be cut may have so many times the budget.
WHOLE = 2

# Where a sentence or a row that is far too long may be cut: after a mark, or else at white space.
_CELL_END = re.compile(r"[;|](?=\s)|；")
_CLAUSE_END = re.compile(r"[,:](?=\s)|[，：、]")
_SPACE = re.compile(r"\s")
_LINE_END = re.compile(r"\n")
_LINE_ENDS = re.compile(r"\n*")
_SPACES = re.compile(r"\s*")
_BLANK_LINES = re.compile(r"\n\s*\n")


def tokens_in(text: str, start: int, end: int, *, most: int) -> int:
    """Estimated tokens of a range; of one that is far over `most` not the exact number, but quickly."""
    return estimate_tokens(text[start : min(end, start + 4 * most + 4)])


@dataclass(frozen=True)
class Room:
    """Tokens for a piece: as a rule, and where it has no good place to be cut."""

    usual: int
    most: int

    @classmethod
    def beside(cls, headings: int, budget: int) -> "Room":
        """What headings right before the piece leave of the budget."""
        most = WHOLE * budget
        return cls(max(budget // 2, budget - headings), max(most // 2, most - headings))


def cuts(block: Block, room: Room) -> list[tuple[int, int]]:
    """Where to cut a block, as ranges of its own text; one range for all of it if it fits."""
    tokens = estimate_tokens(block.text)
    is_one = block.kind == "code" or block.row_first is not None
    if tokens <= (room.most if is_one else room.usual):
        return [(0, len(block.text))]
    small = [cut for span in _units(block) for cut in _forced(block.text, span, room)]
    even = tokens / math.ceil(tokens / room.usual)
    return _joined(block.text, small, even=even, budget=room.usual)


def _units(block: Block) -> list[tuple[int, int]]:
    """The pieces of a block that belong together."""
    if block.kind == "code":
        return _paragraphs(block.text)
    if block.kind == "table":
        return _lines(block.text)
    return [(0, len(block.text))] if block.row_first is not None else sentences(block.text)


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


def _paragraphs(text: str) -> list[tuple[int, int]]:
    """The runs of lines between blank lines; between lines, where such a run is too long itself."""
    ends = [match.end() for match in _BLANK_LINES.finditer(text)]
    pieces = pairwise((0, *ends, len(text)))
    return [
        (start, start + len(text[start:end].rstrip())) for start, end in pieces if text[start:end].strip()
    ]


def _forced(text: str, span: tuple[int, int], room: Room) -> Iterator[tuple[int, int]]:
    """Cut a span that is too long even for what should stay whole."""
    start, end = span
    if tokens_in(text, start, end, most=room.most) <= room.most:
        yield span
        return
    while tokens_in(text, start, end, most=room.usual) > room.usual:
        length = _fitting(text[start : min(end, start + 4 * room.usual)], room.usual)
        cut = start + _good_length(text[start : start + length])
        yield start, cut
        start = _next_start(text, cut, end)
    if start < end:
        yield start, end


def _next_start(text: str, cut: int, end: int) -> int:
    """Where the rest begins; after a line's end the next line's indentation stays."""
    found = (_LINE_ENDS if text.startswith("\n", cut) else _SPACES).match(text, cut, end)
    return found.end() if found else cut


def _good_length(text: str) -> int:
    """How much of the text to take: to the end of a line, a clause or a word in its second half, or all."""
    for pattern in (_LINE_END, _CELL_END, _CLAUSE_END, _SPACE):
        ends = [match.end() for match in pattern.finditer(text, len(text) // 2 + 1)]
        if ends:
            return len(text[: ends[-1]].rstrip()) or len(text)
    return len(text)


def _fitting(text: str, budget: int) -> int:
    """How many of the first characters stay within the budget; at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimate_tokens(text[:middle]) <= budget else (low, middle - 1)
    return low
