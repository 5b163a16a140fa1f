import pytest

from shared.knowledge.cite import cite
from shared.knowledge.support import Verdict, may_support, support_of
from tests.unit.knowledge.passages import passage

KETTLE = passage("The kettle holds two litres of water. It was made in 1987 for 1,250 dollars.")
REFUND = passage("退款在七个工作日内到账。请保留订单号。", file_id="file-2")


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("The kettle was made in 1987.", True),
        ("It cost 1250 dollars in the year 1987.", True),
        ("The kettle was made in 1988.", False),
        ("Elephants sleep standing near rivers.", False),
        ("See there.", True),  # nothing that could be judged
        ("水壶可以装两升水。", True),  # another script
    ],
)
def test_what_a_passage_may_bear_out(claim: str, expected: bool) -> None:
    assert may_support(KETTLE, claim) is expected


def test_chinese_is_judged_by_its_words() -> None:
    assert may_support(REFUND, "退款需要七个工作日。")
    assert not may_support(REFUND, "大象喜欢在河边睡觉。")


def test_a_citation_without_support_is_not_sent() -> None:
    answer = (
        "The kettle holds two litres [1]. Elephants sleep standing near rivers [1]. 退款七个工作日到账 [2]."
    )
    assert [answer[c.index : c.index_end] for c in cite(answer, [KETTLE, REFUND])] == ["[1]", "[2]"]
    # Nor is another origin made up for it.
    assert cite("The kettle of 1999 holds two litres of water [1].", [KETTLE]) == []


@pytest.mark.parametrize(
    ("answer", "verdict", "lacking"),
    [
        ("The kettle holds two litres [1].", "supported", []),
        (
            "The kettle holds two litres [1]. Elephants sleep standing near rivers.",
            "partly_supported",
            ["Elephants sleep standing near rivers."],
        ),
        (
            "Elephants sleep standing near rivers [1].",
            "unsupported",
            ["Elephants sleep standing near rivers [1]."],
        ),
        ("I do not know when elephants sleep.", "unknown", []),
        ("资料中没有提到大象的睡眠时间。", "unknown", []),
        ("", "unsupported", []),
        ("Two litres.", "supported", []),
        ("Yes.", "unsupported", []),
        ("Keep the number of your order, it says [2].", "supported", []),
    ],
)
def test_an_answer_says_how_much_of_it_is_supported(
    answer: str, verdict: Verdict, lacking: list[str]
) -> None:
    found = support_of(answer, [KETTLE, REFUND])
    assert found.verdict == verdict
    assert [answer[slice(*span)] for span in found.unsupported] == lacking


def test_nothing_supports_an_answer_without_sources() -> None:
    assert support_of("The kettle holds two litres.", []).verdict == "unsupported"
    assert support_of("I do not know.", []).verdict == "unknown"
