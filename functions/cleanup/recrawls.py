"""Scrapes whose time has come again."""

from datetime import datetime

from shared.aws.queues import Queue
from shared.postgres.database import Database
from shared.web.schedules import start_due


async def start_scheduled(
    database: Database, queue: Queue, tenant_id: str, *, now: datetime, limit: int
) -> int:
    """Start every scrape of a tenant that is due; the pages it begins with."""
    async with database.tenant(tenant_id) as connection:
        messages = await start_due(connection, now, limit=limit)
    await queue.send(messages)
    return len(messages)
