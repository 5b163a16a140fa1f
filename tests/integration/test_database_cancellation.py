"""A task that is cancelled in the middle of a transaction ends, at whatever moment that is."""

import asyncio
from random import Random

from shared.postgres.database import Database

TASKS, TIMES = 12, 60

# A little longer than a transaction takes while so many share the pool.
LONGEST_SECONDS = 0.01


async def test_no_cancellation_is_lost(database: Database) -> None:
    moments = Random(7)

    async def transaction() -> None:
        async with database.tenant("tenant") as connection:
            await connection.execute("SELECT 1")

    async def cancel_many() -> list[asyncio.Task[None]]:
        lost = []
        for _ in range(TIMES):
            task = asyncio.create_task(transaction())
            await asyncio.sleep(moments.random() * LONGEST_SECONDS)
            asked = task.cancel()
            await asyncio.wait([task])
            if asked and not task.cancelled():
                lost.append(task)
        return lost

    # About one in a hundred was, by the pool's own waiting.
    assert await asyncio.gather(*(cancel_many() for _ in range(TASKS))) == [[]] * TASKS
