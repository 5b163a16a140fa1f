"""A chat stream as events: the provider's bytes, each event decoded once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from shared.providers.chat_chunk import finishes, is_chat_chunk, says_something
from shared.providers.failures import UpstreamFailure
from shared.providers.sse import DONE, EventSplitter, EventTooLargeError, ServerEvent

# A provider that does not end its answer by then loses the connection, not the caller's time.
_DRAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ChatEvent:
    """One event: its bytes as they came, without the empty line, and its chunk; none for a keep-alive."""

    raw: bytes
    chunk: dict[str, Any] | None


async def chat_events(
    chunks: AsyncIterator[bytes], provider: str
) -> AsyncGenerator[tuple[ChatEvent, ...], None]:
    """The events of a stream, together as they came together, up to its `[DONE]`, which is left out.

    The first batch ends with the first token, so that none waits for the decoding of what came with it.

    Args:
        chunks: The stream's bytes, cut anywhere.
        provider: Whose stream it is, for what goes wrong.

    Raises:
        UpstreamFailure: `broken`, after the events before it: what came is no chat chunk, the provider
            reports an error, or the stream ends with neither `[DONE]` nor a finished choice.
    """
    reader, splitter = _Reader(provider), EventSplitter()
    async for chunk in chunks:
        events = splitter.feed(chunk)
        while batch := reader.read(events):
            yield batch
        if reader.failure:
            raise reader.failure
        if reader.done:
            await _drain(chunks)
            return
    events = splitter.flush()
    while batch := reader.read(events):
        yield batch
    if reader.failure or not (reader.finished or reader.done):
        raise reader.failure or UpstreamFailure("broken", provider, "the stream ended in the middle")


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the answer's end, which follows `[DONE]` at once, so that the connection is used again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass


class _Reader:
    """Decodes events, and knows how far the answer is."""

    def __init__(self, provider: str) -> None:
        self.done = False
        self.finished = False
        self.failure: UpstreamFailure | None = None
        self._provider = provider
        self._begun = False

    def read(self, events: Iterator[ServerEvent]) -> tuple[ChatEvent, ...]:
        """The next of these events, at first up to the first token; empty when there is no more.

        Nothing comes after a `failure`, or once the stream is `done`.
        """
        read: list[ChatEvent] = []
        try:
            while not (self.done or self.failure) and (event := next(events, None)) is not None:
                if event.data == DONE:
                    self.done = True
                    break
                chunk = self._decode(event.data) if event.data else None
                read.append(ChatEvent(event.raw, chunk))
                if not self._begun and chunk is not None and says_something(chunk):
                    self._begun = True
                    break
        except UpstreamFailure as failure:
            self.failure = failure
        except EventTooLargeError as error:
            self.failure = self._broken(str(error))
        return tuple(read)

    def _decode(self, data: bytes) -> dict[str, Any]:
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._broken("an event is not JSON") from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise self._broken("the provider reported an error in the stream")
        if not is_chat_chunk(chunk):
            raise self._broken("an event is no chat chunk")
        self.finished = self.finished or finishes(chunk)
        return chunk

    def _broken(self, reason: str) -> UpstreamFailure:
        return UpstreamFailure("broken", self._provider, reason)
