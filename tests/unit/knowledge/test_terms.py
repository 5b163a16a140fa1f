import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.knowledge.sentences import sentences
from shared.knowledge.terms import document_terms, query_terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Running refunds, RUNNING!", ["run", "refund", "run"]),
        ("a_b 2024-10 v2", ["a", "b", "2024", "10", "v2"]),
        ("退款", ["退", "款", "退款"]),
        ("用GPT4模型", ["用", "gpt4", "模", "型", "模型"]),
        ("ＡＢＣ １２ ﬁle", ["abc", "12", "file"]),
        ("カメラ 한국", ["カ", "メ", "ラ", "カメ", "メラ", "한", "국", "한국"]),
        ("café Straßen", ["café", "straßen"]),
        ("", []),
        ("…—!?", []),
    ],
)
def test_terms_of_a_document(text: str, expected: list[str]) -> None:
    assert document_terms(text) == expected


def test_a_question_asks_for_pairs_where_it_can_and_for_each_term_once() -> None:
    assert query_terms("退款 款 退款 refunds refund") == ["退款", "款", "refund"]


@given(st.text())
def test_terms_are_lexemes_that_need_no_quoting(text: str) -> None:
    terms = document_terms(text)
    assert set(query_terms(text)) <= set(terms)
    assert not set("'\\\"_ \n") & set("".join(terms))
    assert all(0 < len(term) <= 64 for term in terms)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Li met J. Smith at 3.5 p.m. today. Good.", ["Dr. Li met J. Smith at 3.5 p.m. today.", "Good."]),
        ("他说：“好。”然后走了。真的？", ["他说：“好。”", "然后走了。", "真的？"]),
        ("- one\n- two", ["- one", "- two"]),
        ('She said "no." Then left', ['She said "no."', "Then left"]),
        ("  \n ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected


@given(st.text(alphabet='ab .。!\n"”'))
def test_sentences_leave_out_white_space_alone(text: str) -> None:
    end = 0
    for start, stop in sentences(text):
        assert not text[end:start].strip()
        assert text[start:stop].strip() == text[start:stop]
        end = stop
    assert not text[end:].strip()
