"""Connections that were closed while nobody looked, as those of a Lambda that slept."""

import asyncio

import psycopg

from local.components.postgres import PostgresUrls
from shared.postgres.database import Database

CONNECTIONS = 4


async def test_the_first_call_finds_a_connection_though_all_were_closed(postgres_urls: PostgresUrls) -> None:
    database = Database(postgres_urls.login, pool_size=CONNECTIONS)
    await database.open()
    together = asyncio.Barrier(CONNECTIONS)

    async def connection_id() -> int:
        async with database.anonymous() as connection:
            await together.wait()
            return connection.info.backend_pid

    try:
        ids = await asyncio.gather(*(connection_id() for _ in range(CONNECTIONS)))
        assert len(set(ids)) == CONNECTIONS
        async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
            for number in ids:
                # Waits until it is gone.
                await owner.execute("SELECT pg_terminate_backend(%s, 10000)", (number,))
        async with database.anonymous() as connection:
            assert connection.info.backend_pid not in ids
    finally:
        await database.close()
