"""Batches that wait for a message which was lost, and batches that nobody needs any more."""

from datetime import datetime

from shared.batch.messages import AdvanceBatch, Message, WorkChunk
from shared.postgres.database import Connection


async def stalled_messages(
    connection: Connection, tenant_id: str, *, before: datetime, now: datetime, limit: int
) -> list[Message]:
    """The messages to send again: for each batch that has not ended, and for chunks due before `before`.

    A message too many is harmless. Chunks count as sent now.
    """
    cursor = await connection.execute(
        """
        SELECT batch_id FROM batches
        WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling') AND created_at < %s
          AND (lease_until IS NULL OR lease_until < %s)
        ORDER BY batch_id LIMIT %s
        """,
        (before, now, limit),
    )
    batch_ids = [row["batch_id"] for row in await cursor.fetchall()]
    messages: list[Message] = [AdvanceBatch(tenant_id=tenant_id, batch_id=batch_id) for batch_id in batch_ids]
    cursor = await connection.execute(
        """
        UPDATE batch_chunks SET sent_at = %(now)s
        WHERE batch_id = ANY(%(batch_ids)s) AND NOT done AND sent_at < %(before)s
          AND (lease_until IS NULL OR lease_until < %(now)s)
        RETURNING batch_id, chunk_number
        """,
        {"batch_ids": batch_ids, "before": before, "now": now},
    )
    return messages + [WorkChunk(tenant_id=tenant_id, **row) for row in await cursor.fetchall()]


async def delete_ended(connection: Connection, *, before: datetime, limit: int) -> int:
    """Forget batches that ended before `before`; their files stay. How many those were."""
    cursor = await connection.execute(
        """
        DELETE FROM batches WHERE batch_id IN (
            SELECT batch_id FROM batches
            WHERE greatest(completed_at, failed_at, expired_at, cancelled_at) < %s
              AND status IN ('completed', 'failed', 'expired', 'cancelled')
            ORDER BY batch_id LIMIT %s)
        """,
        (before, limit),
    )
    return cursor.rowcount
