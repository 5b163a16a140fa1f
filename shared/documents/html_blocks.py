"""An HTML tree to Markdown blocks. Needs no network and follows no reference."""

import re
from collections.abc import Iterator
from typing import Final

from lxml.html import HtmlElement

from shared.documents.cleaning import clean, clean_code, clean_line
from shared.documents.document import Part
from shared.documents.markdown_table import REPEATED_CHARACTERS, holds_blocks, one_line, table_parts

_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "legend",
    "li", "main", "nav", "ol", "p", "section", "summary", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_CODE: Final = frozenset(("code", "kbd", "samp", "tt"))
_SITE_MARKS: Final = frozenset(("headerlink", "mw-editsection", "noprint", "sr-only", "visually-hidden"))
_LANGUAGE: Final = re.compile(r"\b(?:language|lang|highlight-source|highlight)-([\w+#]+)")
_SPACES: Final = re.compile(r"\s+")
_AROUND_BREAK: Final = re.compile(r"(?<! ) *+\n *")
# Deeper than this, a page is broken or hostile: the rest is taken as plain text, and Python's stack holds.
_DEPTH_LIMIT: Final = 80
# A cell that spans rows or columns is written out for so many; in a table all together for so many times its
# cells, or for none.
_SPAN_LIMIT: Final = 20
_SPAN_BUDGET: Final = 2


def html_blocks(root: HtmlElement) -> Iterator[Part]:
    """The blocks under `root` in reading order: headings, paragraphs, lists, tables and fenced code."""
    writer = _Writer(depth=0)
    writer.walk(root)
    writer.end_paragraph()
    yield from writer.parts


class _Writer:
    """Collects parts while walking; `_run` is the inline text of the paragraph being read."""

    def __init__(self, depth: int) -> None:
        self.parts: list[Part] = []
        self._run: list[str] = []
        self._depth = depth

    def walk(self, element: HtmlElement) -> None:
        tag = element.tag
        if not isinstance(tag, str) or not _SITE_MARKS.isdisjoint(element.get("class", "").split()):
            return
        if self._depth >= _DEPTH_LIMIT:
            self._write(" ".join(element.itertext()))
        elif tag in _HEADINGS:
            self._heading(element, _HEADINGS[tag])
        elif tag == "pre":
            self._fence(element)
        elif tag in ("ul", "ol"):
            self._list(element)
        elif tag == "table":
            self._table(element)
        else:
            self._flow(element, tag)

    def end_paragraph(self) -> None:
        text = clean(_AROUND_BREAK.sub("\n", "".join(self._run)))
        self._run.clear()
        self._add(Part(kind="paragraph", text=re.sub(" {2,}", " ", text).strip()))

    def _flow(self, element: HtmlElement, tag: str) -> None:
        if tag == "br":
            self._run.append("\n")
        elif tag in _CODE:
            self._inline_code(element)
        elif tag in _BLOCKS:
            self.end_paragraph()
            self._children(element)
            self.end_paragraph()
        else:
            self._children(element)

    def _children(self, element: HtmlElement) -> None:
        self._depth += 1
        self._write(element.text)
        for child in element:
            self.walk(child)
            self._write(child.tail)
        self._depth -= 1

    def _write(self, text: str | None) -> None:
        if text:
            self._run.append(_SPACES.sub(" ", text))

    def _add(self, part: Part) -> None:
        if part.text:
            self.parts.append(part)

    def _inline_code(self, element: HtmlElement) -> None:
        text = clean_line(element.text_content())
        self._run.append(f"`{text}`" if text and "`" not in text else text)

    def _heading(self, element: HtmlElement, level: int) -> None:
        self.end_paragraph()
        words = one_line(self._inside(element))
        if words:
            self._add(Part(kind="heading", text=f"{'#' * level} {words}", level=level))

    def _fence(self, element: HtmlElement) -> None:
        self.end_paragraph()
        for line_break in element.iter("br"):
            line_break.tail = "\n" + (line_break.tail or "")
        code = clean_code(element.text_content())
        if code:
            self._add(Part(kind="code", text=fenced(code, _language(element))))

    def _inside(self, element: HtmlElement) -> list[Part]:
        """The parts of an element that is a block of its own: a list item, a cell, a heading."""
        writer = _Writer(self._depth)
        writer._children(element)
        writer.end_paragraph()
        return writer.parts

    def _list(self, element: HtmlElement) -> None:
        self.end_paragraph()
        items = [self._inside(child) for child in element if isinstance(child.tag, str)]
        items = [item for item in items if item]
        inside = [part for item in items for part in item]
        if holds_blocks(inside):
            self.parts += inside
            return
        lines = [_item(item, f"{n}. " if element.tag == "ol" else "- ") for n, item in enumerate(items, 1)]
        self._add(Part(kind="list", text="\n".join(lines)))

    def _table(self, element: HtmlElement) -> None:
        self.end_paragraph()
        for caption in element.findall("caption"):
            self.parts += self._inside(caption)
        rows = [
            [(cell, self._inside(cell)) for cell in row.iterchildren("td", "th")]
            for row in element.xpath("./tr | ./thead/tr | ./tbody/tr | ./tfoot/tr")
        ]
        inside = [part for row in rows for _, parts in row for part in parts]
        self.parts += table_parts(_grid(rows), inside)


def fenced(code: str, language: str = "") -> str:
    """A fenced block, its fence longer than any inside the code."""
    longest = max((len(ticks) for ticks in re.findall("`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{code}\n{fence}"


def _language(element: HtmlElement) -> str:
    parent = element.getparent()
    marks = [element, *element.iterchildren("code"), *([parent] if parent is not None else [])]
    for mark in marks:
        match = _LANGUAGE.search(mark.get("class", ""))
        if match:
            return match[1]
    return ""


def _item(parts: list[Part], marker: str) -> str:
    """An item's own text on its line, lists inside it under it."""
    own = one_line(part for part in parts if part.kind != "list")
    indent = "\n" + " " * len(marker)
    inner = [part.text.replace("\n", indent) for part in parts if part.kind == "list"]
    return indent.join([marker + own, *inner])


_Cell = tuple[HtmlElement, list[Part]]


def _grid(rows: list[list[_Cell]]) -> list[list[str]]:
    """The cells' texts with spans written out, so that each row can be read alone."""
    cells = sum(len(row) for row in rows)
    grid = []
    filled = 0
    above: dict[int, tuple[int, str]] = {}  # column -> rows still to fill, with what
    for row in rows:
        line = _spanned_row(row, above)
        filled += len(line) - len(row)
        if filled > _SPAN_BUDGET * cells:
            return [[one_line(parts) for _, parts in row] for row in rows]
        grid.append(line)
    return grid


def _spanned_row(row: list[_Cell], above: dict[int, tuple[int, str]]) -> list[str]:
    line: list[str] = []
    for cell, parts in row:
        _fill_from_above(line, above)
        text = one_line(parts)
        repeated = text if len(text) <= REPEATED_CHARACTERS else ""
        for column in range(_span(cell, "colspan")):
            above[len(line)] = (_span(cell, "rowspan") - 1, repeated)
            line.append("" if column else text)
    _fill_from_above(line, above)
    return line


def _fill_from_above(line: list[str], above: dict[int, tuple[int, str]]) -> None:
    while above.get(len(line), (0, ""))[0] > 0:
        left, text = above[len(line)]
        above[len(line)] = (left - 1, text)
        line.append(text)


def _span(cell: HtmlElement, name: str) -> int:
    value = cell.get(name, "1").strip()
    return min(max(int(value), 1), _SPAN_LIMIT) if value.isdecimal() and len(value) < 9 else 1
