"""A heading, paragraph, list item, table or block of code of a page."""

from dataclasses import dataclass
from typing import Literal

from shared.web.extraction.place import Place

PieceKind = Literal["heading", "paragraph", "item", "table", "code"]


@dataclass(slots=True, kw_only=True)
class Piece:
    """A piece of a page.

    `text` is its words alone; `markdown` has links and images too, but not the marks of its kind: those
    follow from `level` of a heading, `indent` (in characters) and `marker` of an item, and `language` of
    code. An item without a marker goes on with the item before it.
    """

    kind: PieceKind
    text: str
    markdown: str
    place: Place
    words: tuple[str, ...]
    link_words: int
    level: int = 0
    marker: str = ""
    indent: int = 0
    language: str = ""
    quoted: bool = False
