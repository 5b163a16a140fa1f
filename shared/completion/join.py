"""Fourth step, for who joins: another request's answer, read live from its log."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson

from shared.cache.flights import Follow, LeaderLost, LogGone, LogItem
from shared.completion.answer import Answer, BufferedAnswer, StreamedAnswer
from shared.completion.assemble import Assembler, as_chunks
from shared.completion.compose import Composed
from shared.completion.headers import answer_headers
from shared.completion.relay import ending, error_event, event_for
from shared.completion.replay import settle_spared
from shared.completion.services import Services
from shared.errors import UpstreamError


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
    first = await anext(items, None)
    if first is None or first.kind == "end":
        await items.aclose()  # type: ignore[attr-defined]
        raise NotAnsweredError
    joined = _Joined(services, composed, items, first)
    if composed.admitted.call.request.stream:
        return StreamedAnswer(joined.headers(), joined.events())
    return await joined.whole()


async def _items(services: Services, composed: Composed, boarding: Follow) -> AsyncIterator[LogItem]:
    batches = services.flights.follow(composed.flight_key(), boarding.flight_id, reader_id=boarding.reader_id)
    try:
        async for batch in batches:
            for item in batch:
                if item.kind != "cancel":
                    yield item
    except (LeaderLost, LogGone):
        return


class _Joined:
    """One caller's reading of another's answer; `head` came first."""

    def __init__(
        self, services: Services, composed: Composed, items: AsyncIterator[LogItem], head: LogItem
    ) -> None:
        self._services = services
        self._composed = composed
        self._items = items
        self._head = _Head(**orjson.loads(head.data))
        self._assembler = Assembler()

    def headers(self) -> dict[str, str]:
        """Those of an answer that was joined."""
        return answer_headers(self._composed.admitted, self._head.provider, self._head.model, "joined")

    async def whole(self) -> BufferedAnswer:
        """The whole answer.

        Raises:
            NotAnsweredError: It was cut short.
        """
        async for item in self._items:
            match item.kind:
                case "chunk":
                    self._assembler.read(orjson.loads(item.data))
                case "whole":
                    await self._settle(item.data)
                    return BufferedAnswer(self.headers(), item.data)
                case "end" if _outcome(item) == "completed":
                    content = orjson.dumps(self._assembler.whole())
                    await self._settle(content)
                    return BufferedAnswer(self.headers(), content)
                case _:
                    break
        raise NotAnsweredError

    async def events(self) -> AsyncIterator[bytes]:
        """The answer as events, numbered as its leader's are."""
        wants_usage = self._composed.admitted.call.request.wants_usage
        async for item in self._items:
            match item.kind:
                case "chunk":
                    chunk = orjson.loads(item.data)
                    self._assembler.read(chunk)
                    if event := event_for(wants_usage, b"data: " + item.data, chunk, number=item.index):
                        yield event
                case "whole":
                    await self._settle(item.data)
                    for chunk in as_chunks(orjson.loads(item.data)):
                        yield event_for(wants_usage, b"data: " + orjson.dumps(chunk), chunk, number=0)
                    yield ending("completed")
                    return
                case "end" if _outcome(item) == "completed":
                    await self._settle(orjson.dumps(self._assembler.whole()))
                    yield ending("completed")
                    return
                case _:
                    break
        yield error_event(_LOST)

    async def _settle(self, content: bytes) -> None:
        completion = orjson.loads(content)
        await settle_spared(self._services, self._composed, completion, self._head.provider, "joined")


_LOST = UpstreamError("The answer that this request joined ended before it was whole; ask again.")


def _outcome(item: LogItem) -> str:
    return str(orjson.loads(item.data)["outcome"])
