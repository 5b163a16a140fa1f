"""Entries: their form, and which answers may become one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cache.entry import Entry, storable

_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@given(
    st.binary(),
    st.text(st.characters(codec="utf-8")),
    st.text(st.characters(codec="utf-8")),
    st.datetimes(timezones=st.just(UTC)),
)
def test_an_entry_comes_back_as_it_was(
    completion: bytes, provider: str, model: str, stored_at: datetime
) -> None:
    entry = Entry(completion=completion, provider=provider, model=model, stored_at=stored_at)
    assert Entry.decode(entry.encode()) == entry


@given(st.binary())
def test_what_is_no_entry_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="cache entry"):
        Entry.decode(data)


@pytest.mark.parametrize(
    "data",
    [b"{}\n{}", b"[]\n{}", b'{"provider":"p","model":"m","stored_at":7}\n{}', b'{"provider":"p"'],
)
def test_what_looks_like_an_entry_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="cache entry"):
        Entry.decode(data)


def test_an_entry_without_a_completion_is_a_value_error() -> None:
    entry = Entry(completion=b"", provider="p", model="m", stored_at=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="without a completion"):
        Entry.decode(entry.encode().rstrip(b"\n"))


def _completion(*reasons: str | None) -> dict[str, Any]:
    return {"choices": [{"finish_reason": reason} for reason in reasons], "usage": _USAGE}


@pytest.mark.parametrize("reasons", [["stop"], ["tool_calls"], ["function_call"], ["stop", "tool_calls"]])
def test_what_ended_by_itself_is_storable(reasons: list[str]) -> None:
    assert storable(_completion(*reasons))


@pytest.mark.parametrize(
    "completion",
    [
        _completion(),
        _completion("length"),
        _completion("content_filter"),
        _completion("insufficient_system_resource"),
        _completion(None),
        _completion("stop", "length"),
        _completion("stop") | {"usage": None},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": ["stop"], "usage": _USAGE},
        {"choices": [{"finish_reason": ["stop"]}], "usage": _USAGE},
        {"choices": {"finish_reason": "stop"}, "usage": _USAGE},
        {"error": {"message": "no"}},
        {},
    ],
)
def test_what_was_cut_short_is_not(completion: dict[str, Any]) -> None:
    assert not storable(completion)
