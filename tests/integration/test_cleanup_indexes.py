"""Indexes of vectors are built anew when most of their rows are gone; in a database of their own."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from cleanup.indexes import rebuild_indexes
from cleanup.maintenance import vacuum
from local.components.postgres import PostgresUrls
from shared.postgres.database import Database
from shared.postgres.migrate import migrate
from tests.integration.knowledge_world import World

ROWS, KEPT = 1_600, 500

_FILL = """
    INSERT INTO chunks (tenant_id, vector_store_id, file_id, ordinal, text, char_start, char_end, terms,
                        term_count)
    SELECT 't', %(store)s, %(file)s, n, 'x', 0, 1, 'x', 1 FROM generate_series(1, %(rows)s) n"""
_VECTORS = """
    INSERT INTO chunk_embeddings_256 (tenant_id, vector_store_id, file_id, ordinal, embedding)
    SELECT 't', %(store)s, %(file)s, n,
           (SELECT array_agg(sin(n * 7919 + i * i)) FROM generate_series(1, 256) i)::real[]::vector::halfvec
    FROM generate_series(1, %(rows)s) n"""


@dataclass(frozen=True)
class Index:
    """The HNSW index of the partition that has the vectors."""

    name: str
    file: int
    bytes: int


@dataclass(frozen=True)
class Partition:
    """A store's vectors, of which most were deleted."""

    database: Database
    owner_url: str
    store: str

    async def index(self) -> Index:
        async with self.database.anonymous() as connection:
            cursor = await connection.execute(
                "SELECT c.relname AS name, c.relfilenode AS file, pg_relation_size(c.oid) AS bytes"
                " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                " JOIN pg_am ON pg_am.oid = c.relam AND amname = 'hnsw'"
                " JOIN pg_class t ON t.oid = i.indrelid WHERE i.indisvalid AND c.relkind = 'i'"
                " AND t.relname LIKE 'chunk_embeddings_256_%' ORDER BY bytes DESC LIMIT 1"
            )
            row = await cursor.fetchone()
            assert row is not None
            return Index(**row)

    async def invalid(self) -> int:
        async with self.database.anonymous() as connection:
            cursor = await connection.execute(
                "SELECT count(*) AS n FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                " WHERE NOT i.indisvalid AND c.relkind = 'i'"
            )
            row = await cursor.fetchone()
            return int(row["n"]) if row else -1

    async def delete(self) -> None:
        async with self.database.tenant("t") as connection:
            await connection.execute("DELETE FROM chunk_embeddings_256 WHERE ordinal > %s", (KEPT,))
            await connection.execute("SELECT pg_stat_force_next_flush()")


@pytest.fixture(scope="module")
async def partition(postgres_urls: PostgresUrls) -> AsyncIterator[Partition]:
    name = f"weir_{uuid.uuid4().hex}"
    server, login = (url.rpartition("/")[0] for url in (postgres_urls.owner, postgres_urls.login))
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        await owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        await migrate(f"{server}/{name}")
        await _without_autovacuum(f"{server}/{name}")
        database = Database(f"{login}/{name}", pool_size=3)
        await database.open()
        yield Partition(database, f"{server}/{name}", await _filled(database))
        await database.close()
        await owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _without_autovacuum(owner_url: str) -> None:
    """So that it does not come first."""
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
        cursor = await owner.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^chunk_embeddings_256_[0-9]+$'"
        )
        for (leaf,) in await cursor.fetchall():
            command = sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = false)")
            await owner.execute(command.format(sql.Identifier(leaf)))


async def _filled(database: Database) -> str:
    world = World(database, "t")
    store, file = await world.new_store(dimensions=256), await world.new_file("a.txt")
    await world.attach(store, file)
    values = {"store": store, "file": file, "rows": ROWS}
    async with database.tenant("t") as connection:
        await connection.execute(_FILL, values)
        await connection.execute(_VECTORS, values)
        await connection.execute("SELECT pg_stat_force_next_flush()")
    return store


async def test_an_index_is_built_anew_when_most_of_its_rows_are_gone(partition: Partition) -> None:
    assert await rebuild_indexes(partition.database, most_rows=100_000) == 0
    before = await partition.index()
    await partition.delete()
    # Too large to be built here.
    assert await rebuild_indexes(partition.database, most_rows=KEPT - 1) == 0
    # Another builds one.
    async with partition.database.anonymous() as other:
        await other.execute("SELECT pg_advisory_lock(7391847)")
        assert await rebuild_indexes(partition.database, most_rows=100_000) == 0
        await other.execute("SELECT pg_advisory_unlock(7391847)")
    assert await partition.index() == before
    assert await rebuild_indexes(partition.database, most_rows=100_000) == 1
    after = await partition.index()
    assert (after.name, after.file != before.file) == (before.name, True)
    assert after.bytes < before.bytes / 2
    assert await partition.invalid() == 0
    await vacuum(partition.database, lambda: True)
    async with partition.database.anonymous() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    assert await rebuild_indexes(partition.database, most_rows=100_000) == 0


async def test_what_a_build_that_broke_off_left_is_dropped(partition: Partition) -> None:
    name = (await partition.index()).name
    async with (
        await psycopg.AsyncConnection.connect(partition.owner_url) as reading,
        await psycopg.AsyncConnection.connect(partition.owner_url, autocommit=True) as building,
    ):
        # A build waits for whoever may still see the table as it was.
        await reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reading.execute("SELECT count(*) FROM chunk_embeddings_256")
        await building.execute("SET lock_timeout = '300ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await building.execute(sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(sql.Identifier(name)))
        assert await partition.invalid() == 1
        # Who reads keeps it for a while; a build would wait for that too.
        await rebuild_indexes(partition.database, most_rows=0)
        assert await partition.invalid() == 1
    await rebuild_indexes(partition.database, most_rows=0)
    assert await partition.invalid() == 0
    assert (await partition.index()).name == name
