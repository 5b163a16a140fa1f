"""The change of a store to another embedding model.

The store's chunks are embedded in the next space (`next_space`) while search uses the present one; when none
is missing, one transaction switches. Every function runs in a transaction of the tenant.
"""

from datetime import timedelta

from shared.knowledge.index import lock_store
from shared.knowledge.messages import ReembedStore
from shared.knowledge.next_space import CHANGING, NextSpace, drop, drop_next, unembedded
from shared.knowledge.stores import no_such_store
from shared.knowledge.vectors import BYTES_PER_NUMBER
from shared.postgres.database import Connection


async def begin_change(
    connection: Connection, tenant_id: str, vector_store_id: str, model: str, dimensions: int
) -> ReembedStore | None:
    """Let a store change to a model, instead of to any that it was changing to; the message to send.

    `None` if it has that model.

    Raises:
        NotFoundError: The tenant has no such store.
    """
    store = await lock_store(connection, tenant_id, vector_store_id)
    if store is None:
        raise no_such_store(vector_store_id)
    await drop_next(connection, tenant_id, vector_store_id)
    if store.embedding_model == model:
        await end_change(connection, tenant_id, vector_store_id, error=None)
        return None
    cursor = await connection.execute(
        """
        UPDATE vector_stores
        SET next_embedding_model = %s, next_dimensions = %s, reembed_attempts = 0, reembed_error = NULL,
            reembed_lease_until = NULL, reembed_updated_at = now(),
            next_space = coalesce(next_space, space) + 1
        WHERE tenant_id = %s AND vector_store_id = %s
        RETURNING next_space
        """,
        (model, dimensions, tenant_id, vector_store_id),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - it is locked
    return ReembedStore(tenant_id=tenant_id, vector_store_id=vector_store_id, space=row["next_space"])


async def switch(connection: Connection, space: NextSpace) -> bool:
    """Let search use the next space, and drop the present one, if no chunk lacks its vector."""
    store = await lock_store(connection, space.job.tenant_id, space.job.vector_store_id)
    if store is None or await unembedded(connection, space.from_start, 1):
        return False
    cursor = await connection.execute(
        """
        UPDATE vector_stores
        SET embedding_model = next_embedding_model, dimensions = next_dimensions, space = next_space
        WHERE """  # noqa: S608 - made of constants
        + CHANGING,
        space.row,
    )
    if cursor.rowcount != 1:
        return False
    await drop(connection, space.job.tenant_id, space.job.vector_store_id, store.dimensions, store.space)
    await connection.execute(
        "UPDATE vector_store_files SET usage_bytes = usage_bytes + chunk_count * %s"
        " WHERE tenant_id = %s AND vector_store_id = %s",
        (
            (space.dimensions - store.dimensions) * BYTES_PER_NUMBER,
            space.job.tenant_id,
            space.job.vector_store_id,
        ),
    )
    await end_change(connection, space.job.tenant_id, space.job.vector_store_id, error=None)
    return True


async def give_up(connection: Connection, job: ReembedStore, attempts: int, reason: str | None) -> None:
    """Stay with the present model, and say why."""
    await lock_store(connection, job.tenant_id, job.vector_store_id)
    await drop_next(connection, job.tenant_id, job.vector_store_id)
    error = f"Weir gave up after {attempts} tries. {reason or 'Its worker stopped without saying why.'}"
    await end_change(connection, job.tenant_id, job.vector_store_id, error=error)


async def end_change(
    connection: Connection, tenant_id: str, vector_store_id: str, *, error: str | None
) -> None:
    """The store is not changing any more. The number of the space stays taken."""
    await connection.execute(
        """
        UPDATE vector_stores
        SET next_embedding_model = NULL, next_dimensions = NULL, reembed_attempts = 0, reembed_error = %s,
            reembed_lease_until = NULL, reembed_updated_at = now()
        WHERE tenant_id = %s AND vector_store_id = %s
        """,
        (error, tenant_id, vector_store_id),
    )


async def stalled_changes(connection: Connection, idle: timedelta, limit: int) -> list[ReembedStore]:
    """Changes that nobody works on and nothing was heard of for `idle`, to be sent again; touched."""
    cursor = await connection.execute(
        """
        UPDATE vector_stores SET reembed_updated_at = now()
        WHERE (tenant_id, vector_store_id) IN (
            SELECT tenant_id, vector_store_id FROM vector_stores
            WHERE next_embedding_model IS NOT NULL AND reembed_updated_at < now() - %s::interval
              AND (reembed_lease_until IS NULL OR reembed_lease_until < now())
            ORDER BY reembed_updated_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING tenant_id, vector_store_id, next_space AS space
        """,
        (idle, limit),
    )
    return [ReembedStore(**row) for row in await cursor.fetchall()]
