"""What holds for every document, and that no bytes make a parser fail in another way than it may."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.documents.document import Content, Document, Limits, Part, UnreadableDocumentError, assemble
from shared.documents.parse import parse
from tests.unit.documents.made_files import (
    Words,
    cell,
    docx,
    epub,
    paragraph,
    pdf,
    pptx,
    shape,
    sheet_row,
    xlsx,
)

PARTS = st.builds(
    Part,
    kind=st.sampled_from(["heading", "paragraph", "list", "table", "code"]),
    text=st.text(max_size=20),
    row=st.none() | st.integers(1, 9),
)
FILES = {
    "a.pdf": pdf(
        [Words("Manual", 740, size=20), Words("The kettle holds two li-", 700), Words("tres of water.", 688)],
        [Words("Second page", 700)],
    ),
    "a.docx": docx(
        paragraph("Manual", '<w:pStyle w:val="Heading1"/>')
        + paragraph("Item", '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>')
        + f"<w:tbl><w:tr>{cell('a')}{cell('b')}</w:tr><w:tr>{cell('1')}{cell('2')}</w:tr></w:tbl>",
        styles='<w:style w:styleId="Heading1"><w:name w:val="heading 1"/></w:style>',
    ),
    "a.html": (
        b"<html><head><meta charset=gbk><title>T</title></head><body><main><h1>A</h1><ul><li>b<li>c</ul>"
        b"<table><tr><td rowspan=2>1<td>2<tr><td>3</table><pre>x</pre></main></body></html>"
    ),
    "a.md": (
        b"---\ntitle: T\n---\n# A\n\n- b\n  1. c\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n"
        b"```\nz\n```\n\n<b>raw</b>\n"
    ),
    "a.csv": 'name;city\n"Ada; C.";London\nBob;Zürich\n'.encode(),
    "a.tsv": b"a\tb\nc\td\n",
    "a.txt": "Zwölf Boxkämpfer.\n\n水壶可以容纳两升水。".encode("gb18030"),
    "a.xlsx": xlsx(
        sheet_row(1, "Name", "Age")
        + sheet_row(2, "Ada", 36)
        + '<row r="4"><c r="C4" t="s"><v>0</v></c></row>',
        strings="<si><t>shared</t></si>",
    ),
    "a.pptx": pptx(
        shape("Title", placeholder="title") + shape("a", "  b"), notes=shape("n", placeholder="body")
    ),
    "a.epub": epub("<p>Once.</p>", "<h1>End</h1>", contents='<a href="text/1.xhtml">One</a>'),
    "a.eml": (
        b"Subject: =?utf-8?q?H=C3=A4?=\nFrom: a@b\nMIME-Version: 1.0\n"
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset=gb2312\n\n"
        b"Text.\n--x\nContent-Type: image/png; name=a.png\n"
        b"Content-Transfer-Encoding: base64\n\neA==\n--x--\n"
    ),
    "a.json": b'{"title": "T", "rows": [{"a": 1, "b": {"c": "d"}}, [1, 2]], "list": ["x", null]}',
    "a.jsonl": b'{"a": 1}\n\n{"a": ["b"]}\n',
    "a.py": b"def f():\n    return 1\n",
}


def check(document: Document) -> None:
    end = 0
    for block in document.blocks:
        assert block.text == document.text[block.start : block.end]
        assert block.text.strip()
        assert not document.text[end : block.start].strip()
        end = block.end
    assert end == len(document.text)
    assert document.blocks
    assert "\x00" not in document.text


def check_readable_or_refused(data: bytes, filename: str) -> None:
    try:
        document = parse(data, filename, None, limits=Limits(decompressed_bytes=2**20))
    except UnreadableDocumentError:
        return
    check(document)


@given(st.lists(PARTS, min_size=1, max_size=8).filter(lambda parts: any(part.text.strip() for part in parts)))
def test_blocks_are_ranges_of_the_text(parts: list[Part]) -> None:
    document = assemble(Content(parts=parts), "text/plain", Limits())
    assert [block.text for block in document.blocks] == [part.text for part in parts if part.text.strip()]
    end = 0
    for block in document.blocks:
        assert block.text == document.text[block.start : block.end]
        assert document.text[end : block.start] in ("", "\n", "\n\n")
        end = block.end


@pytest.mark.parametrize("filename", FILES)
def test_whole_files_are_read(filename: str) -> None:
    check(parse(FILES[filename], filename, None))


@pytest.mark.parametrize("filename", FILES)
@settings(max_examples=20)
@given(data=st.data())
def test_cut_files_are_read_or_refused(filename: str, data: st.DataObject) -> None:
    whole = FILES[filename]
    check_readable_or_refused(whole[: data.draw(st.integers(0, len(whole)))], filename)


@pytest.mark.parametrize("filename", FILES)
@settings(max_examples=40)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(filename: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[filename])
    changes = st.lists(
        st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), min_size=1, max_size=6
    )
    for place, byte in data.draw(changes):
        damaged[place] = byte
    check_readable_or_refused(bytes(damaged), filename)


@pytest.mark.parametrize("filename", FILES)
@settings(max_examples=40)
@given(data=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@example(data=b'"\r"\n')
@example(data=b"<html>\x00</html>")
def test_any_bytes_are_read_or_refused(filename: str, data: bytes) -> None:
    check_readable_or_refused(data, filename)
