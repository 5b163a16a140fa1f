"""What PostgreSQL really does for a search among 100,000 chunks: by its own counters, not by a plan on paper.

They see into functions too, where EXPLAIN does not. Vectors are 20,000, from where on the index is asked: the
more there are, the more it pays.
"""

import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from local.components.postgres import PostgresUrls
from shared.knowledge import candidates
from shared.knowledge.candidates import find_dense
from shared.knowledge.filters import AttributeFilter, Comparison
from shared.knowledge.passage import Passage
from shared.knowledge.scope import Eligible, read_stores
from shared.knowledge.search import SearchQuery, search
from shared.postgres.database import Database
from shared.postgres.migrate import migrate

TENANT, STORE = "tenant", "vs_large"
CHUNKS, VECTORS, WORDS = 100_000, 20_000, 5_003
DIMENSIONS = 256

FILES = CHUNKS // 10

# Text of 12 words, ten chunks a file, twenty files of each decade.
_LOAD = f"""
    SET session_replication_role = replica;
    SET maintenance_work_mem = '512MB';
    DROP INDEX chunks_by_term, chunk_embeddings_{DIMENSIONS}_nearest;
    INSERT INTO vector_stores (tenant_id, vector_store_id, embedding_model, dimensions, chunk_count,
                               term_total)
    VALUES ('{TENANT}', '{STORE}', 'm', {DIMENSIONS}, {CHUNKS}, {CHUNKS * 12});
    INSERT INTO files (tenant_id, file_id, filename, purpose, object_key, status)
    SELECT '{TENANT}', 'file-' || n, 'f', 'assistants', 'k', 'uploaded'
    FROM generate_series(0, {FILES - 1}) n;
    INSERT INTO vector_store_files (tenant_id, vector_store_id, file_id, status, attributes, chunk_count,
                                    live_version)
    SELECT '{TENANT}', '{STORE}', 'file-' || n, 'completed', jsonb_build_object('decade', n / 20), 10, 1
    FROM generate_series(0, {FILES - 1}) n;
    INSERT INTO chunks (tenant_id, vector_store_id, file_id, version, ordinal, text, char_start, char_end,
                        terms, term_count)
    SELECT '{TENANT}', '{STORE}', 'file-' || n / 10, 1, n % 10, 'text', 0, 4, array_to_tsvector(
               array_agg(DISTINCT 'w' || (n * 31 + k * k * 97) % {WORDS}) || '{STORE}'::text), 12
    FROM generate_series(0, {CHUNKS - 1}) n, generate_series(1, 12) k GROUP BY n;
    INSERT INTO term_frequencies (tenant_id, vector_store_id, term, chunk_count)
    SELECT '{TENANT}', '{STORE}', t.lexeme, count(*) FROM chunks c, unnest(c.terms) t
    WHERE t.lexeme <> '{STORE}' GROUP BY t.lexeme;
    CREATE INDEX chunks_by_term ON chunks USING gin (terms) WITH (fastupdate = off);
"""


class Nearby:
    """Embeds every question as the same vector."""

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        return [vector(11)] * len(texts)


def vector(number: int) -> list[float]:
    pick = random.Random(number)
    return [pick.gauss(0, 1) for _ in range(DIMENSIONS)]


@dataclass(frozen=True)
class Large:
    """A database with one large store, and what is counted in it."""

    database: Database
    owner_url: str

    async def search(self, text: str, filters: AttributeFilter | None = None) -> list[Passage]:
        query = SearchQuery(vector_store_ids=(STORE,), text=text, filters=filters)
        return await search(self.database, Nearby(), TENANT, query)

    async def scans(self) -> tuple[Counter[str], Counter[str]]:
        """How often each table was read from end to end, and each index was asked."""
        async with self.database.anonymous() as connection:
            await connection.execute("SELECT pg_stat_force_next_flush()")
        async with self.database.anonymous() as connection:
            cursor = await connection.execute("SELECT relname, seq_scan FROM pg_stat_user_tables")
            tables = Counter({row["relname"]: row["seq_scan"] for row in await cursor.fetchall()})
            cursor = await connection.execute("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes")
            return tables, Counter({row["indexrelname"]: row["idx_scan"] for row in await cursor.fetchall()})


