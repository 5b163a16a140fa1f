"""Applies the SQL files of `migrations/` in order, once each. Forward only."""

from pathlib import Path

from psycopg import AsyncConnection

MIGRATIONS = Path(__file__).parent / "migrations"

# Any constant will do, as long as every migrator takes the same lock.
_LOCK = 7_391_846

# How long a migration waits for a table that is in use.
_PATIENCE = "10s"


async def migrate(owner_url: str) -> list[str]:
    """Bring the schema up to date and return the names of the files applied now.

    All in one transaction behind an advisory lock: two deploys at once apply each file once, and a file
    that fails leaves nothing behind.

    Args:
        owner_url: `postgresql://` URL of a role that may create tables, roles and extensions.
    """
    async with await AsyncConnection.connect(owner_url) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        # Whoever waits for a table makes all others wait behind: better to fail than to stop what serves.
        await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor = await connection.execute("SELECT name FROM schema_migrations")
        applied = {name for (name,) in await cursor.fetchall()}
        pending = [path for path in sorted(MIGRATIONS.glob("*.sql")) if path.stem not in applied]
        for path in pending:
            await connection.execute(path.read_bytes())
            await connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (path.stem,))
        return [path.stem for path in pending]
