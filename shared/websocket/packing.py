"""From an answer's server-sent events to the frames that a WebSocket client gets, without IO.

API Gateway lets no frame be over 32 KB:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.providers.sse import DONE, ServerEvent

FRAME_BYTES = 32 * 1024

# What a frame has beside its events: its type, and a turn's id of at most 64 bytes.
_ENVELOPE = 128
# Characters of a fragment's text. One takes 4 bytes at most, as JSON text holds no control characters.
_FRAGMENT = (FRAME_BYTES - 2 * _ENVELOPE) // 4

_ID = re.compile(rb"^id: ?(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Said:
    """One event of an answer: its id where it has one, else 0, and its JSON; or how the answer ends."""

    event_id: int
    data: bytes

    @property
    def ends(self) -> bool:
        """Whether nothing follows."""
        return self.data == DONE or self.data.startswith(b'{"error":')


def said(event: ServerEvent) -> Said | None:
    """What an event says; `None` for a keep-alive."""
    if not event.data:
        return None
    found = _ID.search(event.raw)
    return Said(int(found[1]) if found else 0, event.data)


def started(turn_id: str, answer_id: str, headers: Mapping[str, str]) -> bytes:
    """The first frame of a turn."""
    return _frame("started", turn_id, answer_id=answer_id, headers=dict(headers))


def error(turn_id: str | None, body: Mapping[str, Any]) -> bytes:
    """The last frame of a turn that failed, or the answer to a frame that was refused."""
    return orjson.dumps({"type": "error", **({"id": turn_id} if turn_id else {}), **body})


def pong() -> bytes:
    """The answer to a ping."""
    return b'{"type":"pong"}'


def whole(turn_id: str, content: bytes) -> list[bytes]:
    """A whole answer, and that the turn is over."""
    frame = b'{"type":"answer","id":%s,"data":%s}' % (orjson.dumps(turn_id), content)
    answer = [frame] if len(frame) <= FRAME_BYTES else _fragments(turn_id, Said(0, content))
    return [*answer, _frame("done", turn_id)]


def frames(turn_id: str, events: Iterable[Said]) -> list[bytes]:
    """Events that came together, as few frames as hold them, in order."""
    made: list[bytes] = []
    open_: list[bytes] = []
    room = FRAME_BYTES - _ENVELOPE

    def close() -> None:
        nonlocal room
        if open_:
            made.append(_events(turn_id, open_))
            open_.clear()
        room = FRAME_BYTES - _ENVELOPE

    for event in events:
        item = _item(event)
        if event.ends or len(item) > FRAME_BYTES - _ENVELOPE:
            close()
            made += [_end(turn_id, event)] if event.ends else _fragments(turn_id, event)
            continue
        if len(item) + 1 > room:
            close()
        open_.append(item)
        room -= len(item) + 1
    close()
    return made


def _item(event: Said) -> bytes:
    return b'{"id":%d,"data":%s}' % (event.event_id, event.data)


def _events(turn_id: str, items: Iterable[bytes]) -> bytes:
    return b'{"type":"events","id":%s,"events":[%s]}' % (orjson.dumps(turn_id), b",".join(items))


def _end(turn_id: str, event: Said) -> bytes:
    return _frame("done", turn_id) if event.data == DONE else error(turn_id, orjson.loads(event.data))


def _fragments(turn_id: str, event: Said) -> list[bytes]:
    text = event.data.decode()
    pieces = [text[start : start + _FRAGMENT] for start in range(0, len(text), _FRAGMENT)]
    return [
        _frame("fragment", turn_id, event=event.event_id, last=number == len(pieces), text=piece)
        for number, piece in enumerate(pieces, 1)
    ]


def _frame(kind: str, turn_id: str, **rest: Any) -> bytes:
    return orjson.dumps({"type": kind, "id": turn_id, **rest})
