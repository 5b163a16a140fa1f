"""Builds an index of vectors anew when most of it is of rows that are gone, while searches go on.

An HNSW graph does not shrink. Vacuum has to repair it row by row, which takes longer than to build what is
left; and what vacuum has taken out stays as empty pages.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import sql
from psycopg.errors import DeadlockDetected, QueryCanceled

from cleanup.maintenance import maintaining
from shared.postgres.database import Connection, Database
from shared.telemetry import logger

_log = logger("cleanup")

# The lease of the one build at a time, for it takes a processor and memory. Being a lock of the session, it
# lasts exactly as long as PostgreSQL builds, whatever becomes of the function.
_LOCK = 7_391_847

# Less than what the handler keeps in reserve. 100,000 made-up vectors of 512 numbers took 24 s
# on two busy cores.
_BUILD = "50s"

# The graph of about 100,000 vectors is built in memory.
_MEMORY = "256MB"


async def rebuild_indexes(database: Database, *, most_rows: int) -> int:
    """Build the worst index anew, if it has at most `most_rows`, and nobody builds one; how many it were.

    What a build that broke off left behind is dropped first.
    """
    async with maintaining(database) as connection:
        if connection is None:
            return 0
        async with _alone(connection) as alone:
            if not alone:
                return 0
            await connection.execute("SELECT drop_unfinished_indexes()")
            cursor = await connection.execute(_WORST, (most_rows,))
            row = await cursor.fetchone()
            if row is None:
                return 0
            if row["rows"] > most_rows:
                extra = {"index": row["name"], "rows": row["rows"]}
                _log.warning("index is worth building anew, and too large for cleanup", extra=extra)
                return 0
            return await _rebuild(connection, row["name"])


async def _rebuild(connection: Connection, name: str) -> int:
    await connection.execute(f"SET statement_timeout = '{_BUILD}'")
    await connection.execute(f"SET maintenance_work_mem = '{_MEMORY}'")
    try:
        await connection.execute(sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(sql.Identifier(name)))
    except (QueryCanceled, DeadlockDetected):
        # The old index still serves; the next run drops what there is of the new one.
        _log.warning("index was not built", extra={"index": name}, exc_info=True)
        return 0
    finally:
        await connection.execute("RESET statement_timeout")
        await connection.execute("RESET maintenance_work_mem")
    return 1


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[bool]:
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", (_LOCK,))
    row = await cursor.fetchone()
    taken = row is not None and bool(row["taken"])
    try:
        yield taken
    finally:
        if taken:
            await connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


# Dead rows are at least half as many as live ones; or, as it is after autovacuum, the index has three times
# the bytes that its rows need: of each its numbers in two bytes, and some 400 for its place and neighbours.
_WORST = """
    SELECT c.relname AS name, found.rows
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am ON pg_am.oid = c.relam AND pg_am.amname = 'hnsw'
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_stat_user_tables s ON s.relid = t.oid
    CROSS JOIN LATERAL (
        SELECT greatest(s.n_live_tup, t.reltuples)::bigint AS rows,
               2 * substring(t.relname FROM '^chunk_embeddings_([0-9]+)_[0-9]+$')::integer + 400 AS row_bytes
    ) found
    WHERE i.indisvalid AND s.schemaname = current_schema() AND t.relname ~ '^chunk_embeddings_[0-9]+_[0-9]+$'
      AND has_table_privilege(t.oid, 'MAINTAIN')
      AND (s.n_dead_tup >= greatest(1000, s.n_live_tup / 2)
           OR (t.reltuples >= 0
               AND pg_relation_size(c.oid) >= greatest(64 * 1024 * 1024, 3 * found.rows * found.row_bytes)))
    ORDER BY found.rows > %s, pg_relation_size(c.oid) DESC LIMIT 1"""
