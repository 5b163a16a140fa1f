"""Valkey behind one failure policy: slow or gone, it costs one short pause, then nothing.

A call that times out or cannot connect is the last: from then on every call answers `None` at once, while a
task asks each `PROBE_SECONDS` whether Valkey is back. Callers take `None` for "not known" and go on without.
So a frozen Valkey delays the requests of one moment, once, and no request is used to find out.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from shared.telemetry import logger
from shared.valkey.line import PipelinedRedis

R = TypeVar("R")

_log = logger("valkey")

PROBE_SECONDS = 1.0

_CONNECT_SECONDS = 1.0

# As many as there are calls at once, among them readers that block: a pool that is full must not pass for a
# Valkey that is gone.
_MAX_CONNECTIONS = 10_000

# Calls at once; the others wait their turn, which takes no longer. More would each make a connection, and at
# a cold start that alone takes longer than a call may. Reads that block are not counted.
_CALLS_AT_ONCE = 16

# What a cluster client raises when it reaches no node is no `RedisError`.
_FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)


class Valkey:
    """One Valkey, plain or cluster. Cluster rules hold for both: declared keys, one hash tag a script."""

    def __init__(self, url: str, *, cluster: bool, timeout_ms: int) -> None:
        """Args:
        url: `redis://` or, with TLS, `rediss://`.
        timeout_ms: Longest a call may take before the request goes on without it.
        """
        self._timeout = timeout_ms / 1000
        self._probe: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Timeout] = set()
        self._turn = asyncio.Semaphore(_CALLS_AT_ONCE)
        options: dict[str, Any] = {
            "socket_connect_timeout": _CONNECT_SECONDS,
            # `attempt` bounds a call as a whole: one of its own would cut off readers that block longer.
            "socket_timeout": None,
            "retry": Retry(NoBackoff(), 0),
            "max_connections": _MAX_CONNECTIONS,
        }
        self._client = _connect(url, cluster, options)

    async def connect(self) -> None:
        """Make the first connection before the first request: with TLS it may take longer than a call may.

        Without Valkey this takes `_CONNECT_SECONDS` at most, and nothing is said: the first call will know.
        """
        with suppress(*_FAILURES):
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._client.ping()

    async def attempt(self, operation: Callable[[Redis], Awaitable[R]], *, waits_ms: int = 0) -> R | None:
        """The operation's result, or `None` when Valkey is slow, gone or being left alone.

        Args:
            operation: What to ask of it.
            waits_ms: How long the operation itself waits on the server (`BLOCK`), beyond a call's usual time.
        """
        if waits_ms:
            return await self._call(operation, self._timeout + waits_ms / 1000)
        async with self._turn:
            return await self._call(operation, self._timeout)

    async def _call(self, operation: Callable[[Redis], Awaitable[R]], seconds: float) -> R | None:
        if self._probe is not None:
            return None
        try:
            async with asyncio.timeout(seconds) as limit:
                self._under_way.add(limit)
                try:
                    return await operation(self._client)
                finally:
                    self._under_way.discard(limit)
        except ResponseError:
            # It is there and refuses: a mistake of ours, or memory it has not. No question fails for that.
            _log.exception("Valkey refuses a command")
            return None
        except (*_FAILURES, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _is_closed(error):
                raise
            self._leave_alone()
            return None

    def _leave_alone(self) -> None:
        """Of all calls that fail in this moment, the first begins to ask, and the others wait no longer."""
        if self._probe is not None:
            return
        self._probe = asyncio.create_task(self._until_it_answers())
        now = asyncio.get_running_loop().time()
        for limit in self._under_way:
            if not limit.expired():
                limit.reschedule(now)
        if isinstance(self._client, PipelinedRedis):
            # Answers that are overdue would go to nobody, with all that come behind them.
            self._client.hang_up()

    async def close(self) -> None:
        """Close every connection."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])
        await self._client.aclose()

    async def _until_it_answers(self) -> None:
        back = False
        # It must take a write: a node of a cluster that is not whole answers a ping.
        while not back:
            await asyncio.sleep(PROBE_SECONDS)
            with suppress(*_FAILURES):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    back = bool(await self._client.set("probe", 1, px=1000))
        self._probe = None


def _is_closed(error: RuntimeError) -> bool:
    """Whether it is uvloop's word for a connection that the other side has just closed."""
    return "closed" in str(error)


def _connect(url: str, cluster: bool, options: dict[str, Any]) -> Redis:
    if cluster:
        # The same commands; redis-py's types do not say so.
        return cast("Redis", RedisCluster.from_url(url, **options))
    return PipelinedRedis.from_url(url, **options)
