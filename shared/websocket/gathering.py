"""Gathers what an answer says while the last frame is on its way, so that a token does not cost a call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from shared.providers.sse import EventSplitter
from shared.websocket.packing import Said, said

# How long an event waits for others, and how many bytes go at once.
GATHER_SECONDS = 0.04
GATHER_BYTES = 8 * 2**10


async def gathered(pieces: AsyncIterator[bytes]) -> AsyncGenerator[tuple[Said, ...], None]:
    """The events of a stream: the first at once, those that follow within `GATHER_SECONDS` together.

    Closing it closes `pieces`. What `pieces` raises is raised after all that came before.
    """
    heap = _Heap()
    reading = asyncio.create_task(_read(pieces, heap))
    loop, last = asyncio.get_running_loop(), 0.0
    try:
        while events := await heap.take(not_before=last + GATHER_SECONDS):
            yield events
            last = loop.time()
        await reading
    finally:
        reading.cancel()
        await asyncio.wait([reading])


class _Heap:
    """What came and was not taken yet."""

    def __init__(self) -> None:
        self._events: list[Said] = []
        self._bytes = 0
        self._ended = False
        self._some = asyncio.Event()
        self._full = asyncio.Event()

    def put(self, event: Said) -> None:
        self._events.append(event)
        self._bytes += len(event.data)
        self._some.set()
        if self._bytes >= GATHER_BYTES or event.ends:
            self._full.set()

    def end(self) -> None:
        self._ended = True
        self._some.set()
        self._full.set()

    async def take(self, *, not_before: float) -> tuple[Said, ...]:
        """All there is, once there is some and the time has come, or it is enough; empty: nothing follows."""
        await self._some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(not_before):
                await self._full.wait()
        events, self._events, self._bytes = tuple(self._events), [], 0
        if not self._ended:
            self._some.clear()
            self._full.clear()
        return events


async def _read(pieces: AsyncIterator[bytes], heap: _Heap) -> None:
    splitter = EventSplitter()
    try:
        async for piece in pieces:
            for event in splitter.feed(piece):
                if (words := said(event)) is not None:
                    heap.put(words)
    finally:
        heap.end()
        if hasattr(pieces, "aclose"):
            await pieces.aclose()
