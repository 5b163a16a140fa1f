"""Workbooks, presentations and books."""

import pytest

from shared.documents.document import Document, Limits, UnreadableDocumentError
from shared.documents.parse import parse
from tests.unit.documents.made_files import R, epub, pptx, relations, shape, sheet_row, slide, xlsx


def lines(document: Document) -> list[tuple[str, int | None]]:
    return [(block.text, block.row_first or block.page) for block in document.blocks]


def test_each_sheet_is_a_section_and_each_row_reads_alone() -> None:
    people = sheet_row(1, "Name", "Age") + sheet_row(2, "Ada", 36) + sheet_row(4, "Bob", 41.5)
    document = parse(
        xlsx(people, sheet_row(1, "City", "Size") + sheet_row(2, "Bern", "small")), "a.xlsx", None
    )
    assert lines(document) == [
        ("# Sheet 1", None),
        ("Name: Ada; Age: 36", 2),
        ("Name: Bob; Age: 41.5", 4),
        ("# Sheet 2", None),
        ("City: Bern; Size: small", 2),
    ]


def test_strings_numbers_dates_and_shares_are_as_the_sheet_shows_them() -> None:
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="yyyy\\-mm\\-dd;@"/>'
        '<numFmt numFmtId="171" formatCode="#,##0&quot; days&quot;"/></numFmts>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="10"/>'
        '<xf numFmtId="20"/><xf numFmtId="22"/><xf numFmtId="171"/></cellXfs>'
    )
    cells = (
        '<c t="s"><v>0</v></c><c s="1"><v>45000</v></c><c s="2"><v>1</v></c><c s="3"><v>0.255</v></c>'
        '<c s="4"><v>0.5</v></c><c s="5"><v>45000.75</v></c><c s="6"><v>30</v></c><c t="b"><v>1</v></c>'
        '<c t="str"><f>A1</f><v>text</v></c><c><v>0.30000000000000004</v></c><c t="s"><v>9</v></c>'
    )
    strings = "<si><r><t>To</t></r><r><t>kyo</t></r><rPh><t>トウキョウ</t></rPh></si>"
    row = f'<row r="1">{cells}</row>'
    document = parse(xlsx(row, strings=strings, styles=styles), "a.xlsx", None)
    assert document.blocks[1].text == (
        "Tokyo; 2023-03-15; 1899-12-31; 25.5%; 12:00; 2023-03-15 18:00; 30; TRUE; text; 0.3"
    )
    apple = parse(
        xlsx(row, strings=strings, styles=styles, workbook='<workbookPr date1904="1"/>'), "a.xlsx", None
    )
    assert "2027-03-16" in apple.text


def test_notes_above_a_table_cells_far_right_and_rows_without_numbers() -> None:
    rows = (
        sheet_row(1, "Report of the year")
        + "<row/>"
        + '<row><c r="B3" t="str"><v>Name</v></c><c r="D3" t="str"><v>City</v></c></row>'
        + '<row><c r="D4" t="str"><v>Bern</v></c><c r="A4" t="str"><v>late</v></c></row>'
        + '<row><c r="B5" t="str"><v>Ada</v></c></row>'
    )
    assert lines(parse(xlsx(rows), "a.xlsx", None)) == [
        ("# Sheet 1", None),
        ("Report of the year", 1),
        ("City: Bern; Column 5: late", 4),
        ("Name: Ada", 5),
    ]


def test_years_are_names_of_columns() -> None:
    rows = sheet_row(1, "Country", 2023, 2024) + sheet_row(2, "France", 1.5, 2)
    assert parse(xlsx(rows), "a.xlsx", None).blocks[1].text == "Country: France; 2023: 1.5; 2024: 2"


def test_hidden_sheets_are_left_out() -> None:
    sheets = '<sheets><sheet name="A" r:id="s1"/><sheet name="B" state="{}" r:id="s2"/></sheets>'
    rows = sheet_row(1, "seen"), sheet_row(1, "hidden")
    for state, text in (("visible", "seen hidden"), ("hidden", "seen"), ("veryHidden", "seen")):
        workbook = f"<workbook {R}>{sheets.format(state)}</workbook>"
        document = parse(xlsx(*rows, **{"xl/workbook.xml": workbook}), "a.xlsx", None)
        assert " ".join(b.text for b in document.blocks if b.kind == "paragraph") == text


