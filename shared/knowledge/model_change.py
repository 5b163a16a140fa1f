"""The change of a store to another embedding model: its state, and the vectors of both spaces.

The store's chunks are embedded in the next space while search uses the present one; when none is missing,
one transaction switches. Every function runs in a transaction of the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pgvector import HalfVector
from psycopg import sql

from shared.knowledge.chunk import indexed
from shared.knowledge.index import lock_store
from shared.knowledge.messages import ReembedStore
from shared.knowledge.stores import no_such_store
from shared.knowledge.vectors import BYTES_PER_NUMBER, content_hash, embeddings_table
from shared.postgres.database import Connection

# `gone`: another change took its place, or it is done; `busy`: another worker is at it; `exhausted`: it was
# tried too often, and has been given up.
ChangeRefusal = Literal["gone", "busy", "exhausted"]


@dataclass(frozen=True, kw_only=True)
class ChangeClaim:
    """The right to work on a store's change until the lease ends."""

    job: ReembedStore
    attempt: int
    model: str
    dimensions: int


@dataclass(frozen=True, kw_only=True)
class Unembedded:
    """A chunk that has no vector in the next space yet; `text` is what is embedded of it."""

    file_id: str
    version: int
    ordinal: int
    text: str


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
    await _drop_next(connection, tenant_id, vector_store_id)
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


async def claim_change(
    connection: Connection, job: ReembedStore, now: datetime, lease: timedelta, *, max_attempts: int
) -> ChangeClaim | ChangeRefusal:
    """Take the change until `now + lease`, or say why not. A claim counts as an attempt."""
    cursor = await connection.execute(
        f"SELECT * FROM vector_stores WHERE {_CHANGING} FOR NO KEY UPDATE",  # noqa: S608 - a constant
        _of(job),
    )
    if (row := await cursor.fetchone()) is None:
        return "gone"
    if row["reembed_lease_until"] is not None and row["reembed_lease_until"] > now:
        return "busy"
    if row["reembed_attempts"] >= max_attempts:
        await give_up(connection, job, row["reembed_attempts"], row["reembed_error"])
        return "exhausted"
    await connection.execute(
        "UPDATE vector_stores SET reembed_attempts = reembed_attempts + 1, reembed_lease_until = %(until)s,"  # noqa: S608 - made of constants
        " reembed_updated_at = %(now)s WHERE " + _CHANGING,
        {**_of(job), "until": now + lease, "now": now},
    )
    return ChangeClaim(
        job=job,
        attempt=row["reembed_attempts"] + 1,
        model=row["next_embedding_model"],
        dimensions=row["next_dimensions"],
    )


async def renew_change(connection: Connection, held: ChangeClaim, now: datetime, lease: timedelta) -> bool:
    """Put off the end of the lease; false if the change is over. Two at one change only cost more."""
    cursor = await connection.execute(
        "UPDATE vector_stores SET reembed_lease_until = %(until)s, reembed_updated_at = %(now)s WHERE "  # noqa: S608 - made of constants
        + _CHANGING,
        {**_of(held.job), "until": now + lease, "now": now},
    )
    return cursor.rowcount == 1


async def unembedded(connection: Connection, held: ChangeClaim, limit: int) -> list[Unembedded]:
    """The next chunks after the message's place that have no vector in the next space, in order."""
    statement = sql.SQL(
        """
        SELECT c.file_id, c.version, c.ordinal, c.lead, c.text FROM chunks c
        WHERE c.tenant_id = %(tenant_id)s AND c.vector_store_id = %(vector_store_id)s
          AND (c.file_id, c.version, c.ordinal) > (%(file_id)s, %(version)s, %(ordinal)s)
          AND NOT EXISTS (
              SELECT 1 FROM {table} e
              WHERE e.tenant_id = %(tenant_id)s AND e.vector_store_id = %(vector_store_id)s
                AND e.file_id = c.file_id AND e.version = c.version AND e.ordinal = c.ordinal
                AND e.space = %(space)s)
        ORDER BY c.file_id, c.version, c.ordinal LIMIT %(limit)s
        """
    ).format(table=embeddings_table(held.dimensions))
    file_id, version, ordinal = held.job.after
    place = {"file_id": file_id, "version": version, "ordinal": ordinal}
    cursor = await connection.execute(statement, {**_of(held.job), **place, "limit": limit})
    return [
        Unembedded(
            file_id=row["file_id"],
            version=row["version"],
            ordinal=row["ordinal"],
            text=indexed(row["lead"], row["text"]),
        )
        for row in await cursor.fetchall()
    ]


