"""The state of an ingestion job, which is a row of `vector_store_files`.

A job is in progress until it is completed, failed or cancelled. A worker claims it for the time of a lease,
which it renews; when the worker dies, the lease ends and the job can be claimed again. A result is taken only
from the worker whose lease it is. Every function runs in a transaction of the tenant; none locks the job's
row before the store's, which `shared.knowledge.index` locks first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, LiteralString
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from shared.documents.document import FailureCode
from shared.knowledge.chunk import MAX_TOKENS
from shared.knowledge.index import Written, remove_file
from shared.knowledge.messages import IngestFile
from shared.postgres.database import Connection

# Why a job is not worked on now. `gone`: it is not there any more; `finished`: it is completed, failed or
# cancelled; `awaiting_upload`: the upload will ask again; `busy`: another worker has it, so ask again later;
# `exhausted`: it was tried too often, and has been failed now.
Refusal = Literal["gone", "finished", "awaiting_upload", "busy", "exhausted"]

_NO_REASON = "Its worker stopped without saying why, as it does when time or memory runs out."


class LeaseLostError(Exception):
    """The job was cancelled, removed, or given to another worker meanwhile. Roll back, and leave it."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on a job until the lease ends.

    `chunk_tokens` is the size of its chunks. `content_sha256` is of the bytes that those which are there, if
    any, were made of, and `unread_pages` are pages of these that nobody could read.
    """

    job: IngestFile
    lease_id: UUID
    attempt: int
    filename: str
    media_type: str | None
    object_key: str
    embedding_model: str
    dimensions: int
    chunk_tokens: int
    content_sha256: str | None
    chunk_count: int
    usage_bytes: int
    unread_pages: Sequence[int]
    staged: "Staged | None"


@dataclass(frozen=True)
class Staged:
    """A version of the file that is being ingested in parts, and the object that the parts are of."""

    version: int
    object_etag: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job failed. `message` is for the person whose file it is.

    `content_sha256` is of the bytes at fault, if they are: they are not tried again.
    """

    code: FailureCode | Literal["server_error"]
    message: str
    content_sha256: str | None = None


async def claim(
    connection: Connection, job: IngestFile, now: datetime, lease: timedelta, *, max_attempts: int
) -> Claim | Refusal:
    """Take the job until `now + lease`, or say why not. A claim counts as an attempt.

    Raises:
        LeaseLostError: The job changed while it was being failed for too many attempts.
    """
    cursor = await connection.execute(_READ + _THIS, job.model_dump())
    row = await cursor.fetchone()
    if row is None:
        return "gone"
    as_read = {**job.model_dump(), "lease_id": row["lease_id"], "attempts": row["attempts"]}
    refusal = _refusal(row, now, max_attempts)
    if refusal == "exhausted":
        await _fail(connection, job, _gave_up(row["attempts"], row["error_message"]), _AS_READ, as_read)
    if refusal is not None:
        return refusal
    lease_id = uuid4()
    cursor = await connection.execute(
        _UPDATE
        + "attempts = attempts + 1, lease_id = %(new)s, lease_until = %(until)s, updated_at = %(now)s"
        + _AS_READ,
        {**as_read, "new": lease_id, "until": now + lease, "now": now},
    )
    return _claim(job, row, lease_id) if cursor.rowcount == 1 else "busy"


async def renew(connection: Connection, held: Claim, now: datetime, lease: timedelta) -> bool:
    """Put off the end of the lease to `now + lease`; false if it is not the worker's any more."""
    cursor = await connection.execute(
        _UPDATE + "lease_until = %(until)s, updated_at = %(now)s" + _HELD,
        {**_parameters(held), "until": now + lease, "now": now},
    )
    return cursor.rowcount == 1


async def holds(connection: Connection, held: Claim) -> bool:
    """Whether the lease is still the worker's, as far as is known now."""
    cursor = await connection.execute(_READ + _HELD, _parameters(held))
    return await cursor.fetchone() is not None


async def complete(
    connection: Connection,
    held: Claim,
    written: Written,
    content_sha256: str,
    now: datetime,
    unread_pages: Sequence[int] = (),
) -> None:
    """The file is searchable, less its `unread_pages`. Belongs into the transaction that wrote its chunks.

    Raises:
        LeaseLostError: Roll back what was written.
    """
    parameters = {**_parameters(held), "unread": list(unread_pages)}
    await _complete(connection, parameters, _HELD, "%(unread)s", written, content_sha256, now)


async def release(connection: Connection, held: Claim) -> None:
    """End the lease as if it had not been taken: the work is others' now.

    Raises:
        LeaseLostError: The job is not the worker's any more.
    """
    cursor = await connection.execute(
        _UPDATE + "attempts = attempts - 1, lease_id = NULL, lease_until = NULL, updated_at = now()" + _HELD,
        _parameters(held),
    )
    if cursor.rowcount != 1:
        raise LeaseLostError


