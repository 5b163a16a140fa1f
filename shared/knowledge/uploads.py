"""What the arrival of a file's bytes means for the stores it is in. Runs in a transaction of the tenant."""

from shared.knowledge.messages import IngestFile
from shared.postgres.database import Connection


async def waiting_jobs(connection: Connection, tenant_id: str, file_id: str) -> list[IngestFile]:
    """The jobs in progress of a file, one for each store it is in."""
    cursor = await connection.execute(
        """
        SELECT tenant_id, vector_store_id, file_id FROM vector_store_files
        WHERE tenant_id = %s AND file_id = %s AND status = 'in_progress' ORDER BY vector_store_id
        """,
        (tenant_id, file_id),
    )
    return [IngestFile.model_validate(row) for row in await cursor.fetchall()]


async def was_read(connection: Connection, tenant_id: str, file_id: str) -> bool:
    """Whether the file was read before, into whichever store: then its bytes may be new ones."""
    cursor = await connection.execute(
        """
        SELECT 1 FROM vector_store_files
        WHERE tenant_id = %s AND file_id = %s AND status IN ('completed', 'failed') LIMIT 1
        """,
        (tenant_id, file_id),
    )
    return await cursor.fetchone() is not None


async def reopen(connection: Connection, tenant_id: str, file_id: str, content_sha256: str) -> None:
    """Start those jobs of a file anew that ended with other bytes than these. What was found stays found
    meanwhile; a job that ended for another reason than its bytes is tried once more.
    """
    await connection.execute(
        """
        UPDATE vector_store_files
        SET status = 'in_progress', attempts = 0, lease_id = NULL, lease_until = NULL, error_code = NULL,
            error_message = NULL, updated_at = now()
        WHERE tenant_id = %s AND file_id = %s AND status IN ('completed', 'failed')
          AND content_sha256 IS DISTINCT FROM %s
        """,
        (tenant_id, file_id, content_sha256),
    )
