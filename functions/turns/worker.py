"""Answers a turn over its connection: claim -> ask (or take up) -> post, frame by frame -> end."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import orjson

from shared.aws.management_api import ConnectionGoneError, ManagementApi
from shared.completion.answer import Answer, BufferedAnswer
from shared.completion.call import Call
from shared.completion.pipeline import complete
from shared.completion.request import ChatRequest, parse_request
from shared.completion.resume import cancel, resume
from shared.completion.services import Services
from shared.errors import ConflictError, NotFoundError, WeirError
from shared.limits.caller import Caller
from shared.limits.keyring import KeyRing
from shared.websocket.gathering import gathered
from shared.websocket.packing import Said, error, frames, started, whole
from shared.websocket.turn import Turn
from shared.websocket.turns import Sign, TurnKey, Turns

# Seconds between two looks at whether a turn is still wanted.
_SIGN_SECONDS = 0.5

Stop = Literal["cancelled", "left", "lost"]


class TurnBusyError(Exception):
    """Another worker has the turn, or Valkey is gone: the message must come again."""


@dataclass
class Progress:
    """How far the posting is: id of the last event, -1 while there is none."""

    posted: int


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What turns are answered with."""

    services: Services
    keyring: KeyRing
    turns: Turns
    api: ManagementApi
    clock: Callable[[], datetime]

    async def handle(self, turn: Turn) -> None:
        """Answer one turn, unless another worker does or did.

        Raises:
            TurnBusyError: It may not be this worker's, but must not be lost.
        """
        key, token = TurnKey(turn.connection_id, turn.turn_id), secrets.token_hex(8)
        claim = await self.turns.claim(key, token)
        if claim is None or claim.standing == "busy":
            raise TurnBusyError(f"The turn {turn.turn_id!r} is not free.")
        if claim.standing == "over":
            return
        progress = Progress(claim.posted)
        answering = asyncio.create_task(self._answer(turn, progress))
        try:
            stop = await self._until_stopped(turn, key, token, progress, answering)
        finally:
            answering.cancel()
            await asyncio.wait([answering])
        if not answering.cancelled():
            # What went wrong here may go right in the next worker, so the turn is not over.
            answering.result()
        if stop != "lost":
            await self._see_out(turn, stop)
            await self.turns.end(key, token)

    async def _until_stopped(
        self, turn: Turn, key: TurnKey, token: str, progress: Progress, answering: asyncio.Task[None]
    ) -> Stop | None:
        """Renew the lease until the answer ends (`None`), or should not go on."""
        while True:
            await asyncio.wait([answering], timeout=_SIGN_SECONDS)
            if answering.done():
                return None
            sign = await self.turns.keep(key, token, progress.posted)
            if sign and (stop := _stop(sign, resumable=turn.resumable)):
                return stop

    async def _see_out(self, turn: Turn, stop: Stop | None) -> None:
        if stop != "cancelled":
            return
        caller = await self._caller(turn)
        with suppress(NotFoundError):
            await cancel(self.services, caller, turn.answer_id)
        refused = ConflictError("The answer was cancelled before its end.", code="cancelled")
        with suppress(ConnectionGoneError):
            await self.api.post(turn.connection_id, error(turn.turn_id, refused.body()))

    async def _answer(self, turn: Turn, progress: Progress) -> None:
        try:
            answer = await self._ask(turn, progress.posted)
        except WeirError as refused:
            with suppress(ConnectionGoneError):
                await self.api.post(turn.connection_id, error(turn.turn_id, refused.body()))
            return
        if isinstance(answer, BufferedAnswer):
            with suppress(ConnectionGoneError):
                await self._post(turn, whole(turn.turn_id, answer.content))
            return
        async with aclosing(gathered(answer.events)) as events:
            try:
                await self._post(turn, [started(turn.turn_id, turn.answer_id, answer.headers)])
                await self._stream(turn, events, progress)
            except ConnectionGoneError:
                if turn.resumable:
                    # The answer goes on, for who comes back.
                    async for _ in events:
                        pass

    async def _stream(
        self, turn: Turn, events: AsyncGenerator[tuple[Said, ...], None], progress: Progress
    ) -> None:
        last = turn.after
        async for batch in events:
            numbered = []
            for event in batch:
                last = event.event_id or last + (not event.ends)
                numbered.append(replace(event, event_id=last))
            new = [event for event in numbered if event.ends or event.event_id > progress.posted]
            await self._post(turn, frames(turn.turn_id, new))
            progress.posted = max(progress.posted, last)

    async def _post(self, turn: Turn, made: Iterable[bytes]) -> None:
        for frame in made:
            await self.api.post(turn.connection_id, frame)

    async def _ask(self, turn: Turn, posted: int) -> Answer:
        caller = await self._caller(turn)
        if turn.kind == "resume":
            return await resume(self.services, caller, turn.answer_id, max(turn.after, posted))
        if posted >= 0:
            # An earlier worker died in the middle.
            with suppress(NotFoundError):
                return await resume(self.services, caller, turn.answer_id, posted)
        return await complete(self.services, self._call(turn, caller))

    async def _caller(self, turn: Turn) -> Caller:
        return await self.keyring.caller_of(bytes.fromhex(turn.key_hash), self.clock())

    def _call(self, turn: Turn, caller: Caller) -> Call[ChatRequest]:
        return Call(
            request_id=turn.answer_id,
            endpoint="/v1/chat/completions",
            caller=caller,
            body=turn.body,
            body_bytes=len(orjson.dumps(turn.body)),
            request=parse_request(ChatRequest, turn.body),
            started=self.clock(),
            started_monotonic=time.monotonic(),
        )


def _stop(sign: Sign, *, resumable: bool) -> Stop | None:
    """Why a turn should not go on, if it should not."""
    if not sign.held:
        return "lost"
    if sign.cancelled:
        return "cancelled"
    return None if sign.connected or resumable else "left"
