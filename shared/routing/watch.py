"""Watches a stream that has begun: that it goes on, how fast, and whether it ends as it should."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.providers.chat_chunk import OUT_OF_RESOURCES, finishes, ran_short, says_something
from shared.providers.chat_events import ChatEvent
from shared.providers.failures import FailureKind, UpstreamFailure
from shared.providers.tokens import TokenUsage
from shared.routing.opening import Events, Opened
from shared.routing.patience import Patience

_SHORT = OUT_OF_RESOURCES.encode()


class Watch:
    """One stream. `began` and the deadline are on `clock`."""

    def __init__(
        self, opened: Opened, *, patience: Patience, deadline: float, clock: Callable[[], float]
    ) -> None:
        self._opened = opened
        self._patience = patience
        self._deadline = deadline
        self._clock = clock
        self._first_at = self._last_at = clock()
        self._silent = 0.0
        self._chunks = 0
        self._reported = 0

    @property
    def seconds(self) -> float:
        """From the first token to the last chunk."""
        return self._last_at - self._first_at

    @property
    def tokens(self) -> int:
        """Tokens after the first: as the provider counts them, else as many as there were chunks."""
        return max(self._reported, self._chunks) - 1

    async def events(
        self, on_failure: Callable[[UpstreamFailure], Awaitable[None]], on_end: Callable[[], None]
    ) -> Events:
        """The stream's events, the first token's batch first.

        Args:
            on_failure: Called with what goes wrong, before it is raised.
            on_end: Called when the stream has ended well.

        Raises:
            UpstreamFailure: The stream breaks off, stalls or outlasts the deadline, or the provider runs out
                of resources.
        """
        batch: tuple[ChatEvent, ...] | None = self._opened.head
        self._note(self._opened.head)
        try:
            while batch is not None:
                if (short := _where_short(batch)) is not None:
                    if short:
                        yield batch[:short]
                    raise self._failure("overloaded", "the provider ran out of resources")
                yield batch
                batch = await self._next_batch()
        except UpstreamFailure as failure:
            await on_failure(failure)
            raise
        on_end()

    async def _next_batch(self) -> tuple[ChatEvent, ...] | None:
        """What comes next; only the time that the provider takes counts, and keep-alives do not end it."""
        began = self._clock()
        patience = min(self._patience.stall_seconds - self._silent, self._deadline - began)
        try:
            async with asyncio.timeout(max(0.0, patience)):
                batch = await anext(self._opened.events, None)
        except TimeoutError as error:
            late = self._clock() >= self._deadline
            reason = "the deadline of the request is over" if late else "the stream stalled"
            raise self._failure("timeout", reason) from error
        if batch is not None:
            self._silent = 0.0 if self._note(batch) else self._silent + self._clock() - began
        return batch

    def _note(self, batch: tuple[ChatEvent, ...]) -> bool:
        goes_on = False
        for event in batch:
            if (chunk := event.chunk) is None:
                continue
            self._chunks += 1
            if usage := chunk.get("usage"):
                self._reported = TokenUsage.from_body(usage).completion
                goes_on = True
            elif not goes_on:
                goes_on = says_something(chunk) or finishes(chunk)
        if goes_on:
            self._last_at = self._clock()
        return goes_on

    def _failure(self, kind: FailureKind, reason: str) -> UpstreamFailure:
        return UpstreamFailure(kind, self._opened.choice.deployment.provider.name, reason)


def _where_short(batch: tuple[ChatEvent, ...]) -> int | None:
    """Where in a batch the provider ends the answer because it is out of resources, if it does."""
    for place, event in enumerate(batch):
        # The bytes are looked at first: it is rare, and they are looked through at once.
        if _SHORT in event.raw and event.chunk is not None and ran_short(event.chunk):
            return place
    return None
