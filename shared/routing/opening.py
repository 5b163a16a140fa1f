"""Opens a stream and waits for its first token: until then another deployment can answer unseen."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.providers.chat_chunk import finishes, ran_short, says_something
from shared.providers.chat_events import ChatEvent, chat_events
from shared.providers.failures import UpstreamFailure
from shared.routing.choose import Choice

if TYPE_CHECKING:
    from shared.providers.endpoint import Endpoint

Events = AsyncGenerator[tuple[ChatEvent, ...], None]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A stream whose first token is there. Closing `resources` ends the call.

    `head` is all that came up to and with the first token but for keep-alives; `waited`, the seconds it took.
    """

    choice: Choice
    head: tuple[ChatEvent, ...]
    events: Events
    resources: AsyncExitStack
    waited: float


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How a stream is asked for. `until`: when the first token must be there, on the clock."""

    endpoint: "Endpoint"
    path: str
    body: bytes
    until: float
    json_asked: bool


async def open_stream(choice: Choice, opening: Opening, clock: Callable[[], float]) -> Opened:
    """Ask for a stream.

    Raises:
        UpstreamFailure: It failed before its first token, or that did not come in time.
    """
    provider, began = choice.deployment.provider.name, clock()
    async with AsyncExitStack() as resources:
        try:
            async with asyncio.timeout(max(0.0, opening.until - began)):
                call = opening.endpoint.stream(opening.path, opening.body)
                events = chat_events(await resources.enter_async_context(call), provider)
                resources.push_async_callback(events.aclose)
                head = await _up_to_token(events, provider, json_asked=opening.json_asked)
        except TimeoutError as error:
            raise UpstreamFailure("timeout", provider, "no first token in time") from error
        return Opened(
            choice=choice,
            head=head,
            events=events,
            resources=resources.pop_all(),
            waited=clock() - began,
        )
    raise AssertionError("not reached: the stack swallows nothing")


async def _up_to_token(events: Events, provider: str, *, json_asked: bool) -> tuple[ChatEvent, ...]:
    held: list[ChatEvent] = []
    async for batch in events:
        begun = False
        for event in batch:
            if event.chunk is None:
                continue
            held.append(event)
            if begun or says_something(event.chunk, beyond_blanks=json_asked):
                begun = True
            elif finishes(event.chunk):
                if ran_short(event.chunk):
                    raise UpstreamFailure("overloaded", provider, "the provider ran out of resources")
                if json_asked and not _cut_off(event.chunk):
                    raise UpstreamFailure("broken", provider, "the answer is blank where JSON was asked for")
                begun = True
        if begun:
            return tuple(held)
    raise UpstreamFailure("broken", provider, "the stream ended without an answer")


def _cut_off(chunk: dict[str, object]) -> bool:
    """Whether a choice ends for another reason than that all was said."""
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(c.get("finish_reason") not in (None, "stop") for c in choices)
