import pytest

from shared.documents.document import Document, Limits, UnreadableDocumentError
from shared.documents.parse import parse
from tests.unit.documents.made_files import W, archive, cell, docx, paragraph

STYLES = """
<w:style w:type="paragraph" w:styleId="a3"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
<w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="berschrift2"/></w:style>
<w:style w:type="paragraph" w:styleId="Deep"><w:name w:val="Deep"/>
  <w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Ring"><w:name w:val="Ring"/><w:basedOn w:val="Ring"/></w:style>
<w:style w:type="paragraph" w:styleId="Bullets"><w:name w:val="List Bullet"/>
  <w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>
"""
NUMBERING = """
<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1">
  <w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>
  <w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
"""


def styled(text: str, style: str) -> str:
    return paragraph(text, f'<w:pStyle w:val="{style}"/>')


def numbered(text: str, level: int) -> str:
    return paragraph(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="2"/></w:numPr>')


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(cells)}</w:tr>"


def read(body: str, **parts: str) -> Document:
    return parse(docx(body, styles=STYLES, numbering=NUMBERING, **parts), "a.docx", None)


def test_headings_by_style_name_in_any_language_by_inheritance_and_by_outline() -> None:
    document = read(
        styled("Manual", "a3")
        + styled("Kettle", "berschrift2")
        + styled("Safety", "Mine")
        + styled("Water", "Deep")
    )
    assert [(block.kind, block.level, block.text) for block in document.blocks] == [
        ("heading", 1, "# Manual"),
        ("heading", 2, "## Kettle"),
        ("heading", 2, "## Safety"),
        ("heading", 3, "### Water"),
    ]
    assert document.title == "Manual"


def test_styles_based_on_each_other_in_a_ring_end() -> None:
    assert read(styled("Text", "Ring")).blocks[0].kind == "paragraph"


def test_list_items_in_a_row_are_one_list_and_are_counted() -> None:
    document = read(
        numbered("Fill", 0) + numbered("to the mark", 1) + numbered("Boil", 0) + styled("Done", "Bullets")
    )
    (block,) = document.blocks
    assert block.kind == "list"
    assert block.text == "1. Fill\n   1. to the mark\n2. Boil\n- Done"


def test_tables_with_merged_cells() -> None:
    document = read(
        "<w:tbl>"
        + row(cell("Model"), cell("Size | litres", '<w:gridSpan w:val="2"/>'))
        + row(cell("K1", '<w:vMerge w:val="restart"/>'), cell("2"), cell("cold"))
        + row(cell("", "<w:vMerge/>"), cell("3"), cell("hot"))
        + "</w:tbl>"
    )
    (block,) = document.blocks
    assert block.kind == "table"
    assert block.text.split("\n") == [
        "| Model | Size \\| litres |  |",
        "| --- | --- | --- |",
        "| K1 | 2 | cold |",
        "| K1 | 3 | hot |",
    ]


def test_a_table_for_layout_is_its_content() -> None:
    document = read(f"<w:tbl>{row(cell('Only one'))}{row(cell('column'))}</w:tbl>")
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("paragraph", "Only one"),
        ("paragraph", "column"),
    ]


def test_what_is_deleted_or_generated_is_left_out_and_what_is_inserted_stays() -> None:
    contents = (
        '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
    )
    document = read(
        f"{contents}<w:sdtContent>{paragraph('Kettle 1')}</w:sdtContent></w:sdt>"
        f"<w:sdt><w:sdtContent>{paragraph('In a control')}</w:sdtContent></w:sdt>"
        "<w:p><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        "<w:r><w:tab/><w:t>text</w:t><w:br/><w:t>line</w:t></w:r></w:p>"
    )
    assert document.text == "In a control\n\nnew\ttext\nline"


def test_footnotes_come_last() -> None:
    notes = (
        '<w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
        f'<w:footnote w:id="3">{paragraph("Of tap water.")}</w:footnote>'
    )
    document = read('<w:p><w:r><w:t>Litres</w:t><w:footnoteReference w:id="3"/></w:r></w:p>', footnotes=notes)
    assert document.text == "Litres[^3]\n\n[^3]: Of tap water."


def test_text_boxes_follow_their_paragraph_once() -> None:
    box = f"<w:txbxContent>{paragraph('Boxed')}</w:txbxContent>"
    twice = f"<c:Choice xmlns:c='c'>{box}</c:Choice><c:Fallback xmlns:c='c'>{box}</c:Fallback>"
    assert read(f"<w:p><w:r><w:t>Around</w:t>{twice}</w:r></w:p>").text == "Around\n\nBoxed"


def test_the_document_is_found_by_its_relationship() -> None:
    relationships = '<R><Relationship Type="x/officeDocument" Target="/word/document2.xml"/></R>'
    text = f"<w:document {W}><w:body>{paragraph('Found')}</w:body></w:document>"
    data = archive({"_rels/.rels": relationships, "word/document2.xml": text})
    assert parse(data, "a.docx", None).text == "Found"


def hostile(prolog: str, text: str) -> bytes:
    document = f"{prolog}<w:document {W}><w:body>{paragraph(text)}</w:body></w:document>"
    return archive({"word/document.xml": document})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (hostile('<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;"), "document type"),
        (hostile('<!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>', "&b;"), "document type"),
        (hostile("", "a" * 30_000_000), "unpacks to far more"),
        (docx(paragraph("x"))[:-40], "damaged or cut short"),
        (docx("<w:p>"), "damaged"),
        (archive({"word/other.xml": "<x/>"}), "damaged"),
        (archive({f"word/{number}": "" for number in range(10_001)}), "more than 10,000 files"),
        (docx(paragraph("")), "contains no text"),
    ],
)
def test_hostile_and_damaged_files_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=reason) as caught:
        parse(data, "a.docx", None)
    assert caught.value.code == "invalid_file"


def test_the_claimed_size_does_not_matter() -> None:
    data = docx(paragraph("a sentence, " * 5_000))
    with pytest.raises(UnreadableDocumentError, match="unpacks to far more"):
        parse(data, "a.docx", None, limits=Limits(decompressed_bytes=10_000))
