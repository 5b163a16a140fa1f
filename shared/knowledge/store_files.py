"""Files in vector stores: attached, listed, detached. Every function runs in a transaction of the tenant."""

from collections.abc import Mapping

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from shared.errors import NotFoundError
from shared.files.records import no_such_file
from shared.knowledge.chunk import MAX_TOKENS
from shared.knowledge.index import remove_file
from shared.knowledge.store_models import AttributeValue, PartProgress, StoreFile, StoreFileStatus
from shared.knowledge.stores import no_such_store
from shared.postgres.database import Connection
from shared.postgres.pages import Page, PageRequest, fetch_page

_SELECT = """
    SELECT f.*, files.filename, files.status = 'uploaded' AS uploaded, parts.*
    FROM vector_store_files f
    JOIN files ON files.tenant_id = f.tenant_id AND files.file_id = f.file_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS parts_total, count(*) FILTER (WHERE p.status = 'completed') AS parts_completed
        FROM ingestion_parts p
        WHERE p.tenant_id = f.tenant_id AND p.vector_store_id = f.vector_store_id
          AND p.file_id = f.file_id AND p.version = f.staged_version
    ) parts
    WHERE f.vector_store_id = %(vector_store_id)s"""


async def attach_file(
    connection: Connection,
    *,
    tenant_id: str,
    vector_store_id: str,
    file_id: str,
    attributes: Mapping[str, AttributeValue] | None = None,
    chunk_tokens: int | None = None,
) -> StoreFile:
    """Put a file into a store. If it is then `ready_to_ingest`, send `IngestFile` after the commit.

    A file that is there already stays as it is, unless it failed or was cancelled: then it starts anew. Its
    attributes are replaced if any are given. `chunk_tokens`: the size of its chunks; `None` for the store's.

    Raises:
        NotFoundError: The tenant has no such store or no such file.
    """
    await _lock_for_attachment(connection, vector_store_id, file_id)
    await connection.execute(
        """
        INSERT INTO vector_store_files AS f (tenant_id, vector_store_id, file_id, status, attributes,
                                             chunk_tokens)
        SELECT %(tenant_id)s, s.vector_store_id, %(file_id)s, 'in_progress',
               coalesce(%(attributes)s::jsonb, '{}'), coalesce(%(chunk_tokens)s, s.chunk_tokens)
        FROM vector_stores s WHERE s.vector_store_id = %(vector_store_id)s
        ON CONFLICT (tenant_id, vector_store_id, file_id) DO UPDATE
            SET attributes = coalesce(%(attributes)s::jsonb, f.attributes)
        """,
        {
            "tenant_id": tenant_id,
            "vector_store_id": vector_store_id,
            "file_id": file_id,
            "attributes": None if attributes is None else Jsonb(dict(attributes)),
            "chunk_tokens": chunk_tokens,
        },
    )
    await _start_anew(connection, vector_store_id, file_id, chunk_tokens)
    return await get_store_file(connection, vector_store_id, file_id)


async def _start_anew(
    connection: Connection, vector_store_id: str, file_id: str, chunk_tokens: int | None
) -> None:
    # Chunks of another size are not those that were made of the same bytes.
    await connection.execute(
        """
        UPDATE vector_store_files
        SET status = 'in_progress', attempts = 0, lease_until = NULL, error_code = NULL, error_message = NULL,
            content_sha256 = CASE WHEN chunk_tokens IS NOT DISTINCT FROM coalesce(%(tokens)s, chunk_tokens)
                                  THEN content_sha256 END,
            chunk_tokens = coalesce(%(tokens)s, chunk_tokens), updated_at = now()
        WHERE vector_store_id = %(store)s AND file_id = %(file)s AND status IN ('failed', 'cancelled')
        """,
        {"tokens": chunk_tokens, "store": vector_store_id, "file": file_id},
    )


async def get_store_file(connection: Connection, vector_store_id: str, file_id: str) -> StoreFile:
    """One file of a store.

    Raises:
        NotFoundError: The tenant has no such store, or the store no such file.
    """
    cursor = await connection.execute(
        _SELECT + " AND f.file_id = %(file_id)s", {"vector_store_id": vector_store_id, "file_id": file_id}
    )
    if (row := await cursor.fetchone()) is None:
        raise _not_attached(vector_store_id, file_id)
    return store_file(row)


