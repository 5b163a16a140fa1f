"""A provider's bytes as events."""

from collections.abc import AsyncIterator, Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.chat_chunk import says_something
from shared.providers.chat_events import ChatEvent, chat_events
from shared.providers.failures import UpstreamFailure

SAID = {"choices": [{"index": 0, "delta": {"content": "水 rises"}}]}
FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def event(chunk: object) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


async def pieces(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(*parts: bytes) -> list[ChatEvent]:
    return [e async for batch in chat_events(pieces(parts), "p") for e in batch]


async def test_events_stay_together_as_they_came() -> None:
    parts = [KEEP_ALIVE + event(SAID), event(FINISH) + DONE]

    batches = [batch async for batch in chat_events(pieces(parts), "p")]

    assert [[e.chunk for e in batch] for batch in batches] == [[None, SAID], [FINISH]]
    assert [e.raw for e in batches[0]] == [b": keep-alive", event(SAID)[:-2]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
async def test_however_the_bytes_are_cut(cuts) -> None:
    whole = KEEP_ALIVE + event(SAID) + event(SAID) + event(FINISH) + DONE
    parts, turn = [], 0
    while whole:
        size = cuts[turn % len(cuts)]
        parts.append(whole[:size])
        whole, turn = whole[size:], turn + 1

    assert [e.chunk for e in await read(*parts)] == [None, SAID, SAID, FINISH]


async def test_what_follows_done_is_read_and_left_out() -> None:
    left = pieces([event(SAID) + DONE + event(SAID), b"more"])

    assert [e.chunk async for batch in chat_events(left, "p") for e in batch] == [SAID]
    with pytest.raises(StopAsyncIteration):
        await anext(left)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (b"data: {oops\n\n", "not JSON"),
        (b"data: 7\n\n", "error"),
        (event({"error": {"message": "busy"}}), "error"),
        (event({"choices": ["none"]}), "no chat chunk"),
        (event({"choices": {"delta": {}}}), "no chat chunk"),
        (b"", "in the middle"),
    ],
)
async def test_what_came_before_a_failure_comes_first(last, reason) -> None:
    events = chat_events(pieces([event(SAID) + last]), "p")

    assert [e.chunk for e in await anext(events)] == [SAID]
    with pytest.raises(UpstreamFailure, match=reason) as failed:
        await anext(events)
    assert failed.value.kind == "broken"


async def test_a_finished_answer_needs_no_done() -> None:
    assert [e.chunk for e in await read(event(SAID), event(FINISH))] == [SAID, FINISH]


@pytest.mark.parametrize(
    ("delta", "something"),
    [
        ({"role": "assistant"}, False),
        ({"role": "assistant", "content": ""}, False),
        ({"role": "assistant", "content": None, "reasoning_content": ""}, False),
        ({"content": " "}, True),
        ({"reasoning_content": "Hm"}, True),
        ({"tool_calls": [{"index": 0}]}, True),
        ({"refusal": "No."}, True),
    ],
)
def test_a_role_alone_says_nothing(delta, something) -> None:
    assert says_something({"choices": [{"delta": delta}]}) == something


def test_blanks_say_nothing_where_json_is_asked_for() -> None:
    assert not says_something({"choices": [{"delta": {"content": " \n"}}]}, beyond_blanks=True)
    assert not says_something({"choices": [], "usage": {"prompt_tokens": 3}})
