"""What has outlived its time: uploads that never came, expired files, expired vector stores.

Each thing goes in a transaction of its own and may be gone already, so that two runs at once, or a run that
is cut off, do no harm.
"""

from datetime import datetime

from shared.aws.objects import Objects
from shared.batch.stalled import delete_ended
from shared.errors import NotFoundError
from shared.knowledge.deletion import delete_file
from shared.knowledge.stores import delete_store
from shared.postgres.database import Database


async def delete_abandoned_uploads(
    database: Database, objects: Objects, tenant_id: str, *, before: datetime, limit: int
) -> int:
    """Delete files that were announced before `before` and never uploaded."""
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT file_id FROM files WHERE status = 'pending' AND created_at < %s"
            " ORDER BY created_at LIMIT %s",
            (before, limit),
        )
        file_ids = [row["file_id"] for row in await cursor.fetchall()]
    return await _delete_files(database, objects, tenant_id, file_ids)


async def delete_expired_files(
    database: Database, objects: Objects, tenant_id: str, *, now: datetime, limit: int
) -> int:
    """Delete files whose `expires_at` has passed, with every trace of them."""
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT file_id FROM files WHERE expires_at <= %s ORDER BY expires_at LIMIT %s", (now, limit)
        )
        file_ids = [row["file_id"] for row in await cursor.fetchall()]
    return await _delete_files(database, objects, tenant_id, file_ids)


async def delete_ended_batches(database: Database, tenant_id: str, *, before: datetime, limit: int) -> int:
    """Forget batches that ended before `before`; their files stay."""
    async with database.tenant(tenant_id) as connection:
        return await delete_ended(connection, before=before, limit=limit)


async def delete_expired_stores(database: Database, tenant_id: str, *, now: datetime, limit: int) -> int:
    """Delete vector stores that nobody has used for their `expires_after_days`; their files stay."""
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(f"{_EXPIRED_STORES} LIMIT %(limit)s", {"now": now, "limit": limit})
        store_ids = [row["vector_store_id"] for row in await cursor.fetchall()]
    return sum([await _delete_store(database, tenant_id, store_id, now) for store_id in store_ids])


_EXPIRED_STORES = """
    SELECT vector_store_id FROM vector_stores
    WHERE last_active_at <= %(now)s - make_interval(days => expires_after_days)
"""


async def _delete_store(database: Database, tenant_id: str, store_id: str, now: datetime) -> bool:
    async with database.tenant(tenant_id) as connection:
        # Asked again, with a lock: it may have been used since, or be in another run's hands.
        cursor = await connection.execute(
            f"{_EXPIRED_STORES} AND vector_store_id = %(store_id)s FOR UPDATE SKIP LOCKED",
            {"now": now, "store_id": store_id},
        )
        if await cursor.fetchone() is None:
            return False
        await delete_store(connection, store_id)
        return True


async def _delete_files(database: Database, objects: Objects, tenant_id: str, file_ids: list[str]) -> int:
    deleted = 0
    for file_id in file_ids:
        try:
            await delete_file(database, objects, tenant_id=tenant_id, file_id=file_id)
        except NotFoundError:
            continue
        deleted += 1
    return deleted
