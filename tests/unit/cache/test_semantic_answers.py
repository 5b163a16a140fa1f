"""Which answers may be repeated, and which say the same."""

import json
from typing import Any

import pytest

from shared.cache.semantic_answers import agree, answer_text, cosine, plainly_agree


def completion(message: dict[str, Any], finish_reason: str = "stop", choices: int = 1) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice] * choices}).encode()


def test_a_whole_text_may_be_repeated() -> None:
    assert answer_text(completion({"role": "assistant", "content": "Seven days."})) == "Seven days."


@pytest.mark.parametrize(
    "made",
    [
        completion({"content": "Seven"}, finish_reason="length"),
        completion({"content": "Seven"}, choices=2),
        completion({"content": None}),
        completion({"content": " "}),
        completion({"content": "I will.", "tool_calls": [{"id": "c"}]}),
        completion({"content": "No.", "refusal": "No."}),
        b'{"choices": []}',
    ],
)
def test_others_may_not(made: bytes) -> None:
    assert answer_text(made) is None


@pytest.mark.parametrize(
    ("a", "b", "agree"),
    [
        ("It takes seven days.", "it takes  seven days", True),
        ("It takes 7 days.", "It takes 14 days.", False),
        ("Yes, you can.", "No, you cannot.", False),
        ("It takes seven days.", "Seven days are needed.", None),
    ],
)
def test_answers_agree_differ_or_leave_it_open(a: str, b: str, agree: bool | None) -> None:
    assert plainly_agree(a, b) is agree


def test_some_numbers_of_long_answers_always_differ() -> None:
    long = "It opened again after many years. " * 20
    assert plainly_agree(f"{long} In 1985.", f"{long} In 1986.") is None
    assert plainly_agree(f"Yes. {long}", f"No. {long}") is False


@pytest.mark.parametrize(
    ("similarity", "same_words", "expected"),
    [
        (0.95, False, True),
        (0.85, False, False),
        (0.85, True, True),
        (0.65, True, None),
        (0.3, True, False),
    ],
)
def test_doubt_speaks_against_rewordings_alone(
    similarity: float, same_words: bool, expected: bool | None
) -> None:
    assert agree("In seven days.", "Within a week.", similarity, same_words=same_words) is expected


def test_other_numbers_speak_against_rewordings() -> None:
    assert agree("Seven of 10.", "Seven of 12.", 0.99, same_words=False) is False


def test_the_cosine_is_of_directions() -> None:
    assert cosine([1.0, 0.0], [5.0, 0.0]) == pytest.approx(1)
    assert cosine([1.0, 0.0], [0.0, 2.0]) == 0
    assert cosine([0.0, 0.0], [1.0, 0.0]) == 0
