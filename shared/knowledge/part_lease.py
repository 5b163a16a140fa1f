"""The lease of one part of a file: taken, renewed, and given back.

Every function runs in a transaction of the tenant; where the store is locked, it is locked first.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from shared.knowledge.chunk import MAX_TOKENS
from shared.knowledge.job_end import fail
from shared.knowledge.jobs import Failure, LeaseLostError, Refusal, gave_up, staged
from shared.knowledge.messages import IngestPart
from shared.knowledge.parts import THIS, PartClaim, update_held
from shared.knowledge.plans import PLAN
from shared.postgres.database import Connection


async def claim(
    connection: Connection, job: IngestPart, now: datetime, lease: timedelta, *, max_attempts: int
) -> PartClaim | Refusal:
    """Take the part until `now + lease`, or say why not. A claim counts as an attempt.

    A part that was tried too often fails its job.

    Raises:
        LeaseLostError: The job changed meanwhile.
    """
    cursor = await connection.execute(_READ, job.model_dump())
    if (row := await cursor.fetchone()) is None:
        return "gone"
    if row["status"] == "completed":
        return "finished"
    if row["lease_until"] is not None and row["lease_until"] > now:
        return "busy"
    if row["attempts"] >= max_attempts:
        await fail(connection, staged(job), _gave_up(job, row["attempts"], row["error_message"]))
        return "exhausted"
    lease_id = uuid4()
    cursor = await connection.execute(
        _TAKE,
        {
            **job.model_dump(),
            "new": lease_id,
            "until": now + lease,
            "now": now,
            "attempts": row["attempts"],
            "lease_id": row["lease_id"],
        },
    )
    return _claim(job, row, lease_id) if cursor.rowcount == 1 else "busy"


async def renew(connection: Connection, held: PartClaim, now: datetime, lease: timedelta) -> bool:
    """Put off the end of the lease to `now + lease`; false if it is not the worker's any more."""
    change = "lease_until = %(until)s, updated_at = %(now)s"
    return await update_held(connection, held, change, {"now": now, "until": now + lease})


async def give_back(
    connection: Connection, held: PartClaim, reason: str, now: datetime, *, max_attempts: int
) -> Literal["again", "failed"]:
    """End the lease after a failure that may pass; at the last attempt, fail the job with the reason.

    Raises:
        LeaseLostError: The part is not the worker's any more.
    """
    if held.attempt >= max_attempts:
        await fail(connection, staged(held.job), _gave_up(held.job, held.attempt, reason))
        return "failed"
    change = "lease_id = NULL, lease_until = NULL, error_message = %(reason)s, updated_at = %(now)s"
    if not await update_held(connection, held, change, {"now": now, "reason": reason}):
        raise LeaseLostError
    return "again"


_READ = f"""
    SELECT p.*, plan.plan, plan.object_etag, plan.content_sha256, files.filename, files.object_key,
           s.embedding_model, s.dimensions, f.chunk_tokens
    FROM ingestion_parts p
    JOIN ingestion_plans plan USING (tenant_id, vector_store_id, file_id, version)
    JOIN vector_store_files f USING (tenant_id, vector_store_id, file_id)
    JOIN vector_stores s USING (tenant_id, vector_store_id)
    JOIN files USING (tenant_id, file_id)
    WHERE {THIS} AND f.status = 'in_progress' AND f.staged_version = p.version"""  # noqa: S608

_TAKE = f"""
    UPDATE ingestion_parts p
    SET attempts = attempts + 1, lease_id = %(new)s, lease_until = %(until)s, updated_at = %(now)s
    WHERE {THIS} AND p.attempts = %(attempts)s AND p.lease_id IS NOT DISTINCT FROM %(lease_id)s
      AND p.status = 'queued'"""  # noqa: S608


def _gave_up(job: IngestPart, attempts: int, reason: str | None) -> Failure:
    return gave_up(f"on part {job.part + 1} after {attempts} tries", reason)


def _claim(job: IngestPart, row: DictRow, lease_id: UUID) -> PartClaim:
    return PartClaim(
        job=job,
        lease_id=lease_id,
        attempt=row["attempts"] + 1,
        filename=row["filename"],
        object_key=row["object_key"],
        object_etag=row["object_etag"],
        content_sha256=row["content_sha256"],
        plan=PLAN.validate_json(row["plan"]),
        embedding_model=row["embedding_model"],
        dimensions=row["dimensions"],
        chunk_tokens=row["chunk_tokens"] or MAX_TOKENS,
    )
