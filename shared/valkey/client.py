"""Valkey behind one failure policy: slow or gone, it costs one short pause, then nothing.

A call that times out or cannot connect opens the breaker for `PAUSE` seconds, in which every call answers
`None` at once; after it one call tries again. Callers take `None` for "not known" and go on without. The
pause is one per process, so a frozen Valkey delays requests once, not each of them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

R = TypeVar("R")

# Seconds for which Valkey is left alone after a failure.
PAUSE = 2.0

_CONNECT_SECONDS = 1.0


class Valkey:
    """One Valkey, plain or cluster. Cluster rules hold for both: declared keys, one hash tag a script."""

    def __init__(self, url: str, *, cluster: bool, timeout_ms: int) -> None:
        """Args:
        url: `redis://` or, with TLS, `rediss://`.
        timeout_ms: Longest a call may take before the request goes on without it.
        """
        self._timeout = timeout_ms / 1000
        self._closed_until = 0.0
        options: dict[str, Any] = {
            # `attempt` bounds a call as a whole; only `connect` waits this long.
            "socket_connect_timeout": _CONNECT_SECONDS,
            "socket_timeout": _CONNECT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        self._client = _connect(url, cluster, options)

    async def connect(self) -> None:
        """Make the first connection before the first request: with TLS it may take longer than a call may.

        Without Valkey this takes `_CONNECT_SECONDS` at most, and nothing is said: the first call will know.
        """
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._client.ping()

    async def attempt(self, operation: Callable[[Redis], Awaitable[R]], *, waits_ms: int = 0) -> R | None:
        """The operation's result, or `None` when Valkey is slow, gone or being left alone.

        Args:
            operation: What to ask of it.
            waits_ms: How long the operation itself waits on the server (`BLOCK`), beyond a call's usual time.
        """
        now = time.monotonic()
        if now < self._closed_until:
            return None
        try:
            async with asyncio.timeout(self._timeout + waits_ms / 1000):
                return await operation(self._client)
        except (RedisError, OSError, TimeoutError):
            self._closed_until = time.monotonic() + PAUSE
            return None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def _connect(url: str, cluster: bool, options: dict[str, Any]) -> Redis:
    if cluster:
        # The same commands; redis-py's types do not say so.
        return cast("Redis", RedisCluster.from_url(url, **options))
    return Redis.from_url(url, **options)
