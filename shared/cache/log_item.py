"""What the log of an answer holds, and its form in Valkey."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import orjson

LogKind = Literal["head", "chunk", "whole", "end", "cancel"]

_KINDS: tuple[LogKind, ...] = ("head", "chunk", "whole", "end", "cancel")
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}

# Kind, index, length of the data that follows.
_HEADER = struct.Struct("<BII")
HEADER_BYTES = _HEADER.size


@dataclass(frozen=True, slots=True)
class LogItem:
    """One item of a log.

    kind     index            data
    head     0                JSON {provider, model}; a second one follows a take-over
    chunk    from 1           JSON of one chunk of the stream, as it came
    whole    last + 1         JSON of a whole completion
    end      last + 1         JSON {outcome, error}; nothing follows
    cancel   no meaning       the id of the answer whose caller wants no more
    """

    kind: LogKind
    index: int
    data: bytes


LogBatch = tuple[LogItem, ...]


def end_item(index: int, outcome: str, error: str | None) -> LogItem:
    """The item that ends a log."""
    return LogItem("end", index, orjson.dumps({"outcome": outcome, "error": error}))


def encode_items(items: Iterable[LogItem]) -> bytes:
    """A batch as bytes."""
    parts: list[bytes] = []
    for item in items:
        parts += (_HEADER.pack(_NUMBERS[item.kind], item.index, len(item.data)), item.data)
    return b"".join(parts)


def decode_items(data: bytes) -> LogBatch:
    """The batch that `encode_items` wrote.

    Raises:
        ValueError: It did not write this.
    """
    items: list[LogItem] = []
    position = 0
    while position < len(data):
        start = position + HEADER_BYTES
        if start > len(data):
            raise ValueError("a log item is cut short")
        number, index, size = _HEADER.unpack_from(data, position)
        position = start + size
        if number >= len(_KINDS) or position > len(data):
            raise ValueError("not a log item")
        items.append(LogItem(_KINDS[number], index, data[start:position]))
    return tuple(items)
