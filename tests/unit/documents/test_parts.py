"""A file in parts says what the whole says, and each part knows its place."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents.document import Block, Document, Limits, UnreadableDocumentError
from shared.documents.parse import parse
from shared.documents.parts import FilePart, PartSizes, Plan, parse_part, plan_parts
from shared.documents.wire import DOCUMENT, PART, PLAN
from tests.unit.documents.made_files import Rectangle, Words, pdf, sheet_row, xlsx

SMALL = PartSizes(pages=2, rows=3, bytes=40)


def in_parts(directory: Path, data: bytes, filename: str) -> tuple[Plan, list[Document]]:
    """Plan and read, each part from its own bytes alone where that is enough."""
    path = directory / "whole"
    path.write_bytes(data)
    plan = plan_parts(path, filename, None, sizes=SMALL)
    assert PLAN.validate_json(PLAN.dump_json(plan)) == plan
    return plan, [read(directory, data, plan, part) for part in plan.parts]


def read(directory: Path, data: bytes, plan: Plan, part: FilePart) -> Document:
    path = directory / "part"
    path.write_bytes(data if part.start is None else data[part.start : part.end])
    assert PART.validate_json(PART.dump_json(part)) == part
    document = parse_part(path, plan, part)
    assert DOCUMENT.validate_json(DOCUMENT.dump_json(document)) == document
    return document


def places(documents: list[Document]) -> list[tuple[str, int | None, int | None]]:
    return [(block.text, block.page, block.row_first) for part in documents for block in part.blocks]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


CELLS = st.text(alphabet='ab," \n\r文é', max_size=12)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=30)


@settings(max_examples=20)
@given(
    TABLES,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "gb18030"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_table_in_parts_is_the_table(directory: Path, table: list[list[str]], codec: str, end: str) -> None:
    text = io.StringIO()
    rows = [["number", "text", "more"], *([str(n), *row] for n, row in enumerate(table))]
    csv.writer(text, lineterminator=end).writerows(rows)
    prefix = "\ufeff" if codec == "utf-16-be" else ""
    data = (prefix + text.getvalue() + "文" * 4).encode(codec)
    plan, parts = in_parts(directory, data, "a.csv")
    whole = parse(data, "a.csv", None)
    # Rows that are there before are left out of each part, and of the whole.
    found = {text: (text, page, row) for text, page, row in reversed(places(parts))}
    assert sorted(found.values(), key=lambda place: place[2] or 0) == places([whole])
    assert [part.number for part in plan.parts] == list(range(len(plan.parts)))
    if len(plan.parts) > 1:
        assert [part.start for part in plan.parts] == [0, *(part.end for part in plan.parts[:-1])]
        assert plan.parts[-1].end == len(data)


@settings(max_examples=50)
@given(st.lists(st.none() | st.text(max_size=30), min_size=1, max_size=30))
def test_json_lines_in_parts(directory: Path, values: list[str | None]) -> None:
    lines = ("" if value is None else json.dumps({"a": f"{value} x"}, ensure_ascii=False) for value in values)
    data = ("\n".join(lines) + '\n{"a": "end"}').encode()
    _, parts = in_parts(directory, data, "a.jsonl")
    assert places(parts) == places([parse(data, "a.jsonl", None)])


def test_a_long_text_is_cut_at_blank_lines(directory: Path) -> None:
    paragraphs = [f"Paragraph {n} has a line.\nAnd another line 文." for n in range(30)]
    data = "\n\n".join(paragraphs).encode("gb18030")
    plan, parts = in_parts(directory, data, "a.txt")
    assert [block.text for part in parts for block in part.blocks] == paragraphs
    assert len(plan.parts) > 5


def test_a_line_without_end_is_cut_all_the_same(directory: Path) -> None:
    data = b"word " * 500_000
    plan, parts = in_parts(directory, data, "a.txt")
    assert len(plan.parts) > 1
    assert sum(part.text.count("word") for part in parts) >= 500_000 - len(plan.parts)


def test_pages_in_parts(directory: Path) -> None:
    body = [Words(f"Body of the page that goes on and on in line {n} of it.", 600 - 12 * n) for n in range(9)]
    pages = [
        [Words("Manual", 740, size=20), *body],
        [Words("Kettle", 740, size=14), *body],
        body,
        [Rectangle()],
        [Words("Toaster", 740, size=14), *body, Words("Small", 400, size=10, bold=True), Words("End.", 380)],
        body,
        body,
    ]
    data = pdf(*pages)
    plan, parts = in_parts(directory, data, "a.pdf")
    whole = parse(data, "a.pdf", None)
    assert places(parts) == places([whole])
    assert (plan.title, plan.scanned_pages, whole.scanned_pages) == ("Manual", (4,), (4,))
    assert [part.scanned_pages for part in parts] == [(), (4,), (), ()]
    assert [(part.first, part.last) for part in plan.parts] == [(1, 2), (3, 4), (5, 6), (7, 7)]
    above = [[heading.heading for heading in part.headings] for part in parts]
    assert above == [[], ["Manual", "Kettle"], ["Manual", "Kettle"], ["Manual", "Toaster", "Small"]]
    assert {part.title for part in parts} == {"Manual"}


def test_rows_of_a_workbook_in_parts(directory: Path) -> None:
    def sheet(count: int) -> str:
        return sheet_row(1, "Name", "Number") + "".join(sheet_row(n, f"n{n}", n) for n in range(2, count + 1))

    data = xlsx(sheet(7), sheet(2), sheet(4))
    plan, parts = in_parts(directory, data, "a.xlsx")
    assert len(plan.parts) == 5
    assert places(parts) == places([parse(data, "a.xlsx", None)])
    assert [[heading.heading for heading in part.headings] for part in parts] == [
        [],
        ["Sheet 1"],
        ["Sheet 1"],
        [],
        ["Sheet 3"],
    ]
    assert parts[1].headings == (Block(kind="heading", text="# Sheet 1", start=-1, end=-1, level=1),)


@pytest.mark.parametrize(
    ("filename", "data"),
    [("a.csv", b"a,b\n" + b"x" * 500), ("a.jsonl", b'{"a": 1}\n"' + b"x" * 500)],
)
def test_a_line_over_the_limit_says_so(tmp_path: Path, filename: str, data: bytes) -> None:
    path = tmp_path / filename
    path.write_bytes(data)
    with pytest.raises(UnreadableDocumentError, match="Line 2 is longer than 400 characters"):
        plan_parts(path, filename, None, limits=Limits(text_characters=400), sizes=SMALL)


def test_most_files_are_one_part_and_empty_ones_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"<!-- nothing -->")
    plan = plan_parts(path, "a.md", "text/markdown; charset=utf-8")
    assert plan.parts == (FilePart(number=0),)
    assert parse_part(path, plan, plan.parts[0]) == Document("", (), None, "text/markdown")
