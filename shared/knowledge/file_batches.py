"""Files attached together, to be waited for as one. Every function runs in a transaction of the tenant."""

from collections.abc import Sequence
from datetime import datetime

from shared.errors import NotFoundError
from shared.files.ids import new_id
from shared.knowledge.store_models import FileBatch, StoreFile
from shared.knowledge.stores import counts_of
from shared.postgres.database import Connection


async def create_batch(connection: Connection, files: Sequence[StoreFile], now: datetime) -> FileBatch:
    """A batch of files that are attached to one store already; at least one."""
    batch_id = new_id("vsfb_", now)
    await connection.execute(
        """
        INSERT INTO vector_store_batch_files (tenant_id, vector_store_id, batch_id, file_id, created_at)
        SELECT tenant_id, vector_store_id, %s, file_id, %s
        FROM vector_store_files WHERE vector_store_id = %s AND file_id = ANY(%s)
        """,
        (batch_id, now, files[0].vector_store_id, [file.file_id for file in files]),
    )
    return await get_batch(connection, files[0].vector_store_id, batch_id)


async def get_batch(connection: Connection, vector_store_id: str, batch_id: str) -> FileBatch:
    """A batch with the state of those of its files that are still in the store.

    Raises:
        NotFoundError: The store has no such batch, or none of its files any more.
    """
    cursor = await connection.execute(
        """
        SELECT min(b.created_at) AS created_at,
               count(*) FILTER (WHERE f.status = 'in_progress') AS in_progress,
               count(*) FILTER (WHERE f.status = 'completed') AS completed,
               count(*) FILTER (WHERE f.status = 'failed') AS failed,
               count(*) FILTER (WHERE f.status = 'cancelled') AS cancelled
        FROM vector_store_batch_files b
        JOIN vector_store_files f USING (tenant_id, vector_store_id, file_id)
        WHERE b.vector_store_id = %s AND b.batch_id = %s
        """,
        (vector_store_id, batch_id),
    )
    row = await cursor.fetchone()
    if row is None or row["created_at"] is None:
        raise NotFoundError(f"No such file batch: {batch_id!r}.", param="batch_id")
    return FileBatch(
        batch_id=batch_id,
        vector_store_id=vector_store_id,
        file_counts=counts_of(row),
        created_at=row["created_at"],
    )


async def cancel_batch(connection: Connection, vector_store_id: str, batch_id: str) -> FileBatch:
    """Cancel the files of a batch that are not ingested yet; one that is being ingested may still complete.

    Raises:
        NotFoundError: The store has no such batch, or none of its files any more.
    """
    await connection.execute(
        """
        UPDATE vector_store_files f SET status = 'cancelled', updated_at = now()
        FROM vector_store_batch_files b
        WHERE b.vector_store_id = %s AND b.batch_id = %s AND f.status = 'in_progress'
          AND (f.tenant_id, f.vector_store_id, f.file_id) = (b.tenant_id, b.vector_store_id, b.file_id)
        """,
        (vector_store_id, batch_id),
    )
    return await get_batch(connection, vector_store_id, batch_id)
