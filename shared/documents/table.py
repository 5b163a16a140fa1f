"""CSV and TSV: a block for each row, readable alone: "Name: Ada; City: London"."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, Final

from shared.documents.charset import decode
from shared.documents.cleaning import clean_line
from shared.documents.document import Content, Limits, Part, UnreadableDocumentError

if TYPE_CHECKING:
    from pandas import DataFrame

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_LINES: Final = 50
_FIELD_CHARACTERS: Final = 2**20
_NUMBER: Final = re.compile(r"[-+]?[\d.,\s]*\d[\d.,\s]*%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")


def read_table(
    data: bytes, media_type: str | None, limits: Limits, *, delimiter: str | None = None
) -> Content:
    """Read delimited text; the delimiter is found when not given.

    Empty rows, empty columns and repeated rows are left out. The first row that is not empty is the header,
    unless it holds a number or a date: then, and where it has a gap, columns are called "Column 1" and so on.
    Raises `invalid_file` for a table over the limits or with a quoted field that never ends.
    """
    csv.field_size_limit(_FIELD_CHARACTERS)  # for the whole process; csv has no other way
    text = decode(data, media_type=media_type)
    records = _records(text, delimiter or _find_delimiter(text), limits)
    return Content(parts=_rows(records))


def _find_delimiter(text: str) -> str:
    """The delimiter that cuts most of the first lines into the same number of fields, more than one."""
    lines = list(islice(StringIO(text, newline=""), _SAMPLE_LINES))
    return max(_DELIMITERS, key=lambda delimiter: _agreement(lines, delimiter))


def _agreement(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """How many records have the commonest width over one, and that width."""
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
    except csv.Error:  # a field over the size limit: not this delimiter, or _records says so
        return 0, 1
    width, count = widths.most_common(1)[0] if widths else (1, 0)
    return count, width


def _records(text: str, delimiter: str, limits: Limits) -> list[list[str]]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        records = list(islice(reader, limits.rows + 1))
    except csv.Error as error:
        message = f"Line {reader.line_num} of the table cannot be read ({error}). Is a quote left open?"
        raise _invalid(message) from error
    if len(records) > limits.rows:
        raise _invalid(f"The table has more than {limits.rows:,} rows. Split it and upload the pieces.")
    if max(map(len, records), default=0) * len(records) > limits.cells:
        raise _invalid(f"The table has more than {limits.cells:,} cells. Split it and upload the pieces.")
    return records


def _invalid(message: str) -> UnreadableDocumentError:
    return UnreadableDocumentError("invalid_file", message)


def _rows(records: Sequence[Sequence[str]]) -> Iterator[Part]:
    frame = _clean_frame(records)
    if frame.empty:
        return
    first = [str(cell) for cell in frame.iloc[0]]
    numbered = [f"Column {int(column) + 1}" for column in frame.columns]
    if any(_NUMBER.fullmatch(cell) for cell in first):
        names = numbered
    else:
        names = _distinct([cell or number for cell, number in zip(first, numbered, strict=True)])
        frame = frame.iloc[1:]
    for row, *cells in frame.itertuples():
        text = "; ".join(f"{name}: {cell}" for name, cell in zip(names, cells, strict=True) if cell)
        yield Part(kind="paragraph", text=text, row=int(row) + 1)


def _clean_frame(records: Sequence[Sequence[str]]) -> "DataFrame":
    """Cells on one line; no empty rows or columns, no row twice. The index counts the file's rows from 0."""
    import pandas as pd

    width = max(map(len, records), default=0)
    cells = [[*map(clean_line, record), *[""] * (width - len(record))] for record in records]
    frame = pd.DataFrame(cells, dtype=str)
    filled = frame != ""
    return frame.loc[filled.any(axis=1), filled.any(axis=0)].drop_duplicates()


def _distinct(names: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
