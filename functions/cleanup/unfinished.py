"""Ingestion that stopped half-way: parts and changes of model whose message was lost, versions nobody ends.

What is sent again is touched first, as in `cleanup.stuck`.
"""

from datetime import timedelta

from cleanup.stuck import resend
from shared.aws.queues import Queue
from shared.knowledge.index import remove_staged
from shared.knowledge.model_change import stalled_changes
from shared.knowledge.plans import abandoned_versions, stalled_parts
from shared.postgres.database import Database


async def resend_parts(
    database: Database, queue: Queue, tenant_id: str, *, idle: timedelta, limit: int
) -> int:
    """Send parts of files to ingestion again that wait with nobody at them."""
    return await resend(database, queue, tenant_id, lambda c: stalled_parts(c, idle, limit))


async def resend_changes(
    database: Database, queue: Queue, tenant_id: str, *, idle: timedelta, limit: int
) -> int:
    """Send stores that change their embedding model to ingestion again, if nobody is at them."""
    return await resend(database, queue, tenant_id, lambda c: stalled_changes(c, idle, limit))


async def remove_abandoned(database: Database, tenant_id: str, *, limit: int) -> int:
    """Remove what was staged of files whose job was cancelled."""
    async with database.tenant(tenant_id) as connection:
        jobs = await abandoned_versions(connection, limit)
    for job in jobs:
        async with database.tenant(tenant_id) as connection:
            await remove_staged(connection, **job.model_dump())
    return len(jobs)
