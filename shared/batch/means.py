"""What batches are worked with: connections, rules, and the clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.batch.messages import Message
from shared.batch.pace import delay_until
from shared.completion.services import Services
from shared.errors import UnavailableError
from shared.limits.limits import Limits
from shared.postgres.database import Database
from shared.telemetry import Logger


@dataclass(frozen=True, kw_only=True)
class BatchRules:
    """Bounds of batches; docs/batch.md says what each is for.

    `line_limit`, `file_bytes`, `line_bytes`: what an input file may have. `chunk_lines`, `chunk_bytes`: where
    a chunk ends. `window`: chunks of a batch under way at a time. `tries`: after so many a line that fails
    upstream has failed. `pause_seconds`: the shortest pause. `lease`: how long whoever shows no sign is
    believed alive. `own_limits`: of all batches of a tenant, beside those of its live requests.
    """

    line_limit: int
    file_bytes: int
    line_bytes: int
    chunk_lines: int
    chunk_bytes: int
    window: int
    tries: int
    pause_seconds: float
    lease: timedelta
    own_limits: Limits


@dataclass(frozen=True, kw_only=True)
class Means:
    """Made once per process. `places`: as many lines as this process asks at a time."""

    database: Database
    objects: Objects
    queue: Queue
    services: Services
    rules: BatchRules
    places: asyncio.Semaphore
    clock: Callable[[], datetime]
    random: Random
    log: Logger

    async def send(self, messages: Sequence[Message], *, at: datetime | None = None) -> None:
        """Send messages, to be seen from a moment on: not all at once where it is later than now."""
        delay = 0 if at is None else delay_until(at, self.clock(), spread=self.random.random())
        await self.queue.send(messages, delay_seconds=delay)

    @asynccontextmanager
    async def kept(self, renew: Callable[[], Awaitable[bool]]) -> AsyncIterator[asyncio.Event]:
        """Renew a lease all the time; the event is set when `renew` says that work should end."""
        over = asyncio.Event()
        keeping = asyncio.create_task(self._keep(renew, over))
        try:
            yield over
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _keep(self, renew: Callable[[], Awaitable[bool]], over: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(self.rules.lease.total_seconds() / 3)
            try:
                if not await renew():
                    over.set()
            except UnavailableError:
                self.log.warning("a lease could not be renewed yet")
