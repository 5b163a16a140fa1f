"""Chunks of a batch: consecutive lines for which one message stands.

Every function runs in a transaction of the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from shared.postgres.database import Connection


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Bytes [start, end) of the input, of which the first is line `first_line`."""

    number: int
    first_line: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on a chunk until its lease ends."""

    batch_id: str
    chunk: Chunk
    lease_id: UUID


# Of a chunk that one holds: while the batch is `ending`, what is under way may land, and nothing is begun.
Standing = Literal["mine", "ending", "lost"]


@dataclass(frozen=True)
class Busy:
    """Another works on the chunk, for this long at least."""

    until: datetime


async def add_chunks(connection: Connection, tenant_id: str, batch_id: str, chunks: Sequence[Chunk]) -> None:
    """Add chunks that nobody works on yet; those that are there stay."""
    await connection.execute(
        """
        INSERT INTO batch_chunks (tenant_id, batch_id, chunk_number, first_line, byte_start, byte_end)
        SELECT %s, %s, * FROM unnest(%s::integer[], %s::integer[], %s::bigint[], %s::bigint[])
        ON CONFLICT DO NOTHING
        """,
        (
            tenant_id,
            batch_id,
            [chunk.number for chunk in chunks],
            [chunk.first_line for chunk in chunks],
            [chunk.start for chunk in chunks],
            [chunk.end for chunk in chunks],
        ),
    )


async def claim(
    connection: Connection, batch_id: str, number: int, now: datetime, lease: timedelta
) -> Claim | Busy | None:
    """Take a chunk until `now + lease`; `None`: it is done, or gone."""
    cursor = await connection.execute(
        "SELECT * FROM batch_chunks WHERE batch_id = %s AND chunk_number = %s FOR UPDATE", (batch_id, number)
    )
    row = await cursor.fetchone()
    if row is None or row["done"]:
        return None
    if row["lease_until"] is not None and row["lease_until"] > now:
        return Busy(row["lease_until"])
    lease_id = uuid4()
    await connection.execute(
        "UPDATE batch_chunks SET lease_id = %s, lease_until = %s WHERE batch_id = %s AND chunk_number = %s",
        (lease_id, now + lease, batch_id, number),
    )
    chunk = Chunk(number=number, first_line=row["first_line"], start=row["byte_start"], end=row["byte_end"])
    return Claim(batch_id=batch_id, chunk=chunk, lease_id=lease_id)


async def renew(connection: Connection, held: Claim, now: datetime, lease: timedelta) -> Standing:
    """Put off the end of the lease, and learn how things stand."""
    cursor = await connection.execute(
        """
        UPDATE batch_chunks c SET lease_until = %s FROM batches b
        WHERE c.batch_id = %s AND c.chunk_number = %s AND c.lease_id = %s
          AND b.tenant_id = c.tenant_id AND b.batch_id = c.batch_id AND NOT b.closed
        RETURNING b.status
        """,
        (now + lease, held.batch_id, held.chunk.number, held.lease_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return "lost"
    return "mine" if row["status"] == "in_progress" else "ending"


async def release(connection: Connection, held: Claim, *, done: bool, sent_at: datetime | None) -> None:
    """End the lease. `done`: no line waits any more. `sent_at`: when its message was sent again."""
    await connection.execute(
        """
        UPDATE batch_chunks SET lease_id = NULL, lease_until = NULL, done = done OR %s,
                                sent_at = coalesce(%s, sent_at)
        WHERE batch_id = %s AND chunk_number = %s AND lease_id = %s
        """,
        (done, sent_at, held.batch_id, held.chunk.number, held.lease_id),
    )


async def next_to_send(connection: Connection, batch_id: str, *, window: int, now: datetime) -> list[int]:
    """Numbers of the chunks to send now, so that `window` are under way; they count as sent.

    A few at a time leave room for other batches, and nothing to drain when the batch is cancelled.
    """
    # One caller at a time, or each would send a window of its own.
    await connection.execute("SELECT 1 FROM batches WHERE batch_id = %s FOR NO KEY UPDATE", (batch_id,))
    cursor = await connection.execute(
        """
        UPDATE batch_chunks SET sent_at = %(now)s
        WHERE batch_id = %(batch_id)s AND chunk_number IN (
            SELECT chunk_number FROM batch_chunks
            WHERE batch_id = %(batch_id)s AND NOT done AND sent_at IS NULL
            ORDER BY chunk_number
            LIMIT greatest(0, %(window)s - (
                SELECT count(*) FROM batch_chunks
                WHERE batch_id = %(batch_id)s AND NOT done AND sent_at IS NOT NULL)))
        RETURNING chunk_number
        """,
        {"batch_id": batch_id, "window": window, "now": now},
    )
    return sorted(row["chunk_number"] for row in await cursor.fetchall())


async def last_lease(connection: Connection, batch_id: str, now: datetime) -> datetime | None:
    """Until when somebody may still work on a chunk; `None` if nobody does."""
    cursor = await connection.execute(
        "SELECT max(lease_until) AS until FROM batch_chunks WHERE batch_id = %s AND lease_until > %s",
        (batch_id, now),
    )
    row = await cursor.fetchone()
    until: datetime | None = row["until"] if row else None
    return until
