"""A chat stream as events: the provider's bytes, each event decoded once."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from shared.providers.chat_chunk import finishes, is_chat_chunk
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

    Args:
        chunks: The stream's bytes, cut anywhere.
        provider: Whose stream it is, for what goes wrong.

    Raises:
        UpstreamFailure: `broken`, after the events before it: what came is no chat chunk, the provider
            reports an error, or the stream ends with neither `[DONE]` nor a finished choice.
    """
    reader, splitter = _Reader(provider), EventSplitter()
    async for chunk in chunks:
        batch, failure = reader.read(splitter.feed(chunk))
        if batch:
            yield batch
        if failure:
            raise failure
        if reader.done:
            await _drain(chunks)
            return
    batch, failure = reader.read(splitter.flush())
    if batch:
        yield batch
    if failure or not (reader.finished or reader.done):
        raise failure or UpstreamFailure("broken", provider, "the stream ended in the middle")


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
        self._provider = provider

    def read(self, events: Iterator[ServerEvent]) -> tuple[tuple[ChatEvent, ...], UpstreamFailure | None]:
        """What these events are, and the failure among them, after which there is no more."""
        read: list[ChatEvent] = []
        try:
            for event in events:
                if event.data == DONE:
                    self.done = True
                    break
                read.append(ChatEvent(event.raw, self._decode(event.data) if event.data else None))
        except UpstreamFailure as failure:
            return tuple(read), failure
        except EventTooLargeError as error:
            return tuple(read), self._broken(str(error))
        return tuple(read), None

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
