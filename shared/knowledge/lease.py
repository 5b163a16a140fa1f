"""Keeping a lease while work lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from shared.errors import WeirError
from shared.telemetry import Logger


@asynccontextmanager
async def renewed(renew: Callable[[], Awaitable[bool]], lease: timedelta, log: Logger) -> AsyncIterator[None]:
    """Renew a lease three times in its length, until the work ends or `renew` says that it is lost."""
    heartbeat = asyncio.create_task(_renew(renew, lease, log))
    try:
        yield
    finally:
        heartbeat.cancel()
        await asyncio.wait([heartbeat])


async def _renew(renew: Callable[[], Awaitable[bool]], lease: timedelta, log: Logger) -> None:
    held = True
    while held:
        await asyncio.sleep(lease.total_seconds() / 3)
        try:
            held = await renew()
        except WeirError:
            # Tried again in a moment; if the lease ends meanwhile, the result will be refused.
            log.warning("lease not renewed", exc_info=True)
