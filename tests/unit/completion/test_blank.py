"""Blanks where JSON was asked for are held back, and nothing else is."""

from typing import Any

import pytest

from shared.completion.blank import BlankEnd
from shared.providers.chat_events import ChatEvent


def said(finish: str | None = None, **delta: Any) -> ChatEvent:
    return ChatEvent(b"", {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


ROLE, THOUGHT, BLANK, END = (
    said(role="assistant", content=""),
    said(reasoning_content="Hm."),
    said(content="\n "),
    said("stop"),
)
USAGE = ChatEvent(b"", {"choices": [], "usage": {"total_tokens": 1}})
COMMENT = ChatEvent(b": keep-alive", None)
CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}


@pytest.mark.parametrize(
    "more",
    [said(content='{"a"'), said(tool_calls=[CALL]), said(refusal="No."), said("length"), said("tool_calls")],
    ids=["text", "call", "refusal", "cut off", "called"],
)
def test_what_says_something_passes_with_all_that_was_held(more: ChatEvent) -> None:
    end = BlankEnd()
    assert end.passing((ROLE, THOUGHT, COMMENT)) == (ROLE, THOUGHT, COMMENT)
    assert end.passing((BLANK, BLANK)) == ()
    assert end.passing((BLANK, more, END)) == (BLANK, BLANK, BLANK, more, END)
    assert end.passing((USAGE,)) == (USAGE,)
    assert end.held == []


def test_an_end_that_says_nothing_is_held() -> None:
    end = BlankEnd()
    assert end.passing((ROLE, THOUGHT, END)) == (ROLE, THOUGHT)
    assert end.passing((USAGE, COMMENT)) == ()
    assert end.held == [END, USAGE, COMMENT]
