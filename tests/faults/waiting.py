"""Waiting for what gives no sign of its own."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 10.0) -> None:
    """Ask again and again.

    Raises:
        TimeoutError: It does not hold after so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another process has no event for it
            await asyncio.sleep(0.005)
