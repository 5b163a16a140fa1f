"""Real documents, where a folder of them lies beside the repository. None is needed to build or to test."""

from pathlib import Path

import pytest

from shared.documents.document import Document, UnreadableDocumentError
from shared.documents.parse import parse

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "documents"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample documents in {SAMPLES}")


def read(name: str) -> Document:
    return parse((SAMPLES / name).read_bytes(), name, None)


def test_a_long_report_has_pages_and_sections() -> None:
    document = read("uber_2021.pdf")
    assert max(block.page or 0 for block in document.blocks) == 307
    assert len(document.text) > 1_200_000
    headings = {block.heading for block in document.blocks if block.kind == "heading"}
    assert {"ITEM 1A. RISK FACTORS", "Mobility", "Data Privacy and Protection"} <= headings


def test_a_paper_in_two_columns() -> None:
    document = read("mtragun.pdf")
    assert document.title == "MTRAG-UN: A Benchmark for Open Challenges in Multi-Turn RAG Conversations"
    headings = [block.heading for block in document.blocks if block.kind == "heading"]
    assert headings.index("1 Introduction") < headings.index("2 Benchmark Creation")
    assert "a benchmark for exploring open challenges in multi-turn" in document.text.replace("\n", " ")


def test_a_pdf_that_forbids_copying_is_read() -> None:
    assert (read("copy_protected.pdf").title or "").startswith("LayoutParser: A Unified Toolkit")


def test_pages_that_are_images_are_refused_or_marked() -> None:
    with pytest.raises(UnreadableDocumentError, match="no text layer"):
        read("image_only_german_pdf.pdf")
    # Its fonts have no Unicode map, but for some on the last pages.
    assert read("non_ascii_text.pdf").scanned_pages == tuple(range(1, 17))


def test_a_workbook() -> None:
    document = read("test.xlsx")
    assert document.blocks[0].heading == "Sheet1"
    assert "Alpha: 89; Beta: 82; Gamma: 100; Delta: 12" in document.text


def test_a_presentation() -> None:
    document = read("test.pptx")
    assert "| 7 | 8 | 9 | 1b92870d-e3b5-4e65-8153-919f4ff45592 | 11 | 12 |" in document.text
    assert "|  | Series 1 |\n| --- | --- |\n| 2000 | 2000 |" in document.text
    assert "Picture: This phrase of the caption is Human-written." in document.text
    assert document.blocks[-1].page == 6


def test_a_docx_from_a_chinese_word() -> None:
    document = read("test.docx")
    assert document.title == "AutoGen: Enabling Next-Gen LLM Applications via Multi-Agent Conversation"
    assert [block.heading for block in document.blocks if block.level == 1][1:] == [
        "Abstract",
        "Introduction",
    ]
    assert any(block.kind == "table" for block in document.blocks)


@pytest.mark.parametrize(("codec", "label"), [("utf-8", "UTF-8"), ("gb18030", "gb2312"), ("gb18030", "")])
def test_an_encyclopedia_page_in_chinese(codec: str, label: str) -> None:
    page = (SAMPLES / "china_chinese.html").read_text(encoding="utf-8").replace("UTF-8", label, 1)
    document = parse(page.encode(codec), "china.html", None)
    assert document.text.startswith("# 中國")
    assert (document.title or "").startswith("中國 - 维基百科")
    assert "## 参见" in document.text or "## 參見" in document.text
