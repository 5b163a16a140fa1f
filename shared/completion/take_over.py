"""Reads an answer from its log, and has it go on when the process that made it is gone."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from shared.cache.flights import FlightKey, LeaderLost, LogItem
from shared.completion.deliver import PATH
from shared.completion.production import Production
from shared.completion.services import Services
from shared.completion.skip import AlreadySaid
from shared.completion.succession import Succession
from shared.errors import WeirError
from shared.providers.chat_events import ChatEvent
from shared.providers.failures import UpstreamFailure
from shared.routing.answers import Streaming


@dataclass
class LogReading:
    """One reading of a log. `chunks` are those read so far, `seen` the number of the last."""

    services: Services
    key: FlightKey
    flight_id: str
    reader_id: str | None = None
    chunks: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0

    async def items(self) -> AsyncGenerator[LogItem, None]:
        """Each item once, live, up to the end.

        Raises:
            LeaderLost: The maker is gone, and left nothing by which another could go on.
            LogGone: Valkey cannot be reached or the log has expired.
        """
        while True:
            try:
                async with aclosing(self._batches()) as batches:
                    async for batch in batches:
                        for item in batch:
                            self._note(item)
                            yield item
            except LeaderLost:
                await self._take_over()
            else:
                return

    def _batches(self) -> AsyncGenerator[tuple[LogItem, ...], None]:
        return self.services.flights.follow(self.key, self.flight_id, self.seen, reader_id=self.reader_id)

    def _note(self, item: LogItem) -> None:
        if item.kind == "chunk":
            self.seen = item.index
            self.chunks.append(orjson.loads(item.data))

    async def _take_over(self) -> None:
        """Ask for the same answer again and go on where it broke off, unless another does so already."""
        flights = self.services.flights
        kept = await flights.body(self.key, self.flight_id)
        if kept is None:
            raise LeaderLost
        writer = await flights.take_over(self.key, self.flight_id)
        if writer is None:
            return
        succession = Succession.model_validate_json(kept)
        writer.publish(succession.request_id, succession.caller.key_id)
        try:
            composed = succession.composed(self.services, time.monotonic())
            admitted = composed.admitted
            upstream = await self.services.router.stream(
                admitted.route,
                PATH,
                composed.body,
                tenant_id=admitted.call.caller.tenant_id,
                deadline=admitted.deadline,
            )
        except (UpstreamFailure, WeirError) as error:
            shown = error.for_caller() if isinstance(error, UpstreamFailure) else error
            await writer.finish("failed", orjson.dumps(shown.body()).decode())
        except BaseException:
            await writer.abandon()
            raise
        else:
            rest = replace(upstream, events=_unsaid(upstream, self.chunks))
            Production(self.services, composed, rest, writer, "miss", said=self.chunks).detach()


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
