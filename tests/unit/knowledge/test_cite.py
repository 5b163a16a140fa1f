import pytest

from shared.knowledge.cite import FileCitation, UrlCitation, annotation, cite
from tests.unit.knowledge.passages import passage

KETTLE = passage(
    "# Kettle\n\nThe kettle holds two litres of water. Do not fill it above the line.",
    start=50,
    page_first=3,
    page_last=3,
)
REFUND = passage("退款在七个工作日内到账。请保留订单号。", file_id="file-2", start=0)


def test_markers_cite_the_sentence_that_fits_best() -> None:
    answer = "It holds two litres [1]. 退款需要七个工作日到账【2】。"
    first, second = cite(answer, [KETTLE, REFUND])
    assert (first.passage, first.quote) == (KETTLE, "The kettle holds two litres of water.")
    assert KETTLE.text[first.char_start - 50 : first.char_end - 50] == first.quote
    assert answer[first.index : first.index_end] == "[1]"
    assert (second.passage, second.quote) == (REFUND, "退款在七个工作日内到账。")


@pytest.mark.parametrize("answer", ["Both [1, 2].", "Both [1][2].", "Both [Source 1] and [source 2]."])
def test_several_markers(answer: str) -> None:
    assert [c.passage.file_id for c in cite(answer, [KETTLE, REFUND])] == ["file-1", "file-2"]


@pytest.mark.parametrize("answer", ["See [0].", "See [3].", "An array x[12] of [a].", ""])
def test_markers_of_no_passage_are_passed_over(answer: str) -> None:
    assert cite(answer, [KETTLE, REFUND]) == []


def test_without_markers_sentences_are_recognised() -> None:
    answer = "Sure! The kettle can hold two litres of water. I like tea very much indeed."
    (found,) = cite(answer, [REFUND, KETTLE])
    assert found.quote == "The kettle holds two litres of water."
    assert answer[: found.index].endswith("litres of water.")


def test_a_sentence_that_shares_only_common_words_is_not_recognised() -> None:
    assert cite("It is not the line of the two.", [KETTLE]) == []


def test_no_passages_no_citations() -> None:
    assert cite("Anything [1].", []) == []


def test_a_file_citation_has_openais_shape() -> None:
    (found,) = cite("It holds two litres [1].", [KETTLE])
    made = annotation(found)
    assert isinstance(made, FileCitation)
    assert made.model_dump() == {
        "type": "file_citation",
        "index": 20,
        "file_id": "file-1",
        "filename": "manual.md",
        "weir": {
            "quote": "The kettle holds two litres of water.",
            "char_start": 60,
            "char_end": 97,
            "page": 3,
            "row": None,
            "headings": ("Manual",),
            "score": 0.5,
            "vector_store_id": "vs_1",
        },
    }


def test_a_scraped_page_is_cited_by_its_url() -> None:
    page = passage("The kettle holds two litres.", source_url="https://kettles.example/")
    (found,) = cite("It holds two litres [1].", [page])
    made = annotation(found)
    assert isinstance(made, UrlCitation)
    assert made.url_citation.model_dump() == {
        "start_index": 20,
        "end_index": 23,
        "url": "https://kettles.example/",
        "title": "Manual",
    }


def test_the_row_is_that_of_the_quote_and_an_unknown_page_is_left_out() -> None:
    rows = "Name: Ada; City: London\nName: Bo; City: Oslo\nName: Cy; City: Rome"
    (found,) = cite("Bo is in Oslo [1].", [passage(rows, row_first=5, row_last=7, page_first=1, page_last=2)])
    assert found.quote == "Name: Bo; City: Oslo"
    assert annotation(found).weir.row == 6
    assert annotation(found).weir.page is None
    (found,) = cite("Bo is in Oslo [1].", [passage(rows, row_first=5, row_last=9)])
    assert annotation(found).weir.row is None
