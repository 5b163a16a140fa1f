"""Fourth step, for who joins: another request's answer, read live from its log."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from shared.cache.flights import Follow, LeaderLost, LogGone, LogItem
from shared.completion.answer import Answer, BufferedAnswer, StreamedAnswer
from shared.completion.assemble import Assembler, as_chunks
from shared.completion.compose import Composed
from shared.completion.headers import chat_headers
from shared.completion.relay import ending, error_event, event_for
from shared.completion.replay import settle_spared
from shared.completion.services import Services
from shared.completion.take_over import LogReading
from shared.errors import UpstreamError
from shared.ledger.usage import Outcome

_LOST = UpstreamError("The answer that this request joined ended before it was whole; ask again.")


class NotAnsweredError(Exception):
    """The flight that was joined gave no answer before a word was said: ask for oneself."""


@dataclass(frozen=True)
class _Head:
    provider: str
    model: str


async def join(services: Services, composed: Composed, boarding: Follow) -> Answer:
    """The other's answer: whole once it is whole, or as a stream while it comes.

    Raises:
        NotAnsweredError: The other failed, or was lost, before it said anything.
    """
    items = _items(services, composed, boarding)
    try:
        first = await anext(items, None)
        if first is None or first.kind != "head":
            raise NotAnsweredError
        joined = _Joined(services, composed, items, _Head(**orjson.loads(first.data)))
        if not composed.admitted.call.request.stream:
            return await joined.whole()
        call = composed.admitted.call
        await services.flights.point(
            composed.flight_key, boarding.flight_id, call.request_id, call.caller.key_id
        )
    except BaseException:
        await items.aclose()
        raise
    return StreamedAnswer(joined.headers(), joined.events())


async def _items(services: Services, composed: Composed, boarding: Follow) -> AsyncGenerator[LogItem, None]:
    """Items up to the end, or as many as there are; another's cancel and the head of a second maker apart."""
    reading = LogReading(services, composed.flight_key, boarding.flight_id, boarding.reader_id)
    own_id = composed.admitted.call.request_id.encode()
    try:
        async with aclosing(reading.items()) as items:
            async for item in items:
                if item.kind != "cancel" or item.data == own_id:
                    yield item
    except (LeaderLost, LogGone):
        return


class _Joined:
    """One caller's reading of another's answer, after its head."""

    def __init__(
        self, services: Services, composed: Composed, items: AsyncGenerator[LogItem, None], head: _Head
    ) -> None:
        self._services = services
        self._composed = composed
        self._items = items
        self._head = head
        self._assembler = Assembler()

    def headers(self) -> dict[str, str]:
        """Those of an answer that was joined."""
        return chat_headers(self._composed, self._head.provider, self._head.model, "joined")

    async def whole(self) -> BufferedAnswer:
        """The whole answer.

        Raises:
            NotAnsweredError: It was cut short.
        """
        async with aclosing(self._items) as items:
            async for item in items:
                match item.kind:
                    case "chunk":
                        self._assembler.read(orjson.loads(item.data))
                    case "whole":
                        return await self._given(item.data)
                    case "end" if _outcome(item) == "completed":
                        return await self._given(orjson.dumps(self._assembler.whole()))
        raise NotAnsweredError

    async def events(self) -> AsyncIterator[bytes]:
        """The answer as events, numbered as its leader's are; it is settled however the reading ends."""
        outcome: Outcome = "cancelled"
        last = ending("cancelled")
        try:
            async with aclosing(self._items) as items:
                async for item in items:
                    if event := self._event(item):
                        yield event
                    if item.kind == "cancel":
                        break
                    if item.kind == "end" and _outcome(item) == "completed":
                        outcome, last = "completed", ending("completed")
                        break
                else:
                    outcome, last = "failed", error_event(_LOST)
        finally:
            await self._settle(orjson.dumps(self._assembler.whole()), outcome)
        yield last

    def _event(self, item: LogItem) -> bytes:
        match item.kind:
            case "chunk":
                return self._shown(item.data, item.index)
            case "whole":
                chunks = as_chunks(orjson.loads(item.data))
                return b"".join(self._shown(orjson.dumps(chunk), 0) for chunk in chunks)
            case _:
                return b""

    def _shown(self, data: bytes, number: int) -> bytes:
        chunk = orjson.loads(data)
        self._assembler.read(chunk)
        wants_usage = self._composed.admitted.call.request.wants_usage
        return event_for(wants_usage, b"data: " + data, chunk, number=number)

    async def _given(self, content: bytes) -> BufferedAnswer:
        await self._settle(content, "completed")
        return BufferedAnswer(self.headers(), content)

    async def _settle(self, content: bytes, outcome: Outcome) -> None:
        completion = orjson.loads(content)
        await settle_spared(
            self._services, self._composed, completion, self._head.provider, "joined", outcome
        )


def _outcome(item: LogItem) -> str:
    return str(orjson.loads(item.data)["outcome"])
