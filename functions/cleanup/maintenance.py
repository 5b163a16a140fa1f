"""Vacuum of what search reads, where dead rows have gathered before autovacuum comes.

Dead vectors stay in the HNSW graph until then, and every search walks past them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from psycopg import sql

from shared.postgres.database import Connection, Database

# A table with fewer dead rows than this, or than a tenth of the live ones, is left to autovacuum.
_DEAD_AT_LEAST = 1_000

# Since PostgreSQL 17 a role may be allowed to maintain what it does not own; migrations do so.
_NEEDS = 170_000


@asynccontextmanager
async def maintaining(database: Database) -> AsyncIterator[Connection | None]:
    """A connection outside of transactions, where VACUUM and REINDEX run; `None` if these are not allowed."""
    async with database.anonymous() as connection:
        await connection.set_autocommit(True)
        try:
            yield connection if connection.info.server_version >= _NEEDS else None
        finally:
            await connection.set_autocommit(False)


async def vacuum(database: Database, has_time: Callable[[], bool], *, limit: int = 8) -> int:
    """Vacuum and analyse up to `limit` partitions of chunks and vectors, worst first; how many it were."""
    vacuumed = 0
    async with maintaining(database) as connection:
        if connection is None:
            return 0
        cursor = await connection.execute(_WORST, (_DEAD_AT_LEAST, limit))
        for row in await cursor.fetchall():
            if not has_time():
                break
            await connection.execute(
                sql.SQL("VACUUM (ANALYZE, SKIP_LOCKED) {}").format(sql.Identifier(row["relname"]))
            )
            vacuumed += 1
    return vacuumed


_WORST = """
    SELECT relname FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND relname ~ '^(chunks|chunk_embeddings_[0-9]+)_[0-9]+$'
      AND n_dead_tup >= greatest(%s, n_live_tup / 10) AND has_table_privilege(relid, 'MAINTAIN')
    ORDER BY n_dead_tup DESC LIMIT %s"""