async def complete_version(
    connection: Connection,
    job: IngestFile,
    version: int,
    written: Written,
    content_sha256: str,
    now: datetime,
) -> None:
    """As `complete`, for a job whose staged version is written. The store is locked already.

    Raises:
        LeaseLostError: Roll back what was written.
    """
    parameters = {**job.model_dump(), "version": version}
    await _complete(connection, parameters, _STAGED, _UNREAD_OF_PARTS, written, content_sha256, now)


async def fail_version(connection: Connection, job: IngestFile, version: int, failure: Failure) -> None:
    """As `fail`, for a job with a staged version.

    Raises:
        LeaseLostError: The version is not the job's staged one any more.
    """
    await _fail(connection, job, failure, _STAGED, {**job.model_dump(), "version": version})


async def fail(connection: Connection, held: Claim, failure: Failure) -> None:
    """End the job: no further try can help. Removes the chunks of an earlier content.

    Raises:
        LeaseLostError: The job is not the worker's any more.
    """
    await _fail(connection, held.job, failure, _HELD, _parameters(held))


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
        await fail(connection, held, _gave_up(held.attempt, reason))
        return "failed"
    cursor = await connection.execute(
        _UPDATE
        + "lease_id = NULL, lease_until = NULL, error_message = %(reason)s, updated_at = %(now)s"
        + _HELD,
        {**_parameters(held), "reason": reason, "now": now},
    )
    if cursor.rowcount != 1:
        raise LeaseLostError
    return "again"


_THIS = """
    WHERE f.tenant_id = %(tenant_id)s AND f.vector_store_id = %(vector_store_id)s
      AND f.file_id = %(file_id)s"""

_HELD = _THIS + " AND f.status = 'in_progress' AND f.lease_id = %(lease_id)s"

_STAGED = _THIS + " AND f.status = 'in_progress' AND f.staged_version = %(version)s"

_AS_READ = (
    _THIS
    + """ AND f.status = 'in_progress' AND f.attempts = %(attempts)s
          AND f.lease_id IS NOT DISTINCT FROM %(lease_id)s"""
)

_UPDATE = "UPDATE vector_store_files f SET "

_UNREAD_OF_PARTS = """
    ARRAY(SELECT page FROM ingestion_parts p CROSS JOIN unnest(p.unread_pages) AS page
          WHERE p.tenant_id = f.tenant_id AND p.vector_store_id = f.vector_store_id
            AND p.file_id = f.file_id AND p.version = %(version)s
          ORDER BY page)"""

_READ = """
    SELECT f.*, files.status AS file_status, files.filename, files.media_type, files.object_key,
           s.embedding_model, s.dimensions, plans.object_etag AS staged_etag
    FROM vector_store_files f
    JOIN files ON files.tenant_id = f.tenant_id AND files.file_id = f.file_id
    JOIN vector_stores s ON s.tenant_id = f.tenant_id AND s.vector_store_id = f.vector_store_id
    LEFT JOIN ingestion_plans plans ON plans.tenant_id = f.tenant_id
        AND plans.vector_store_id = f.vector_store_id AND plans.file_id = f.file_id
        AND plans.version = f.staged_version"""


def _parameters(held: Claim) -> dict[str, object]:
    return {**held.job.model_dump(), "lease_id": held.lease_id}


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


def _gave_up(attempts: int, reason: str | None) -> Failure:
    return Failure(
        code="server_error", message=f"Weir gave up after {attempts} tries. {reason or _NO_REASON}"
    )


async def _complete(
    connection: Connection,
    parameters: Mapping[str, object],
    condition: LiteralString,
    unread: LiteralString,
    written: Written,
    content_sha256: str,
    now: datetime,
) -> None:
    cursor = await connection.execute(
        _UPDATE
        + """status = 'completed', chunk_count = %(chunks)s, usage_bytes = %(bytes)s,
             content_sha256 = %(sha256)s, lease_id = NULL, lease_until = NULL, error_code = NULL,
             error_message = NULL, updated_at = %(now)s, unread_pages = """
        + unread
        + condition,
        {
            **parameters,
            "chunks": written.chunk_count,
            "bytes": written.usage_bytes,
            "sha256": content_sha256,
            "now": now,
        },
    )
    if cursor.rowcount != 1:
        raise LeaseLostError


async def _fail(
    connection: Connection,
    job: IngestFile,
    failure: Failure,
    condition: LiteralString,
    parameters: Mapping[str, object],
) -> None:
    await remove_file(connection, **job.model_dump())
    cursor = await connection.execute(
        _UPDATE
        + """status = 'failed', error_code = %(code)s, error_message = %(message)s,
             content_sha256 = %(sha256)s, chunk_count = 0, usage_bytes = 0, lease_id = NULL,
             lease_until = NULL, staged_version = NULL, unread_pages = '{}', updated_at = now()"""
        + condition,
        {
            **parameters,
            "code": failure.code,
            "message": failure.message,
            "sha256": failure.content_sha256,
        },
    )
    if cursor.rowcount != 1:
        raise LeaseLostError
