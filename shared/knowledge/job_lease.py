"""The lease of an ingestion job: taken, renewed, and given back.

Every function runs in a transaction of the tenant; none locks the job's row before the store's, which
`shared.knowledge.index` locks first.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from shared.knowledge.chunk import MAX_TOKENS
from shared.knowledge.job_end import fail
from shared.knowledge.jobs import THIS, Claim, Condition, LeaseLostError, Refusal, Staged, gave_up, update
from shared.knowledge.messages import IngestFile
from shared.postgres.database import Connection


async def claim(
    connection: Connection, job: IngestFile, now: datetime, lease: timedelta, *, max_attempts: int
) -> Claim | Refusal:
    """Take the job until `now + lease`, or say why not. A claim counts as an attempt.

    Raises:
        LeaseLostError: The job changed while it was being failed for too many attempts.
    """
    cursor = await connection.execute(_READ + THIS, job.model_dump())
    row = await cursor.fetchone()
    if row is None:
        return "gone"
    refusal = _refusal(row, now, max_attempts)
    if refusal == "exhausted":
        failure = gave_up(f"after {row['attempts']} tries", row["error_message"])
        await fail(connection, _as_read(job, row), failure)
    if refusal is not None:
        return refusal
    lease_id = uuid4()
    taken = await update(
        connection,
        _as_read(job, row),
        "attempts = attempts + 1, lease_id = %(new)s, lease_until = %(until)s, updated_at = %(now)s",
        {"new": lease_id, "until": now + lease, "now": now},
    )
    return _claim(job, row, lease_id) if taken else "busy"


async def renew(connection: Connection, held: Claim, now: datetime, lease: timedelta) -> bool:
    """Put off the end of the lease to `now + lease`; false if it is not the worker's any more."""
    change = "lease_until = %(until)s, updated_at = %(now)s"
    return await update(connection, held.held, change, {"until": now + lease, "now": now})


async def holds(connection: Connection, held: Claim) -> bool:
    """Whether the lease is still the worker's, as far as is known now."""
    cursor = await connection.execute(_READ + held.held.where, held.held.values)
    return await cursor.fetchone() is not None


async def release(connection: Connection, held: Claim) -> None:
    """End the lease as if it had not been taken: the work is others' now.

    Raises:
        LeaseLostError: The job is not the worker's any more.
    """
    change = "attempts = attempts - 1, lease_id = NULL, lease_until = NULL, updated_at = now()"
    if not await update(connection, held.held, change, {}):
        raise LeaseLostError


async def give_back(
    connection: Connection, held: Claim, reason: str, now: datetime, *, max_attempts: int
) -> Literal["again", "failed"]:
    """End the lease after a failure that may pass, so that the next try need not wait for its end.

    Args:
        reason: For the person whose file it is, shown if this was the last attempt.

    Raises:
        LeaseLostError: The job is not the worker's any more.
    """
    if held.attempt >= max_attempts:
        await fail(connection, held.held, gave_up(f"after {held.attempt} tries", reason))
        return "failed"
    change = "lease_id = NULL, lease_until = NULL, error_message = %(reason)s, updated_at = %(now)s"
    if not await update(connection, held.held, change, {"reason": reason, "now": now}):
        raise LeaseLostError
    return "again"


_READ = """
    SELECT f.*, files.status AS file_status, files.filename, files.media_type, files.object_key,
           s.embedding_model, s.dimensions, plans.object_etag AS staged_etag
    FROM vector_store_files f
    JOIN files ON files.tenant_id = f.tenant_id AND files.file_id = f.file_id
    JOIN vector_stores s ON s.tenant_id = f.tenant_id AND s.vector_store_id = f.vector_store_id
    LEFT JOIN ingestion_plans plans ON plans.tenant_id = f.tenant_id
        AND plans.vector_store_id = f.vector_store_id AND plans.file_id = f.file_id
        AND plans.version = f.staged_version"""


def _as_read(job: IngestFile, row: DictRow) -> Condition:
    """Nobody has claimed or given back the job since the row was read."""
    where = (
        THIS
        + """ AND f.status = 'in_progress' AND f.attempts = %(attempts)s
              AND f.lease_id IS NOT DISTINCT FROM %(lease_id)s"""
    )
    values = {**job.model_dump(), "lease_id": row["lease_id"], "attempts": row["attempts"]}
    return Condition(job, where, values)


def _refusal(row: DictRow, now: datetime, max_attempts: int) -> Refusal | None:
    if row["status"] != "in_progress":
        return "finished"
    if row["file_status"] != "uploaded":
        return "awaiting_upload"
    if row["lease_until"] is not None and row["lease_until"] > now:
        return "busy"
    return "exhausted" if row["attempts"] >= max_attempts else None


def _claim(job: IngestFile, row: DictRow, lease_id: UUID) -> Claim:
    return Claim(
        job=job,
        lease_id=lease_id,
        attempt=row["attempts"] + 1,
        filename=row["filename"],
        media_type=row["media_type"],
        object_key=row["object_key"],
        embedding_model=row["embedding_model"],
        dimensions=row["dimensions"],
        chunk_tokens=row["chunk_tokens"] or MAX_TOKENS,
        content_sha256=row["content_sha256"],
        chunk_count=row["chunk_count"],
        usage_bytes=row["usage_bytes"],
        unread_pages=row["unread_pages"],
        staged=None if row["staged_etag"] is None else Staged(row["staged_version"], row["staged_etag"]),
    )
