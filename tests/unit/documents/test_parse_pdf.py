import threading

import pytest

from shared.documents.document import Document, Limits, UnreadableDocumentError
from shared.documents.parse import parse
from tests.unit.documents.made_files import Rectangle, Words, pdf

PROSE = [
    Words("The kettle holds two litres of water and boils it in three", 700),
    Words("minutes. Fill it only to the mark.", 688),
]


def read(*pages: list[Words], title: str = "") -> Document:
    return parse(pdf(*pages, title=title), "manual.pdf", "application/pdf")


def test_paragraphs_know_their_page() -> None:
    document = read([Words("First page of the text.", 700)], [Words("Second page of the text.", 700)])
    assert [(block.text, block.page) for block in document.blocks] == [
        ("First page of the text.", 1),
        ("Second page of the text.", 2),
    ]
    assert document.media_type == "application/pdf"


def test_larger_and_bolder_lines_are_headings_by_rank() -> None:
    document = read(
        [
            Words("Manual", 740, size=20),
            Words("Kettle", 716, bold=True),
            *PROSE,
            Words("Fill it again after that.", 660),
        ]
    )
    assert [(block.kind, block.level, block.text.split()[-1]) for block in document.blocks] == [
        ("heading", 1, "Manual"),
        ("heading", 2, "Kettle"),
        ("paragraph", None, "mark."),
        ("paragraph", None, "that."),
    ]
    assert document.title == "Manual"
    assert document.blocks[1].heading == "Kettle"


def test_a_wide_gap_or_an_indent_begins_a_paragraph() -> None:
    lines = [
        Words("One line of a paragraph that goes on and on over the", 700),
        Words("end of the line.", 688),
        Words("A gap above makes this one new, and it goes on", 660),
        Words("for a line too.", 648),
        Words("An indent makes this new as well.", 636, x=90),
    ]
    assert [block.text.split()[0] for block in read(lines).blocks] == ["One", "A", "An"]


def test_rows_of_a_table_stay_lines() -> None:
    rows = [Words(f"Item {number}    {number * 3} EUR", 700 - 12 * number) for number in range(3)]
    (block,) = read(rows).blocks
    assert len(block.text.split("\n")) == 3


@pytest.mark.parametrize(
    ("before", "after", "joined"),
    [
        ("This is impor-", "tant for the kettle.", "important"),
        ("It is a multi-", "agent system in the end.", "multi-agent"),
        ("They met an Anglo-", "Saxon in the kitchen.", "Anglo-Saxon"),
    ],
)
def test_words_broken_at_the_line_end_are_joined(before: str, after: str, joined: str) -> None:
    page = [Words(before, 700), Words(after, 688), Words("Elsewhere: one agent, multi purpose.", 640)]
    assert joined in read(page).text


def test_page_numbers_alone_are_left_out() -> None:
    document = read([*PROSE, Words("7", 40, x=300)], [*PROSE, Words("Page 8 of 9", 40, x=300)])
    assert "7" not in document.text
    assert "Page" not in document.text


def test_the_title_of_the_file_is_used_if_it_is_one() -> None:
    assert read(PROSE, title="Kettle Manual").title == "Kettle Manual"
    assert read(PROSE, title="Microsoft Word - kettle final.doc").title is None
    assert read(PROSE, title="0001543151-22-000008").title is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf(PROSE, encrypted=True), "encrypted; upload one without a password"),
        (pdf([Rectangle()]), "no text layer"),
        (pdf([]), "contains no text"),
        (pdf(PROSE)[:200], "damaged or cut short"),
        (pdf([Words("\x01\x03K\x05\x11W\x13" * 9, 700)]), "do not say which characters"),
    ],
)
def test_an_unreadable_pdf_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocumentError, match=reason) as caught:
        parse(data, "a.pdf", None)
    assert caught.value.code == "invalid_file"


def test_limits_stop_the_work() -> None:
    data = pdf(PROSE, PROSE, PROSE)
    with pytest.raises(UnreadableDocumentError, match=r"has 3 pages; the limit is 2"):
        parse(data, "a.pdf", None, limits=Limits(pages=2))
    with pytest.raises(UnreadableDocumentError, match=r"more than 100 characters"):
        parse(data, "a.pdf", None, limits=Limits(text_characters=100))


def test_threads_may_parse_at_once() -> None:
    data = pdf(*[PROSE] * 30)
    expected = parse(data, "a.pdf", None)
    results: list[Document] = []
    threads = [threading.Thread(target=lambda: results.append(parse(data, "a.pdf", None))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4