def test_a_slide_is_a_section_with_its_number() -> None:
    table = (
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:p><a:r><a:t>a</a:t></a:r></a:p></a:tc>"
        "<a:tc><a:p><a:r><a:t>b|c</a:t></a:r></a:p></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )
    picture = '<p:pic><p:nvPicPr><p:cNvPr id="1" descr="A red kettle"/></p:nvPicPr></p:pic>'
    first = shape("Fill it", "  to the mark", "Boil it") + shape("The Kettle", placeholder="ctrTitle")
    second = f"<p:grpSp>{shape('One line')}</p:grpSp>{table}{picture}{shape('7', placeholder='sldNum')}"
    data = pptx(first, second, notes=shape("Say hello.", placeholder="body"))
    document = parse(data, "a.pptx", None)
    assert document.title == "The Kettle"
    assert lines(document) == [
        ("# The Kettle", 1),
        ("- Fill it\n  - to the mark\n- Boil it", 1),
        ("Notes: Say hello.", 1),
        ("One line", 2),
        ("| a | b\\|c |\n| --- | --- |", 2),
        ("Picture: A red kettle", 2),
    ]


def test_a_chart_is_the_table_of_its_figures() -> None:
    points = "".join(f'<c:pt idx="{n}"><c:v>{v}</c:v></c:pt>' for n, v in enumerate(("Spring", "Summer")))
    values = '<c:pt idx="0"><c:v>1.5</c:v></c:pt><c:pt idx="1"><c:v>2</c:v></c:pt>'
    chart = (
        '<c:chartSpace xmlns:c="x/c"><c:ser><c:tx><c:strRef><c:strCache><c:pt><c:v>Sales</c:v></c:pt>'
        f"</c:strCache></c:strRef></c:tx><c:cat>{points}</c:cat><c:val>{values}</c:val></c:ser></c:chartSpace>"
    )
    frame = (
        '<p:graphicFrame><a:graphic><a:graphicData><c:chart xmlns:c="x/c" r:id="c"/></a:graphicData>'
        "</a:graphic></p:graphicFrame>"
    )
    document = parse(pptx(frame, files={"ppt/charts/1.xml": chart}), "a.pptx", None)
    assert document.text == "|  | Sales |\n| --- | --- |\n| Spring | 1.5 |\n| Summer | 2 |"


def test_relations_that_lead_in_a_circle_or_nowhere() -> None:
    circle = relations(n="notesSlide 1.xml", c="chart ../../../../etc/passwd")
    data = pptx(
        shape("Text"), "", files={"ppt/slides/_rels/1.xml.rels": circle, "ppt/slides/2.xml": slide("")}
    )
    assert parse(data, "a.pptx", None).text == "Text"
    with pytest.raises(UnreadableDocumentError, match="has 2 slides; the limit is 1"):
        parse(data, "a.pptx", None, limits=Limits(pages=1))


def test_a_book_is_read_in_order_and_chapters_have_names() -> None:
    contents = '<a href="text/1.xhtml">Beginning</a><a href="text/2.xhtml#top">Not used</a>'
    data = epub("<p>Once.</p>", "<h2>End</h2><p>Amen.</p><script>x</script>", contents=contents)
    document = parse(data, "a.epub", None)
    assert document.title == "The Book"
    assert document.text == "# Beginning\n\nOnce.\n\n## End\n\nAmen."


def test_the_contents_of_an_older_book() -> None:
    ncx = (
        '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://127.0.0.1:9/ncx.dtd"><ncx><navMap><navPoint>'
        '<navLabel><text>Start</text></navLabel><content src="text/1.xhtml"/></navPoint></navMap></ncx>'
    )
    book = (
        '<package><manifest><item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
        '<item id="c1" href="text/1.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="c1"/></spine></package>'
    )
    data = epub("<p>Once.</p>", **{"OPS/book.opf": book, "OPS/toc.ncx": ncx})
    assert parse(data, "a.epub", None).text == "# Start\n\nOnce."


def test_a_protected_book_says_so_but_fonts_may_be_disguised() -> None:
    entry = "<encryption><EncryptedData><EncryptionMethod Algorithm='{}'/></EncryptedData></encryption>"
    fonts = {"META-INF/encryption.xml": entry.format("http://www.idpf.org/2008/embedding")}
    assert parse(epub("<p>Once.</p>", **fonts), "a.epub", None).text == "Once."
    protected = {"META-INF/encryption.xml": entry.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}
    with pytest.raises(UnreadableDocumentError, match="copy-protected"):
        parse(epub("<p>Once.</p>", **protected), "a.epub", None)
