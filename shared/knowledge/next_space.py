"""The vectors of the space that a store changes to, which search does not use yet.

Every function runs in a transaction of the tenant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from pgvector import HalfVector
from psycopg import sql

from shared.knowledge.chunk import indexed
from shared.knowledge.index import lock_store
from shared.knowledge.messages import ReembedStore
from shared.knowledge.vectors import content_hash, embeddings_table
from shared.postgres.database import Connection

# The store still changes to the space.
CHANGING: LiteralString = """
    tenant_id = %(tenant_id)s AND vector_store_id = %(vector_store_id)s AND next_space = %(space)s
    AND next_embedding_model IS NOT NULL"""


@dataclass(frozen=True, kw_only=True)
class NextSpace:
    """A space to come: of which store, and behind which chunk the job goes on; by which model."""

    job: ReembedStore
    model: str
    dimensions: int

    @property
    def row(self) -> dict[str, object]:
        """The values of `CHANGING`."""
        return row_of(self.job)

    @property
    def from_start(self) -> "NextSpace":
        """The same from the store's first chunk."""
        job = self.job.model_copy(update={"after": ("", 0, 0)})
        return NextSpace(job=job, model=self.model, dimensions=self.dimensions)


@dataclass(frozen=True, kw_only=True)
class Unembedded:
    """A chunk that has no vector in the next space yet; `text` is what is embedded of it."""

    file_id: str
    version: int
    ordinal: int
    text: str


def row_of(job: ReembedStore) -> dict[str, object]:
    """The values of `CHANGING`."""
    return job.model_dump(exclude={"after"})


async def unembedded(connection: Connection, space: NextSpace, limit: int) -> list[Unembedded]:
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
    ).format(table=embeddings_table(space.dimensions))
    file_id, version, ordinal = space.job.after
    place = {"file_id": file_id, "version": version, "ordinal": ordinal}
    cursor = await connection.execute(statement, {**space.row, **place, "limit": limit})
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
    connection: Connection, space: NextSpace, chunks: Sequence[Unembedded], vectors: Sequence[HalfVector]
) -> bool:
    """Write vectors of the next space for those chunks that are still there; false if the change is over.

    The number of a version stands for its text, so what was embedded is what is there.
    """
    await lock_store(connection, space.job.tenant_id, space.job.vector_store_id)
    cursor = await connection.execute(
        "UPDATE vector_stores SET reembed_attempts = 0, reembed_error = NULL, reembed_lease_until = NULL,"  # noqa: S608 - made of constants
        " reembed_updated_at = now() WHERE " + CHANGING,
        space.row,
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
    ).format(embeddings_table(space.dimensions))
    store = (space.job.tenant_id, space.job.vector_store_id)
    await connection.cursor().executemany(
        insert,
        [
            (space.job.space, content_hash(space.model, c.text), v, *store, c.file_id, c.version, c.ordinal)
            for c, v in zip(chunks, vectors, strict=True)
        ],
    )
    return True


async def drop_next(connection: Connection, tenant_id: str, vector_store_id: str) -> None:
    """Drop the vectors of the space that a store changes to, if it does."""
    cursor = await connection.execute(
        "SELECT next_dimensions, next_space FROM vector_stores"
        " WHERE tenant_id = %s AND vector_store_id = %s AND next_embedding_model IS NOT NULL",
        (tenant_id, vector_store_id),
    )
    if (row := await cursor.fetchone()) is not None:
        await drop(connection, tenant_id, vector_store_id, row["next_dimensions"], row["next_space"])


async def drop(
    connection: Connection, tenant_id: str, vector_store_id: str, dimensions: int, space: int
) -> None:
    """Drop the vectors of one space of a store."""
    statement = sql.SQL("DELETE FROM {} WHERE tenant_id = %s AND vector_store_id = %s AND space = %s")
    await connection.execute(
        statement.format(embeddings_table(dimensions)), (tenant_id, vector_store_id, space)
    )
