"""The chosen pieces of a page as Markdown."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from shared.web.extraction.inline import escape_lines
from shared.web.extraction.piece import Piece

_TICKS: Final = re.compile("`{3,}")


def compose(pieces: Iterable[Piece]) -> str:
    """Blocks with a blank line between; the items of a list, and the lines of a quote, stand together."""
    parts: list[str] = []
    last: Piece | None = None
    indent = 0
    for piece in pieces:
        indent = _indent(piece, last, indent)
        text = _block(piece, indent)
        if piece.quoted:
            text = "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
        parts += (_between(last, piece), text)
        last = piece
    return "".join(parts)


def plain(pieces: Iterable[Piece]) -> str:
    """The words alone, a piece a line."""
    return "\n".join(piece.text for piece in pieces if piece.text)


def _indent(piece: Piece, last: Piece | None, before: int) -> int:
    """Where an item stands. Deeper than its list's last item allows, it would be read as code."""
    if piece.kind != "item" or last is None or last.kind != "item":
        return 0
    deepest = before + len(last.marker or "- ")
    wanted = piece.indent if piece.marker else piece.indent + 2
    return min(wanted, deepest)


def _between(last: Piece | None, piece: Piece) -> str:
    if last is None:
        return ""
    if last.kind == piece.kind == "item" and piece.marker and last.quoted == piece.quoted:
        return "\n"
    return "\n>\n" if last.quoted and piece.quoted else "\n\n"


def _block(piece: Piece, indent: int) -> str:
    match piece.kind:
        case "heading":
            return f"{'#' * piece.level} {piece.markdown}"
        case "item":
            return _item(piece, indent)
        case "table":
            return piece.markdown
        case "code":
            return _fenced(piece)
        case "paragraph":
            return escape_lines(piece.markdown)


def _item(piece: Piece, indent: int) -> str:
    lines = iter(escape_lines(piece.markdown).split("\n"))
    margin = " " * (indent + len(piece.marker))
    return "\n".join((" " * indent + piece.marker + next(lines), *_indented(lines, margin)))


def _indented(lines: Iterator[str], margin: str) -> Iterator[str]:
    return (margin + line for line in lines)


def _fenced(piece: Piece) -> str:
    """A fence longer than any inside the code."""
    fence = "`" * (max((len(ticks) for ticks in _TICKS.findall(piece.text)), default=2) + 1)
    return f"{fence}{piece.language}\n{piece.text}\n{fence}"
