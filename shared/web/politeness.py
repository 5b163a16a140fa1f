"""When a host may be asked: one clock per host in Valkey, shared by all workers and all tenants.

A turn is a lease, so at most so many requests are under way at a host, and a worker that dies gives its turn
back by itself. Where robots.txt asks for a delay there is one request at a time, and the delay counts from
its end: so the site sees it kept, however late a request leaves a busy worker. A host that does not answer
rests, longer each time, and is given up for an hour after `GIVEN_UP_AFTER` failures in a row.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from redis.asyncio import Redis

from shared.valkey.client import Valkey
from shared.valkey.script import Script
from shared.web.host_clock import HostClock

# Failures in a row after which a host is left alone for an hour.
GIVEN_UP_AFTER = 10

# Milliseconds that a host rests after its first failure, doubled by each further one, and the most.
_REST, _LONGEST_REST = 5_000, 900_000

# Seconds between two looks at a host where others have all the turns.
_LOOK = 0.05

# How the host did: it answered, it did not, or it was not asked.
Answered = Literal["yes", "no", "unknown"]
_ANSWERED = {"yes": "0", "no": "1", "unknown": ""}


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a host may be asked: seconds from turn to turn, and turns at once.

    `strict` is what a host asks for itself: one at a time, the delay from its end.
    """

    delay: float
    at_once: int
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The right to ask `host` once. `token` is empty without Valkey."""

    host: str
    pace: Pace
    token: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True)
class Later:
    """The turn is far off: come back after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class GivenUp:
    """The host has not answered for long, and is left alone."""


class Politeness:
    """Takes turns at hosts."""

    def __init__(self, valkey: Valkey, *, lease: float, patience: float = 2.0) -> None:
        """Args:
        lease: Seconds that a turn may last.
        patience: Seconds that `take` waits for a turn.
        """
        self._valkey = valkey
        self._lease = lease
        self._patience = patience
        self._take = Script(__package__, "turn_take.lua")
        self._end = Script(__package__, "turn_end.lua")
        self._line = Script(__package__, "turn_line.lua")
        self._alone = HostClock(time.monotonic)

    async def take(self, host: str, pace: Pace) -> Turn | Later | GivenUp:
        """A turn at `host`, as soon as there is one; if that is long, when to come back."""
        turn = Turn(host=host, pace=pace)
        until = time.monotonic() + self._patience
        while (wait := await self._try(turn)) != 0:
            if wait == -2:
                return GivenUp()
            seconds = _LOOK if wait == -1 else wait / 1000
            if time.monotonic() + seconds > until:
                return Later(await self._join_line(host, pace))
            await asyncio.sleep(seconds)
        return turn

    async def end(self, turn: Turn, *, answered: Answered = "unknown", rest: float = 0.0) -> None:
        """Give a turn back; the host rests for at least `rest` seconds, longer if it did not answer."""
        seconds = max(rest, turn.pace.delay if turn.pace.strict else 0.0)
        arguments: list[str | int] = [
            turn.token,
            round(seconds * 1000),
            _ANSWERED[answered],
            _REST,
            _LONGEST_REST,
        ]
        if await self._run(self._end, turn.host, arguments) is None:
            self._alone.rest(turn.host, seconds)

    async def _try(self, turn: Turn) -> int:
        pace = turn.pace
        # Milliseconds of the server are whole: rounded up, no host is asked early.
        delay, lease = int(pace.delay * 1000 + 0.999), round(self._lease * 1000)
        at_once = 1 if pace.strict else pace.at_once
        answer = await self._run(self._take, turn.host, [turn.token, delay, at_once, lease, GIVEN_UP_AFTER])
        if answer is None:
            return round(self._alone.take_turn(turn.host, pace.delay) * 1000 + 0.499)
        return answer

    async def _join_line(self, host: str, pace: Pace) -> float:
        answer = await self._run(self._line, host, [round(pace.delay * 1000)])
        return self._alone.join_line(host, pace.delay) if answer is None else answer / 1000

    async def _run(self, script: Script, host: str, arguments: Sequence[str | int]) -> int | None:
        keys = [f"turns:{{{host}}}:clock", f"turns:{{{host}}}:leases"]

        async def run(client: Redis) -> int:
            return int(await script.run(client, keys, arguments))

        return await self._valkey.attempt(run)
