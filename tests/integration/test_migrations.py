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
