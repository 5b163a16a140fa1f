"""The schema changes while the release before still serves."""

import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql

from local.components.postgres import PostgresUrls
from shared.postgres.migrate import MIGRATIONS, migrate


@pytest.fixture
async def empty_database_url(postgres_urls: PostgresUrls) -> AsyncIterator[str]:
    """The owner's URL of a database without a schema."""
    name = f"weir_{uuid.uuid4().hex}"
    server, _, _ = postgres_urls.owner.rpartition("/")
    async with await psycopg.AsyncConnection.connect(postgres_urls.owner, autocommit=True) as owner:
        await owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{server}/{name}"
        await owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def test_the_release_before_goes_on_finding_keys(empty_database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as old:
        for path in sorted(MIGRATIONS.glob("000[12]_*.sql")):
            await old.execute(path.read_bytes())
        await old.execute("INSERT INTO tenants VALUES ('t', 'T')")
        await old.execute(
            "INSERT INTO api_keys (tenant_id, key_id, key_hash, hint, name, role)"
            " VALUES ('t', 'k', 'hash', 'h', 'n', 'admin')"
        )
        old.prepare_threshold = 0
        ask = "SELECT * FROM find_api_key(%s)"
        before = await (await old.execute(ask, (b"hash",))).fetchall()
        await old.execute(
            "CREATE TABLE schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await old.execute("INSERT INTO schema_migrations VALUES ('0001_initial'), ('0002_orphan_scan')")

        assert "0003_limits" in await migrate(empty_database_url)

        assert await (await old.execute(ask, (b"hash",))).fetchall() == before
        assert len(before) == 1


async def test_what_was_indexed_before_partitions_is_found_after(empty_database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as old:
        await old.execute(
            "CREATE TABLE schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for path in sorted(MIGRATIONS.glob("000[1-5]_*.sql")):
            await old.execute(path.read_bytes())
            await old.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (path.stem,))
        await old.execute(_INDEXED_BEFORE)
        await migrate(empty_database_url)
        cursor = await old.execute("SELECT version, lead, text FROM chunks")
        assert await cursor.fetchall() == [(0, "Manual > Safety", "A kettle.")]
        cursor = await old.execute("SELECT version, space, content_hash FROM chunk_embeddings_256")
        assert await cursor.fetchall() == [(0, 0, None)]
        await old.execute("SET weir.tenant_id = 't'")
        for ask in (
            "SELECT ordinal FROM match_terms('vs', 'kettl', 'vs', NULL, 9)",
            # As the release before asks.
            "SELECT ordinal FROM match_chunks(ARRAY['vs'], 'kettl', 'vs', NULL, NULL, 9)",
        ):
            assert await (await old.execute(ask)).fetchall() == [(0,)]
        await old.execute("DELETE FROM files")
        assert await (await old.execute("SELECT * FROM chunk_embeddings_256")).fetchall() == []


_INDEXED_BEFORE = b"""
    INSERT INTO files (tenant_id, file_id, filename, purpose, object_key, status)
    VALUES ('t', 'f', 'f', 'assistants', 'k', 'uploaded');
    INSERT INTO vector_stores (tenant_id, vector_store_id, embedding_model, dimensions)
    VALUES ('t', 'vs', 'm', 256);
    INSERT INTO vector_store_files (tenant_id, vector_store_id, file_id, status)
    VALUES ('t', 'vs', 'f', 'completed');
    INSERT INTO chunks (tenant_id, vector_store_id, file_id, ordinal, text, headings, char_start, char_end,
                        terms, term_count)
    VALUES ('t', 'vs', 'f', 0, 'A kettle.', '{Manual,Safety}', 0, 9, 'kettl vs', 2);
    INSERT INTO chunk_embeddings_256 (tenant_id, vector_store_id, file_id, ordinal, embedding)
    SELECT 't', 'vs', 'f', 0, array_agg(n)::real[]::halfvec FROM generate_series(1, 256) n;
"""
