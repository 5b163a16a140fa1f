"""What a completion gives back."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BufferedAnswer:
    """A whole answer: JSON bytes and the headers that go with them."""

    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class StreamedAnswer:
    """An answer under way: server-sent events and the headers that go before them."""

    headers: Mapping[str, str]
    events: AsyncIterator[bytes]


Answer = BufferedAnswer | StreamedAnswer
