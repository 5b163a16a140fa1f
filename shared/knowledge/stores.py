"""Vector stores. Every function runs in a transaction of the store's tenant."""

from datetime import datetime, timedelta

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from shared.errors import NotFoundError
from shared.files.ids import new_id
from shared.knowledge.store_models import FileCounts, NewVectorStore, StoreSettings, VectorStore
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page

# A use is noted at most this often, so that searches do not each write to the row.
USE_NOTED_EVERY = timedelta(minutes=10)

_SELECT = """
    SELECT s.*, counts.*
    FROM vector_stores s
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE f.status = 'in_progress') AS in_progress,
               count(*) FILTER (WHERE f.status = 'completed') AS completed,
               count(*) FILTER (WHERE f.status = 'failed') AS failed,
               count(*) FILTER (WHERE f.status = 'cancelled') AS cancelled,
               coalesce(sum(f.usage_bytes), 0)::bigint AS usage_bytes
        FROM vector_store_files f
        WHERE f.tenant_id = s.tenant_id AND f.vector_store_id = s.vector_store_id
    ) counts
    WHERE true"""


async def create_store(connection: Connection, new: NewVectorStore, now: datetime) -> VectorStore:
    """An empty store. `dimensions` must be one of the sizes that there is a table for."""
    vector_store_id = new_id("vs_", now)
    await connection.execute(
        """
        INSERT INTO vector_stores (tenant_id, vector_store_id, name, description, embedding_model, dimensions,
                                   chunk_tokens, metadata, expires_after_days, created_at, last_active_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            new.tenant_id,
            vector_store_id,
            new.settings.name,
            new.description,
            new.embedding_model,
            new.dimensions,
            new.chunk_tokens,
            Jsonb(dict(new.settings.metadata)),
            new.settings.expires_after_days,
            now,
            now,
        ),
    )
    return await get_store(connection, vector_store_id)


async def get_store(connection: Connection, vector_store_id: str) -> VectorStore:
    """One store.

    Raises:
        NotFoundError: The tenant has no such store.
    """
    cursor = await connection.execute(_SELECT + " AND s.vector_store_id = %s", (vector_store_id,))
    if (row := await cursor.fetchone()) is None:
        raise no_such_store(vector_store_id)
    return _store(row)


async def list_stores(connection: Connection, request: PageRequest) -> Page[VectorStore]:
    """One page of the tenant's stores, by age."""
    return await fetch_page(
        connection, _SELECT, id_column="s.vector_store_id", request=request, parameters={}, make=_store
    )


async def update_store(connection: Connection, vector_store_id: str, settings: StoreSettings) -> VectorStore:
    """Replace a store's settings.

    Raises:
        NotFoundError: The tenant has no such store.
    """
    await connection.execute(
        "UPDATE vector_stores SET name = %s, metadata = %s, expires_after_days = %s"
        " WHERE vector_store_id = %s",
        (settings.name, Jsonb(dict(settings.metadata)), settings.expires_after_days, vector_store_id),
    )
    return await get_store(connection, vector_store_id)


async def note_use(connection: Connection, vector_store_id: str, now: datetime) -> None:
    """Put off the store's expiry, which counts from its last use."""
    await connection.execute(
        "UPDATE vector_stores SET last_active_at = %s WHERE vector_store_id = %s AND last_active_at < %s",
        (now, vector_store_id, now - USE_NOTED_EVERY),
    )


async def delete_store(connection: Connection, vector_store_id: str) -> None:
    """Delete a store with its chunks and statistics; the files themselves stay.

    Raises:
        NotFoundError: The tenant has no such store.
    """
    cursor = await connection.execute(
        "DELETE FROM vector_stores WHERE vector_store_id = %s", (vector_store_id,)
    )
    if cursor.rowcount == 0:
        raise no_such_store(vector_store_id)


def no_such_store(vector_store_id: str) -> NotFoundError:
    """The error for a store that the tenant does not have."""
    return NotFoundError(f"No such vector store: {vector_store_id!r}.", param="vector_store_id")


def counts_of(row: DictRow) -> FileCounts:
    """The columns `in_progress`, `completed`, `failed` and `cancelled` of a row."""
    return FileCounts(
        in_progress=row["in_progress"],
        completed=row["completed"],
        failed=row["failed"],
        cancelled=row["cancelled"],
    )


def _store(row: DictRow) -> VectorStore:
    return VectorStore(
        vector_store_id=row["vector_store_id"],
        settings=StoreSettings(
            name=row["name"], metadata=row["metadata"], expires_after_days=row["expires_after_days"]
        ),
        description=row["description"],
        embedding_model=row["embedding_model"],
        dimensions=row["dimensions"],
        next_embedding_model=row["next_embedding_model"],
        reembed_error=row["reembed_error"],
        file_counts=counts_of(row),
        usage_bytes=row["usage_bytes"],
        created_at=row["created_at"],
        last_active_at=row["last_active_at"],
    )
