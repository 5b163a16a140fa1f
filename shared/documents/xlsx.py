"""XLSX: each sheet a section, each row readable alone (SpreadsheetML, ECMA-376 part 1, 18)."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO

from lxml.etree import _Element

from shared.documents.cleaning import clean_line
from shared.documents.document import Content, Limits, Part
from shared.documents.package import Package
from shared.documents.records import SAMPLE_ROWS, Row, find_columns, limited, row_parts, without_repeats
from shared.documents.source import Source
from shared.documents.xlsx_cells import Cells, read_cells, rows_of

_BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class _Sheet:
    name: str
    path: str


def read_xlsx(source: Source, limits: Limits, *, first: int = 1, last: int | None = None) -> Content:
    """Read a workbook: a heading for each visible sheet, then its rows as "Name: Ada; City: London", with the
    numbers they have in their sheet. Values are those that formulas had when the file was saved; dates are
    written as 2026-01-31 and shares as 25%.

    `first` and `last` choose rows, counted from 1 over all visible sheets as they stand in the file. Raises
    `invalid_file` for a damaged, hostile or encrypted file, or one over the limits.
    """
    with Package(source, limits, "XLSX") as package:
        title = package.title()
    return Content(parts=_parts(source, limits, (first, last)), title=title)


def _parts(source: Source, limits: Limits, wanted: tuple[int, int | None]) -> Iterator[Part]:
    with Package(source, limits, "XLSX") as package:
        main, workbook = _workbook(package)
        cells = read_cells(package, main, workbook, limits)
        yield from _sheets(package, _visible(package, main, workbook), cells, limits, wanted)


def sheet_rows(source: Source, limits: Limits) -> list[tuple[str, int]]:
    """The names of the visible sheets and how many rows stand in the file for each, without reading them."""
    with Package(source, limits, "XLSX") as package:
        return [(sheet.name, _count(package, sheet)) for sheet in _visible(package, *_workbook(package))]


def _count(package: Package, sheet: _Sheet) -> int:
    count, before = 0, b""
    with package.stream(sheet.path) as stream:
        while stream is not None and (block := stream.read(_BLOCK_BYTES)):
            block = before + block
            count += block.count(b"<row ") + block.count(b"<row>")
            before = block[-4:]
    return count


def _workbook(package: Package) -> tuple[str, _Element]:
    main = package.main("xl/workbook.xml")
    workbook = package.xml(main)
    if workbook is None:
        raise package.damaged()
    return main, workbook


def _visible(package: Package, main: str, workbook: _Element) -> list[_Sheet]:
    relations = package.relationships(main)
    found = []
    for sheet in workbook.iterfind("{*}sheets/{*}sheet"):
        ids = (str(value) for name, value in sheet.attrib.items() if str(name).endswith("}id"))
        relation = next((relations[id] for id in ids if id in relations), None)
        if (
            relation is not None
            and sheet.get("state", "visible") == "visible"
            and relation.kind == "worksheet"
        ):
            found.append(_Sheet(clean_line(sheet.get("name", "")), relation.target))
    return found


def _sheets(
    package: Package, sheets: list[_Sheet], cells: Cells, limits: Limits, wanted: tuple[int, int | None]
) -> Iterator[Part]:
    first, last = wanted
    before = 0
    for sheet in sheets:
        if last is not None and before >= last:
            return
        with package.stream(sheet.path) as stream:
            counted = _Counted(_rows(stream, cells) if stream is not None else iter(()))
            sample = list(islice(counted, SAMPLE_ROWS))
            columns = find_columns(sample)
            if first <= before + 1 and sample:
                yield Part(kind="heading", text=f"# {sheet.name}", level=1)
            end = None if last is None else last - before
            rows = islice(chain(sample, counted), max(0, first - before - 1), end)
            yield from row_parts(without_repeats(limited(rows, limits)), columns)
            if end is None or counted.count < end:
                deque(counted, maxlen=0)
        before += counted.count


class _Counted:
    """An iterator over rows that says how many it has given out."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = next(self._rows)
        self.count += 1
        return row


def _rows(stream: IO[bytes], cells: Cells) -> Iterator[Row]:
    number = 0
    for row in rows_of(stream, "row"):
        reference = row.get("r", "")
        number = max(number + 1, int(reference) if reference.isdecimal() and len(reference) < 9 else 0)
        yield number, cells.row(row)
