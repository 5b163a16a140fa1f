"""One streamed answer, produced in a task of its own, whoever is there to read it.

The task writes the log, so that others may join and a lost client may come back, and settles when the answer
ends, however it ends. Its own client reads from here, without a way over Valkey.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from shared.cache.flights import LogWriter
from shared.completion.annotate import grounding
from shared.completion.assemble import Assembler
from shared.completion.blank import BlankAnswer, BlankEnd
from shared.completion.compose import Composed
from shared.completion.piece import Piece
from shared.completion.rest import rest_of_answer
from shared.completion.semantic import learn
from shared.completion.services import Services
from shared.completion.settle import Settlement, UpstreamCall, asked_before, elapsed_ms, settle
from shared.completion.store import entry_of, keep_reasoning, learn_estimate
from shared.completion.transcript import Transcript
from shared.ledger.usage import CacheOutcome, Outcome
from shared.providers.chat_events import ChatEvent
from shared.providers.failures import UpstreamFailure
from shared.providers.json_mode import is_json_asked
from shared.providers.prefix import Said
from shared.providers.tokens import TokenUsage
from shared.routing.answers import Streaming

# Nobody may be there to take the first token, and then the answer goes on all the same.
_HAND_OVER_SECONDS = 0.005


class Production:
    """Produces one streamed answer; `batches` reads it."""

    def __init__(
        self,
        services: Services,
        composed: Composed,
        upstream: Streaming,
        writer: LogWriter | None,
        cache_outcome: CacheOutcome,
        said: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """`said`: the chunks that another gave before; the answer goes on after them."""
        self._services = services
        self._composed = composed
        self._upstream = upstream
        self._writer = writer
        self._cache_outcome = cache_outcome
        self._transcript = Transcript()
        # What earlier calls for this answer said; the transcript is the present call's.
        self._said = ""
        self._assembler = Assembler()
        self._first_token_ms: int | None = None
        self._index = writer.last_index if writer else 0
        self._unread: list[Piece] = []
        self._more = asyncio.Event()
        self._begun = asyncio.Event()
        self._left = False
        self._calls = list(asked_before(upstream.tried))
        for chunk in said:
            self._transcript.read(chunk)
            self._assembler.read(chunk)
        self.outcome: Outcome | None = None
        self.failure: UpstreamFailure | None = None
        self._task = services.background.start(self._run())

    async def batches(self) -> AsyncIterator[tuple[Piece, ...]]:
        """The answer as it comes; it ends when all is settled. To close it early is to leave."""
        try:
            while self.outcome is None or self._unread:
                if self._unread:
                    batch, self._unread = tuple(self._unread), []
                    self._begun.set()
                    yield batch
                else:
                    self._more.clear()
                    await self._more.wait()
        finally:
            if self.outcome is None:
                # A task of its own: who leaves may be in more haste than that.
                await asyncio.wait([self._services.background.start(self._leave())])

    def detach(self) -> None:
        """Nobody reads from here; the log is all."""
        self._left = True
        self._unread.clear()

    async def _leave(self) -> None:
        """The client is gone; the upstream call ends too, unless another reads or this one may come back."""
        self.detach()
        if not self._composed.resumable and (self._writer is None or await self._writer.seal()):
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        outcome: Outcome = "cancelled"
        try:
            if await self._produce():
                outcome = "completed"
        except UpstreamFailure as failure:
            self.failure = failure
            outcome = "failed"
        finally:
            await self._end(outcome)

    async def _produce(self) -> bool:
        """Whether the answer came whole, rather than being cancelled."""
        if self._writer is None:
            await self._pump()
            return True
        pump = asyncio.ensure_future(self._pump())
        cancelled = asyncio.ensure_future(self._writer.until_cancelled())
        try:
            await asyncio.wait({pump, cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
            return pump.done()
        finally:
            cancelled.cancel()
            pump.cancel()
            await asyncio.wait({pump, cancelled})

    async def _pump(self) -> None:
        try:
            await self._pass_on()
        except UpstreamFailure as failure:
            self._upstream = await self._taken_up(failure)
            await self._pass_on()

    async def _pass_on(self) -> None:
        end = BlankEnd() if is_json_asked(self._composed.body) else None
        async with self._upstream.resources:
            async for batch in self._upstream.events:
                await self._take(end.passing(batch) if end else batch)
                if not self._begun.is_set():
                    await self._hand_over()
        if end and end.held:
            for event in end.held:
                self._transcript.read(event.chunk or {})
            raise BlankAnswer(self._upstream.deployment.provider.name)

    async def _hand_over(self) -> None:
        """Let the first token go out before the rest is decoded, which may all be there already."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_HAND_OVER_SECONDS):
                await self._begun.wait()
        self._begun.set()

    async def _taken_up(self, failure: UpstreamFailure) -> Streaming:
        """What is lacking of the answer.

        Raises:
            UpstreamFailure: It cannot be had.
        """
        deployment, said = self._upstream.deployment, Said.in_completion(self._assembler.whole())
        rest = await rest_of_answer(self._services, self._composed, deployment, failure, said)
        self._calls.append(UpstreamCall(deployment, self._used(), failure.kind))
        self._calls += asked_before(rest.tried)
        self._said += self._transcript.text
        self._transcript = Transcript()
        return rest

    async def _take(self, batch: tuple[ChatEvent, ...]) -> None:
        pieces = [self._piece(event) for event in batch]
        if self._writer:
            self._writer.add([piece.item() for piece in pieces if piece.index])
            if self._composed.resumable:
                # What the client has must be in the log, or nobody could go on exactly from there.
                await self._writer.committed()
        if not self._left:
            self._unread += pieces
            self._more.set()

    def _piece(self, event: ChatEvent) -> Piece:
        chunk, raw = event.chunk, event.raw
        if chunk is None:
            return Piece(0, raw, None)
        self._index += 1
        self._transcript.read(chunk)
        if self._first_token_ms is None:
            self._first_token_ms = elapsed_ms(self._composed.admitted.call.started_monotonic)
        if self._composed.passages and self._annotate(chunk):
            raw = b"data: " + orjson.dumps(chunk)
        self._assembler.read(chunk)
        return Piece(self._index, raw, chunk)

    def _annotate(self, chunk: dict[str, Any]) -> bool:
        """Put the citations on the last chunk of the first choice; whether this is it."""
        for choice in chunk.get("choices") or ():
            if choice.get("finish_reason") and choice.get("index", 0) == 0:
                found = grounding(self._said + self._transcript.text, self._composed.passages)
                choice["delta"] = {**(choice.get("delta") or {}), **found}
                return True
        return False

    async def _end(self, outcome: Outcome) -> None:
        """Settle and close the log before `[DONE]`: where the process freezes then, nothing runs after it."""
        try:
            await settle(self._services, self._composed.admitted, self._settlement(outcome))
            await self._keep(outcome)
        finally:
            # Whatever went wrong, the client must not wait for ever.
            self.outcome = outcome
            self._more.set()

    async def _keep(self, outcome: Outcome) -> None:
        services, composed, deployment = self._services, self._composed, self._upstream.deployment
        whole = self._assembler.whole() if outcome == "completed" else None
        if whole:
            await keep_reasoning(services, composed, deployment, whole)
            if self._transcript.usage and not self._said:
                learn_estimate(services, composed, deployment, self._transcript.usage)
        entry = entry_of(services, composed, deployment, whole)
        if self._writer:
            await self._writer.finish(
                outcome,
                orjson.dumps(self.failure.for_caller().body()).decode() if self.failure else None,
                entry=entry,
                ttl_seconds=composed.caching.ttl_seconds,
            )
        if composed.explored:
            await learn(services, composed, composed.explored, entry)

    def _used(self) -> TokenUsage:
        """What the present call used: as the provider says, else as Weir estimates."""
        return self._transcript.usage or TokenUsage(
            prompt=self._composed.admitted.call.request.estimated_prompt_tokens,
            completion=self._transcript.estimated_completion(),
        )

    def _settlement(self, outcome: Outcome) -> Settlement:
        failure = self.failure.kind if self.failure else None
        return Settlement(
            calls=(*self._calls, UpstreamCall(self._upstream.deployment, self._used(), failure)),
            estimated=self._transcript.usage is None,
            outcome=outcome,
            cache_outcome=self._cache_outcome,
            first_token_ms=self._first_token_ms,
        )
