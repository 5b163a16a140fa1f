"""A request for the rest of an answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.prefix import Said, continuation_body
from shared.providers.tokens import estimate_tokens

BODY: dict[str, Any] = {
    "model": "deepseek-flash",
    "messages": [{"role": "user", "content": "What is a weir?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.2,
}
SAID = Said(content="A weir is", reasoning="The river is dammed.")


def test_what_was_said_goes_last_and_nothing_else_changes() -> None:
    body = continuation_body(BODY, SAID)

    begun = {
        "role": "assistant",
        "content": "A weir is",
        "prefix": True,
        "reasoning_content": "The river is dammed.",
    }
    assert body == {**BODY, "messages": [*BODY["messages"], begun]}
    assert len(BODY["messages"]) == 1


def test_without_reasoning_none_is_made_up() -> None:
    body = continuation_body(BODY, Said(content="A weir is"))

    assert body is not None
    assert "reasoning_content" not in body["messages"][-1]


def test_an_answer_that_broke_off_while_thinking_goes_on() -> None:
    body = continuation_body(BODY, Said(content="", reasoning="The river"))

    assert body is not None
    assert body["messages"][-1]["content"] == ""


@pytest.mark.parametrize(
    "said",
    [
        Said(content=""),
        Said(content="A weir.", finished=True),
        Said(content="Let me see.", tools_begun=True),
    ],
)
def test_the_rest_of_some_answers_cannot_be_had(said) -> None:
    assert continuation_body(BODY, said) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"top_logprobs": 3},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "level"}}},
        {"messages": [{"role": "assistant", "content": "A", "prefix": True}]},
    ],
)
def test_some_requests_cannot_be_taken_up(fields) -> None:
    assert continuation_body({**BODY, **fields}, SAID) is None


@pytest.mark.parametrize("fields", [{"n": 1}, {"n": None}, {"tool_choice": "auto"}, {"logprobs": False}])
def test_what_changes_nothing_does_not_stand_in_the_way(fields) -> None:
    assert continuation_body({**BODY, **fields}, SAID) is not None


def test_json_goes_on_without_json_mode_which_would_blank_the_rest() -> None:
    body = continuation_body(
        {**BODY, "response_format": {"type": "json_object"}}, Said(content='{"height": ')
    )

    assert body is not None
    assert "response_format" not in body


@given(st.integers(1, 500), st.text(min_size=1, max_size=400), st.text(max_size=400))
def test_both_legs_together_stay_within_the_limit(limit, content, reasoning) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        body = continuation_body({**BODY, name: limit}, Said(content=content, reasoning=reasoning))

        assert body is not None
        assert body[name] == max(1, limit - estimate_tokens(reasoning + content))


def test_what_was_said_is_read_off_the_chunks_put_together() -> None:
    message = {"role": "assistant", "content": "A", "reasoning_content": "B"}
    choice = {"index": 0, "message": message, "finish_reason": None}

    assert Said.in_completion({"choices": [choice]}) == Said(content="A", reasoning="B")
    assert Said.in_completion({"choices": [{**choice, "finish_reason": "stop"}]}).finished
    calling = {**choice, "message": {"content": None, "tool_calls": [{"id": "call_1"}]}}
    assert Said.in_completion({"choices": [calling]}) == Said(content="", tools_begun=True)
    for nothing in ({}, {"choices": []}, {"choices": [{"index": 0}]}):
        assert Said.in_completion(nothing) == Said(content="")
