"""Server-sent events, cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import sse
from shared.providers.sse import EventSplitter, EventTooLargeError, encode_event

PAYLOAD = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), min_size=1)


def split(raw: bytes, cuts: list[int]) -> list[bytes]:
    splitter, data, start = EventSplitter(), [], 0
    for cut in sorted({min(c, len(raw)) for c in cuts} | {len(raw)}):
        data += [event.data for event in splitter.feed(raw[start:cut])]
        start = cut
    return data + [event.data for event in splitter.flush()]


@given(st.lists(PAYLOAD, min_size=1), st.lists(st.integers(0, 400)), st.sampled_from(["\n", "\r\n"]))
def test_events_are_the_same_however_they_are_cut(payloads, cuts, end) -> None:
    raw = "".join(f"data: {p}{end}{end}" for p in payloads).encode()

    assert split(raw, cuts) == [p.encode() for p in payloads]


# Examples of the standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second\n\n", [b"", b"first event", b"second"]),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
        (b"data\r\rdata: x\r\r", [b"", b"x"]),
        (b"event: error\ndata: {}\n\n", [b"{}"]),
        (b"\n\n\n\ndata: after blank lines\n\n", [b"after blank lines"]),
        (b"data: no empty line at the end", [b"no empty line at the end"]),
    ],
)
def test_the_standards_examples(raw, data) -> None:
    assert split(raw, [1, 5, 9]) == data


def test_an_event_without_end_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)

    with pytest.raises(EventTooLargeError):
        list(EventSplitter().feed(b"data: " + b"x" * 200))


@given(PAYLOAD)
def test_what_is_encoded_is_read_back(payload) -> None:
    [event] = EventSplitter().feed(encode_event(payload.encode()))

    assert event.data == payload.encode()
