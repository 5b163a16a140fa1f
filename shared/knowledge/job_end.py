"""The end of an ingestion job: its file is searchable, or why it is not.

Every function runs in a transaction of the tenant, and locks the store before the job's row, as
`shared.knowledge.index` does.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.knowledge.index import Written, remove_file
from shared.knowledge.jobs import Condition, Failure, LeaseLostError, update
from shared.postgres.database import Connection


async def complete(
    connection: Connection,
    condition: Condition,
    written: Written,
    content_sha256: str,
    now: datetime,
    unread_pages: Sequence[int] = (),
) -> None:
    """The file is searchable, less its `unread_pages`. Belongs into the transaction that wrote its chunks.

    Raises:
        LeaseLostError: Roll back what was written.
    """
    values = {
        "chunks": written.chunk_count,
        "bytes": written.usage_bytes,
        "sha256": content_sha256,
        "unread": list(unread_pages),
        "now": now,
    }
    if not await update(connection, condition, _COMPLETED, values):
        raise LeaseLostError


async def fail(connection: Connection, condition: Condition, failure: Failure) -> None:
    """No further try can help. Removes the chunks of an earlier content.

    Raises:
        LeaseLostError: The job does not stand so any more.
    """
    await remove_file(connection, **condition.job.model_dump())
    values = {"code": failure.code, "message": failure.message, "sha256": failure.content_sha256}
    if not await update(connection, condition, _FAILED, values):
        raise LeaseLostError


_COMPLETED = """
    status = 'completed', chunk_count = %(chunks)s, usage_bytes = %(bytes)s, content_sha256 = %(sha256)s,
    lease_id = NULL, lease_until = NULL, error_code = NULL, error_message = NULL, unread_pages = %(unread)s,
    updated_at = %(now)s"""

_FAILED = """
    status = 'failed', error_code = %(code)s, error_message = %(message)s, content_sha256 = %(sha256)s,
    chunk_count = 0, usage_bytes = 0, lease_id = NULL, lease_until = NULL, staged_version = NULL,
    unread_pages = '{}', updated_at = now()"""
