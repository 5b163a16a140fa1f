"""Server-sent events, without IO: bytes in, whole events out, however the bytes are cut.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

DONE = b"[DONE]"

# An event ends at an empty line; lines end in LF, CRLF or CR.
_BORDER = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"\r\n|\n|\r")

# Far over any event a provider sends (whole tool calls, base64 images).
MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventTooLargeError(Exception):
    """An event that does not end within `MAX_EVENT_BYTES`."""


@dataclass(frozen=True)
class ServerEvent:
    """One event: its bytes as they came (without the empty line), and its `data`, empty for a comment."""

    raw: bytes
    data: bytes


class EventSplitter:
    """Cuts a byte stream into events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` completes.

        Raises:
            EventTooLargeError: An event does not end.
        """
        *whole, self._rest = _BORDER.split(self._rest + chunk)
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"An event is over {MAX_EVENT_BYTES} bytes.")
        for raw in whole:
            if raw := raw.lstrip(b"\r\n"):
                yield ServerEvent(raw, _data(raw))

    def flush(self) -> Iterator[ServerEvent]:
        """The last event, when the stream ended without its empty line."""
        yield from self.feed(b"\n\n")


def encode_event(data: bytes) -> bytes:
    """One event with this data, which holds no line end."""
    return b"data: " + data + b"\n\n"


def _data(raw: bytes) -> bytes:
    if raw.startswith(b"data: ") and b"\n" not in raw and b"\r" not in raw:
        return raw[6:]
    lines = [line[5:].removeprefix(b" ") for line in _LINE_END.split(raw) if line.startswith(b"data:")]
    return b"\n".join(lines)
