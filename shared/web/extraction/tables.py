"""Tables of a page: which hold data, and their cells as a grid."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from lxml.html import HtmlElement

# What a cell of data does not hold: a table around it serves the layout.
_LAYOUT: Final = frozenset(
    ("article", "blockquote", "form", "h1", "h2", "h3", "h4", "pre", "section", "table")
)
# A cell that spans rows or columns is written out for so many, while the table grows to no more than so many
# times its cells; a long text that spans rows is written once.
_SPAN_LIMIT: Final = 20
_SPAN_BUDGET: Final = 3
_REPEATED_CHARACTERS: Final = 40

_Row = list[HtmlElement]


class Cell(NamedTuple):
    """One cell on one line: its words, and the same with links and images."""

    text: str
    markdown: str


_EMPTY: Final = Cell("", "")


def is_data_table(table: HtmlElement) -> bool:
    """Whether it has rows and columns of plain cells."""
    if table.get("role") in ("none", "presentation"):
        return False
    rows = [row for row in _rows(table) if row]
    if len(rows) < 2 or max(map(len, rows)) < 2:
        return False
    return not any(element.tag in _LAYOUT for element in table.iterdescendants())


def table_rows(table: HtmlElement, read_cell: Callable[[HtmlElement], Cell]) -> list[list[Cell]]:
    """The cells as `read_cell` reads them, spans written out so that each row can be read alone."""
    rows = _rows(table)
    room = _SPAN_BUDGET * sum(map(len, rows))
    grid: list[list[Cell]] = []
    above: dict[int, tuple[int, Cell]] = {}  # column -> rows still to fill, and what with
    for row in rows:
        grid.append(_spanned(row, above, read_cell))
        room -= len(grid[-1])
        if room < 0:
            return _filled([[read_cell(cell) for cell in row] for row in rows])
    return _filled(grid)


def markdown_table(rows: Sequence[Sequence[Cell]]) -> str:
    """A table of GitHub Flavored Markdown (section 4.10); its first row is the header."""
    cells = [[cell.markdown.replace("|", "\\|") for cell in row] for row in rows]
    width = max(map(len, cells), default=0)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in cells]
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]])


def _rows(table: HtmlElement) -> list[_Row]:
    rows = table.xpath("./tr | ./thead/tr | ./tbody/tr | ./tfoot/tr")
    return [list(row.iterchildren("td", "th")) for row in rows]


def _filled(grid: list[list[Cell]]) -> list[list[Cell]]:
    return [row for row in grid if any(cell.markdown for cell in row)]


def _spanned(
    row: _Row, above: dict[int, tuple[int, Cell]], read_cell: Callable[[HtmlElement], Cell]
) -> list[Cell]:
    line: list[Cell] = []
    for cell in row:
        _fill(line, above)
        content = read_cell(cell)
        repeated = content if len(content.text) <= _REPEATED_CHARACTERS else _EMPTY
        rows_more = _span(cell, "rowspan") - 1
        for column in range(_span(cell, "colspan")):
            above[len(line)] = (rows_more, repeated)
            line.append(_EMPTY if column else content)
    _fill(line, above)
    return line


def _fill(line: list[Cell], above: dict[int, tuple[int, Cell]]) -> None:
    while above.get(len(line), (0, _EMPTY))[0] > 0:
        left, content = above[len(line)]
        above[len(line)] = (left - 1, content)
        line.append(content)


def _span(cell: HtmlElement, name: str) -> int:
    value = cell.get(name, "1").strip()
    return min(max(int(value), 1), _SPAN_LIMIT) if value.isdecimal() and len(value) < 9 else 1
