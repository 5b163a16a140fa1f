"""Batches as rows. Every function runs in a transaction of the tenant."""

from datetime import datetime
from typing import LiteralString

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from shared.batch.models import WINDOW, Batch, Counts, Moments, NewBatch, Problem
from shared.errors import ConflictError, NotFoundError
from shared.files.ids import new_id
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page
from shared.providers.tokens import TokenUsage

_SELECT: LiteralString = """
    SELECT b.*, c.completed, c.failed
    FROM batches b
    LEFT JOIN LATERAL (
        SELECT sum(completed)::integer AS completed, sum(failed)::integer AS failed FROM batch_chunks
        WHERE tenant_id = b.tenant_id AND batch_id = b.batch_id
    ) c ON true
    WHERE true"""


async def create_batch(connection: Connection, new: NewBatch, now: datetime) -> Batch:
    """A batch whose file is yet to be read; send `AdvanceBatch` after the commit."""
    batch_id = new_id("batch_", now)
    await connection.execute(
        """
        INSERT INTO batches (tenant_id, batch_id, key_id, endpoint, input_file_id, metadata,
                             output_expires_after, created_at, expires_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            new.tenant_id,
            batch_id,
            new.key_id,
            new.endpoint,
            new.input_file_id,
            None if new.metadata is None else Jsonb(dict(new.metadata)),
            new.output_expires_after,
            now,
            now + WINDOW,
        ),
    )
    return await get_batch(connection, batch_id)


async def get_batch(connection: Connection, batch_id: str) -> Batch:
    """One batch, with its counts of this moment.

    Raises:
        NotFoundError: The tenant has no such batch.
    """
    batch = await find_batch(connection, batch_id)
    if batch is None:
        raise NotFoundError(f"No such batch: {batch_id!r}.", param="batch_id")
    return batch


async def find_batch(connection: Connection, batch_id: str) -> Batch | None:
    """The same, or `None`."""
    cursor = await connection.execute(_SELECT + " AND batch_id = %s", (batch_id,))
    row = await cursor.fetchone()
    return None if row is None else _batch(row)


async def list_batches(connection: Connection, request: PageRequest) -> Page[Batch]:
    """One page of the tenant's batches, by age."""
    return await fetch_page(
        connection, _SELECT, id_column="b.batch_id", request=request, parameters={}, make=_batch
    )


async def cancel_batch(connection: Connection, batch_id: str, now: datetime) -> Batch:
    """Ask no further line; what is done is kept. Send `AdvanceBatch` after the commit.

    Raises:
        NotFoundError: The tenant has no such batch.
        ConflictError: It has ended, or is about to.
    """
    cursor = await connection.execute(
        "UPDATE batches SET status = 'cancelling', cancelling_at = %s"
        " WHERE batch_id = %s AND status IN ('validating', 'in_progress')",
        (now, batch_id),
    )
    batch = await get_batch(connection, batch_id)
    if not cursor.rowcount and batch.status != "cancelling":
        raise ConflictError(f"The batch {batch_id!r} is {batch.status}; it cannot be cancelled any more.")
    return batch


async def delete_batch(connection: Connection, batch_id: str) -> None:
    """Forget a batch; its files stay."""
    await connection.execute("DELETE FROM batches WHERE batch_id = %s", (batch_id,))


def _batch(row: DictRow) -> Batch:
    # Chunks go when the batch has ended; what they counted is kept in the row.
    live = row["completed"] is not None
    return Batch(
        **{name: row[name] for name in _SAME},
        errors=tuple(Problem.model_validate(problem) for problem in row["errors"]),
        counts=Counts(
            total=row["line_count"],
            completed=row["completed"] if live else row["completed_count"],
            failed=row["failed"] + row["invalid_count"] if live else row["failed_count"],
        ),
        usage=None if row["token_usage"] is None else TokenUsage(**row["token_usage"]),
        moments=Moments(**{name: row[name] for name in Moments.__dataclass_fields__}),
    )


# The rest are columns of the same name.
_MADE = ("errors", "counts", "usage", "moments")
_SAME = tuple(name for name in Batch.__dataclass_fields__ if name not in _MADE)
