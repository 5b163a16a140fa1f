"""A read replica that is behind, as PostgreSQL has them: a copy of the database, taken a while ago."""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from local.components.postgres import PostgresUrls
from shared.completion.admit import admit, allowed_route
from shared.completion.call import Call
from shared.completion.compose import compose
from shared.completion.request import ChatRequest
from shared.knowledge.replica import fresh
from shared.knowledge.scope import read_stores
from shared.knowledge.search import SearchQuery, search
from shared.postgres.database import Database
from shared.postgres.migrate import migrate
from tests.contract.bench import Bench
from tests.contract.upstream import Reply
from tests.integration.knowledge_world import LocalEmbedder, World


@pytest.fixture
async def names(postgres_urls: PostgresUrls) -> AsyncIterator[tuple[str, str]]:
    """A primary, and the name of a database that its copies may take."""
    made = (f"weir_{uuid.uuid4().hex}", f"weir_{uuid.uuid4().hex}")
    server, _, _ = postgres_urls.owner.rpartition("/")
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        await owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(made[0])))
        await migrate(f"{server}/{made[0]}")
        yield made
        for name in made:
            await owner.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


async def copy(postgres_urls: PostgresUrls, names: tuple[str, str]) -> None:
    """The second database becomes what the first is now."""
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        await owner.execute(command.format(sql.Identifier(names[1]), sql.Identifier(names[0])))


async def test_a_search_goes_to_the_replica_once_it_has_what_the_store_has(
    postgres_urls: PostgresUrls, names: tuple[str, str]
) -> None:
    login, _, _ = postgres_urls.login.rpartition("/")
    primary = Database(f"{login}/{names[0]}", pool_size=2)
    await primary.open()
    world = World(primary, "tenant")
    store = await world.new_store()
    file = await world.add(store, "a.md", "The kettle holds two litres.")
    # A copy cannot be made while anybody is connected.
    await primary.close()
    await copy(postgres_urls, names)
    primary = Database(f"{login}/{names[0]}", pool_size=2)
    replica = Database(f"{login}/{names[1]}", pool_size=2)
    gone = Database("postgresql://nobody@127.0.0.1:1/none", pool_size=1, connect_timeout=0.2)
    for database in (primary, replica, gone):
        await database.open()
    world = World(primary, "tenant")

    async def asked(reader: Database | None) -> str:
        async with primary.tenant("tenant") as connection:
            stores = await read_stores(connection, "tenant", [store])
        async with fresh(primary, reader, "tenant", stores) as connection:
            row = await (await connection.execute("SELECT current_database() AS name")).fetchone()
            return str(row and row["name"])

    try:
        assert [await asked(reader) for reader in (None, replica, gone)] == [names[0], names[1], names[0]]
        await world.index(store, file, "The kettle holds nine litres.")
        assert await asked(replica) == names[0]
        query = SearchQuery(vector_store_ids=(store,), text="kettle")
        (found,) = await search(primary, LocalEmbedder(), "tenant", query, replica=replica)
        assert "nine" in found.text
    finally:
        for database in (primary, replica, gone):
            await database.close()


async def test_a_chats_knowledge_comes_from_the_replica_once_it_has_what_the_store_has(
    postgres_urls: PostgresUrls,
    names: tuple[str, str],
    bench: Bench,
    call: Callable[..., Call[ChatRequest]],
) -> None:
    login, _, _ = postgres_urls.login.rpartition("/")
    primary = Database(f"{login}/{names[0]}", pool_size=2)
    await primary.open()
    world = World(primary, "tenant")
    store = await world.new_store(model="test-embedding")
    file = await world.add(store, "a.md", "The weir holds two litres.")
    await primary.close()
    await copy(postgres_urls, names)
    primary, replica = (Database(f"{login}/{name}", pool_size=2) for name in names)
    services = replace(bench.services, database=primary, replica=replica)
    # Words alone decide.
    bench.first.replies = [Reply({"error": {"message": "no"}}, 400)]

    async def sources() -> str:
        asked = call(weir={"knowledge": {"vector_store_ids": [store]}})
        admitted = await admit(services, asked, allowed_route(services, asked))
        return (await compose(services, admitted)).sources

    try:
        await primary.open()
        await replica.open()
        # By which it is seen where the search was.
        await World(replica, "tenant").rows("UPDATE chunks SET text = 'It holds three litres.' RETURNING 1")
        assert "three litres" in await sources()
        await World(primary, "tenant").index(store, file, "The weir holds nine litres.")
        assert "nine litres" in await sources()
    finally:
        for database in (primary, replica):
            await database.close()
