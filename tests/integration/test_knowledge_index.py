"""Chunks, vectors and statistics in real PostgreSQL."""

import asyncio

import pytest
from psycopg import errors

from shared.errors import NotFoundError
from shared.knowledge.index import remove_file, replace_chunks
from shared.knowledge.vectors import EmbeddingMismatchError
from shared.postgres.database import Database
from tests.integration.knowledge_world import MODEL, World, chunks_of

ENGLISH = "# Kettle\n\nThe kettle holds two litres. It is made of steel.\n\n" + "Never fill it too far. " * 30
CHINESE = "# 退款\n\n退款在七个工作日内到账。请保留订单号。\n"
LEXEMES = """
    SELECT t.lexeme AS term, count(*) AS chunk_count FROM chunks c, unnest(c.terms) t
    WHERE c.vector_store_id = %s AND t.lexeme <> c.vector_store_id GROUP BY t.lexeme"""


@pytest.fixture
def world(database: Database, tenant_id: str) -> World:
    return World(database, tenant_id)


async def counted(world: World, store: str) -> tuple[int, int, dict[str, int]]:
    """The statistics as they should be noted."""
    (row,) = await world.rows(
        "SELECT count(*) AS n, coalesce(sum(term_count), 0)::bigint AS terms FROM chunks"
        " WHERE vector_store_id = %s",
        store,
    )
    terms = await world.rows(LEXEMES, store)
    return row["n"], row["terms"], {r["term"]: r["chunk_count"] for r in terms}


async def test_statistics_are_those_of_the_chunks(world: World) -> None:
    store = await world.new_store()
    await world.add(store, "a.md", ENGLISH)
    await world.add(store, "b.md", CHINESE)
    chunk_count, term_total, frequencies = await world.statistics(store)
    assert (chunk_count, term_total, frequencies) == await counted(world, store)
    assert frequencies["kettl"] >= 2
    assert frequencies["退款"] == 1
    assert chunk_count > 2


async def test_the_same_again_doubles_nothing_and_new_content_replaces(world: World) -> None:
    store = await world.new_store()
    file = await world.add(store, "a.md", ENGLISH)
    before = await world.rows("SELECT ordinal, text, terms FROM chunks ORDER BY ordinal")
    noted = await world.statistics(store)
    await world.index(store, file, ENGLISH)
    assert await world.rows("SELECT ordinal, text, terms FROM chunks ORDER BY ordinal") == before
    assert await world.statistics(store) == noted
    await world.index(store, file, CHINESE)
    assert [row["headings"] for row in await world.rows("SELECT headings FROM chunks")] == [["退款"]]
    assert await world.statistics(store) == await counted(world, store)
    (row,) = await world.rows("SELECT count(*) AS n FROM chunk_embeddings_512")
    assert row["n"] == 1


async def test_a_chunk_keeps_its_place(world: World) -> None:
    store = await world.new_store()
    await world.add(store, "a.md", ENGLISH)
    for stored, made in zip(
        await world.rows("SELECT * FROM chunks ORDER BY ordinal"), chunks_of(ENGLISH), strict=True
    ):
        assert (stored["text"], tuple(stored["headings"])) == (made.text, made.headings)
        assert (stored["char_start"], stored["char_end"]) == (made.start, made.end)


async def test_removing_leaves_no_trace_but_what_others_have(world: World) -> None:
    store = await world.new_store()
    kept = await world.add(store, "a.md", CHINESE)
    alone = await world.statistics(store)
    file = await world.add(store, "b.md", ENGLISH)
    for _ in range(2):
        async with world.database.tenant(world.tenant_id) as connection:
            await remove_file(connection, tenant_id=world.tenant_id, vector_store_id=store, file_id=file)
        assert await world.statistics(store) == alone
    for table in ("chunks", "chunk_embeddings_512"):
        assert {row["file_id"] for row in await world.rows(f"SELECT file_id FROM {table}")} == {kept}


async def test_writers_of_one_store_do_not_disturb_each_other(world: World) -> None:
    store = await world.new_store()
    files = [await world.new_file(f"{n}.md") for n in range(6)]
    for file in files:
        await world.attach(store, file)
    # Every file twice at once, with texts that share most terms.
    await asyncio.gather(*(world.index(store, file, ENGLISH) for file in files for _ in range(2)))
    assert await world.statistics(store) == await counted(world, store)
    assert (await world.statistics(store))[2]["kettl"] >= len(files)

    async def remove(file: str) -> None:
        async with world.database.tenant(world.tenant_id) as connection:
            await remove_file(connection, tenant_id=world.tenant_id, vector_store_id=store, file_id=file)

    await asyncio.gather(*(remove(file) for file in files), world.index(store, files[0], CHINESE))
    assert await world.statistics(store) == await counted(world, store)


async def test_vectors_that_do_not_fit_are_refused(world: World) -> None:
    store = await world.new_store()
    file = await world.new_file("a.md")
    await world.attach(store, file)
    with pytest.raises(EmbeddingMismatchError):
        await world.index(store, file, CHINESE, dimensions=384)
    async with world.database.tenant(world.tenant_id) as connection:
        with pytest.raises(EmbeddingMismatchError):
            await replace_chunks(
                connection,
                tenant_id=world.tenant_id,
                vector_store_id=store,
                file_id=file,
                chunks=chunks_of(CHINESE),
                embeddings=[],
                embedding_model=MODEL,
            )


async def test_nothing_is_written_into_the_store_of_another_tenant(world: World) -> None:
    store = await world.new_store()
    file = await world.new_file("a.md")
    await world.attach(store, file)
    stranger = World(world.database, "stranger")
    with pytest.raises(NotFoundError):
        await stranger.index(store, file, CHINESE)
    # Under its own name the row-level security refuses it, whatever the statement says.
    with pytest.raises(errors.InsufficientPrivilege):
        await stranger.rows(
            "INSERT INTO term_frequencies VALUES (%s, %s, 'x', 1) RETURNING term", world.tenant_id, store
        )