@pytest.fixture(scope="module")
async def large(postgres_urls: PostgresUrls) -> AsyncIterator[Large]:
    name = f"weir_{uuid.uuid4().hex}"
    server, _, _ = postgres_urls.owner.rpartition("/")
    login, _, _ = postgres_urls.login.rpartition("/")
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        await owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    await migrate(f"{server}/{name}")
    async with await psycopg.AsyncConnection.connect(f"{server}/{name}", autocommit=True) as owner:
        await owner.execute(_LOAD.encode())
        await load_vectors(owner)
        await owner.execute("VACUUM (ANALYZE)")
    database = Database(f"{login}/{name}", pool_size=1)
    await database.open()
    yield Large(database, f"{server}/{name}")
    await database.close()
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        await owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def load_vectors(owner: psycopg.AsyncConnection) -> None:
    """Ten chunks of each vector: the graph of so many is made in seconds."""
    await owner.execute(f"CREATE TEMPORARY TABLE centres (n integer, v halfvec({DIMENSIONS}))")
    async with owner.cursor().copy("COPY centres FROM STDIN") as copy:
        for number in range(VECTORS // 10):
            await copy.write_row((number, str(vector(number))))
    await owner.execute(
        f"""
        INSERT INTO chunk_embeddings_{DIMENSIONS} (tenant_id, vector_store_id, file_id, version, ordinal,
                                                   embedding)
        SELECT '{TENANT}', '{STORE}', 'file-' || i / 10, 1, i % 10, v
        FROM generate_series(0, {VECTORS - 1}) i JOIN centres ON n = i % {VECTORS // 10};
        CREATE INDEX chunk_embeddings_{DIMENSIONS}_nearest ON chunk_embeddings_{DIMENSIONS}
            USING hnsw (embedding halfvec_cosine_ops)""".encode()
    )


# What may be read from end to end, because it is empty or nearly so.
SMALL = {"vector_stores", "ingestion_parts"}


async def counted(
    large: Large, text: str, filters: AttributeFilter | None = None
) -> tuple[set[str], set[str]]:
    """The tables that a search reads from end to end, and the indexes that it asks."""
    tables, indexes = await large.scans()
    assert await large.search(text, filters)
    tables_after, indexes_after = await large.scans()
    return set(tables_after - tables) - SMALL, set(indexes_after - indexes)


def partitions(indexes: set[str], table: str) -> set[str]:
    """Those indexes that are of partitions of the table."""
    return {name for name in indexes if name.startswith(f"{table}_") and name[len(table) + 1].isdigit()}


async def test_a_search_asks_the_indexes_of_its_own_partition(large: Large) -> None:
    read, asked = await counted(large, "w31 w128 w419")
    assert read == set()
    text, vectors = partitions(asked, "chunks"), partitions(asked, f"chunk_embeddings_{DIMENSIONS}")
    assert {name.split("_")[2] for name in text} == {"terms", "pkey"}
    assert len({name.split("_")[1] for name in text}) == 1
    assert len({name.split("_")[3] for name in vectors}) == 1
    assert any("embedding_idx" in name for name in vectors)
    assert any(name.startswith("term_frequencies") for name in asked)


async def test_a_filter_is_looked_up_and_bounds_both_legs(large: Large) -> None:
    wanted = Comparison(type="eq", key="decade", value=4)
    read, asked = await counted(large, "w31 w128 w419", wanted)
    assert read == set()
    assert "vector_store_files_attributes" in asked
    # Few enough to compare them all, by the key of their files.
    vectors = partitions(asked, f"chunk_embeddings_{DIMENSIONS}")
    assert vectors
    assert not any("embedding_idx" in name for name in vectors)
    found = await large.search("w31 w128 w419", wanted)
    assert {p.attributes["decade"] for p in found} == {4}


async def test_the_counters_would_tell(large: Large) -> None:
    tables, _ = await large.scans()
    async with large.database.tenant(TENANT) as connection:
        for way in ("enable_indexscan", "enable_bitmapscan", "enable_indexonlyscan"):
            await connection.execute(f"SET LOCAL {way} = off")
        await connection.execute("SELECT count(*) FROM chunks WHERE vector_store_id = %s", (STORE,))
    after, _ = await large.scans()
    assert any(name.startswith("chunks_") for name in after - tables)


async def test_an_index_that_gives_too_few_does_not_starve_a_search(
    large: Large, monkeypatch: pytest.MonkeyPatch
) -> None:
    eligible = Eligible([f"file-{number}" for number in (3, 777, 1444)], 30)
    async with large.database.tenant(TENANT) as connection:
        (store,) = await read_stores(connection, TENANT, [STORE])
        monkeypatch.setattr(candidates, "_EXACT_BELOW", 0)
        # So the scan ends early, as it does in a large graph of which few rows pass.
        await connection.execute("SET LOCAL hnsw.max_scan_tuples = 1")
        assert len(await find_dense(connection, TENANT, store, vector(5), eligible)) == 30
        monkeypatch.setattr(candidates, "_EXACT_AT_MOST", 0)
        assert len(await find_dense(connection, TENANT, store, vector(5), eligible)) < 30
