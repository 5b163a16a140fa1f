"""Tasks that are cancelled in the middle of a transaction, at whatever moment that is."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest

from shared.postgres.database import Database

CONNECTIONS = 4
TASKS, TIMES = 12, 60

# A little longer than a transaction takes while so many share the pool.
LONGEST_SECONDS = 0.01


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    running = Database(database_url, pool_size=CONNECTIONS)
    await running.open()
    yield running
    await running.close()


async def cancel_many(database: Database, *, seed: int) -> list[asyncio.Task[None]]:
    """Begin transactions and cancel them; those that went on."""
    moments = Random(seed)

    async def transaction() -> None:
        async with database.tenant("tenant") as connection:
            await connection.execute("SELECT 1")

    lost = []
    for _ in range(TIMES):
        task = asyncio.create_task(transaction())
        await asyncio.sleep(moments.random() * LONGEST_SECONDS)
        asked = task.cancel()
        await asyncio.wait([task])
        if asked and not task.cancelled():
            lost.append(task)
    return lost


async def test_no_cancellation_is_lost(database: Database) -> None:
    # About one in a hundred was, by the pool's own waiting.
    lost = await asyncio.gather(*(cancel_many(database, seed=seed) for seed in range(TASKS)))
    assert lost == [[]] * TASKS


async def test_no_connection_is_lost(database: Database) -> None:
    await asyncio.gather(*(cancel_many(database, seed=seed) for seed in range(TASKS)))
    together = asyncio.Barrier(CONNECTIONS)

    async def backend() -> int:
        async with database.anonymous() as connection:
            await together.wait()
            return connection.info.backend_pid

    backends = await asyncio.gather(*(backend() for _ in range(CONNECTIONS)))
    assert len(set(backends)) == CONNECTIONS