async def list_store_files(
    connection: Connection,
    vector_store_id: str,
    request: PageRequest,
    *,
    status: StoreFileStatus | None = None,
    batch_id: str | None = None,
) -> Page[StoreFile]:
    """One page of a store's files, by age of the file: all, those in one status, those of one batch."""
    return await fetch_page(
        connection,
        _SELECT  # noqa: S608 - made of constants
        + """
        AND (%(status)s::text IS NULL OR f.status = %(status)s)
        AND (%(batch_id)s::text IS NULL OR f.file_id IN (
            SELECT b.file_id FROM vector_store_batch_files b
            WHERE b.vector_store_id = %(vector_store_id)s AND b.batch_id = %(batch_id)s))""",
        id_column="f.file_id",
        request=request,
        parameters={"vector_store_id": vector_store_id, "status": status, "batch_id": batch_id},
        make=store_file,
    )


async def set_attributes(
    connection: Connection, vector_store_id: str, file_id: str, attributes: Mapping[str, AttributeValue]
) -> StoreFile:
    """Replace the attributes of a file in a store.

    Raises:
        NotFoundError: The tenant has no such store, or the store no such file.
    """
    await connection.execute(
        "UPDATE vector_store_files SET attributes = %s WHERE vector_store_id = %s AND file_id = %s",
        (Jsonb(dict(attributes)), vector_store_id, file_id),
    )
    return await get_store_file(connection, vector_store_id, file_id)


async def detach_file(connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str) -> None:
    """Take a file out of a store, with its chunks; the file itself stays.

    Raises:
        NotFoundError: The tenant has no such store, or the store no such file.
    """
    await get_store_file(connection, vector_store_id, file_id)
    await _remove(connection, tenant_id=tenant_id, vector_store_id=vector_store_id, file_id=file_id)


async def detach_everywhere(connection: Connection, *, tenant_id: str, file_id: str) -> None:
    """Take a file out of every store it is in, and let nobody attach it until the transaction ends."""
    await connection.execute("SELECT 1 FROM files WHERE file_id = %s FOR UPDATE", (file_id,))
    cursor = await connection.execute(
        "SELECT vector_store_id FROM vector_store_files WHERE file_id = %s ORDER BY vector_store_id",
        (file_id,),
    )
    for row in await cursor.fetchall():
        await _remove(
            connection, tenant_id=tenant_id, vector_store_id=row["vector_store_id"], file_id=file_id
        )


async def _remove(connection: Connection, *, tenant_id: str, vector_store_id: str, file_id: str) -> None:
    await remove_file(connection, tenant_id=tenant_id, vector_store_id=vector_store_id, file_id=file_id)
    await connection.execute(
        "DELETE FROM vector_store_files WHERE vector_store_id = %s AND file_id = %s",
        (vector_store_id, file_id),
    )


async def _lock_for_attachment(connection: Connection, vector_store_id: str, file_id: str) -> None:
    # The share lock holds `mark_uploaded` back until this transaction ends. So either the upload is seen
    # here, or whoever marks it sees the attachment; else both could miss each other, and nobody ingests.
    cursor = await connection.execute("SELECT 1 FROM files WHERE file_id = %s FOR SHARE", (file_id,))
    if await cursor.fetchone() is None:
        raise no_such_file(file_id)
    cursor = await connection.execute(
        "SELECT 1 FROM vector_stores WHERE vector_store_id = %s FOR KEY SHARE", (vector_store_id,)
    )
    if await cursor.fetchone() is None:
        raise no_such_store(vector_store_id)


def _not_attached(vector_store_id: str, file_id: str) -> NotFoundError:
    return NotFoundError(f"No file {file_id!r} in vector store {vector_store_id!r}.", param="file_id")


def store_file(row: DictRow) -> StoreFile:
    """A row of this module's selection."""
    return StoreFile(
        vector_store_id=row["vector_store_id"],
        file_id=row["file_id"],
        filename=row["filename"],
        uploaded=row["uploaded"],
        status=row["status"],
        attributes=row["attributes"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        chunk_count=row["chunk_count"],
        chunk_tokens=row["chunk_tokens"] or MAX_TOKENS,
        unread_pages=row["unread_pages"],
        usage_bytes=row["usage_bytes"],
        progress=PartProgress(row["parts_completed"], row["parts_total"]) if row["parts_total"] else None,
        created_at=row["created_at"],
    )
