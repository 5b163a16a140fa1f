"""Rows of cells as a Markdown table (GitHub Flavored Markdown, section 4.10)."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from shared.documents.cleaning import clean, clean_line
from shared.documents.document import Part

# Wider than this a text is written only once where a cell spans several rows.
REPEATED_CHARACTERS: Final = 40
_CELL_END: Final = re.compile(r"(?<!\\)\|")
_OWN_BLOCK: Final = frozenset(("heading", "table", "code"))


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """The first row is the header. Cells become one line each; short rows are filled, empty rows left out."""
    cells = [[clean_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((len(row) for row in cells), default=0)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in cells]
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if lines else ""


def cleaned_table(table: str) -> str:
    """A table of Markdown as tables in files are read: without empty rows, and without any that was there
    before, such as a header that a page repeats."""
    header, rule, *rows = clean(table).split("\n")
    seen = {_cells(header)}
    kept = []
    for row in rows:
        cells = _cells(row)
        if any(cells) and cells not in seen:
            seen.add(cells)
            kept.append(row)
    return "\n".join([header, rule, *kept])


def _cells(row: str) -> tuple[str, ...]:
    cells = tuple(clean_line(cell) for cell in _CELL_END.split(row.strip()))
    return cells[1 if cells[0] == "" else 0 : -1 if cells[-1] == "" else None]


def table_parts(rows: Sequence[Sequence[str]], inside: Sequence[Part]) -> list[Part]:
    """One table; or, where it only serves the layout (one row, one column, or blocks in its cells), what is
    inside the cells, in order."""
    filled = [row for row in rows if any(row)]
    width = max((len(row) for row in filled), default=0)
    if len(filled) < 2 or width < 2 or holds_blocks(inside):
        return list(inside)
    return [Part(kind="table", text=markdown_table(filled))]


def holds_blocks(parts: Iterable[Part]) -> bool:
    """Whether some part needs a place of its own and cannot stand inside a list or a cell."""
    return any(part.kind in _OWN_BLOCK for part in parts)


def one_line(parts: Iterable[Part]) -> str:
    """The parts of a cell or a list item as one line."""
    return " ".join(clean_line(part.text) for part in parts)
