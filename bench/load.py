"""Asks one gateway, or all of them in turn, and keeps the times."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp
import orjson

from bench.upstream import EVENTS

WARM_UP = 50
CONNECTIONS = 16

# Each gateway is loaded this often for this long; the first turn is not counted.
_TURNS, _TURN_SECONDS = 4, 1.5

_nonces: Iterator[int] = itertools.count(1)


class WrongAnswerError(Exception):
    """An answer that is not what the provider said."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds to the first byte of the answer's body, and to the last."""

    first: float
    whole: float


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a request goes."""

    name: str
    url: str
    headers: Mapping[str, str]

    async def ask(
        self, session: aiohttp.ClientSession, *, stream: bool = False, question: str | None = None
    ) -> Timing:
        """Ask a question that was never asked before, unless one is given.

        Raises:
            aiohttp.ClientError: No answer, or a status of 400 or more.
            WrongAnswerError: The answer is cut short.
        """
        data, headers = _body(question or f"What is a weir? ({next(_nonces)})", stream=stream), self.headers
        started, first = time.perf_counter(), 0.0
        received = b""
        async with session.post(f"{self.url}/chat/completions", data=data, headers=headers) as answer:
            answer.raise_for_status()
            async for piece in answer.content.iter_any():
                first = first or time.perf_counter()
                received += piece
        ended = time.perf_counter()
        _check(received, stream=stream)
        return Timing((first - started) * 1000, (ended - started) * 1000)

    async def works(self, session: aiohttp.ClientSession, *, stream: bool) -> bool:
        """Whether it answers rightly."""
        try:
            await self.ask(session, stream=stream)
        except (aiohttp.ClientError, WrongAnswerError):
            return False
        return True


@dataclass
class Timings:
    """What one target took, round by round."""

    target: Target
    timings: list[Timing] = field(default_factory=list)


async def in_turn(targets: Sequence[Target], rounds: int, *, stream: bool) -> dict[str, list[Timing]]:
    """Each target that works once a round, so that noise of the machine is shared. By name."""
    async with aiohttp.ClientSession() as session:
        able = [Timings(target) for target in targets if await target.works(session, stream=stream)]
        for round_number in range(WARM_UP + rounds):
            for kept in able:
                timing = await kept.target.ask(session, stream=stream)
                if round_number >= WARM_UP:
                    kept.timings.append(timing)
    return {kept.target.name: kept.timings for kept in able}


async def hits(targets: Sequence[Target], rounds: int, upstream: str) -> dict[str, list[Timing]]:
    """The same question again and again, to those targets that then leave the provider alone. By name.

    Args:
        upstream: The provider's URL, which tells how often it was asked.
    """
    question = f"What is a weir, again? ({time.time_ns()})"
    async with aiohttp.ClientSession() as session:
        able = [Timings(t) for t in targets if await _remembers(t, session, question, upstream)]
        for _ in range(rounds):
            for kept in able:
                kept.timings.append(await kept.target.ask(session, question=question))
    return {kept.target.name: kept.timings for kept in able}


async def throughput(targets: Sequence[Target]) -> dict[str, float]:
    """Requests per second over `CONNECTIONS` connections, each target in turn. By name."""
    answered = dict.fromkeys((target.name for target in targets), 0)
    for turn in range(_TURNS):
        for target in targets:
            count = await _load(target)
            if turn:
                answered[target.name] += count
    return {name: count / (_TURN_SECONDS * (_TURNS - 1)) for name, count in answered.items()}


async def _load(target: Target) -> int:
    answered = 0
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        until = time.perf_counter() + _TURN_SECONDS

        async def worker() -> None:
            nonlocal answered
            while time.perf_counter() < until:
                await target.ask(session)
                answered += time.perf_counter() < until

        await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))
    return answered


async def _remembers(target: Target, session: aiohttp.ClientSession, question: str, upstream: str) -> bool:
    # Some caches are written behind the answer.
    for _ in range(WARM_UP):
        await target.ask(session, question=question)
    before = await _calls(session, upstream)
    await target.ask(session, question=question)
    return await _calls(session, upstream) == before


async def _calls(session: aiohttp.ClientSession, upstream: str) -> int:
    async with session.get(f"{upstream}/calls") as answer:
        return int(await answer.read())


def _body(question: str, *, stream: bool) -> bytes:
    body = {"model": "bench", "messages": [{"role": "user", "content": question}]}
    return orjson.dumps({**body, "stream": True} if stream else body)


def _check(received: bytes, *, stream: bool) -> None:
    # Of a stream's events the one with the usage is hidden from callers that did not ask for it.
    right = (
        received.count(b"data: ") >= EVENTS - 1 and b"[DONE]" in received if stream else b"dam" in received
    )
    if not right:
        raise WrongAnswerError(f"{len(received)} bytes that are no answer: {received[:200]!r}")
