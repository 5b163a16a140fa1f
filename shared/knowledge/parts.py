"""The state of one part of a file: its tries and lease.

A part may be worked on as long as its version is the staged one of a job in progress. Every function runs in
a transaction of the tenant; where the store is locked, it is locked first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, LiteralString
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from shared.documents.parts import Plan
from shared.knowledge import jobs
from shared.knowledge.chunk import MAX_TOKENS
from shared.knowledge.index import Written, publish_version
from shared.knowledge.jobs import LeaseLostError, Refusal
from shared.knowledge.messages import IngestPart
from shared.knowledge.plans import PLAN
from shared.knowledge.rows import Place
from shared.postgres.database import Connection

_NO_REASON = "Its worker stopped without saying why, as it does when time or memory runs out."


@dataclass(frozen=True, kw_only=True)
class PartClaim:
    """The right to work on a part until the lease ends. `plan` is that of the file."""

    job: IngestPart
    lease_id: UUID
    attempt: int
    filename: str
    object_key: str
    object_etag: str
    content_sha256: str
    plan: Plan
    embedding_model: str
    dimensions: int
    chunk_tokens: int

    @property
    def place(self) -> Place:
        """Where its chunks belong."""
        return Place(**self.job.model_dump())


@dataclass(frozen=True)
class WrittenPart:
    """What was written of a part: its chunks, the characters of its text, and the pages nobody could read."""

    written: Written
    characters: int
    unread_pages: Sequence[int]


async def claim_part(
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
        await fail(connection, job, gave_up(job, row["attempts"], row["error_message"]))
        return "exhausted"
    lease_id = uuid4()
    cursor = await connection.execute(
        f"""
        UPDATE ingestion_parts p
        SET attempts = attempts + 1, lease_id = %(new)s, lease_until = %(until)s, updated_at = %(now)s
        WHERE {_THIS} AND p.attempts = %(attempts)s AND p.lease_id IS NOT DISTINCT FROM %(lease_id)s
          AND p.status = 'queued'
        """,  # noqa: S608
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


async def renew_part(connection: Connection, held: PartClaim, now: datetime, lease: timedelta) -> bool:
    """Put off the end of the lease to `now + lease`; false if it is not the worker's any more."""
    change = "lease_until = %(until)s, updated_at = %(now)s"
    return await _update(connection, held, change, {"now": now, "until": now + lease})


async def give_back_part(
    connection: Connection, held: PartClaim, reason: str, now: datetime, *, max_attempts: int
) -> Literal["again", "failed"]:
    """End the lease after a failure that may pass; at the last attempt, fail the job with the reason.

    Raises:
        LeaseLostError: The part is not the worker's any more.
    """
    if held.attempt >= max_attempts:
        await fail(connection, held.job, gave_up(held.job, held.attempt, reason))
        return "failed"
    change = "lease_id = NULL, lease_until = NULL, error_message = %(reason)s, updated_at = %(now)s"
    if not await _update(connection, held, change, {"now": now, "reason": reason}):
        raise LeaseLostError
    return "again"


async def complete_part(connection: Connection, held: PartClaim, part: WrittenPart, now: datetime) -> bool:
    """A part is written. Belongs into the transaction that wrote its chunks; true if it was the last.

    Raises:
        LeaseLostError: Roll back what was written.
    """
    values = {
        "chunks": part.written.chunk_count,
        "bytes": part.written.usage_bytes,
        "characters": part.characters,
        "unread": list(part.unread_pages),
        "now": now,
    }
    if not await _update(connection, held, _COMPLETED, values):
        raise LeaseLostError
    # Work is being done: whatever tries the job took before count no more.
    cursor = await connection.execute(_PROGRESS, held.job.model_dump())
    if cursor.rowcount != 1:
        raise LeaseLostError
    cursor = await connection.execute(_LEFT, held.job.model_dump())
    row = await cursor.fetchone()
    return row is not None and row["left"] == 0


