"""Frames hold every event once, in order, and none is over 32 KB."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.sse import DONE, EventSplitter
from shared.websocket.packing import FRAME_BYTES, Said, error, frames, said, whole

TURN = "t" * 64


def told(made: list[bytes]) -> list[tuple[int, Any]]:
    """What a client reads from frames: each event's id and chunk, in order."""
    read: list[tuple[int, Any]] = []
    pieces = ""
    for frame in map(orjson.loads, made):
        if frame["type"] == "events":
            read += [(event["id"], event["data"]) for event in frame["events"]]
        elif frame["type"] == "fragment":
            pieces += frame["text"]
            if frame["last"]:
                read.append((frame["event"], orjson.loads(pieces)))
                pieces = ""
        else:
            read.append((0, frame["type"]))
    return read


@given(
    st.lists(st.one_of(st.text(max_size=200), st.integers(1, 60_000).map(lambda n: '"\\é😀' * n)), max_size=8)
)
def test_every_event_comes_once_in_order_in_frames_that_are_small_enough(texts: list[str]) -> None:
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    made = frames(TURN, [Said(n, orjson.dumps(chunk)) for n, chunk in enumerate(chunks, 1)] + [Said(0, DONE)])

    assert all(len(frame) <= FRAME_BYTES for frame in made)
    assert told(made) == [*enumerate(chunks, 1), (0, "done")]


def test_events_that_fit_share_a_frame() -> None:
    made = frames(TURN, [Said(n, b'{"n":%d}' % n) for n in range(1, 101)])
    assert len(made) == 1


def test_an_error_ends_a_turn_as_an_error_frame() -> None:
    made = frames("t", [Said(1, b"{}"), Said(0, b'{"error":{"message":"gone"}}')])
    assert orjson.loads(made[-1]) == {"type": "error", "id": "t", "error": {"message": "gone"}}


def test_a_frame_that_was_refused_may_have_no_turn() -> None:
    assert orjson.loads(error(None, {"error": {}})) == {"type": "error", "error": {}}


def test_a_whole_answer_is_one_frame_or_fragments() -> None:
    small, large = b'{"a":1}', orjson.dumps({"a": "x" * 100_000})
    assert [orjson.loads(frame)["type"] for frame in whole("t", small)] == ["answer", "done"]
    made = whole("t", large)
    assert all(len(frame) <= FRAME_BYTES for frame in made)
    assert told(made) == [(0, orjson.loads(large)), (0, "done")]


def test_ids_are_those_of_the_stream_and_keep_alives_say_nothing() -> None:
    stream = b'id: 7\ndata: {"a":1}\n\n: keep-alive\n\ndata: [DONE]\n\n'
    assert [said(event) for event in EventSplitter().feed(stream)] == [
        Said(7, b'{"a":1}'),
        None,
        Said(0, DONE),
    ]
