"""CSV and TSV: a block for each row, readable alone: "Name: Ada; City: London"."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Final

from shared.documents.charset import decode
from shared.documents.document import Content, Limits, invalid
from shared.documents.records import (
    SAMPLE_ROWS,
    Columns,
    Row,
    clean_cells,
    find_columns,
    limited,
    row_parts,
    without_repeats,
)

_DELIMITERS: Final = (",", ";", "\t", "|")
_FIELD_CHARACTERS: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """How a table is written: what a part from its middle does not tell."""

    encoding: str
    delimiter: str
    columns: Columns


def read_table(
    data: bytes, media_type: str | None, limits: Limits, *, delimiter: str | None = None
) -> Content:
    """Read delimited text; the delimiter is found when not given.

    Empty and repeated rows are left out. Cells stay as they are written ("007", "1.50"). The columns' names
    are `find_columns`'. Raises `invalid_file` for a table over the limits, or with a quote left open.
    """
    text = decode(data, media_type=media_type)
    delimiter = delimiter or find_delimiter(text)
    sample = _clean(islice(records(StringIO(text, newline=""), delimiter), SAMPLE_ROWS), first=1)
    return Content(parts=row_parts(_kept(text, delimiter, limits, first=1), find_columns(sample)))


def read_table_part(data: bytes, layout: TableLayout, limits: Limits, *, first: int) -> Content:
    """Read rows from the middle of a table; `first` is the number of the first, from 1."""
    text = data.decode(layout.encoding, errors="replace").removeprefix("\ufeff")
    rows = _kept(text, layout.delimiter, limits, first=first)
    return Content(parts=row_parts(rows, layout.columns))


def table_layout(head: str, encoding: str, delimiter: str | None) -> TableLayout:
    """What the beginning of a table tells about all of it."""
    delimiter = delimiter or find_delimiter(head)
    sample = _clean(islice(records(StringIO(head, newline=""), delimiter), SAMPLE_ROWS), first=1)
    return TableLayout(encoding=encoding, delimiter=delimiter, columns=find_columns(sample))


def find_delimiter(text: str) -> str:
    """The delimiter that cuts most of the first lines into the same number of fields, more than one."""
    csv.field_size_limit(_FIELD_CHARACTERS)
    lines = list(islice(StringIO(text, newline=""), SAMPLE_ROWS))
    return max(_DELIMITERS, key=lambda delimiter: _agreement(lines, delimiter))


def records(lines: Iterator[str] | StringIO, delimiter: str) -> Iterator[list[str]]:
    """The records of delimited text. Raises `invalid_file` for one that cannot be read."""
    csv.field_size_limit(_FIELD_CHARACTERS)  # for the whole process; csv has no other way
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        message = f"Line {reader.line_num} of the table cannot be read ({error}). Is a quote left open?"
        raise invalid(message) from error


def _agreement(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """How many records have the commonest width over one, and that width."""
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
    except csv.Error:  # a field over the size limit: not this delimiter, or `records` says so
        return 0, 1
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    return count, width


def _kept(text: str, delimiter: str, limits: Limits, *, first: int) -> Iterator[Row]:
    lines = StringIO(text, newline="")
    return without_repeats(limited(_clean(records(lines, delimiter), first=first), limits))


def _clean(rows: Iterator[list[str]], *, first: int) -> Iterator[Row]:
    return ((number, clean_cells(cells)) for number, cells in enumerate(rows, first))
