"""Blanks in the place of JSON."""

from typing import Any

import pytest

from shared.providers.json_mode import is_blank_json

JSON: dict[str, Any] = {"response_format": {"type": "json_object"}}


def completion(content: object, *, finish_reason: str = "stop", **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **fields}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


@pytest.mark.parametrize("content", ["", None, "   ", "\n \t"])
def test_blanks_are_no_json(content) -> None:
    assert is_blank_json(JSON, completion(content))
    assert is_blank_json(JSON, completion(content, reasoning_content="I shall answer."))
    assert is_blank_json({"response_format": {"type": "json_schema"}}, completion(content))


@pytest.mark.parametrize(
    "answer",
    [
        completion("{}"),
        completion("  {} "),
        completion("", finish_reason="length"),
        completion("", finish_reason="content_filter"),
        completion("", refusal="No."),
        completion(None, finish_reason="tool_calls", tool_calls=[{"id": "call_1"}]),
        completion([{"type": "text", "text": "{}"}]),
        {"choices": []},
        {},
    ],
)
def test_an_answer_is_not_taken_for_blanks(answer) -> None:
    assert not is_blank_json(JSON, answer)


@pytest.mark.parametrize("body", [{}, {"response_format": None}, {"response_format": {"type": "text"}}])
def test_where_no_json_was_asked_for_nothing_is_amiss(body) -> None:
    assert not is_blank_json(body, completion(" "))
