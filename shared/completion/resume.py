"""A client comes back for the rest of its answer, which may have lost the process that made it."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from shared.cache.flights import LeaderLost, Located, LogGone, LogItem, LogWriter
from shared.completion.answer import StreamedAnswer
from shared.completion.deliver import PATH
from shared.completion.production import Production
from shared.completion.relay import ending, error_event, event_for
from shared.completion.services import Services
from shared.completion.skip import AlreadySaid
from shared.completion.succession import Succession
from shared.errors import NotFoundError, UpstreamError, WeirError
from shared.limits.keys import Caller
from shared.providers.chat_events import ChatEvent
from shared.providers.failures import UpstreamFailure
from shared.providers.sse import encode_event
from shared.routing.router import Streaming

_GONE = UpstreamError("The rest of this answer is lost; ask again.", code="answer_lost")


async def resume(services: Services, caller: Caller, answer_id: str, after: int) -> StreamedAnswer:
    """The events of an answer that follow the one with the id `after` (0 for all), live until its end.

    Raises:
        NotFoundError: The caller has no such answer, or it is over for longer than logs are kept.
    """
    located = await locate(services, caller, answer_id)
    return StreamedAnswer({}, _Resumed(services, located, after).events())


async def cancel(services: Services, caller: Caller, answer_id: str) -> bool:
    """End an answer, and its upstream call when nobody else reads it; whether it was under way.

    Raises:
        NotFoundError: The caller has no such answer.
    """
    return await services.flights.cancel(await locate(services, caller, answer_id), answer_id)


async def locate(services: Services, caller: Caller, answer_id: str) -> Located:
    """Where an answer of this caller's key is; an admin's key finds all of its tenant.

    Raises:
        NotFoundError: There is none.
    """
    located = await services.flights.locate(caller.tenant_id, answer_id)
    if located is None or (located.key_id != caller.key_id and caller.role != "admin"):
        raise NotFoundError(f"There is no answer {answer_id!r} that could be read; ask again.")
    return located


@dataclass
class _Resumed:
    services: Services
    located: Located
    after: int
    chunks: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0

    async def events(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async for item in self._items():
                    if event := self._event(item):
                        yield event
                    if item.kind == "end":
                        return
            except LeaderLost:
                await self._take_over()
            except LogGone:
                break
            else:
                break
        yield error_event(_GONE)

    async def _items(self) -> AsyncIterator[LogItem]:
        async for batch in self.services.flights.follow(self.located.key, self.located.flight_id, self.seen):
            for item in batch:
                if item.kind == "chunk":
                    self.seen = item.index
                    self.chunks.append(orjson.loads(item.data))
                yield item

    def _event(self, item: LogItem) -> bytes:
        match item.kind:
            case "chunk" if item.index > self.after:
                return event_for(True, b"data: " + item.data, None, number=item.index)
            case "end":
                end = orjson.loads(item.data)
                if end["error"]:
                    return encode_event(str(end["error"]).encode())
                return ending(end["outcome"])
            case _:
                return b""

    async def _take_over(self) -> None:
        """Ask for the same answer again and go on where it broke off, if nobody else does so already."""
        key, flight_id = self.located.key, self.located.flight_id
        writer = await self.services.flights.take_over(key, flight_id)
        if writer is None:
            return
        try:
            await self._go_on(writer, await self.services.flights.body(key, flight_id))
        except (UpstreamFailure, WeirError) as error:
            shown = error.for_caller() if isinstance(error, UpstreamFailure) else error
            await writer.finish("failed", orjson.dumps(shown.body()).decode())
        except BaseException:
            await writer.abandon()
            raise

    async def _go_on(self, writer: LogWriter, kept: bytes | None) -> None:
        if kept is None:
            raise _GONE
        composed = Succession.model_validate_json(kept).composed(self.services, time.monotonic())
        admitted = composed.admitted
        upstream = await self.services.router.stream(
            admitted.route,
            PATH,
            composed.body,
            tenant_id=admitted.call.caller.tenant_id,
            deadline=admitted.deadline,
        )
        rest = replace(upstream, events=_unsaid(upstream, self.chunks))
        Production(self.services, composed, rest, writer, "miss", said=self.chunks)


async def _unsaid(upstream: Streaming, said: list[dict[str, Any]]) -> AsyncIterator[tuple[ChatEvent, ...]]:
    """The events of an answer without what was said of it."""
    already = AlreadySaid(said, upstream.deployment.provider.name)
    async for batch in upstream.events:
        kept = []
        for event in batch:
            if event.chunk is None or already.repeated:
                kept.append(event)
            elif (new := already.new_in(event.chunk)) is not None:
                kept.append(ChatEvent(b"data: " + orjson.dumps(new), new))
        if kept:
            yield tuple(kept)
