"""Streams an upstream answer to the caller, and settles when it ends, however it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import orjson

from shared.completion.annotate import annotations
from shared.completion.compose import Composed
from shared.completion.services import Services
from shared.completion.settle import Settlement, elapsed_ms, settle
from shared.completion.transcript import Transcript
from shared.errors import WeirError
from shared.ledger.usage import Outcome
from shared.providers.failures import UpstreamFailure
from shared.providers.sse import DONE, EventSplitter, EventTooLargeError, ServerEvent, encode_event
from shared.providers.tokens import TokenUsage
from shared.routing.router import Streaming

# A provider that does not end its answer by then loses the connection, not the caller's time.
_DRAIN_SECONDS = 0.2


class Relay:
    """One stream on its way through. Events pass as the bytes they came in unless something must change."""

    def __init__(self, services: Services, composed: Composed, upstream: Streaming) -> None:
        self._services = services
        self._composed = composed
        self._upstream = upstream
        self._transcript = Transcript()
        self._first_token_ms: int | None = None
        self._done = False

    async def events(self) -> AsyncIterator[bytes]:
        """The caller's events, several to a piece when they came together.

        Ends with `[DONE]`, or with an error event of OpenAI's shape and no `[DONE]`. Closing it early ends
        the upstream call and bills what was used.
        """
        outcome: Outcome = "cancelled"
        try:
            async with self._upstream.resources:
                async for piece in self._pieces():
                    yield piece
            outcome = "completed"
        except UpstreamFailure as failure:
            outcome = "failed"
            yield error_event(failure.for_caller())
        finally:
            # Before `[DONE]`: where the process freezes when the answer ends, nothing after it would run.
            await settle(self._services, self._composed.admitted, self._settlement(outcome))
        if outcome == "completed":
            yield encode_event(DONE)

    async def _pieces(self) -> AsyncIterator[bytes]:
        splitter = EventSplitter()
        async for chunk in self._upstream.chunks:
            piece, failure = self._pass_all(splitter.feed(chunk))
            if piece:
                yield piece
            if failure:
                raise failure
            if self._done:
                await self._drain()
                return
        piece, failure = self._pass_all(splitter.flush())
        if piece:
            yield piece
        if failure or not self._transcript.finished:
            raise failure or self._broken("the stream ended in the middle")

    async def _drain(self) -> None:
        """Read the answer's end, which follows `[DONE]` at once, so that the connection is used again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for _ in self._upstream.chunks:
                    pass

    def _pass_all(self, events: Iterator[ServerEvent]) -> tuple[bytes, UpstreamFailure | None]:
        """What these events give the caller, and the failure among them, after which there is no more."""
        passed: list[bytes] = []
        try:
            # One by one: what came before a failure must reach the caller.
            passed.extend(self._pass_on(event) for event in events)
        except UpstreamFailure as failure:
            return b"".join(passed), failure
        except EventTooLargeError as error:
            return b"".join(passed), self._broken(str(error))
        return b"".join(passed), None

    def _pass_on(self, event: ServerEvent) -> bytes:
        if not event.data:
            return event.raw + b"\n\n"
        if event.data == DONE or self._done:
            self._done = True
            return b""
        chunk = self._decode(event.data)
        self._transcript.read(chunk)
        if self._first_token_ms is None:
            self._first_token_ms = elapsed_ms(self._composed.admitted.call.started_monotonic)
        if not self._adapt(chunk):
            return event.raw + b"\n\n"
        return encode_event(orjson.dumps(chunk)) if chunk else b""

    def _decode(self, data: bytes) -> dict[str, Any]:
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self._broken("an event is not JSON") from error
        if not isinstance(chunk, dict) or "error" in chunk:
            raise self._broken("the provider reported an error in the stream")
        if not _is_chat_chunk(chunk):
            raise self._broken("an event is no chat chunk")
        return chunk

    def _adapt(self, chunk: dict[str, Any]) -> bool:
        """Change a chunk in place where the caller must see something else; whether it changed."""
        changed = False
        if chunk.get("usage") and not self._composed.admitted.call.request.wants_usage:
            changed = True
            del chunk["usage"]
            if not chunk.get("choices"):
                chunk.clear()
        if self._composed.passages:
            for choice in chunk.get("choices") or ():
                if choice.get("finish_reason") and choice.get("index", 0) == 0:
                    changed = True
                    found = annotations(self._transcript.text, self._composed.passages)
                    choice["delta"] = {**(choice.get("delta") or {}), "annotations": found}
        return changed

    def _settlement(self, outcome: Outcome) -> Settlement:
        reported = self._transcript.usage
        request = self._composed.admitted.call.request
        estimate = TokenUsage(
            prompt=request.estimated_prompt_tokens, completion=self._transcript.estimated_completion()
        )
        return Settlement(
            deployment=self._upstream.deployment,
            usage=reported or estimate,
            estimated=reported is None,
            outcome=outcome,
            cache_outcome="off",
            first_token_ms=self._first_token_ms,
        )

    def _broken(self, reason: str) -> UpstreamFailure:
        return UpstreamFailure("broken", self._upstream.deployment.provider.name, reason)


def _is_chat_chunk(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices") or []
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and isinstance(choice.get("delta") or {}, dict) for choice in choices
    )


def error_event(error: WeirError) -> bytes:
    """An error after the first byte: an event of OpenAI's error shape."""
    return encode_event(orjson.dumps(error.body()))
