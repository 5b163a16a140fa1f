"""Jobs that nobody works on any more because their message was lost: it is sent again.

Whatever is found is touched first and sent after the commit, so that a second run does not send it too, and a
crash in between costs one more `idle`. A message too many is harmless: workers claim their job.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from shared.aws.objects import Objects
from shared.aws.queues import Queue
from shared.batch.stalled import stalled_messages
from shared.errors import NotFoundError
from shared.files.records import mark_uploaded
from shared.knowledge.messages import IngestFile
from shared.knowledge.uploads import waiting_jobs
from shared.postgres.database import Connection, Database
from shared.web.stalled import stalled_work


async def resend(
    database: Database,
    queue: Queue,
    tenant_id: str,
    find: Callable[[Connection], Awaitable[Sequence[BaseModel]]],
) -> int:
    """Send what a search finds and touches; how many messages."""
    async with database.tenant(tenant_id) as connection:
        messages = await find(connection)
    await queue.send(messages)
    return len(messages)


async def resend_files(
    database: Database, queue: Queue, tenant_id: str, *, idle: timedelta, limit: int
) -> int:
    """Send files to ingestion again that are in progress with nobody at them."""
    return await resend(database, queue, tenant_id, lambda c: _stalled_files(c, idle, limit))


async def resend_pages(
    database: Database, queue: Queue, tenant_id: str, *, idle: timedelta, limit: int
) -> int:
    """Send to scraping again pages and webhooks that wait with nobody at them."""
    return await resend(database, queue, tenant_id, lambda c: stalled_work(c, idle=idle, limit=limit))


async def resend_batches(
    database: Database, queue: Queue, tenant_id: str, *, now: datetime, idle: timedelta, limit: int
) -> int:
    """Send again what batches that have not ended may wait for."""
    return await resend(
        database,
        queue,
        tenant_id,
        lambda c: stalled_messages(c, tenant_id, before=now - idle, now=now, limit=limit),
    )


async def notice_uploads(
    database: Database, objects: Objects, queue: Queue, tenant_id: str, *, before: datetime, limit: int
) -> int:
    """Take up files that are in the bucket while their record, older than `before`, still waits for them."""
    async with database.tenant(tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT file_id, object_key FROM files WHERE status = 'pending' AND created_at < %s"
            " ORDER BY file_id LIMIT %s",
            (before, limit),
        )
        waiting = await cursor.fetchall()
    noticed = 0
    for row in waiting:
        try:
            stored = await objects.info(row["object_key"])
        except NotFoundError:
            continue
        async with database.tenant(tenant_id) as connection:
            await mark_uploaded(connection, row["file_id"], stored.size)
            messages = await waiting_jobs(connection, tenant_id, row["file_id"])
        await queue.send(messages)
        noticed += 1
    return noticed


async def _stalled_files(connection: Connection, idle: timedelta, limit: int) -> list[IngestFile]:
    cursor = await connection.execute(
        """
        WITH stalled AS MATERIALIZED (
            SELECT f.tenant_id, f.vector_store_id, f.file_id
            FROM vector_store_files f
            JOIN files ON files.tenant_id = f.tenant_id AND files.file_id = f.file_id
            WHERE f.status = 'in_progress' AND files.status = 'uploaded'
              AND f.updated_at < now() - %s::interval AND (f.lease_until IS NULL OR f.lease_until < now())
            ORDER BY f.updated_at
            LIMIT %s
            FOR UPDATE OF f SKIP LOCKED
        )
        UPDATE vector_store_files f SET updated_at = now()
        FROM stalled
        WHERE (f.tenant_id, f.vector_store_id, f.file_id)
            = (stalled.tenant_id, stalled.vector_store_id, stalled.file_id)
        RETURNING f.tenant_id, f.vector_store_id, f.file_id
        """,
        (idle, limit),
    )
    return [IngestFile.model_validate(row) for row in await cursor.fetchall()]
