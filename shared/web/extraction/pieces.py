"""Reads a page as a row of pieces in reading order: headings, paragraphs, list items, tables, code."""

from collections.abc import Iterable
from typing import Final

from lxml.html import HtmlElement

from shared.web.extraction.code import code_text, language_of
from shared.web.extraction.elements import BLOCKS, CODE, EMPHASIS, HEADINGS, NEVER, beside_text
from shared.web.extraction.inline import Run
from shared.web.extraction.piece import Piece, PieceKind
from shared.web.extraction.place import Place
from shared.web.extraction.tables import Cell, is_data_table, markdown_table, table_rows
from shared.web.extraction.words import words_of

# Deeper than this, a page is broken or hostile: the rest is taken as plain text, and Python's stack holds.
_DEPTH_LIMIT: Final = 150
# What lies beyond so many pieces is left out; the largest of real pages has a quarter.
_PIECES_LIMIT: Final = 20_000
# Forums show all posts to browsers without scripts; a shorter text only asks for them.
_NO_SCRIPT: Final = 400


def read_pieces(root: HtmlElement) -> list[Piece]:
    """All pieces of a page, boilerplate and all."""
    reader = _Reader(Place(None, root))
    reader.children(root)
    reader.flush()
    return reader.pieces


class _Reader:
    """Walks a tree and collects pieces."""

    def __init__(self, place: Place) -> None:
        self.pieces: list[Piece] = []
        self._place = place
        self._run = Run()
        self._heading = 0
        self._lists: list[int] = []  # of each list around: the number of its next item, 0 for bullets
        self._marker = ""
        self._quotes = 0
        self._depth = 0

    def children(self, element: HtmlElement) -> None:
        self._depth += 1
        if text := element.text:
            self._run.write(text)
        for child in element:
            self._walk(child)
            if tail := child.tail:
                self._run.write(tail)
        self._depth -= 1

    def flush(self) -> None:
        """Ends the paragraph."""
        if self._run.blank:
            return
        text, markdown, linked = self._run.take()
        if not markdown:
            return
        link_words = len(words_of(linked)) if linked else 0
        if self._heading:
            self._add("heading", text, markdown.replace("\n", " "), link_words)
        elif self._lists:
            self._add("item", text, markdown, link_words)
            self._marker = ""
        else:
            self._add("paragraph", text, markdown, link_words)

    def _add(self, kind: PieceKind, text: str, markdown: str, link_words: int, language: str = "") -> None:
        piece = Piece(
            kind=kind,
            text=text,
            markdown=markdown,
            place=self._place,
            words=tuple(words_of(text)),
            link_words=link_words,
            level=self._heading if kind == "heading" else 0,
            marker=self._marker if kind == "item" else "",
            indent=sum(len(f"{number}. ") if number else 2 for number in self._lists[:-1]),
            language=language,
            quoted=self._quotes > 0,
        )
        self.pieces.append(piece)

    def _walk(self, element: HtmlElement) -> None:
        tag = element.tag
        if not isinstance(tag, str) or tag in NEVER:
            return
        if beside_text(element):
            return
        if len(self.pieces) >= _PIECES_LIMIT or (
            tag == "noscript" and len(element.text_content()) < _NO_SCRIPT
        ):
            return
        if self._depth >= _DEPTH_LIMIT:
            self._run.write(" ".join(element.itertext()))
        elif tag in BLOCKS or "-" in tag:
            self._block(element, tag)
        else:
            self._inline(element, tag)

    # Blocks

    def _block(self, element: HtmlElement, tag: str) -> None:
        self.flush()
        outer, self._place = self._place, Place(self._place, element)
        self._inside(element, tag)
        self.flush()
        self._place = outer

    def _inside(self, element: HtmlElement, tag: str) -> None:
        if tag in HEADINGS:
            self._head(element, HEADINGS[tag])
        elif tag == "pre":
            self._code(element)
        elif tag in ("ul", "ol", "menu"):
            self._list(element, _start(element) if tag == "ol" else 0)
        elif tag == "li":
            self._item(element)
        elif tag == "table" and is_data_table(element):
            self._table(element)
        elif tag == "blockquote":
            self._quote(element)
        else:
            self.children(element)

    def _head(self, element: HtmlElement, level: int) -> None:
        outer, self._heading = self._heading, level
        self.children(element)
        self.flush()
        self._heading = outer

    def _list(self, element: HtmlElement, first: int) -> None:
        self._lists.append(first)
        self.children(element)
        self.flush()
        self._lists.pop()

    def _item(self, element: HtmlElement) -> None:
        number = self._lists[-1] if self._lists else 0
        self._marker = f"{number}. " if number else "- "
        if number:
            self._lists[-1] = number + 1
        self.children(element)
        self.flush()
        self._marker = ""

    def _quote(self, element: HtmlElement) -> None:
        self._quotes += 1
        self.children(element)
        self.flush()
        self._quotes -= 1

    def _code(self, element: HtmlElement) -> None:
        code = "".join(code_text(element)).expandtabs(4).strip("\n")
        if code.strip():
            self._add("code", code, code, 0, language_of(element))

    def _table(self, element: HtmlElement) -> None:
        for caption in element.findall("caption"):
            self.children(caption)
            self.flush()
        inside: list[Piece] = []

        def read_cell(cell: HtmlElement) -> Cell:
            reader = _Reader(self._place)
            reader.children(cell)
            reader.flush()
            inside.extend(reader.pieces)
            return Cell(
                _joined(piece.text for piece in reader.pieces), _joined(p.markdown for p in reader.pieces)
            )

        rows = table_rows(element, read_cell)
        text = "\n".join(" ".join(cell.text for cell in row if cell.text) for row in rows)
        self._add("table", text, markdown_table(rows), sum(piece.link_words for piece in inside))

    # Inline elements

    def _inline(self, element: HtmlElement, tag: str) -> None:
        if tag == "br":
            if not self._run.break_line():
                self.flush()
        elif tag == "img":
            self._image(element)
        elif tag == "a":
            self._link(element)
        elif tag in CODE:
            self._run.write_code("".join(element.itertext()))
        elif tag in EMPHASIS:
            self._emphasis(element, EMPHASIS[tag])
        else:
            self.children(element)

    def _image(self, element: HtmlElement) -> None:
        description = " ".join((element.get("alt") or "").split())
        source = element.get("src") or ""
        if not source.startswith(("http:", "https:")):
            source = element.get("data-src") or ""  # where scripts load pictures late
        if description and source.startswith(("http:", "https:")):
            self._run.write_image(description, source)

    def _link(self, element: HtmlElement) -> None:
        previous = element.getprevious()
        if previous is not None and previous.tag == "a" and not previous.tail:
            self._run.part()
        begin, before = self._run.begin(), len(self.pieces)
        self._run.links += 1
        self.children(element)
        self._run.links -= 1
        target = element.get("href") or ""
        if len(self.pieces) == before and target.startswith(("http:", "https:")):
            self._run.wrap_link(begin, target)

    def _emphasis(self, element: HtmlElement, mark: str) -> None:
        begin, before = self._run.begin(), len(self.pieces)
        self.children(element)
        if len(self.pieces) == before and not self._heading:
            self._run.wrap_emphasis(begin, mark)


def _joined(texts: Iterable[str]) -> str:
    return " ".join(texts).replace("\n", " ")


def _start(element: HtmlElement) -> int:
    value = (element.get("start") or "1").strip()
    return max(int(value), 1) if value.isdecimal() and len(value) < 9 else 1
