"""How a batch goes from one state to the next. Every function runs in a transaction of the tenant.

validating -> in_progress -> finalizing -> completed | expired; validating -> failed; and from the first two
-> cancelling -> cancelled. Whoever splits or finishes a batch holds its lease.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Literal, LiteralString
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from shared.batch.models import Counts, Input, Problem
from shared.batch.pace import pause_from
from shared.postgres.database import Connection
from shared.providers.tokens import TokenUsage


async def claim(connection: Connection, batch_id: str, now: datetime, lease: timedelta) -> UUID | None:
    """Take the batch until `now + lease`, to split or to finish it; `None`: another has it, or it has ended.

    One that is to be finished takes no more results from then on.
    """
    lease_id = uuid4()
    cursor = await connection.execute(
        """
        UPDATE batches SET lease_id = %s, lease_until = %s, closed = status <> 'validating'
        WHERE batch_id = %s AND status IN ('validating', 'finalizing', 'cancelling')
          AND (lease_until IS NULL OR lease_until <= %s)
        """,
        (lease_id, now + lease, batch_id, now),
    )
    return lease_id if cursor.rowcount else None


async def renew(
    connection: Connection, batch_id: str, lease_id: UUID, now: datetime, lease: timedelta
) -> bool:
    """Put off the end of the lease; false if it is another's now."""
    cursor = await connection.execute(
        "UPDATE batches SET lease_until = %s WHERE batch_id = %s AND lease_id = %s",
        (now + lease, batch_id, lease_id),
    )
    return cursor.rowcount == 1


async def release(connection: Connection, batch_id: str, lease_id: UUID) -> None:
    """End the lease, if it is still this one."""
    await connection.execute(
        "UPDATE batches SET lease_id = NULL, lease_until = NULL WHERE batch_id = %s AND lease_id = %s",
        (batch_id, lease_id),
    )


async def pause(
    connection: Connection, batch_id: str, asked_seconds: float, shortest: float, now: datetime
) -> datetime:
    """Ask no line for a while, longer each time in a row; until when. One that lasts is not made longer."""
    cursor = await connection.execute(
        "SELECT paused_until, pauses FROM batches WHERE batch_id = %s FOR NO KEY UPDATE", (batch_id,)
    )
    row = await cursor.fetchone()
    if row is not None and row["paused_until"] is not None and row["paused_until"] > now:
        lasting: datetime = row["paused_until"]
        return lasting
    pause = pause_from(now, asked_seconds, shortest, row["pauses"] if row else 0)
    await connection.execute(
        "UPDATE batches SET paused_until = %s, pauses = %s WHERE batch_id = %s",
        (pause.until, pause.count, batch_id),
    )
    return pause.until


async def resume(connection: Connection, batch_id: str) -> None:
    """Lines are answered again: the next pause is a short one."""
    await connection.execute("UPDATE batches SET pauses = 0 WHERE batch_id = %s AND pauses > 0", (batch_id,))


async def begin(connection: Connection, batch_id: str, lease_id: UUID, found: Input, now: datetime) -> bool:
    """The file is read: lines may be asked. False if the batch was cancelled or given to another."""
    cursor = await connection.execute(
        """
        UPDATE batches b SET
            status = 'in_progress', in_progress_at = %(now)s, input_etag = %(etag)s, model = %(model)s,
            errors = %(errors)s, line_count = lines.total, invalid_count = lines.invalid,
            lease_id = NULL, lease_until = NULL
        FROM (SELECT count(*) AS total, count(*) FILTER (WHERE status = 'failed') AS invalid
              FROM batch_lines WHERE batch_id = %(batch_id)s) lines
        WHERE b.batch_id = %(batch_id)s AND b.status = 'validating' AND b.lease_id = %(lease_id)s
        """,
        {
            "batch_id": batch_id,
            "lease_id": lease_id,
            "etag": found.etag,
            "model": found.model,
            "errors": _json(found.problems),
            "now": now,
        },
    )
    return cursor.rowcount == 1


async def fail(
    connection: Connection, batch_id: str, lease_id: UUID, problem: Problem, now: datetime
) -> None:
    """End a batch whose file cannot be used, and forget what was read of it."""
    cursor = await connection.execute(
        """
        UPDATE batches SET status = 'failed', failed_at = %s, errors = %s, lease_id = NULL, lease_until = NULL
        WHERE batch_id = %s AND status = 'validating' AND lease_id = %s
        """,
        (now, _json([problem]), batch_id, lease_id),
    )
    if cursor.rowcount:
        await forget_lines(connection, batch_id)


async def stop(connection: Connection, batch_id: str, problem: Problem, now: datetime) -> None:
    """Cancel a batch that cannot go on, and say why."""
    await connection.execute(
        """
        UPDATE batches SET status = 'cancelling', cancelling_at = %s, errors = %s || errors
        WHERE batch_id = %s AND status = 'in_progress'
        """,
        (now, _json([problem]), batch_id),
    )


async def finalize(connection: Connection, batch_id: str, now: datetime) -> bool:
    """Begin to end a batch whose lines are all done, or whose time is over; whether that is so."""
    cursor = await connection.execute(
        """
        UPDATE batches b SET status = 'finalizing', finalizing_at = %(now)s
        WHERE batch_id = %(batch_id)s AND status = 'in_progress'
          AND (expires_at <= %(now)s OR NOT EXISTS (
              SELECT 1 FROM batch_chunks c
              WHERE c.tenant_id = b.tenant_id AND c.batch_id = b.batch_id AND NOT c.done))
        """,
        {"batch_id": batch_id, "now": now},
    )
    return cursor.rowcount == 1


async def name_files(
    connection: Connection, batch_id: str, output_file_id: str | None, error_file_id: str | None
) -> None:
    """Remember which files the results go to, so that whoever writes them again writes the same."""
    await connection.execute(
        "UPDATE batches SET output_file_id = %s, error_file_id = %s WHERE batch_id = %s",
        (output_file_id, error_file_id, batch_id),
    )


End = Literal["completed", "expired", "cancelled"]

_END: dict[End, LiteralString] = {
    "completed": "UPDATE batches SET status = 'completed', completed_at = %(now)s",
    "expired": "UPDATE batches SET status = 'expired', expired_at = %(now)s",
    "cancelled": "UPDATE batches SET status = 'cancelled', cancelled_at = %(now)s",
}


async def end(
    connection: Connection,
    batch_id: str,
    lease_id: UUID,
    how: End,
    counts: Counts,
    usage: TokenUsage,
    now: datetime,
) -> bool:
    """The files are written: the batch has ended. False if it was given to another meanwhile; roll back."""
    cursor = await connection.execute(
        _END[how]
        + """, line_count = %(total)s, completed_count = %(completed)s, failed_count = %(failed)s,
            token_usage = %(usage)s, lease_id = NULL, lease_until = NULL
        WHERE batch_id = %(batch_id)s AND lease_id = %(lease_id)s""",
        {
            "batch_id": batch_id,
            "lease_id": lease_id,
            "total": counts.total,
            "completed": counts.completed,
            "failed": counts.failed,
            "usage": Jsonb(asdict(usage)),
            "now": now,
        },
    )
    return cursor.rowcount == 1


async def forget_lines(connection: Connection, batch_id: str) -> None:
    """Drop the chunks and lines of a batch that has ended."""
    await connection.execute("DELETE FROM batch_chunks WHERE batch_id = %s", (batch_id,))
    await connection.execute("DELETE FROM batch_lines WHERE batch_id = %s", (batch_id,))


def _json(problems: Sequence[Problem]) -> Jsonb:
    return Jsonb([problem.model_dump() for problem in problems])
