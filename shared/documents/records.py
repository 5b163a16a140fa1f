"""Rows of a table to text: each row readable alone, with the names of its columns."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from shared.documents.cleaning import clean_line
from shared.documents.document import Limits, Part, UnreadableDocumentError, invalid

# So many rows are enough to see where the table begins and what its columns hold.
SAMPLE_ROWS: Final = 50
_NUMBER: Final = re.compile(r"[-+]?[\d.,\s]*\d[\d.,\s]*%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")
_NUMBER_CHARACTERS: Final = 40
_YEAR: Final = re.compile(r"(?:19|20)\d\d")

# A row with its number in the file, from 1; its cells are clean and on one line.
Row = tuple[int, Sequence[str]]


@dataclass(frozen=True)
class Columns:
    """The columns' names, and the row that gives them. All rows before that are notes above the table.

    `header_row` is 0 where nothing but data is there, and the columns are called "Column 1" and so on.
    """

    names: tuple[str, ...]
    header_row: int

    def text(self, row: Row) -> str:
        """A row as "Name: Ada; City: London", without its empty cells."""
        number, cells = row
        if number < self.header_row:
            return "; ".join(filter(None, cells))
        return "; ".join([f"{self._name(index)}: {cell}" for index, cell in enumerate(cells) if cell])

    def _name(self, index: int) -> str:
        return self.names[index] if index < len(self.names) else f"Column {index + 1}"


def find_columns(sample: Iterable[Row]) -> Columns:
    """Read the first rows of a table.

    Rows with one filled cell at the top of a table with several columns are notes. The next row is the
    header, unless it holds a number or a date; years side by side are names too ("2023", "2024").
    """
    rows = [row for row in sample if any(row[1])]
    wide = [cells for _, cells in rows if _filled(cells) > 1]
    has_notes = len(wide) > 1 and 2 * len(wide) >= len(rows)
    if len(rows) == 1:  # names of nothing are a note
        return Columns(names=(), header_row=rows[0][0] + 1)
    for number, cells in rows:
        if has_notes and _filled(cells) < 2:
            continue
        if any(map(_is_number, cells)) and not _are_years(cells):
            break
        named = [cell or f"Column {column}" for column, cell in enumerate(cells, 1)]
        return Columns(names=tuple(_distinct(named)), header_row=number)
    return Columns(names=(), header_row=0)


def row_parts(rows: Iterable[Row], columns: Columns) -> Iterator[Part]:
    """The rows' texts, without the header's. Empty rows give none."""
    for row in rows:
        text = columns.text(row) if row[0] != columns.header_row else ""
        if text:
            yield Part(kind="paragraph", text=text, row=row[0])


def clean_cells(cells: Iterable[str]) -> list[str]:
    """Each cell on one line. Most hold nothing but visible ASCII, which is quick to see."""
    return [
        " ".join(cell.split()) if cell.isascii() and cell.isprintable() else clean_line(cell)
        for cell in cells
    ]


def without_repeats(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows without the empty ones and without those that were there before."""
    seen: set[int] = set()
    for row in rows:
        filled = list(row[1])
        while filled and not filled[-1]:
            filled.pop()
        key = hash(tuple(filled))
        if filled and key not in seen:
            seen.add(key)
            yield row


def limited(rows: Iterable[Row], limits: Limits) -> Iterator[Row]:
    """The rows as they come. Raises `invalid_file` as soon as they are more than the limits allow."""
    cells = 0
    for count, row in enumerate(rows, 1):
        cells += len(row[1])
        if count > limits.rows:
            raise _too_many(f"{limits.rows:,} rows")
        if cells > limits.cells:
            raise _too_many(f"{limits.cells:,} cells")
        yield row


def _too_many(what: str) -> UnreadableDocumentError:
    message = f"The table has more than {what}. Split it and upload the pieces."
    return invalid(message)


def _filled(cells: Sequence[str]) -> int:
    return sum(map(bool, cells))


def _is_number(cell: str) -> bool:
    return len(cell) <= _NUMBER_CHARACTERS and _NUMBER.fullmatch(cell) is not None


def _are_years(cells: Sequence[str]) -> bool:
    """All its numbers are years, one after the other, beside a name."""
    numbers = [cell for cell in cells if _is_number(cell)]
    return (
        len(cells) > len(numbers) > 1
        and all(map(_YEAR.fullmatch, numbers))
        and {int(after) - int(before) for before, after in pairwise(numbers)} in ({1}, {-1})
    )


def _distinct(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