async def add_vectors(
    connection: Connection, held: ChangeClaim, chunks: Sequence[Unembedded], vectors: Sequence[HalfVector]
) -> bool:
    """Write vectors of the next space for those chunks that are still there; false if the change is over.

    The number of a version stands for its text, so what was embedded is what is there.
    """
    await lock_store(connection, held.job.tenant_id, held.job.vector_store_id)
    cursor = await connection.execute(
        "UPDATE vector_stores SET reembed_attempts = 0, reembed_error = NULL, reembed_lease_until = NULL,"  # noqa: S608 - made of constants
        " reembed_updated_at = now() WHERE " + _CHANGING,
        _of(held.job),
    )
    if cursor.rowcount != 1:
        return False
    insert = sql.SQL(
        """
        INSERT INTO {} (tenant_id, vector_store_id, file_id, version, ordinal, space, content_hash, embedding)
        SELECT tenant_id, vector_store_id, file_id, version, ordinal, %s, %s, %b FROM chunks
        WHERE tenant_id = %s AND vector_store_id = %s AND file_id = %s AND version = %s AND ordinal = %s
        ON CONFLICT DO NOTHING
        """
    ).format(embeddings_table(held.dimensions))
    store = (held.job.tenant_id, held.job.vector_store_id)
    await connection.cursor().executemany(
        insert,
        [
            (held.job.space, content_hash(held.model, c.text), v, *store, c.file_id, c.version, c.ordinal)
            for c, v in zip(chunks, vectors, strict=True)
        ],
    )
    return True


async def switch(connection: Connection, held: ChangeClaim) -> bool:
    """Let search use the next space, and drop the present one, if no chunk lacks its vector."""
    store = await lock_store(connection, held.job.tenant_id, held.job.vector_store_id)
    from_start = ChangeClaim(
        job=held.job.model_copy(update={"after": ("", 0, 0)}),
        attempt=held.attempt,
        model=held.model,
        dimensions=held.dimensions,
    )
    if store is None or await unembedded(connection, from_start, 1):
        return False
    cursor = await connection.execute(
        """
        UPDATE vector_stores
        SET embedding_model = next_embedding_model, dimensions = next_dimensions, space = next_space
        WHERE """  # noqa: S608 - made of constants
        + _CHANGING,
        _of(held.job),
    )
    if cursor.rowcount != 1:
        return False
    await _drop(connection, held.job.tenant_id, held.job.vector_store_id, store.dimensions, store.space)
    await connection.execute(
        "UPDATE vector_store_files SET usage_bytes = usage_bytes + chunk_count * %s"
        " WHERE tenant_id = %s AND vector_store_id = %s",
        (
            (held.dimensions - store.dimensions) * BYTES_PER_NUMBER,
            held.job.tenant_id,
            held.job.vector_store_id,
        ),
    )
    await end_change(connection, held.job.tenant_id, held.job.vector_store_id, error=None)
    return True


async def put_back(connection: Connection, held: ChangeClaim, reason: str, *, max_attempts: int) -> None:
    """End the lease after a failure that may pass; at the last attempt, give the change up."""
    if held.attempt >= max_attempts:
        await give_up(connection, held.job, held.attempt, reason)
        return
    await connection.execute(
        "UPDATE vector_stores SET reembed_lease_until = NULL, reembed_error = %(reason)s WHERE " + _CHANGING,  # noqa: S608 - made of constants
        {**_of(held.job), "reason": reason},
    )


async def give_up(connection: Connection, job: ReembedStore, attempts: int, reason: str | None) -> None:
    """Stay with the present model, and say why."""
    await lock_store(connection, job.tenant_id, job.vector_store_id)
    await _drop_next(connection, job.tenant_id, job.vector_store_id)
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


_CHANGING = """
    tenant_id = %(tenant_id)s AND vector_store_id = %(vector_store_id)s AND next_space = %(space)s
    AND next_embedding_model IS NOT NULL"""


def _of(job: ReembedStore) -> dict[str, object]:
    return job.model_dump(exclude={"after"})


async def _drop_next(connection: Connection, tenant_id: str, vector_store_id: str) -> None:
    cursor = await connection.execute(
        "SELECT next_dimensions, next_space FROM vector_stores"
        " WHERE tenant_id = %s AND vector_store_id = %s AND next_embedding_model IS NOT NULL",
        (tenant_id, vector_store_id),
    )
    if (row := await cursor.fetchone()) is not None:
        await _drop(connection, tenant_id, vector_store_id, row["next_dimensions"], row["next_space"])


async def _drop(
    connection: Connection, tenant_id: str, vector_store_id: str, dimensions: int, space: int
) -> None:
    statement = sql.SQL("DELETE FROM {} WHERE tenant_id = %s AND vector_store_id = %s AND space = %s")
    await connection.execute(
        statement.format(embeddings_table(dimensions)), (tenant_id, vector_store_id, space)
    )
