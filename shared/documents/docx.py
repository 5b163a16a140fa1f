"""DOCX: headings, paragraphs, lists and tables, by the names of WordprocessingML (ECMA-376 part 1, 17)."""

from collections.abc import Iterator
from posixpath import dirname, join

from lxml.etree import QName, _Element

from shared.documents.cleaning import clean, clean_line
from shared.documents.document import Content, Limits, Part, first_heading
from shared.documents.docx_styles import Numbering, Styles, attribute, value
from shared.documents.markdown_table import REPEATED_CHARACTERS, one_line, table_parts
from shared.documents.package import Package
from shared.documents.source import Source

_TRANSPARENT = frozenset(("customXml", "ins", "moveTo", "sdt", "sdtContent", "smartTag"))
_NO_TEXT = frozenset(("pPr", "rPr", "del", "moveFrom", "instrText", "delText", "Fallback", "rt"))
_CHARACTERS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def read_docx(source: Source, limits: Limits) -> Content:
    """Read a DOCX. Tracked deletions, comments, page headers and the table of contents are left out, and
    footnotes come last.

    The title is the paragraph in the style "Title", else the title in the file's properties, else the first
    heading of level 1. Raises `invalid_file` for a damaged, hostile or encrypted file.
    """
    with Package(source, limits, "DOCX") as package:
        return _read(package)


def _read(package: Package) -> Content:
    main = package.main("word/document.xml")
    root = package.xml(main)
    if root is None:
        raise package.damaged()
    styles = Styles(package.xml(join(dirname(main), "styles.xml")))
    reader = _Reader(styles, Numbering(package.xml(join(dirname(main), "numbering.xml"))))
    body = root.find("{*}body")
    parts = list(reader.blocks(body)) if body is not None else []
    parts += reader.footnotes(package.xml(join(dirname(main), "footnotes.xml")))
    return Content(parts=parts, title=reader.title or package.title() or first_heading(parts))


class _Reader:
    """Walks the document and counts its lists. `title` is the text in the style "Title", once met."""

    def __init__(self, styles: Styles, numbering: Numbering) -> None:
        self.title: str | None = None
        self._styles = styles
        self._numbering = numbering

    def blocks(self, container: _Element) -> Iterator[Part]:
        """The blocks inside a body, a cell or a text box; neighbouring list items are one block."""
        items: list[str] = []
        for part in self._single_blocks(container):
            if part.kind == "list":
                items.append(part.text)
                continue
            yield from _list(items)
            items.clear()
            yield part
        yield from _list(items)

    def footnotes(self, root: _Element | None) -> Iterator[Part]:
        """The footnotes' texts, marked as Markdown does."""
        for note in root.iterchildren("{*}footnote") if root is not None else ():
            text = one_line(self.blocks(note))
            if text and not attribute(note, "type"):
                yield Part(kind="paragraph", text=f"[^{attribute(note, 'id')}]: {text}")

    def _single_blocks(self, container: _Element) -> Iterator[Part]:
        for child in container:
            name = QName(child).localname
            if name == "p":
                yield from self._paragraph(child)
            elif name == "tbl":
                yield from self._table(child)
            elif name in _TRANSPARENT and not _is_contents(child):
                yield from self._single_blocks(child)

    def _paragraph(self, paragraph: _Element) -> Iterator[Part]:
        boxes: list[_Element] = []
        text = clean("".join(_text(paragraph, boxes))).strip()
        if text:
            yield self._styled(paragraph, text)
        for box in boxes:
            yield from self.blocks(box)

    def _styled(self, paragraph: _Element, text: str) -> Part:
        style = self._styles.of(paragraph)
        if style.is_title and self.title is None:
            self.title = clean_line(text)
        if style.level is not None:
            return Part(kind="heading", text=f"{'#' * style.level} {clean_line(text)}", level=style.level)
        if style.list_id is not None:
            marker = self._numbering.next_marker(style.list_id, style.list_level)
            return Part(kind="list", text=f"{'   ' * style.list_level}{marker} {clean_line(text)}")
        return Part(kind="paragraph", text=text)

    def _table(self, table: _Element) -> list[Part]:
        rows: list[list[str]] = []
        inside: list[Part] = []
        for row in _through(table, "tr"):
            line: list[str] = []
            for cell in _through(row, "tc"):
                parts = list(self.blocks(cell))
                inside += parts
                above = rows[-1][len(line)] if rows and len(line) < len(rows[-1]) else ""
                line += _spanned(cell, one_line(parts), above)
            rows.append(line)
        return table_parts(rows, inside)


def _list(items: list[str]) -> list[Part]:
    return [Part(kind="list", text="\n".join(items))] if items else []


def _through(parent: _Element, wanted: str) -> Iterator[_Element]:
    """Children of that name, also inside content controls and tracked insertions."""
    for child in parent:
        name = QName(child).localname
        if name == wanted:
            yield child
        elif name in _TRANSPARENT:
            yield from _through(child, wanted)


def _text(element: _Element, boxes: list[_Element]) -> Iterator[str]:
    """The text of a paragraph; text boxes anchored in it are put aside into `boxes`."""
    for child in element:
        name = QName(child).localname
        if name == "t":
            yield child.text or ""
        elif name in _CHARACTERS:
            yield _CHARACTERS[name]
        elif name == "footnoteReference":
            yield f"[^{attribute(child, 'id')}]"
        elif name == "txbxContent":
            boxes.append(child)
        elif name not in _NO_TEXT:
            yield from _text(child, boxes)


def _spanned(cell: _Element, text: str, above: str) -> list[str]:
    """The cell's text for each column it spans; a cell merged with the one above repeats a short text."""
    merged = value(cell, "tcPr", "vMerge")
    if not text and merged is not None and merged != "restart" and len(above) <= REPEATED_CHARACTERS:
        text = above
    span = value(cell, "tcPr", "gridSpan") or "1"
    columns = min(int(span), 20) if span.isdecimal() and len(span) < 9 else 1
    return [text, *[""] * (columns - 1)]


def _is_contents(element: _Element) -> bool:
    """A generated table of contents repeats every heading."""
    gallery = value(element, "sdtPr", "docPartObj", "docPartGallery")
    return gallery == "Table of Contents"