async def publish(connection: Connection, held: PartClaim, now: datetime) -> int:
    """Make the version the live one, and complete the job; the number of its chunks.

    Without any chunk the job is failed instead.

    Raises:
        LeaseLostError: The job changed meanwhile.
    """
    total = await _total(connection, held.job)
    if total.chunk_count == 0:
        failure = jobs.Failure(
            code="invalid_file",
            message="The file contains no text.",
            content_sha256=held.content_sha256,
        )
        await fail(connection, held.job, failure)
        return 0
    await connection.execute(_OFFSETS, held.job.model_dump())
    await jobs.complete_version(connection, held.job.file, held.job.version, total, held.content_sha256, now)
    await publish_version(connection, held.place)
    return total.chunk_count


async def fail(connection: Connection, job: IngestPart, failure: jobs.Failure) -> None:
    """End the job of the part: no further try can help.

    Raises:
        LeaseLostError: The version is not the staged one of a job in progress any more.
    """
    await jobs.fail_version(connection, job.file, job.version, failure)


def gave_up(job: IngestPart, attempts: int, reason: str | None) -> jobs.Failure:
    """The failure of a job one of whose parts was tried too often."""
    return jobs.Failure(
        code="server_error",
        message=f"Weir gave up on part {job.part + 1} after {attempts} tries. {reason or _NO_REASON}",
    )


_VERSION = """
    p.tenant_id = %(tenant_id)s AND p.vector_store_id = %(vector_store_id)s AND p.file_id = %(file_id)s
    AND p.version = %(version)s"""
_THIS = f"{_VERSION} AND p.part = %(part)s"

_HELD = f"{_THIS} AND p.status = 'queued' AND p.lease_id = %(lease_id)s"

_COMPLETED = """
    status = 'completed', lease_id = NULL, lease_until = NULL, error_message = NULL, chunk_count = %(chunks)s,
    usage_bytes = %(bytes)s, characters = %(characters)s, unread_pages = %(unread)s, updated_at = %(now)s"""

_READ = f"""
    SELECT p.*, plan.plan, plan.object_etag, plan.content_sha256, files.filename, files.object_key,
           s.embedding_model, s.dimensions, f.chunk_tokens
    FROM ingestion_parts p
    JOIN ingestion_plans plan USING (tenant_id, vector_store_id, file_id, version)
    JOIN vector_store_files f USING (tenant_id, vector_store_id, file_id)
    JOIN vector_stores s USING (tenant_id, vector_store_id)
    JOIN files USING (tenant_id, file_id)
    WHERE {_THIS} AND f.status = 'in_progress' AND f.staged_version = p.version"""  # noqa: S608

_LEFT = f"SELECT count(*) AS left FROM ingestion_parts p WHERE {_VERSION} AND p.status = 'queued'"  # noqa: S608

_PROGRESS = """
    UPDATE vector_store_files f SET attempts = 0, updated_at = now()
    WHERE f.tenant_id = %(tenant_id)s AND f.vector_store_id = %(vector_store_id)s AND f.file_id = %(file_id)s
      AND f.status = 'in_progress' AND f.staged_version = %(version)s"""

_TOTAL = f"""
    SELECT coalesce(sum(p.chunk_count), 0)::integer AS chunks,
           coalesce(sum(p.usage_bytes), 0)::bigint AS bytes
    FROM ingestion_parts p WHERE {_VERSION}"""  # noqa: S608

# Two line breaks stand between the texts of two parts; a part without text is not there.
_OFFSETS = f"""
    UPDATE ingestion_parts p SET char_offset = before.characters
    FROM (
        SELECT p.part, coalesce(sum(p.characters + CASE WHEN p.characters > 0 THEN 2 ELSE 0 END) OVER (
            ORDER BY p.part ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS characters
        FROM ingestion_parts p WHERE {_VERSION}
    ) before
    WHERE {_VERSION} AND p.part = before.part"""  # noqa: S608


async def _update(
    connection: Connection, held: PartClaim, change: LiteralString, values: Mapping[str, object]
) -> bool:
    cursor = await connection.execute(
        f"UPDATE ingestion_parts p SET {change} WHERE {_HELD}",  # noqa: S608 - made of constants
        {**held.job.model_dump(), "lease_id": held.lease_id, **values},
    )
    return cursor.rowcount == 1


async def _total(connection: Connection, job: IngestPart) -> Written:
    cursor = await connection.execute(_TOTAL, job.model_dump())
    row = await cursor.fetchone()
    return Written(0, 0) if row is None else Written(row["chunks"], row["bytes"])


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
