"""Sustained load on one chat process, and how long each answer took."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.integration.chat_process import ChatProcess, Client

_LIMITED = "x-ratelimit-remaining-requests"
_questions: Iterator[int] = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One request, by the monotonic clock. `limited`: Valkey was in use."""

    began: float
    ended: float
    status: int
    request_id: str
    limited: bool
    whole: bool

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


@dataclass
class Load:
    """Requests of several workers, one after another each, streamed and whole in turn, until it is stopped or
    its process has been killed.

    Beside them both the process and the provider are asked all the time for what needs no store
    (`/healthz`): what that takes, the machine takes.
    """

    process: ChatProcess
    upstream_url: str
    client: Client
    session: aiohttp.ClientSession
    answers: list[Answered] = field(default_factory=list)
    beside: list[tuple[float, float]] = field(default_factory=list)
    _stopped: bool = False
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def running(self, workers: int) -> AsyncIterator["Load"]:
        """Under load from here to the end of the block, where the last requests are waited for."""
        tasks = [asyncio.create_task(self._work()) for _ in range(workers)]
        tasks.append(asyncio.create_task(self._ask_beside()))
        try:
            yield self
        finally:
            self._stopped = True
            await asyncio.gather(*tasks)

    async def until_limited(self, *, since: float) -> Answered:
        """The first answer to a request sent after a moment that Valkey had a part in."""
        return await self._first(lambda answer: answer.limited and answer.began > since)

    async def until_unlimited(self, *, since: float) -> Answered:
        """The first answer to a request that ended after a moment and that Valkey had no part in."""
        return await self._first(lambda answer: not answer.limited and answer.ended > since)

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        async with self._news:
            await self._news.wait_for(lambda: len(self.answers) >= wanted)

    def delay(self, answer: Answered) -> float:
        """Seconds that an answer took beyond the slowest request beside it."""
        beside = [end - begin for begin, end in self.beside if end > answer.began and begin < answer.ended]
        return answer.seconds - max(beside, default=0.0)

    async def _first(self, fits: Callable[[Answered], bool]) -> Answered:
        async with self._news:
            while not (found := [answer for answer in self.answers if fits(answer)]):
                await self._news.wait()
            return found[0]

    async def _work(self) -> None:
        while not self._stopped:
            try:
                answer = await self._ask(next(_questions))
            except aiohttp.ClientError:
                if await self._has_died():
                    return
                raise
            self.answers.append(answer)
            async with self._news:
                self._news.notify_all()

    async def _ask(self, number: int) -> Answered:
        stream, began = number % 2 == 1, time.monotonic()
        async with self.client.post(f"What is a weir? ({number})", stream=stream) as answer:
            received = await answer.read()
        return Answered(
            began=began,
            ended=time.monotonic(),
            status=answer.status,
            request_id=answer.headers["x-request-id"],
            limited=_LIMITED in answer.headers,
            whole=received.endswith(b"data: [DONE]\n\n") if stream else b"low dam" in received,
        )

    async def _has_died(self) -> bool:
        # Its connections break a little before its end is known.
        ended, _ = await asyncio.wait({self.process.child.end}, timeout=2)
        return bool(ended)

    async def _ask_beside(self) -> None:
        urls = (self.process.url.removesuffix("/v1") + "/healthz", f"{self.upstream_url}/calls")
        while not self._stopped:
            began = time.monotonic()
            try:
                for url in urls:
                    async with self.session.get(url) as answer:
                        await answer.read()
            except aiohttp.ClientError:
                if await self._has_died():
                    return
                raise
            self.beside.append((began, time.monotonic()))
            # Often enough to see each pause, seldom enough to be no load.
            await asyncio.sleep(0.004)


def answered(loads: Sequence[Load]) -> list[str]:
    """The request ids of all answers, in order."""
    return sorted(answer.request_id for load in loads for answer in load.answers)


def failed(loads: Sequence[Load]) -> list[Answered]:
    """The answers that were none."""
    return [a for load in loads for a in load.answers if a.status != 200 or not a.whole]
