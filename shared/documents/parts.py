"""A file too large to be read at once, in parts: pages of a PDF, rows of a table, lines of a text.

`plan_parts` reads the file once, in bounded memory, and says what the parts are; `parse_part` reads one of
them, with the pages, rows and headings it has in the whole; character ranges count from its own beginning.
The text of the file is the texts of the parts that are not empty, with a blank line between them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shared.documents.document import (
    DEFAULT_LIMITS,
    Block,
    Content,
    Document,
    Limits,
    Part,
    assemble,
)
from shared.documents.media import IMAGES, MEDIA_TYPES, Format, detect_format
from shared.documents.parse import read_whole
from shared.documents.pdf_layout import Typography
from shared.documents.ranges import Range, file_encoding, line_ranges, record_ranges
from shared.documents.source import Source
from shared.documents.table import TableLayout, table_layout


@dataclass(frozen=True)
class PartSizes:
    """How much a part holds, about: pages of a PDF, rows of a workbook, bytes of a text or table."""

    pages: int = 100
    rows: int = 20_000
    bytes: int = 2 * 2**20


DEFAULT_SIZES: Final = PartSizes()


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """One part. `number` counts from 0; `first` and `last` are pages or rows from 1, both inclusive, or 0.

    `start` and `end` are the bytes [start, end) that the part needs alone; `None` where it needs the whole
    file. `headings` are those it stands under.
    """

    number: int
    first: int = 0
    last: int = 0
    start: int | None = None
    end: int | None = None
    headings: tuple[Block, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parts of a file, never none, and what each needs to know of the whole."""

    format: Format
    media_type: str
    title: str | None = None
    parts: tuple[FilePart, ...] = (FilePart(number=0),)
    scanned_pages: tuple[int, ...] = ()
    declared: str | None = None
    encoding: str | None = None
    table: TableLayout | None = None
    typography: Typography | None = None


def plan_parts(
    path: Path,
    filename: str,
    media_type: str | None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    sizes: PartSizes = DEFAULT_SIZES,
) -> Plan:
    """Find the parts of a file. Raises `UnreadableDocumentError` for one that is seen to be unreadable."""
    source = Source(path)
    format = detect_format(source, filename, media_type)
    whole = Plan(format=format, media_type=MEDIA_TYPES[format], declared=media_type)
    match format:
        case "pdf":
            return _plan_pdf(source, whole, limits, sizes)
        case "xlsx":
            return _plan_workbook(source, whole, limits, sizes)
        case "csv" | "tsv" | "jsonl" | "text" if source.size > 2 * sizes.bytes:
            return _plan_bytes(source, whole, limits, sizes)
        case _:
            return whole


def parse_part(path: Path, plan: Plan, part: FilePart, *, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read a part. Without text it is an empty document, as is a picture.

    Raises `UnreadableDocumentError` for a part that cannot be read.

    Args:
        path: The whole file if `part.start` is None, else those bytes alone.
    """
    content = Content(parts=()) if plan.format in IMAGES else _read_part(Source(path), plan, part, limits)
    placed = Content(
        parts=content.parts,
        title=plan.title or content.title,
        headings=part.headings,
        scanned_pages=content.scanned_pages,
    )
    return assemble(placed, plan.media_type, limits, may_be_empty=True)


def _read_part(source: Source, plan: Plan, part: FilePart, limits: Limits) -> Content:
    is_last = part.number == len(plan.parts) - 1
    if plan.typography is not None:
        from shared.documents.pdf import read_pdf

        return read_pdf(source, limits, pages=(part.first, part.last), known=plan.typography)
    if plan.format == "xlsx" and len(plan.parts) > 1:
        from shared.documents.xlsx import read_xlsx

        return read_xlsx(source, limits, first=part.first, last=None if is_last else part.last)
    if plan.table is not None:
        from shared.documents.table import read_table_part

        return read_table_part(source.read(), plan.table, limits, first=part.first)
    if plan.encoding is not None and plan.format == "jsonl":
        from shared.documents.json_records import read_json_lines_part

        return read_json_lines_part(source.read(), plan.encoding, limits, first=part.first)
    if plan.encoding is not None:
        from shared.documents.text import read_text_part

        return read_text_part(source.read(), plan.encoding)
    return read_whole(plan.format, source, plan.declared, limits)


def _plan_pdf(source: Source, whole: Plan, limits: Limits, sizes: PartSizes) -> Plan:
    from shared.documents.pdf import survey_pdf
    from shared.documents.pdf_file import page_count

    if page_count(source, limits) <= sizes.pages:
        return whole
    survey = survey_pdf(source, limits)
    parts: list[FilePart] = []
    for first in range(1, survey.pages + 1, sizes.pages):
        last = min(first + sizes.pages - 1, survey.pages)
        headings = _above(survey.headings, first)
        parts.append(FilePart(number=len(parts), first=first, last=last, headings=headings))
    return _with(
        whole,
        parts,
        title=survey.title,
        typography=survey.typography,
        scanned_pages=survey.scanned_pages,
    )


def _above(headings: Iterable[Part], page: int) -> tuple[Block, ...]:
    """The path of headings that holds where a page begins."""
    path: tuple[Block, ...] = ()
    for heading in headings:
        if (heading.page or 0) >= page:
            break
        level = heading.level or 1
        path = (*(above for above in path if (above.level or 1) < level), heading_above(heading.text, level))
    return path


def heading_above(text: str, level: int) -> Block:
    """A heading that stands before the part, "# Words" as in the text."""
    return Block(kind="heading", text=text, start=-1, end=-1, level=level)


def _plan_workbook(source: Source, whole: Plan, limits: Limits, sizes: PartSizes) -> Plan:
    from shared.documents.xlsx import sheet_rows

    sheets = sheet_rows(source, limits)
    total = sum(count for _, count in sheets)
    if total <= sizes.rows:
        return whole
    starts = range(1, total + 1, sizes.rows)
    return _with(
        whole,
        [
            FilePart(
                number=number,
                first=first,
                last=min(first + sizes.rows - 1, total),
                headings=_sheet_above(sheets, first),
            )
            for number, first in enumerate(starts)
        ],
    )


def _sheet_above(sheets: Iterable[tuple[str, int]], row: int) -> tuple[Block, ...]:
    before = 0
    for name, count in sheets:
        if before + 1 < row <= before + count:
            return (heading_above(f"# {name}", 1),)
        before += count
    return ()


def _plan_bytes(source: Source, whole: Plan, limits: Limits, sizes: PartSizes) -> Plan:
    encoding = file_encoding(source, whole.declared)
    if whole.format not in ("csv", "tsv"):
        is_jsonl = whole.format == "jsonl"
        ranges = line_ranges(source, encoding, sizes.bytes, whole_lines=is_jsonl, limits=limits)
        return _with(whole, list(_range_parts(ranges)), encoding=encoding)
    head = source.head().decode(encoding, errors="replace").removeprefix("\ufeff")
    table = table_layout(head, encoding, "\t" if whole.format == "tsv" else None)
    ranges = record_ranges(source, table, sizes.bytes, limits)
    return _with(whole, list(_range_parts(ranges)), table=table)


def _range_parts(ranges: Iterable[Range]) -> Iterator[FilePart]:
    for number, (first, last, start, end) in enumerate(ranges):
        yield FilePart(number=number, first=first, last=last, start=start, end=end)


def _with(plan: Plan, parts: Iterable[FilePart], **known: Any) -> Plan:
    return replace(plan, parts=tuple(parts), **known)
